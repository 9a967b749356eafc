"""Live conversations led otherwise than by voice alone: by button, by program, by keyboard, in a burst."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from tests.live.talk import BY_HAND, LONG, Talk, talking, tone, words
from tests.virtual_time import VirtualTimeLoop
from voice.audio import VOICE_RATE, Pcm, join
from voice.engines import BadInput, Message, ToolCall, Usage
from voice.live import LiveLimits, ReplyWish
from voice.live.events import (
    FinalHeard,
    ReplyCalled,
    ReplyCut,
    ReplyDone,
    ReplySpoke,
    ReplyStarted,
    TurnTimes,
    UtteranceCommitted,
)
from voice.live.reply import Reply
from voice.live.replying import REPLIES_KEPT
from voice.session import Line, Preferences
from voice.turns.events import Cancelled, Committed, Phase, TalkPressed, TalkReleased

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def test_a_whole_recording_at_once_is_a_turn_like_any_other() -> None:
    async with talking(Talk()) as talk:
        talk.live.hear(join([Pcm.silence(500, VOICE_RATE), tone(1000), Pcm.silence(2000, VOICE_RATE)]))
        await asyncio.sleep(4)
    heard = join(talk.ears.heard, 16_000)
    assert heard.seconds == pytest.approx(1.8, abs=0.1)
    assert talk.messages[1][0] == "assistant"


async def test_two_turns_in_one_burst_are_not_mixed_up() -> None:
    talk = Talk(FakeSpeechToText([words(final="One."), words(final="Two.")]))
    async with talking(talk):
        talk.live.hear(
            join([tone(1000), Pcm.silence(1000, VOICE_RATE), tone(1000), Pcm.silence(1000, VOICE_RATE)])
        )
        await asyncio.sleep(5)
    assert [event.text for event in talk.all(FinalHeard)] == ["One.", "Two."]
    assert talk.chat.prompts[-1][-1] == Message("user", "One.\nTwo.")


async def test_push_to_talk_takes_what_is_said_while_the_button_is_down() -> None:
    async with talking(Talk(rules=BY_HAND)) as talk:
        await talk.say(1000)
        talk.live.tell(TalkPressed(talk.live.heard_ms))
        await talk.say(800)
        talk.live.tell(TalkReleased(talk.live.heard_ms))
        await talk.pause(3000)
    assert join(talk.ears.heard, 16_000).seconds == pytest.approx(0.8, abs=0.01)
    assert talk.messages == [("user", "Hello there."), ("assistant", "You said: Hello there.")]
    assert talk.all(TurnTimes)[0].turn_over_ms is not None


async def test_a_client_that_commits_by_itself_asks_for_its_reply() -> None:
    async with talking(Talk(rules=BY_HAND)) as talk:
        talk.live.hear(tone(1000))
        assert talk.live.untaken_ms == 1000
        talk.live.tell(Committed(talk.live.heard_ms, talk.live.heard_ms - talk.live.untaken_ms))
        assert talk.live.untaken_ms == 0
        number = talk.live.ask_reply(ReplyWish(instructions="Be brief."))
        await asyncio.sleep(3)
    assert [event.reply for event in talk.all(ReplyStarted)] == [number]
    assert "Be brief." in talk.chat.prompts[0][0].content
    assert talk.messages[1][0] == "assistant"


async def test_more_sound_than_can_wait_is_refused() -> None:
    talk = Talk(rules=BY_HAND, limits=LiveLimits(buffered_seconds=2))
    async with talking(talk):
        talk.live.hear(tone(1500))
        with pytest.raises(BadInput, match="too_much_sound"):
            talk.live.hear(tone(1000))


async def test_a_reply_in_text_makes_no_sound() -> None:
    talk = Talk(rules=BY_HAND, chat=FakeChat(["Hi!"]))
    async with talking(talk):
        talk.session.conversation.add(Message("user", "Hello"))
        talk.live.ask_reply(ReplyWish(aloud=False))
        await asyncio.sleep(1)
    assert talk.transcript == "Hi!"
    assert not talk.all(ReplySpoke)
    assert talk.voice.spoken == []
    assert talk.phases[-1] == Phase.LISTENING


async def test_a_reply_is_spoken_as_fast_as_was_asked_of_it() -> None:
    talk = Talk(rules=BY_HAND, chat=FakeChat(["Hi there!", "Hi there!"]))
    async with talking(talk):
        talk.session.conversation.add(Message("user", "Hello"))
        for wish in (ReplyWish(speed=0.5), ReplyWish()):
            talk.live.ask_reply(wish)
            await asyncio.sleep(2)
    slow, usual = (event.speech.pcm.seconds for event in talk.all(ReplySpoke))
    assert slow == pytest.approx(2 * usual, rel=0.01)


async def test_a_function_call_goes_to_the_client_and_its_answer_to_the_model() -> None:
    call = ToolCall("call_1", "look_up", "{}")
    talk = Talk(rules=BY_HAND, chat=FakeChat([[call, Usage(10, 5)], "It is 5."]))
    talk.live.wish = ReplyWish()
    async with talking(talk):
        talk.session.conversation.add(Message("user", "What is it?"))
        talk.live.ask_reply()
        await asyncio.sleep(1)
        called = talk.all(ReplyCalled)[0]
        assert called.call == call
        assert talk.all(ReplyDone) == [ReplyDone(1, "completed", usage=Usage(10, 5))]
        talk.session.conversation.add(Message("tool", "5", call_id="call_1"))
        talk.live.ask_reply()
        await asyncio.sleep(3)
    assert talk.chat.prompts[1][-2:] == [
        Message("assistant", "", calls=(call,)),
        Message("tool", "5", call_id="call_1"),
    ]
    assert talk.session.conversation.find(called.item) is not None
    assert talk.messages[-1] == ("assistant", "It is 5.")


async def test_only_the_last_replies_are_kept_to_be_cut() -> None:
    count = 3 * REPLIES_KEPT
    async with talking(Talk(chat=FakeChat(["One is here. Two is here."] * count), rules=BY_HAND)) as talk:
        for _ in range(count):
            talk.live.ask_reply()
            await asyncio.sleep(5)
        items = [event.item for event in talk.all(ReplyStarted)]
        gc.collect()
        kept = [each.item for each in gc.get_objects() if isinstance(each, Reply) and each.item in items]
        assert sorted(kept) == sorted(items[-REPLIES_KEPT:])
        assert talk.live.cut_item(items[-REPLIES_KEPT], 600) == "One is here."
        with pytest.raises(KeyError):
            talk.live.cut_item(items[-REPLIES_KEPT - 1], 600)
    assert len(items) == len(talk.all(ReplyDone)) == count


async def test_asking_again_cuts_the_reply_under_way() -> None:
    talk = Talk(rules=BY_HAND, chat=FakeChat([LONG, "Short."]))
    async with talking(talk):
        talk.session.conversation.add(Message("user", "Hello"))
        first = talk.live.ask_reply()
        await asyncio.sleep(1)
        second = talk.live.ask_reply()
        await asyncio.sleep(5)
    assert [event.reply for event in talk.all(ReplyStarted)] == [first, second]
    assert talk.messages[-1] == ("assistant", "Short.")


async def test_an_asked_reply_that_is_cancelled_before_it_begins_is_told() -> None:
    talk = Talk(FakeSpeechToText(delay=5), rules=BY_HAND)
    async with talking(talk):
        talk.live.hear(tone(1000))
        talk.live.tell(Committed(1000, 0))
        number = talk.live.ask_reply()
        await asyncio.sleep(1)
        talk.live.tell(Cancelled())
        await asyncio.sleep(1)
    assert talk.all(ReplyDone) == [ReplyDone(number, "cancelled")]


async def test_a_greeting_is_spoken_without_a_model_and_remembered() -> None:
    async with talking(Talk()) as talk:
        talk.live.greet("Hello, I am Kaiwa.")
        await talk.pause(3000)
    assert talk.chat.prompts == []
    assert talk.voice.spoken == ["Hello, I am Kaiwa."]
    assert talk.messages == talk.lines == [("assistant", "Hello, I am Kaiwa.")]


async def test_a_greeting_from_before_the_beginning_is_spoken_at_the_beginning() -> None:
    talk = Talk()
    talk.live.greet("Hello.")
    async with talking(talk):
        await asyncio.sleep(2)
    assert talk.transcript == "Hello."


async def test_a_typed_line_takes_the_place_of_a_spoken_reply() -> None:
    talk = Talk(chat=FakeChat([LONG, "Typed answer."]))
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(2000)
        async for _ in talk.session.answer_text("Hello", Preferences()):
            assert talk.all(ReplyCut)
    assert talk.all(ReplyDone)[0].status == "completed"
    assert talk.all(ReplyCut) == [ReplyCut(1)]
    assert talk.lines[1][0] == "assistant"
    assert len(talk.lines[1][1]) < len(LONG)
    assert talk.lines[2:] == [("user", "Hello"), ("assistant", "Typed answer.")]


async def test_clearing_the_conversation_in_mid_reply_leaves_nothing_behind() -> None:
    talk = Talk(chat=FakeChat([[LONG, 60.0]]))
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(2000)
        await talk.session.clear()
        assert not talk.live.is_replying
        await talk.say(1000)
        await talk.pause(3000)
    assert talk.messages == talk.lines == [("user", "Hello there."), ("assistant", "You said: Hello there.")]


async def test_words_that_come_after_all_was_cleared_are_the_first_of_the_new_conversation() -> None:
    talk = Talk(FakeSpeechToText(delay=1.0), FakeChat(["Yes?"]))
    async with talking(talk):
        talk.session.add_line(Line("user", "Old."))
        await talk.say(1000)
        await talk.pause(800)
        assert talk.all(UtteranceCommitted)
        await talk.session.clear()
        await talk.pause(3000)
    assert talk.messages == talk.lines == [("user", "Hello there.")]


async def test_a_line_that_is_taken_back_is_no_clearing() -> None:
    talk = Talk(rules=BY_HAND, chat=FakeChat(["Fine."]), voice=FakeTextToSpeech(delay=0.5))
    async with talking(talk):
        talk.live.greet("Hello, I am Kaiwa. How are you?")
        await asyncio.sleep(0.51)
        talk.live.ask_reply()
        await asyncio.sleep(5)
    assert talk.lines == [("assistant", "Fine.")]
