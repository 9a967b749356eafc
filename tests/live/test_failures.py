"""A live conversation in which engines fail, at every stage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from tests.live.talk import Talk, talking
from tests.virtual_time import VirtualTimeLoop
from voice.engines import Incomplete, Rejected, Transcript, Unavailable
from voice.live.events import (
    FinalHeard,
    HearingFailed,
    ReplyDone,
)
from voice.session import Preferences
from voice.turns.events import Phase

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.mark.parametrize("error", [Rejected("speech_key_refused"), Unavailable("speech_unreachable")])
async def test_ears_that_fail_are_told_and_the_next_turn_works(error: Rejected | Unavailable) -> None:
    async with talking(Talk(FakeSpeechToText([error]))) as talk:
        for _ in range(2):
            await talk.say(1000)
            await talk.pause(4000)
    assert [event.error for event in talk.all(HearingFailed)] == [error]
    assert [event.text for event in talk.all(FinalHeard)] == ["Hello there."]
    assert talk.messages[0] == ("user", "Hello there.")


async def test_ears_that_fail_in_mid_speech_are_told_too() -> None:
    ears = FakeSpeechToText([[Unavailable("speech_unreachable"), Transcript("", final=True)]])
    async with talking(Talk(ears)) as talk:
        await talk.say(1000)
        await talk.pause(4000)
        await talk.say(1000)
        await talk.pause(4000)
    assert talk.all(HearingFailed)
    assert talk.messages[-1][0] == "assistant"


async def test_a_model_that_fails_before_its_first_word_is_told_and_its_question_forgotten() -> None:
    async with talking(Talk(chat=FakeChat([Unavailable("chat_unreachable"), "Here."]))) as talk:
        for _ in range(2):
            await talk.say(1000)
            await talk.pause(3000)
    first, second = talk.all(ReplyDone)
    assert (first.status, second.status) == ("failed", "completed")
    assert first.error is not None
    assert talk.session.lines[1].error is first.error
    assert talk.messages == [("user", "Hello there."), ("assistant", "Here.")]


async def test_a_model_that_breaks_off_is_heard_as_far_as_it_came() -> None:
    chat = FakeChat([["One is here. Two", Unavailable("chat_timeout", seconds=1)]])
    async with talking(Talk(chat=chat)) as talk:
        await talk.say(1000)
        await talk.pause(4000)
    assert talk.voice.spoken == ["One is here.", "Two"]
    assert talk.messages[1] == ("assistant", "One is here. Two")
    assert talk.all(ReplyDone)[0].status == "failed"
    assert talk.phases[-1] == Phase.LISTENING


async def test_a_reply_that_reached_its_limit_is_incomplete_and_its_line_shows_it() -> None:
    chat = FakeChat([["One is here. Two", Incomplete("max_output_tokens")]])
    async with talking(Talk(chat=chat)) as talk:
        await talk.say(1000)
        await talk.pause(4000)
    [done] = talk.all(ReplyDone)
    assert (done.status, done.incomplete, done.error) == ("incomplete", "max_output_tokens", None)
    assert talk.transcript == "One is here. Two"
    assert talk.messages[1] == ("assistant", "One is here. Two")
    assert talk.lines[1] == ("assistant", "One is here. Two…")


async def test_a_reply_that_a_filter_stopped_is_incomplete_and_its_line_says_why() -> None:
    chat = FakeChat([["One is here. Two", Incomplete("content_filter")]])
    async with talking(Talk(chat=chat)) as talk:
        await talk.say(1000)
        await talk.pause(4000)
    [done] = talk.all(ReplyDone)
    assert (done.status, done.incomplete) == ("incomplete", "content_filter")
    error = talk.session.lines[1].error
    assert error is not None
    assert error.sentence == "chat_filtered"
    assert talk.lines[1] == ("assistant", "One is here. Two")


async def test_a_voice_that_fails_is_told_also_of_a_reply_that_broke_off() -> None:
    chat = FakeChat([["One is here. Two is here. Th", Incomplete("max_output_tokens")]])
    voice = FakeTextToSpeech(error=Unavailable("voice_failed"))
    async with talking(Talk(chat=chat, voice=voice)) as talk:
        await talk.say(1000)
        await talk.pause(4000)
    assert talk.all(ReplyDone)[0].status == "failed"


@pytest.mark.parametrize("spoken", [["before"], []])
async def test_a_voice_that_fails_leaves_the_reply_to_be_read(spoken: list[str]) -> None:
    voice = FakeTextToSpeech(error=Unavailable("voice_failed"), spoken=spoken)
    async with talking(Talk(chat=FakeChat(["One is here. Two is here."]), voice=voice)) as talk:
        await talk.say(1000)
        await talk.pause(4000)
    assert talk.transcript == "One is here. Two is here."
    assert talk.messages[1] == ("assistant", "One is here. Two is here.")
    done = talk.all(ReplyDone)[0]
    assert (done.status, done.error) == ("failed", voice.error)
    assert talk.phases[-1] == Phase.LISTENING


async def test_words_that_were_none_leave_nothing() -> None:
    async with talking(Talk(FakeSpeechToText([Transcript("", final=True)]))) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    assert [event.text for event in talk.all(FinalHeard)] == [""]
    assert talk.messages == talk.lines == []
    assert talk.chat.prompts == []
    assert talk.phases[-1] == Phase.LISTENING


async def test_a_persona_that_is_too_long_is_told_and_never_sent() -> None:
    talk = Talk()
    talk.session.preferences = Preferences(persona="Be kind. " * 1000)
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(4000)
    [done] = talk.all(ReplyDone)
    assert done.error is not None
    assert done.error.sentence == "persona_too_long"
    assert not talk.chat.prompts
