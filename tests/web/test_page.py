"""The page on the air with scripted engines, asked by the programs that a user would write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.fakes import FakeChat, FakeSpeechToText, fake_engines
from voice.audio import SPEECH_RATE, Pcm, encode_wav
from voice.engines import Transcript, Unavailable
from voice.recordings import decode_recording
from voice.session import Limits, Preferences
from voice.web.page import FILES_ARE_KEPT_SECONDS, SWEEP_SECONDS, build_page
from voice.web.serving import launch

LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)


class Server:
    """Kaiwa in this process, its engines scripted."""

    def __init__(self) -> None:
        self.hearing = FakeSpeechToText()
        self.chat = FakeChat()
        engines = fake_engines(self.hearing, self.chat)
        self.page = build_page(engines, LIMITS, Preferences(persona="Be kind."))
        self.address = launch(self.page, engines)

    def connect(self, language: str = "en") -> Client:
        return Client(self.address, verbose=False, headers={"Accept-Language": language})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.page.close(verbose=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.wav"
    path.write_bytes(encode_wav(Pcm.silence(3000, SPEECH_RATE)))
    return path


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
def test_a_foreign_name_that_resolves_to_this_machine_gets_nothing(server: Server, path: str) -> None:
    port = httpx.URL(server.address).port
    foreign = httpx.get(server.address.rstrip("/") + path, headers={"Host": f"evil.example:{port}"})
    proxied = httpx.get(server.address.rstrip("/") + path, headers={"Host": "kaiwa.example.com"})
    assert (foreign.status_code, proxied.status_code) == (403, 200)


def test_say_answers_with_the_replys_text_and_its_sound_as_a_wav_file(server: Server) -> None:
    reply, sound = server.connect().predict("Hello", api_name="/say")
    assert reply == "You said: Hello"
    content = Path(sound).read_bytes()
    assert content[:4] == b"RIFF"
    assert decode_recording(content, max_seconds=10).seconds == pytest.approx(0.05 * len(reply), abs=0.02)


def test_talk_answers_with_what_was_heard_too(server: Server, recording: Path) -> None:
    server.hearing.script = [Transcript("Good morning.", final=True, language="en")]
    heard, reply, sound = server.connect().predict(handle_file(str(recording)), api_name="/talk")
    assert (heard, reply) == ("Good morning.", "You said: Good morning.")
    assert Path(sound).exists()


def test_choices_can_be_given_by_name(server: Server) -> None:
    slow = server.connect().predict("Hello", speed=0.5, api_name="/say")[1]
    fast = server.connect().predict("Hello", speed=2.0, api_name="/say")[1]
    assert Path(slow).stat().st_size > 3 * Path(fast).stat().st_size


def test_each_client_has_a_conversation_of_its_own(server: Server) -> None:
    ann, bob = server.connect(), server.connect()
    ann.predict("I am Ann", api_name="/say")
    bob.predict("I am Bob", api_name="/say")
    ann.predict("Who am I?", api_name="/say")
    asked = [message.content for message in server.chat.prompts[-1]]
    assert "I am Ann" in asked
    assert "I am Bob" not in asked


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "There is nothing to send yet"), ("ja-JP,ja;q=0.9", "まだ何も入力されていません")],
)
def test_bad_input_is_told_in_the_callers_language(server: Server, language: str, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        server.connect(language).predict("  ", api_name="/say")


def test_a_failed_turn_leaves_the_conversation_to_go_on(server: Server) -> None:
    client = server.connect()
    client.predict("First", api_name="/say")
    server.chat.script = [Unavailable("chat_unreachable")]
    with pytest.raises(AppError, match="does not answer"):
        client.predict("Second", api_name="/say")
    assert client.predict("Third", api_name="/say")[0] == "You said: Third"
    assert "First" in [message.content for message in server.chat.prompts[-1]]


def test_users_do_not_wait_for_each_other(server: Server) -> None:
    waiting = threading.Event()

    def ask_slowly() -> None:
        client = server.connect()
        waiting.set()
        client.predict("slow", api_name="/say")

    server.chat.script = [["Wait", 3.0, " over."]]
    slow = threading.Thread(target=ask_slowly)
    slow.start()
    waiting.wait()
    while server.chat.running == 0 and slow.is_alive():
        pass
    assert server.connect().predict("quick", api_name="/say")[0] == "You said: quick"
    assert slow.is_alive()
    slow.join()


def test_only_the_endpoints_for_programs_are_public(server: Server) -> None:
    endpoints = server.connect().view_api(return_format="dict")
    assert sorted(endpoints["named_endpoints"]) == ["/say", "/talk"]


def test_the_page_is_told_to_clean_its_files_away(server: Server) -> None:
    assert server.page.delete_cache == (SWEEP_SECONDS, FILES_ARE_KEPT_SECONDS)


def test_the_page_asks_for_nothing_from_elsewhere(server: Server) -> None:
    page = httpx.get(server.address).text
    assert "fonts.googleapis.com" not in page
    assert "cdnjs" not in page.replace("https://cdnjs.cloudflare.com/ajax/libs/iframe-resizer", "")
