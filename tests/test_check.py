"""`--check`: what it says, a line an engine, with the unmodified SDKs against emulators and hosts that there are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import ChatServer, Stream
from tests.fakes import FakeChat, FakeEndOfTurn, FakeSpeechToText, FakeTextToSpeech, fake_engines
from tests.running import PROJECT, find_free_port
from voice import network, texts
from voice.check import check_engines, name_hosts
from voice.engines import Engines, Rejected, Unavailable
from voice.engines.choosing import choose
from voice.engines.failover import FailoverChat
from voice.network import WELL_KNOWN_HOSTS
from voice.settings import Settings

pytestmark = pytest.mark.anyio

KEY = "a-key-that-stays-secret"
FAR_TOO_LONG = 60


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the developer's, no option of the machine's."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with ChatServer(Stream("Hi"), azure_keys=(KEY,), deployments=("gpt-4o",)) as server:
        yield server


@pytest.fixture
def azure(chat: ChatServer) -> Iterator[dict[str, str]]:
    """The settings for emulators that let in `KEY` alone and know the deployment "gpt-4o"."""
    with AzureSpeechServer(keys=[KEY]) as speech:
        yield {
            "azure_speech_key": KEY,
            "azure_speech_host": speech.host,
            "openai_endpoint": chat.address,
            "openai_key": KEY,
        }


class Names:
    """A name server that knows these hosts."""

    def __init__(self, *known: str) -> None:
        self.known = known

    async def resolve(self, host: str) -> bool:
        return host in self.known


NO_NETWORK = Names()
NETWORK = Names(*WELL_KNOWN_HOSTS)
NETWORK_AND_HERE = Names(*WELL_KNOWN_HOSTS, "127.0.0.1")


async def check(
    settings: Settings, names: Names, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[str]]:
    with anyio.fail_after(FAR_TOO_LONG):
        status = await check_engines(choose(settings), name_hosts(settings), names.resolve)
    return status, capsys.readouterr().out.splitlines()


def line(role: str, label: str, sentence: str, **details: str | int | float) -> str:
    return f"✗ {role} ({label}): {texts.say(sentence, 'en', **details)}"


def run_app(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields
    }
    return subprocess.run(
        [sys.executable, PROJECT / "app.py", "--check"],
        check=False,
        env={**inherited, **{name.upper(): value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_right_keys_are_told_by_what_each_engine_did(azure: dict[str, str], chat: ChatServer) -> None:
    finished = run_app(azure)
    speaks, hears, writes = finished.stdout.splitlines()
    assert speaks.startswith("✓ Text to speech (Azure): spoke 1.0 s of sound in ")
    assert hears.startswith("✓ Speech to text (Azure): heard “")
    assert writes.startswith("✓ Chat model (gpt-4o): wrote “Hi” in ")
    assert finished.returncode == 0
    assert [exchange.body["max_tokens"] for exchange in chat.exchanges] == [1]


@pytest.mark.slow
def test_wrong_keys_are_told_and_the_status_is_1(azure: dict[str, str]) -> None:
    finished = run_app({**azure, "azure_speech_key": "wrong", "openai_key": "wrong"})
    speech, chat = urlsplit(azure["azure_speech_host"]).netloc, urlsplit(azure["openai_endpoint"]).netloc
    assert finished.stdout.splitlines() == [
        line("Text to speech", "Azure", "key_refused", host=speech, setting="AZURE_SPEECH_KEY"),
        line("Speech to text", "Azure", "key_refused", host=speech, setting="AZURE_SPEECH_KEY"),
        line("Chat model", "gpt-4o", "key_refused", host=chat, setting="OPENAI_KEY"),
    ]
    assert (finished.returncode, finished.stderr) == (1, "")


async def test_a_wrong_deployment_is_named(azure: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(**{**azure, "openai_deployment": "gpt-5"})
    status, lines = await check(settings, NETWORK, capsys)
    assert lines[-1] == line("Chat model", "gpt-5", "chat_model_missing", model="gpt-5")
    assert [each[0] for each in lines] == ["✓", "✓", "✗"]
    assert status == 1


@pytest.mark.slow
async def test_a_region_that_there_is_not_is_named(
    azure: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(**{**azure, "azure_speech_host": "", "azure_region": "nosuchregion"})
    _, lines = await check(settings, NETWORK, capsys)
    expected = {"sentence": "region_missing", "region": "nosuchregion", "setting": "AZURE_REGION"}
    assert lines[:2] == [
        line("Text to speech", "Azure", host="nosuchregion.tts.speech.microsoft.com", **expected),
        line("Speech to text", "Azure", host="nosuchregion.stt.speech.microsoft.com", **expected),
    ]


@pytest.mark.slow
async def test_addresses_that_there_are_not_are_told_with_their_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, lines = await check(NOWHERE, NETWORK, capsys)
    assert lines == [
        line(
            "Text to speech", "Azure", "address_missing", host="speech.invalid", setting="AZURE_SPEECH_HOST"
        ),
        line(
            "Speech to text", "Azure", "address_missing", host="speech.invalid", setting="AZURE_SPEECH_HOST"
        ),
        line("Chat model", "gpt-4o", "address_missing", host="chat.invalid", setting="OPENAI_ENDPOINT"),
    ]


async def test_an_address_where_nobody_listens_is_told_with_its_setting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    speech, chat = (f"127.0.0.1:{find_free_port()}" for _ in range(2))
    settings = Settings(
        azure_speech_host=f"ws://{speech}",
        openai_base_url=f"http://{chat}/v1",
        openai_model="m",
        _env_file=None,
    )
    _, lines = await check(settings, NETWORK_AND_HERE, capsys)
    assert lines == [
        line("Text to speech", "Azure", "address_silent", host=speech, setting="AZURE_SPEECH_HOST"),
        line("Speech to text", "Azure", "address_silent", host=speech, setting="AZURE_SPEECH_HOST"),
        line("Chat model", "m", "address_silent", host=chat, setting="OPENAI_BASE_URL"),
    ]


def test_a_server_of_several_roles_has_a_setting_for_each() -> None:
    here = "http://Here:8000/v1"
    settings = Settings(
        openai_base_url=here, stt_base_url=here, allowed_origins="https://a:8080,https://b", _env_file=None
    )
    assert set(name_hosts(settings)["here:8000"]) == {"OPENAI_BASE_URL", "STT_BASE_URL"}


@pytest.mark.slow
async def test_no_network_is_told_from_a_wrong_address(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = await check(NOWHERE, NO_NETWORK, capsys)
    told = {text.partition(": ")[2] for text in lines}
    assert told == {texts.say("network_missing", "en", known=WELL_KNOWN_HOSTS[0])}


NOWHERE = Settings(
    azure_speech_key="k",
    azure_speech_host="wss://speech.invalid",
    openai_endpoint="https://chat.invalid",
    openai_key="k",
    _env_file=None,
)


async def test_a_server_with_an_address_that_does_not_answer_is_no_matter_of_the_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engines = fake_engines(chat=FakeChat([Unavailable("chat_unreachable")]))
    assert await check_engines(engines, {}, NO_NETWORK.resolve) == 1
    assert line("Chat model", "fake brain", "chat_unreachable") in capsys.readouterr().out


async def test_engines_that_stand_in_for_each_other_have_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chat = FailoverChat(FakeChat([Rejected("chat_key_refused")], label="east"), FakeChat(label="here"))
    engines = Engines(FakeSpeechToText(), chat, FakeTextToSpeech())
    assert await check_engines(engines, {}, NETWORK.resolve) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == line("Chat model", "east", "chat_key_refused")
    assert lines[3].startswith("✓ Chat model (here): wrote “You said: ")


async def test_a_model_for_the_end_of_turns_has_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    engines = fake_engines(end_of_turn=FakeEndOfTurn([0.97]))
    assert await check_engines(engines, {}, NETWORK.resolve) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("✓ End of turn (fake melody): what was spoken sounds 97% complete in ")


async def test_a_host_is_found_by_the_machines_own_name_server() -> None:
    assert await network.resolve("localhost")
    assert not await network.resolve("kaiwa.invalid")
    assert not await network.resolve("a" * 64 + ".invalid")
