"""Which engines the settings ask for. Nothing is connected to, and with clouds alone no model is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voice.engines import NotConfigured
from voice.engines.choosing import choose
from voice.settings import Settings

AZURE = {
    "AZURE_SPEECH_KEY": "k" * 32,
    "OPENAI_ENDPOINT": "https://kaiwa.openai.azure.com/",
    "OPENAI_KEY": "k" * 32,
}
SERVERS = {
    "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    "STT_BASE_URL": "http://127.0.0.1:1/v1",
    "TTS_BASE_URL": "http://127.0.0.1:1/v1",
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the developer's, no option of the machine's."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def names(monkeypatch: pytest.MonkeyPatch, *environments: dict[str, str], **options: Any) -> list[str]:
    for environment in environments:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
    return [type(engine).__name__ for engine in choose(Settings(**options)).all()]


def test_azure_is_chosen_where_its_keys_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(monkeypatch, AZURE) == ["AzureSpeechToText", "OpenAIChat", "AzureTextToSpeech"]


def test_servers_are_chosen_where_their_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(monkeypatch, SERVERS) == ["OpenAISpeechToText", "OpenAIChat", "OpenAITextToSpeech"]


def test_azure_comes_before_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(monkeypatch, AZURE, SERVERS)[0] == "AzureSpeechToText"


def test_an_engine_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = names(monkeypatch, AZURE, SERVERS, stt_engine="openai", tts_engine="openai")
    assert chosen == ["OpenAISpeechToText", "OpenAIChat", "OpenAITextToSpeech"]


@pytest.mark.parametrize(
    ("forced", "sentence"),
    [
        ({"stt_engine": "azure"}, "azure_speech_not_configured"),
        ({"stt_engine": "openai"}, "openai_speech_not_configured"),
        ({"stt_engine": "openai", "stt_base_url": "http://127.0.0.1:1", "chat_engine": "azure"}, "azure_chat_not_configured"),
        ({"stt_engine": "openai", "stt_base_url": "http://127.0.0.1:1", "chat_engine": "openai"}, "openai_not_configured"),
    ],
)  # fmt: skip
def test_a_forced_engine_without_its_settings_is_told(forced: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        choose(Settings(**forced))
    assert caught.value.sentence == sentence


def test_entra_needs_the_resources_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = {"AZURE_AUTH": "entra", "AZURE_SPEECH_ENDPOINT": "https://kaiwa.cognitiveservices.azure.com/"}
    assert names(monkeypatch, SERVERS, endpoint)[0] == "AzureSpeechToText"


def test_openais_key_is_shown_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)
    engines = choose(Settings())
    assert "sk-secret" not in str(vars(vars(engines.speech_to_text)["_account"]))


@pytest.mark.slow
def test_without_any_setting_all_runs_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, models_folder: Path
) -> None:
    assert names(monkeypatch, models_dir=models_folder) == ["LocalWhisper", "LocalLlama", "LocalVoices"]


@pytest.mark.slow
def test_failover_puts_this_machine_behind_the_cloud(
    monkeypatch: pytest.MonkeyPatch, models_folder: Path
) -> None:
    chosen = names(monkeypatch, AZURE, failover="local", models_dir=models_folder)
    assert chosen == ["FailoverSpeechToText", "FailoverChat", "FailoverTextToSpeech"]


def test_without_being_asked_for_nothing_listens_for_the_end_of_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in AZURE.items():
        monkeypatch.setenv(name, value)
    assert choose(Settings()).end_of_turn is None


def test_what_hinders_the_end_of_turn_model_is_told_and_hinders_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    for name, value in {**AZURE, "SMART_TURN": "on"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "file").touch()
    engines = choose(Settings(models_dir=tmp_path / "file" / "models"))
    assert engines.end_of_turn is None
    [record] = caplog.records
    assert record.getMessage().startswith("Smart Turn cannot be used;")
    assert "MODELS_DIR" in record.getMessage()


@pytest.mark.slow
def test_the_end_of_turn_model_goes_with_any_engines(
    monkeypatch: pytest.MonkeyPatch, models_folder: Path
) -> None:
    for name, value in {**AZURE, "SMART_TURN": "on"}.items():
        monkeypatch.setenv(name, value)
    engines = choose(Settings(models_dir=models_folder))
    assert engines.end_of_turn is not None
    assert engines.end_of_turn.label == "Smart Turn"
