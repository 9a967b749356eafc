"""A turn through the engines, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech, fake_engines
from tests.virtual_time import VirtualTimeLoop
from voice.audio import SPEECH_RATE, Pcm, encode_wav
from voice.engines import Engines, Incomplete, Message, Rejected, ReplyPiece, Transcript, Unavailable
from voice.engines.failover import FailoverChat
from voice.session import PERSONA_CHARACTERS, Limits, Preferences, Session
from voice.session_events import (
    Failed,
    Finished,
    Heard,
    Recognising,
    Replied,
    ReplyGrew,
    Spoke,
    Stopped,
    TurnEvent,
)
from voice.speaking import PhraseSent

pytestmark = pytest.mark.anyio

LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)
USUAL = Preferences(persona="Be kind.")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def start(engines: Engines | None = None) -> Session:
    return Session(engines or fake_engines(), LIMITS)


async def read(turn: AsyncGenerator[TurnEvent, None]) -> list[TurnEvent]:
    async with aclosing(turn):
        return [event async for event in turn]


def kinds(events: list[TurnEvent]) -> list[str]:
    """The events' names in order, runs of the same one told once."""
    names = [type(event).__name__ for event in events]
    return [name for before, name in zip([None, *names], names, strict=False) if name != before]


async def test_a_line_of_text_is_answered_in_writing_and_in_sound() -> None:
    session = start()
    events = await read(session.answer_text("Hello", USUAL))
    assert events[0] == Heard("Hello", "en")
    assert ReplyGrew("You said: Hello") in events
    assert [event.phrase for event in events if isinstance(event, PhraseSent)] == ["You said: Hello"]
    assert sum(event.speech.pcm.seconds for event in events if isinstance(event, Spoke)) > 0
    assert events[-1] == Finished()
    assert [(line.role, line.text) for line in session.lines] == [
        ("user", "Hello"),
        ("assistant", "You said: Hello"),
    ]


async def test_the_first_phrase_is_spoken_while_the_reply_is_still_being_written() -> None:
    chat = FakeChat([["First sentence is here. ", "S", 5.0, "econd one."]])
    events = await read(start(fake_engines(chat=chat)).answer_text("Hello", USUAL))
    spoke = next(index for index, event in enumerate(events) if isinstance(event, Spoke))
    assert not any(isinstance(event, ReplyGrew) and event.text.endswith("one.") for event in events[:spoke])


async def test_a_reply_that_reached_its_limit_ends_with_an_ellipsis_which_is_not_spoken() -> None:
    chat, voice = FakeChat([["And then", Incomplete("max_output_tokens")]]), FakeTextToSpeech()
    session = start(fake_engines(chat=chat, text_to_speech=voice))
    events = await read(session.answer_text("Hello", USUAL))
    assert Replied("And then…") in events
    assert session.lines[1].text == "And then…"
    assert voice.spoken == ["And then"]


async def test_a_reply_of_which_the_limit_left_nothing_is_told_as_a_failure() -> None:
    session = start(fake_engines(chat=FakeChat([[Incomplete("max_output_tokens")]])))
    events = await read(session.answer_text("Hello", USUAL))
    assert [event.error.sentence for event in events if isinstance(event, Failed)] == ["chat_said_nothing"]


async def test_a_reply_that_a_filter_stopped_says_so_after_what_was_written() -> None:
    session = start(fake_engines(chat=FakeChat([["Well,", Incomplete("content_filter")]])))
    events = await read(session.answer_text("Hello", USUAL))
    assert [event.error.sentence for event in events if isinstance(event, Failed)] == ["chat_filtered"]
    assert not [event for event in events if isinstance(event, Replied)]
    assert session.lines[1].text == "Well,"


async def test_the_model_is_reminded_of_what_was_said() -> None:
    chat = FakeChat(["Hi!", "Fine."])
    session = start(fake_engines(chat=chat))
    await read(session.answer_text("Hello", USUAL))
    await read(session.answer_text("How are you?", USUAL))
    assert chat.prompts[1][1:] == [
        Message("user", "Hello"),
        Message("assistant", "Hi!"),
        Message("user", "How are you?"),
    ]


async def test_the_system_prompt_follows_the_language_of_the_first_words() -> None:
    chat = FakeChat()
    await read(start(fake_engines(chat=chat)).answer_text("こんにちは", Preferences()))
    assert "です・ます" in chat.prompts[0][0].content


async def test_a_persona_of_ones_own_reaches_the_model() -> None:
    chat = FakeChat()
    await read(
        start(fake_engines(chat=chat)).answer_text("Hello", Preferences(persona="Talk like a {pirate}."))
    )
    assert "Talk like a {pirate}." in chat.prompts[0][0].content


async def test_only_a_persona_that_turns_would_take_is_read_ahead() -> None:
    chat = ReadingChat()
    session = start(fake_engines(chat=chat))
    await session.prepare(Preferences(persona="a" * (PERSONA_CHARACTERS + 1)))
    assert not chat.read
    await session.prepare(Preferences(persona="a" * PERSONA_CHARACTERS))
    assert chat.read


@dataclass
class ReadingChat(FakeChat):
    """Keeps what it was told to read ahead."""

    read: list[Message] = field(default_factory=list)

    async def warm(self, prompt: Sequence[Message] = ()) -> None:
        self.read += prompt


@pytest.mark.parametrize(
    ("text", "sentence"), [("", "empty_text"), (" \n\t　", "empty_text"), ("a" * 101, "text_too_long")]
)
async def test_unusable_text_is_told_and_leaves_the_conversation_alone(text: str, sentence: str) -> None:
    session = start()
    events = await read(session.answer_text(text, USUAL))
    assert [event.error.sentence for event in events if isinstance(event, Failed)] == [sentence]
    assert kinds(events) == ["Failed", "Finished"]
    assert session.lines == []


async def test_a_model_that_fails_before_its_first_word_is_told_and_the_next_turn_works() -> None:
    chat = FakeChat([Unavailable("chat_unreachable"), "Here I am."])
    session = start(fake_engines(chat=chat))
    events = await read(session.answer_text("Hello", USUAL))
    assert kinds(events) == ["Heard", "Failed", "Finished"]
    assert session.lines[-1].error is not None
    await read(session.answer_text("Still there?", USUAL))
    assert session.lines[-1].text == "Here I am."
    assert [message.content for message in chat.prompts[1][1:]] == ["Still there?"]


async def test_a_model_that_fails_in_the_middle_leaves_what_it_wrote_and_that_is_spoken() -> None:
    voice = FakeTextToSpeech()
    chat = FakeChat([["The first sentence. ", "And then", Unavailable("chat_unreachable")]])
    session = start(fake_engines(chat=chat, text_to_speech=voice))
    events = await read(session.answer_text("Hello", USUAL))
    assert session.lines[-1].text == "The first sentence. And then"
    assert session.lines[-1].error is not None
    assert voice.spoken == ["The first sentence.", "And then"]
    assert isinstance(events[-1], Finished)


async def test_a_model_that_writes_nothing_is_told() -> None:
    events = await read(start(fake_engines(chat=FakeChat(["  "]))).answer_text("Hello", USUAL))
    assert [event.error.sentence for event in events if isinstance(event, Failed)] == ["chat_said_nothing"]


async def test_a_voice_that_fails_leaves_the_whole_text() -> None:
    chat = FakeChat(["One sentence is here. Another sentence is here. A third one too."], delay=0.1)
    voice = FakeTextToSpeech(error=Unavailable("voice_failed"))
    session = start(fake_engines(chat=chat, text_to_speech=voice))
    events = await read(session.answer_text("Hello", USUAL))
    assert session.lines[-1].text.endswith("A third one too.")
    assert [event.error.sentence for event in events if isinstance(event, Failed)] == ["voice_failed"]


async def test_an_engine_that_stands_in_for_another_is_noted_with_the_reply() -> None:
    cloud = FakeChat([Unavailable("chat_unreachable")], label="the cloud")
    chat = FailoverChat(cloud, FakeChat(["Here I am."]))
    session = start(fake_engines(chat=chat))
    events = await read(session.answer_text("Hello", USUAL))
    assert "Noted" in kinds(events)
    assert session.lines[-1].text == "Here I am."
    assert [(switch.preferred, switch.answered) for switch in session.lines[-1].notes] == [
        ("the cloud", "fake brain")
    ]
    chat_works_again = await read(start().answer_text("Hello", USUAL))
    assert "Noted" not in kinds(chat_works_again)


async def test_an_engine_that_breaks_ends_the_turn_with_a_sentence() -> None:
    class Broken(FakeChat):
        async def reply(self, prompt: Any, options: Any = None) -> AsyncGenerator[ReplyPiece, None]:
            raise ZeroDivisionError
            yield ""

    session = start(fake_engines(chat=Broken()))
    events = await read(session.answer_text("Hello", USUAL))
    assert [event.error.sentence for event in events if isinstance(event, Failed)] == ["turn_broke"]
    assert isinstance(events[-1], Finished)


async def test_stop_ends_the_work_and_keeps_what_was_written() -> None:
    chat = FakeChat([["Once upon ", "a time", 100.0, " there was"]])
    session = start(fake_engines(chat=chat))
    seen: list[TurnEvent] = []
    async with aclosing(session.answer_text("Tell me a story", USUAL)) as turn:
        async for event in turn:
            seen.append(event)
            if event == ReplyGrew("Once upon a time"):
                await session.stop()
    assert seen[-1] == Stopped()
    assert chat.running == 0
    assert session.lines[-1].text == "Once upon a time"
    assert session.lines[-1].stopped
    assert asyncio.get_running_loop().time() < 50


async def test_what_was_stopped_is_remembered_as_far_as_it_was_written() -> None:
    chat = FakeChat([["Once upon", 100.0], "The end."])
    session = start(fake_engines(chat=chat))
    async with aclosing(session.answer_text("A story", USUAL)) as turn:
        async for event in turn:
            if isinstance(event, ReplyGrew):
                await session.stop()
    await read(session.answer_text("Go on", USUAL))
    assert Message("assistant", "Once upon") in chat.prompts[1]


async def test_a_reader_who_leaves_ends_the_work() -> None:
    chat = FakeChat([["Once", 100.0]])
    session = start(fake_engines(chat=chat))
    async with aclosing(session.answer_text("A story", USUAL)) as turn:
        async for event in turn:
            if isinstance(event, ReplyGrew):
                break
    assert chat.running == 0
    assert session.lines[-1].stopped


async def test_a_new_turn_ends_the_one_before_which_then_says_no_more() -> None:
    chat = FakeChat([["An old answer", 100.0, " ends"], "A new answer"])
    session = start(fake_engines(chat=chat))
    old: list[TurnEvent] = []

    async def listen() -> None:
        async with aclosing(session.answer_text("old", USUAL)) as turn:
            async for event in turn:
                old.append(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.sleep(1)
        new = await read(session.answer_text("new", USUAL))
    assert new[-1] == Finished()
    assert old[-1] == ReplyGrew("An old answer")
    assert [line.text for line in session.lines] == ["old", "An old answer", "new", "A new answer"]


async def test_of_many_turns_at_once_the_last_one_is_answered() -> None:
    session = start(fake_engines(chat=FakeChat(delay=0.1)))
    results: dict[int, list[TurnEvent]] = {}

    async def ask(number: int) -> None:
        results[number] = await read(session.answer_text(f"question {number}", USUAL))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, number)
    assert [number for number, events in results.items() if Finished() in events] == [4]
    assert session.lines[-1].text == "You said: question 4"


async def test_clear_forgets_the_words_and_ends_the_turn() -> None:
    chat = FakeChat([["Once", 100.0], "Fresh."])
    session = start(fake_engines(chat=chat))
    async with aclosing(session.answer_text("A story", USUAL)) as turn:
        async for event in turn:
            if isinstance(event, ReplyGrew):
                await session.clear()
    assert session.lines == []
    await read(session.answer_text("Hello", USUAL))
    assert len(chat.prompts[1]) == 2


class TestRecordings:
    """Decoding runs in a process of its own, so here the clock is the real one."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def recording(self, tmp_path: Path) -> Path:
        path = tmp_path / "recording.wav"
        path.write_bytes(encode_wav(Pcm.silence(3000, SPEECH_RATE)))
        return path

    async def test_a_recording_is_recognised_and_answered(self, recording: Path) -> None:
        hearing = FakeSpeechToText()
        session = start(fake_engines(speech_to_text=hearing))
        events = await read(session.answer_recording(recording, USUAL))
        assert events[:2] == [Recognising(), Heard("Hello there.", "en")]
        assert events[-1] == Finished()
        assert [pcm.seconds for pcm in hearing.heard] == [3.0]

    async def test_a_recording_without_words_is_told(self, recording: Path) -> None:
        session = start(fake_engines(FakeSpeechToText([Transcript("", final=True)])))
        events = await read(session.answer_recording(recording, USUAL))
        assert [event.error.sentence for event in events if isinstance(event, Failed)] == ["nothing_heard"]
        assert session.lines == []

    async def test_a_recognition_that_fails_is_told(self, recording: Path) -> None:
        session = start(fake_engines(FakeSpeechToText([Rejected("recognition_failed")])))
        events = await read(session.answer_recording(recording, USUAL))
        assert [event.error.sentence for event in events if isinstance(event, Failed)] == [
            "recognition_failed"
        ]

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "empty_audio"),
            (b"This is no sound at all.", "unreadable_audio"),
            (encode_wav(Pcm.silence(0, 8000)), "empty_audio"),
            (encode_wav(Pcm.silence(11_000, 8000)), "recording_too_long"),
        ],
    )
    async def test_an_unusable_recording_is_told(self, tmp_path: Path, content: bytes, sentence: str) -> None:
        path = tmp_path / "recording.wav"
        path.write_bytes(content)
        events = await read(start().answer_recording(path, USUAL))
        assert [event.error.sentence for event in events if isinstance(event, Failed)] == [sentence]

    async def test_a_word_or_two_are_taken_to_be_in_the_language_of_the_turn_before(
        self, tmp_path: Path
    ) -> None:
        asked: list[tuple[str | None, str | None]] = []

        class Asked(FakeSpeechToText):
            def transcribe(
                self, audio: Any, language: str | None, last: str | None = None
            ) -> AsyncGenerator[Transcript, None]:
                asked.append((language, last))
                return super().transcribe(audio, language, last)

        path = tmp_path / "yes.wav"
        path.write_bytes(encode_wav(Pcm.silence(900, SPEECH_RATE)))
        session = start(fake_engines(Asked()))
        await read(session.answer_recording(path, USUAL))
        await read(session.answer_text("これは何ですか", USUAL))
        await read(session.answer_recording(path, USUAL))
        # Between long silences there may be a word, too: the engine finds out.
        path.write_bytes(encode_wav(Pcm.silence(5000, SPEECH_RATE)))
        await read(session.answer_text("これは何ですか", USUAL))
        await read(session.answer_recording(path, USUAL))
        assert asked == [(None, None), ("ja", "ja"), (None, "ja")]
