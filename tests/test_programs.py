"""Programs talk to Kaiwa through `gradio_client`, several at once, each with a conversation of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.fakes import fake_engines
from tests.speech import Clip, read_clips
from tests.wer import character_error_rate, word_error_rate
from voice import texts
from voice.recordings import decode_recording
from voice.session import Limits, Preferences
from voice.web.page import build_page

Connect = Callable[..., Client]


@pytest.fixture
def connect(app: str, tmp_path: Path) -> Connect:
    """A client of the running app; `language` is the one its user reads."""

    def connect(language: str = "en") -> Client:
        return Client(
            app,
            verbose=False,
            analytics_enabled=False,
            download_files=tmp_path,
            headers={"Accept-Language": language},
        )

    return connect


@pytest.mark.slow
def test_four_at_once_are_answered_and_none_is_mixed_up(connect: Connect) -> None:
    everybody_is_here = Barrier(4)

    def write_twice(language: str, first: str, second: str) -> tuple[str, str]:
        client = connect(language)
        everybody_is_here.wait(60)
        replies = [client.predict(text, api_name="/say") for text in (first, second)]
        for _, sound in replies:
            assert_is_speech(sound)
        return replies[0][0], replies[1][0]

    def speak_then_write(clip: Clip, second: str) -> tuple[str, str, str]:
        client = connect(clip.language)
        everybody_is_here.wait(60)
        heard, first, sound = client.predict(handle_file(clip.path), api_name="/talk")
        assert_is_speech(sound)
        reply, sound = client.predict(second, api_name="/say")
        assert_is_speech(sound)
        return heard, first, reply

    weasels, books = read_clips("en")[5], read_clips("ja")[2]
    with ThreadPoolExecutor(4) as people:
        dog = people.submit(write_twice, "en", "My dog is called Rex.", "What is the name of my dog?")
        home = people.submit(write_twice, "ja", "私は京都に住んでいます。", "私はどこに住んでいますか。")
        phone = people.submit(speak_then_write, weasels, "Which animals have eaten the phone system?")
        shelf = people.submit(speak_then_write, books, "何がたくさん残っていますか。")

    assert "Rex" in dog.result()[1]
    assert "京都" in home.result()[1]
    assert word_error_rate(weasels.text, phone.result()[0]) <= 0.2
    assert "weasel" in phone.result()[2].lower()
    assert character_error_rate(books.text, shelf.result()[0]) <= 0.2
    everybody: dict[str, tuple[str, ...]] = {
        "rex": dog.result(),
        "京都": home.result(),
        "weasel": phone.result(),
        "読むべき本": shelf.result(),
    }
    for name, words in everybody.items():
        assert all(words)
        assert [known for known in everybody if known in " ".join(words).lower()] == [name]


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_went_wrong_is_told_in_the_clients_language(
    connect: Connect, tmp_path: Path, language: str
) -> None:
    letter = tmp_path / "letter.wav"
    letter.write_text("This is a letter, not a recording.")
    client = connect(language)

    with pytest.raises(AppError, match=texts.say("empty_text", language)):
        client.predict("  ", api_name="/say")
    with pytest.raises(AppError, match=texts.say("unreadable_audio", language)):
        client.predict(handle_file(letter), api_name="/talk")


@pytest.mark.slow
def test_only_the_two_endpoints_are_offered(connect: Connect) -> None:
    offered = connect().view_api(return_format="dict", print_info=False)

    assert sorted(offered["named_endpoints"]) == ["/say", "/talk"]
    assert not offered["unnamed_endpoints"]


def test_recordings_and_spoken_replies_are_deleted_after_ten_minutes() -> None:
    page = build_page(fake_engines(), Limits(120, 2000, 1500), Preferences())

    assert page.delete_cache == (60, 600)


def assert_is_speech(sound: str) -> None:
    assert Path(sound).read_bytes().startswith(b"RIFF")
    assert decode_recording(Path(sound), max_seconds=120).seconds > 0.3
