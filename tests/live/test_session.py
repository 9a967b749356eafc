"""A live conversation with scripted engines, on virtual time: turns, eager replies, interruptions, the end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio
import numpy as np
import pytest

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from tests.live.talk import BY_HAND, LONG, PIECE_MS, Talk, talking, words
from tests.virtual_time import VirtualTimeLoop
from voice.audio import Pcm, join
from voice.engines import Message, Transcript, Unavailable
from voice.live import LiveLimits
from voice.live.events import (
    FellAsleep,
    FinalHeard,
    IdleAsked,
    PhaseChanged,
    ReplyDone,
    ReplyHeld,
    ReplyResumed,
    ReplySpoke,
    ReplyStarted,
    ReplyWrote,
    SpeechStarted,
    TurnTimes,
)
from voice.live.hearing import Said
from voice.turns.events import Cancelled, Phase

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def test_a_spoken_turn_is_answered_aloud_without_any_button() -> None:
    async with talking(Talk(chat=FakeChat(["Hi! Nice to meet you."]))) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    assert talk.phases == [Phase.HEARING, Phase.THINKING, Phase.SPEAKING, Phase.LISTENING]
    assert [event.text for event in talk.all(FinalHeard)] == ["Hello there."]
    assert talk.transcript == "Hi! Nice to meet you."
    assert talk.all(ReplyDone) == [ReplyDone(1, "completed")]
    assert talk.messages == talk.lines == [("user", "Hello there."), ("assistant", "Hi! Nice to meet you.")]


async def test_the_recogniser_gets_the_speech_from_before_its_beginning_on() -> None:
    async with talking(Talk()) as talk:
        await talk.pause(2000)
        await talk.say(1000)
        await talk.pause(1000)
    heard = join(talk.ears.heard, 16_000)
    assert heard.seconds == pytest.approx(0.3 + 1.0 + 0.5, abs=0.1)
    loud = np.flatnonzero(np.abs(heard.floats) > 0.1)
    assert loud[0] / 16 == pytest.approx(300, abs=40)


async def test_the_text_of_a_phrase_comes_right_ahead_of_its_sound() -> None:
    async with talking(Talk(chat=FakeChat(["One is here. Two is here."]))) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    told = [
        event.text if isinstance(event, ReplyWrote) else event.speech.phrase
        for _, event in talk.told
        if isinstance(event, ReplyWrote | ReplySpoke)
    ]
    assert told == ["One is here.", "One is here.", " Two is here.", "Two is here."]


# Eager replies


async def test_a_reply_prepared_in_a_pause_is_spoken_when_the_final_words_are_the_same() -> None:
    ears = FakeSpeechToText([words(("Hello there", 1000), final="Hello there.")], delay=0.5)
    async with talking(Talk(ears, FakeChat(["Hi there, friend."], delay=0.01))) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    assert len(talk.chat.prompts) == 1
    times = talk.all(TurnTimes)[0]
    assert times.chat_asked_ms is not None
    assert times.turn_over_ms is not None
    assert times.chat_asked_ms < times.turn_over_ms
    assert times.wasted_replies == 0
    assert talk.messages == [("user", "Hello there."), ("assistant", "Hi there, friend.")]
    started = next(at for at, event in talk.told if isinstance(event, ReplyStarted))
    assert started >= talk.when(FinalHeard)


async def test_a_reply_prepared_on_other_words_is_never_heard_of_and_counted() -> None:
    ears = FakeSpeechToText([words(("Hello", 1000), final="Hello, is it raining?")], delay=0.5)
    async with talking(Talk(ears, FakeChat(["Hi!", "It is."]))) as talk:
        await talk.say(1000)
        await talk.pause(4000)
    assert [prompt[-1].content for prompt in talk.chat.prompts] == ["Hello", "Hello, is it raining?"]
    assert talk.transcript == "It is."
    assert talk.all(TurnTimes)[-1].wasted_replies == 1
    assert len(talk.all(ReplyStarted)) == 1


async def test_a_reply_that_failed_while_it_was_prepared_is_asked_for_again() -> None:
    ears = FakeSpeechToText([words(("Hello there", 1000), final="Hello there.")], delay=0.5)
    async with talking(Talk(ears, FakeChat([Unavailable("chat_unreachable"), "Hi!"]))) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    assert talk.all(ReplyDone) == [ReplyDone(2, "completed")]
    assert talk.transcript == "Hi!"


# Interruptions


async def interrupt(talk: Talk, after_ms: int, for_ms: int = 1500) -> None:
    await talk.say(1000)
    await talk.pause(500)
    while not talk.all(ReplySpoke):
        await talk.pause(PIECE_MS)
    await talk.pause(after_ms)
    await talk.say(for_ms)


async def test_an_interruption_stops_everything_and_what_was_heard_is_remembered() -> None:
    ears = FakeSpeechToText([words(final="Tell me."), words(("Stop", 600), final="Stop it.")])
    talk = Talk(ears, FakeChat([LONG, "Fine."]))
    async with talking(talk):
        await interrupt(talk, 1000)
        await talk.pause(3000)
    done = talk.all(ReplyDone)[0]
    assert done.reply == 1
    assert talk.all(SpeechStarted)[1].turn == 2
    role, heard = talk.messages[1]
    assert role == "assistant"
    assert LONG.startswith(heard)
    # 50 ms a character: it was heard until it was held, the onset and 160 ms later.
    assert len(heard) * 50 == pytest.approx(1000 + 160, abs=400)
    assert talk.chat.prompts[1][-2:] == [Message("assistant", heard), Message("user", "Stop it.")]
    assert talk.session.lines[1].stopped
    assert talk.lines[1] == (role, heard)


async def test_an_interrupted_reply_is_not_written_or_spoken_on() -> None:
    ears = FakeSpeechToText([words(final="Tell me."), words(("Stop", 600), final="Stop it.")])
    slow = FakeChat([[LONG, 60.0, "Never."], "Fine."])
    talk = Talk(ears, slow)
    async with talking(talk):
        await interrupt(talk, 1000)
        assert slow.running == 0
        await talk.pause(3000)
    assert "Never." not in talk.transcript
    assert talk.all(ReplyDone)[0] == ReplyDone(1, "cancelled", interrupted=True)
    assert talk.all(TurnTimes)[1].interrupted_ms is not None


async def test_the_client_tells_better_than_the_clock_how_much_was_heard() -> None:
    talk = Talk(FakeSpeechToText([words(final="Tell me."), words(("Stop", 600), final="Stop it.")]))
    talk.chat.script = [LONG, "Fine."]
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(500)
        await talk.pause(2000)
        talk.live.report_played(1, 500)
        await talk.say(600)
        talk.live.report_played(1, 500)
        await talk.say(600)
        await talk.pause(2000)
    assert talk.messages[1] == ("assistant", "This is the")


async def test_a_reply_of_which_nothing_was_heard_leaves_nothing() -> None:
    talk = Talk(FakeSpeechToText([words(final="Tell me."), words(("Stop", 600), final="Now.")]))
    talk.chat.script = [[5.0, "Too late."], "Fine."]
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(800)
        await talk.say(1500)
        await talk.pause(3000)
    assert talk.messages == talk.lines == [("user", "Tell me."), ("user", "Now."), ("assistant", "Fine.")]
    assert talk.chat.prompts[-1][-1] == Message("user", "Tell me.\nNow.")


async def test_a_sign_of_listening_only_holds_the_reply_for_a_moment() -> None:
    talk = Talk(FakeSpeechToText([words(final="Tell me."), words(("uh-huh", 600), final="Uh-huh.")]))
    talk.chat.script = [LONG]
    async with talking(talk):
        await interrupt(talk, 1000, 340)
        await talk.pause(10000)
    assert len(talk.all(ReplyHeld)) == len(talk.all(ReplyResumed)) == 1
    assert talk.all(ReplyDone) == [ReplyDone(1, "completed")]
    assert talk.messages == [("user", "Tell me."), ("assistant", LONG)]
    held = talk.when(ReplyResumed) - talk.when(ReplyHeld)
    listening = talk.told[-1]
    assert listening[1] == PhaseChanged(Phase.LISTENING)
    assert listening[0] == pytest.approx(talk.when(ReplySpoke) + len(LONG) * 0.05 - 0.1 + held, abs=0.2)


async def test_a_short_noise_does_not_even_hold_it() -> None:
    talk = Talk(chat=FakeChat([LONG]))
    async with talking(talk):
        await interrupt(talk, 1000, 60)
        await talk.pause(10000)
    assert not talk.all(ReplyHeld)
    assert talk.all(ReplyDone) == [ReplyDone(1, "completed")]


async def test_cancelling_ends_the_reply_and_is_no_interruption() -> None:
    talk = Talk(chat=FakeChat([[LONG, 60.0]]))
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(1500)
        talk.live.tell(Cancelled())
        assert not talk.live.is_replying
        await talk.pause(500)
    assert talk.all(ReplyDone) == [ReplyDone(1, "cancelled")]
    assert talk.phases[-1] == Phase.LISTENING


async def test_a_client_that_stopped_by_itself_cuts_the_item_where_it_was() -> None:
    talk = Talk(chat=FakeChat([LONG]))
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(1500)
        item = talk.all(ReplyStarted)[0].item
        assert talk.live.cut_item(item, 600) == "This is the"
        assert not talk.live.is_replying
        assert talk.live.cut_item(item, 10**6) == LONG
        with pytest.raises(KeyError):
            talk.live.cut_item("item_unknown", 0)


@pytest.mark.parametrize(
    ("ms", "heard"), [(150, "はい。"), (300, "はい。はい。"), (450, "はい。はい。はい。")]
)
async def test_a_reply_that_says_the_same_again_is_told_and_cut_phrase_by_phrase(ms: int, heard: str) -> None:
    talk = Talk(chat=FakeChat(["はい。はい。はい。"]))
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(2500)
        told = [event for _, event in talk.told if isinstance(event, (ReplyWrote, ReplySpoke))]
        assert [isinstance(event, ReplyWrote) for event in told] == [True, False] * 3
        assert talk.transcript == "はい。はい。はい。"
        assert talk.live.cut_item(talk.all(ReplyStarted)[0].item, ms) == heard


# A long conversation


async def test_turns_that_are_over_are_forgotten() -> None:
    talk = Talk(FakeSpeechToText([words(final=said) for said in ["One.", "", "Three.", "Four.", "Five."]]))

    def count_turns() -> int:
        gc.collect()
        return sum(isinstance(thing, Said) for thing in gc.get_objects())

    before = count_turns()
    async with talking(talk):
        for _ in range(5):
            await talk.say(1000)
            assert count_turns() == before + 1
            await talk.pause(3000)
            assert count_turns() == before
    assert len(talk.all(SpeechStarted)) == 5


# Time


async def test_nobody_there_is_asked_once_and_then_left_alone() -> None:
    async with talking(Talk(limits=LiveLimits(idle_seconds=10))) as talk:
        await asyncio.sleep(40)
        assert len(talk.all(IdleAsked)) == len(talk.all(FellAsleep)) == 1
        assert talk.transcript == "Are you still there?"
        assert talk.when(IdleAsked) == pytest.approx(10, abs=0.1)
        assert talk.when(FellAsleep) == pytest.approx(10 + 1 + 10, abs=0.1)
        assert talk.phases[-1] == Phase.ASLEEP


async def test_playback_ends_by_the_clock_when_the_client_falls_silent() -> None:
    talk = Talk(rules=BY_HAND, chat=FakeChat([LONG]))
    async with talking(talk):
        talk.session.conversation.add(Message("user", "Hello"))
        number = talk.live.ask_reply()
        await asyncio.sleep(1)
        talk.live.report_played(number, 700)
        await asyncio.sleep(30)
    assert talk.phases[-1] == Phase.LISTENING


async def test_playback_ends_when_the_client_says_so() -> None:
    talk = Talk(rules=BY_HAND, chat=FakeChat(["Hi!"]))
    async with talking(talk):
        talk.session.conversation.add(Message("user", "Hello"))
        number = talk.live.ask_reply()
        await asyncio.sleep(0.1)
        talk.live.report_played(number, 50, ended=True)
        assert not talk.live.is_replying
    assert talk.phases[-1] == Phase.LISTENING


async def test_the_times_of_a_turn_count_from_the_end_of_speech() -> None:
    ears = FakeSpeechToText(delay=0.2)
    talk = Talk(ears, FakeChat([["One is here.", 0.1, " Two."]], delay=0.1), FakeTextToSpeech(delay=0.15))
    async with talking(talk):
        await talk.say(1000)
        while not talk.all(ReplySpoke):
            await talk.pause(PIECE_MS)
        await talk.pause(100)
        talk.live.report_played(1, 40)
        await talk.pause(2000)
    times = talk.all(TurnTimes)[-1]
    assert times.turn_over_ms == pytest.approx(500, abs=70)
    assert times.final_transcript_ms == pytest.approx(700, abs=70)
    assert times.chat_asked_ms == times.final_transcript_ms
    assert times.first_token_ms == pytest.approx(800, abs=70)
    assert times.first_audio_ms == times.released_ms
    assert times.heard_ms is not None
    assert times.released_ms is not None
    assert times.heard_ms == pytest.approx(times.released_ms + 60, abs=30)


# Many, and the end


async def test_twenty_talk_at_once_and_nobody_hears_anothers_reply() -> None:
    talks = [Talk(FakeSpeechToText([Transcript(f"I am {n}.", final=True)])) for n in range(20)]

    async def talk_to(talk: Talk) -> None:
        async with talking(talk):
            await talk.say(600)
            await talk.pause(3000)

    async with anyio.create_task_group() as tasks:
        for talk in talks:
            tasks.start_soon(talk_to, talk)
    assert [talk.transcript for talk in talks] == [f"You said: I am {n}." for n in range(20)]


@pytest.mark.parametrize("after_ms", [500, 1000, 1300, 1700, 2500])
async def test_nothing_outlives_the_conversation(after_ms: int) -> None:
    before = asyncio.all_tasks()
    ears = FakeSpeechToText([words(("Hello there", 1000), final="Hello there.")], delay=0.3)
    talk = Talk(ears, FakeChat([[LONG, 60.0]]))
    async with talking(talk):
        await talk.say(min(after_ms, 1000))
        await talk.pause(max(after_ms - 1000, 0))
    assert asyncio.all_tasks() == before
    assert talk.chat.running == talk.ears.running == 0
    told = len(talk.told)
    talk.live.tell(Cancelled())
    talk.live.ask_reply()
    assert len(talk.told) == told
    assert all(content for _, content in talk.messages)


async def test_what_was_heard_until_the_connection_was_lost_is_remembered() -> None:
    talk = Talk(chat=FakeChat([LONG]))
    async with talking(talk):
        await talk.say(1000)
        await talk.pause(500)
        await talk.pause(1000)
    assert talk.messages[1][0] == "assistant"
    assert 0 < len(talk.messages[1][1]) < 30


async def test_words_that_were_understood_when_the_connection_was_lost_are_the_users() -> None:
    ears = FakeSpeechToText([words(("What time is", 700), final="What time is it?")])
    async with talking(Talk(ears)) as talk:
        await talk.say(1200)
    assert talk.messages == talk.lines == [("user", "What time is")]
    assert talk.live.owes_reply


async def test_a_sign_of_listening_cut_off_by_a_lost_connection_is_not_kept() -> None:
    async with talking(Talk(FakeSpeechToText([words(("Uh-huh", 700), final="Uh-huh.")]))) as talk:
        await talk.say(1200)
    assert talk.messages == talk.lines == []
    assert not talk.live.owes_reply


async def test_a_reply_is_owed_until_it_is_heard_or_cancelled() -> None:
    cancelled, lost = Talk(chat=FakeChat(delay=60)), Talk(chat=FakeChat(delay=60))
    for talk in (cancelled, lost):
        async with talking(talk):
            await talk.say(1000)
            await talk.pause(2000)
            if talk is cancelled:
                talk.live.tell(Cancelled())
        assert talk.messages == [("user", "Hello there.")]
    assert lost.live.owes_reply
    assert not cancelled.live.owes_reply


@pytest.mark.parametrize(("ms", "spoken"), [(500, "fr"), (2000, "de")])
async def test_a_word_or_two_do_not_change_the_language_within_a_script(ms: int, spoken: str) -> None:
    talk = Talk(FakeSpeechToText([Transcript("Ja, ja.", final=True, language="de")]))
    talk.session.spoken = "fr"
    async with talking(talk):
        await talk.say(ms)
        await talk.pause(2000)
    assert talk.session.spoken == spoken


async def test_ears_that_find_out_the_language_are_told_the_last_turns() -> None:
    asked: list[tuple[str | None, str | None]] = []

    class Asked(FakeSpeechToText):
        def transcribe(
            self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
        ) -> AsyncGenerator[Transcript, None]:
            asked.append((language, last))
            return super().transcribe(audio, language, last)

    talk = Talk(Asked([Transcript("これは何ですか。", final=True, language="ja")]))
    async with talking(talk):
        for _ in range(2):
            await talk.say(2000)
            await talk.pause(3000)
    assert asked == [(None, None), (None, "ja")]


async def test_a_word_in_another_script_changes_the_language() -> None:
    talk = Talk(FakeSpeechToText([Transcript("はい、そうです。", final=True, language="ko")]))
    talk.session.spoken = "en"
    async with talking(talk):
        await talk.say(500)
        await talk.pause(2000)
    assert talk.session.spoken == "ja"
