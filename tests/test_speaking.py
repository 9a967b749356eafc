"""A reply as it is written and spoken: what is told of it, in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from tests.fakes import FakeChat, FakeTextToSpeech
from tests.virtual_time import VirtualTimeLoop
from voice.engines import EngineError, Rejected, Speech, ToolCall, Unavailable, Usage
from voice.speaking import (
    ChatFailed,
    PhraseBegun,
    PhraseSent,
    Progress,
    SpokenBy,
    VoiceFailed,
    Written,
    write_and_speak,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def follow(chat: FakeChat, voice: FakeTextToSpeech | None) -> list[Progress]:
    told: list[Progress] = []
    await write_and_speak(chat.reply([]), spoken_by(voice) if voice else None, told.append)
    return told


def spoken_by(voice: FakeTextToSpeech) -> SpokenBy:
    return SpokenBy(voice, voice="", speed=1.0, language="en")


def without_sound(told: list[Progress]) -> list[object]:
    """Each piece of sound as the phrase that it is of."""
    return [event.phrase if isinstance(event, Speech) else event for event in told]


async def test_a_phrase_is_spoken_while_the_next_is_written() -> None:
    chat = FakeChat([["One is here. T", 1.0, "wo is here."]])
    assert without_sound(await follow(chat, FakeTextToSpeech())) == [
        "One is here. T",
        PhraseSent("One is here."),
        PhraseBegun("One is here."),
        "One is here.",
        "wo is here.",
        Written(),
        PhraseSent("Two is here."),
        PhraseBegun("Two is here."),
        "Two is here.",
    ]


async def test_a_phrase_is_with_the_voice_before_the_next_token_is_read_and_its_sound_told_at_once() -> None:
    at: dict[str, float] = {}

    def note(event: Progress) -> None:
        at.setdefault(type(event).__name__, anyio.current_time())

    chat = FakeChat([["One is here. T", 1.0, "wo."]], delay=0.2)
    began = anyio.current_time()
    await write_and_speak(chat.reply([]), spoken_by(FakeTextToSpeech(delay=0.3)), note)
    assert at["str"] - began == at["PhraseSent"] - began == pytest.approx(0.2)
    assert at["PhraseBegun"] - began == at["Speech"] - began == pytest.approx(0.5)


async def test_a_phrase_that_is_said_again_is_told_again_with_its_own_sound() -> None:
    told = without_sound(await follow(FakeChat([["はい。はい。はい。"]]), FakeTextToSpeech()))
    assert told[told.index(Written()) + 2 :] == [PhraseBegun("はい。"), "はい。"] * 3


async def test_a_reply_in_text_alone_has_no_phrases() -> None:
    call, usage = ToolCall("1", "look", "{}"), Usage(1, 2)
    assert await follow(FakeChat([["One. ", "", "Two.", call, usage]]), None) == [
        "One. ",
        "Two.",
        call,
        usage,
        Written(),
    ]


async def test_what_a_chat_model_wrote_before_it_failed_is_spoken() -> None:
    error = Unavailable("chat_timeout", seconds=1)
    told = await follow(FakeChat([["One is here. Two", error]]), FakeTextToSpeech())
    assert ChatFailed(error) in told
    assert Written() not in told
    assert [event.phrase for event in told if isinstance(event, Speech)] == ["One is here.", "Two"]


async def test_phrases_of_a_voice_that_failed_are_given_to_be_read_and_the_rest_as_it_is_written() -> None:
    error = Unavailable("voice_failed")
    chat = FakeChat([["One is here. Two is here. Th", 1.0, "ree is here."]])
    told = without_sound(await follow(chat, FakeTextToSpeech(error=error)))
    assert told[told.index(VoiceFailed(error)) :] == [
        VoiceFailed(error),
        PhraseBegun("Two is here."),
        "ree is here.",
        Written(),
        PhraseSent("Three is here."),
        PhraseBegun("Three is here."),
    ]


async def test_whoever_follows_may_refuse_what_was_written() -> None:
    def refuse(event: Progress) -> None:
        told.append(event)
        if isinstance(event, Written):
            raise refusal

    told: list[Progress] = []
    refusal: EngineError = Rejected("chat_filtered")
    await write_and_speak(FakeChat(["One."]).reply([]), spoken_by(FakeTextToSpeech()), refuse)
    assert ChatFailed(refusal) in told
    assert [event.phrase for event in told if isinstance(event, Speech)] == ["One."]


async def test_both_engines_are_closed_when_it_is_stopped() -> None:
    chat = FakeChat([["One is here. Two", 60.0]])
    task = asyncio.create_task(follow(chat, FakeTextToSpeech(delay=9)))
    await asyncio.sleep(1)
    assert chat.running == 1
    task.cancel()
    await asyncio.wait([task])
    assert chat.running == 0
