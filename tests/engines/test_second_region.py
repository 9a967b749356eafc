"""A second Azure region behind the first, as the settings name it: the unmodified SDKs against emulators."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import AZURE_BROKEN, ChatServer, Stream
from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from voice.audio import SPEECH_RATE, Pcm, encode_wav
from voice.engines import Engines, NotConfigured, Unavailable
from voice.engines.choosing import choose
from voice.engines.failover import FailoverChat, FailoverTextToSpeech
from voice.session import Limits, Preferences, Session
from voice.session_events import Failed, Noted, ReplyGrew, Spoke, TurnEvent
from voice.settings import Settings

pytestmark = pytest.mark.anyio

LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)
USUAL = Preferences(language="en", persona="Be kind.")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the developer's, no option of the machine's."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


async def take_turn(engines: Engines, recording: Path) -> list[TurnEvent]:
    with anyio.fail_after(60):
        async with aclosing(Session(engines, LIMITS).answer_recording(recording, USUAL)) as events:
            return [event async for event in events]


async def test_the_second_region_answers_for_every_engine_and_the_user_is_told(tmp_path: Path) -> None:
    recording = tmp_path / "hello.wav"
    recording.write_bytes(encode_wav(Pcm.silence(1500, SPEECH_RATE)))
    with (
        AzureSpeechServer(handshake=503) as speech_east,
        AzureSpeechServer() as speech_west,
        ChatServer(AZURE_BROKEN) as chat_east,
        ChatServer(Stream("Here."), deployments=("gpt-west",)) as chat_west,
    ):
        engines = choose(
            Settings(
                azure_speech_key="east",
                azure_speech_host=speech_east.host,
                azure_failover_region="japanwest",
                azure_failover_key="west",
                azure_failover_host=speech_west.host,
                openai_endpoint=chat_east.address,
                openai_key="east",
                openai_failover_endpoint=chat_west.address,
                openai_failover_key="west",
                openai_failover_deployment="gpt-west",
            )
        )
        events = await take_turn(engines, recording)
        await engines.close()
        brains = tuple(
            f"{model} ({urlsplit(server.address).netloc})"
            for model, server in (("gpt-4o", chat_east), ("gpt-west", chat_west))
        )
    assert not [event for event in events if isinstance(event, Failed)]
    assert [event.text for event in events if isinstance(event, ReplyGrew)][-1] == "Here."
    assert [event for event in events if isinstance(event, Spoke)]
    ears = mouth = ("Azure (japaneast)", "Azure (japanwest)")
    notes = [(event.switch.preferred, event.switch.answered) for event in events if isinstance(event, Noted)]
    assert notes == [ears, brains, mouth]
    assert {request.headers["Ocp-Apim-Subscription-Key"] for request in speech_west.requests} == {"west"}
    assert chat_west.exchanges[0].headers["api-key"] == "west"


async def test_this_machine_answers_when_both_regions_fail_and_no_phrase_is_said_twice() -> None:
    east, west = Unavailable("chat_unreachable"), Unavailable("chat_timeout", seconds=10)
    chat = FailoverChat(
        FakeChat([east], label="east"),
        FakeChat([west], label="west"),
        FakeChat(["One here. Two here."], label="here"),
    )
    mouths = [FakeTextToSpeech(error=Unavailable("voice_failed"), label=name) for name in ("east", "west")]
    mouths.append(FakeTextToSpeech(label="here"))
    session = Session(Engines(FakeSpeechToText(), chat, FailoverTextToSpeech(*mouths)), LIMITS)
    async with aclosing(session.answer_text("Hello", USUAL)) as turn:
        events = [event async for event in turn]
    notes = [(event.switch.preferred, event.switch.answered) for event in events if isinstance(event, Noted)]
    assert notes[0] == ("east", "here")
    spoken = [event.speech.phrase for event in events if isinstance(event, Spoke)]
    assert spoken == ["One here.", "Two here."]


@pytest.mark.parametrize("half", [{"azure_failover_key": "k"}, {"azure_failover_region": "japanwest"}])
def test_half_a_second_region_is_told(half: dict[str, Any]) -> None:
    with pytest.raises(NotConfigured, match="azure_failover_incomplete"):
        choose(Settings(azure_speech_key="k", chat_engine="openai", openai_api_key="k", **half))


async def test_voices_by_language_are_those_of_the_settings() -> None:
    settings = Settings(
        azure_speech_key="k",
        chat_engine="openai",
        openai_api_key="k",
        azure_voices="ja-JP-KeitaNeural, zh:en-US-AvaMultilingualNeural",
    )
    engines = choose(settings)
    names = [voice.name for voice in engines.text_to_speech.voices()]
    assert names[0] == "ja-JP-KeitaNeural"
    assert "en-US-AvaMultilingualNeural" in names
    await engines.close()
