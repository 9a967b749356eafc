"""Replies to typed lines in a live conversation, with scripted engines on virtual time: they give way as spoken ones do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from tests.live.talk import BY_HAND, LONG, Talk, talking, tone, words
from tests.virtual_time import VirtualTimeLoop
from voice.audio import encode_wav
from voice.engines import (
    PLAIN_REPLY,
    Message,
    ReplyOptions,
    ReplyPiece,
    Speech,
    Transcript,
    Unavailable,
)
from voice.live import LiveLimits
from voice.live.events import (
    IdleAsked,
    PhaseChanged,
    ReplyCut,
    ReplyDone,
    ReplyHeld,
    ReplyResumed,
    ReplySpoke,
    ReplyStarted,
)
from voice.session import Preferences
from voice.turns.events import Cancelled, Phase, Rules, TalkPressed, TalkReleased

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def type_line(talk: Talk, text: str = "Tell me a story.") -> None:
    async for _ in talk.session.answer_text(text, Preferences(persona="Be kind.")):
        pass


@asynccontextmanager
async def typing(talk: Talk, text: str = "Tell me a story.") -> AsyncIterator[Talk]:
    """A line is typed as the conversation begins, and read to its end as the page does."""
    async with talking(talk), anyio.create_task_group() as tasks:
        tasks.start_soon(type_line, talk, text)
        await asyncio.sleep(0)
        yield talk


def ends(talk: Talk) -> list[tuple[int, str, bool]]:
    return [(event.reply, event.status, event.interrupted) for event in talk.all(ReplyDone)]


async def test_a_typed_line_is_answered_aloud_as_a_spoken_turn_is() -> None:
    async with typing(Talk(chat=FakeChat(["Hi! Nice to meet you."]))) as talk:
        await talk.pause(3000)
    assert talk.all(ReplyStarted)[0].joined
    assert talk.phases == [Phase.THINKING, Phase.SPEAKING, Phase.LISTENING]
    assert talk.transcript == "Hi! Nice to meet you."
    assert talk.when(ReplyDone) < 0.1
    heard_until = next(at for at, e in talk.told if e == PhaseChanged(Phase.LISTENING))
    assert heard_until == pytest.approx(0.05 * len("Hi!Nice to meet you."), abs=0.1)
    assert (
        talk.messages == talk.lines == [("user", "Tell me a story."), ("assistant", "Hi! Nice to meet you.")]
    )
    assert talk.all(ReplyStarted)[0].item == talk.session.conversation.items[-1].id


async def test_a_cough_does_not_even_hold_the_reply_to_a_typed_line() -> None:
    async with typing(Talk(chat=FakeChat([LONG]))) as talk:
        await talk.pause(1000)
        await talk.say(100)
        await talk.pause(6000)
    assert not talk.all(ReplyHeld)
    assert ends(talk) == [(1, "completed", False)]
    assert talk.lines[-1] == ("assistant", LONG)


@pytest.mark.parametrize(
    "understood",
    [
        words(("Uh-huh", 400), final="Uh-huh."),
        words(("", 400), final=""),
        words(("this is the first sentence", 400), final="This is the first sentence."),
    ],
    ids=["back-channel", "door", "echo"],
)
async def test_what_is_no_interruption_only_holds_the_reply_to_a_typed_line(
    understood: list[Transcript],
) -> None:
    async with typing(Talk(FakeSpeechToText([understood]), FakeChat([LONG]))) as talk:
        await talk.pause(1500)
        await talk.say(400)
        await talk.pause(8000)
    assert len(talk.all(ReplyHeld)) == len(talk.all(ReplyResumed)) == 1
    assert not talk.all(ReplyCut)
    assert ends(talk) == [(1, "completed", False)]
    assert talk.lines == [("user", "Tell me a story."), ("assistant", LONG)]
    held_for = talk.when(ReplyResumed) - talk.when(ReplyHeld)
    over = [at for at, e in talk.told if e == PhaseChanged(Phase.LISTENING)]
    spoken_seconds = sum(event.speech.pcm.seconds for event in talk.all(ReplySpoke))
    assert over == [pytest.approx(spoken_seconds + held_for, abs=0.1)]


@pytest.mark.parametrize("delay", [0.0, 60.0], ids=["written already", "still being written"])
async def test_words_stop_the_reply_to_a_typed_line_where_it_was_heard(delay: float) -> None:
    ears = FakeSpeechToText([words(("What did you", 600), final="What did you just say?")])
    chat = FakeChat([[LONG, delay, " And on."], "This is the first."])
    async with typing(Talk(ears, chat)) as talk:
        await talk.pause(1000)
        await talk.say(1500)
        await talk.pause(5000)
        assert chat.running == 0
    cut = talk.lines[1][1]
    assert LONG.startswith(cut)
    # The reply grew quiet 160 ms after the voice began, and was cut once there were words.
    assert cut == "This is the first sentence"
    assert talk.session.lines[1].stopped
    assert talk.lines == talk.messages
    assert talk.lines[2:] == [("user", "What did you just say?"), ("assistant", "This is the first.")]
    assert ("assistant", cut) in [(message.role, message.content) for message in chat.prompts[1]]
    if delay:
        assert ends(talk)[0] == (1, "cancelled", True)
    else:
        assert talk.all(ReplyCut) == [ReplyCut(1)]


async def test_the_client_tells_better_than_the_clock_how_much_of_it_was_heard() -> None:
    async with typing(Talk(chat=FakeChat([[LONG, 60.0], "Yes?"]))) as talk:
        await talk.pause(1000)
        await talk.say(1500)
        talk.live.cut_item(talk.all(ReplyStarted)[0].item, 450)
        await talk.pause(3000)
    assert talk.lines[1] == ("assistant", "This is")
    assert talk.messages[1] == ("assistant", "This is")


async def test_who_speaks_before_anything_is_heard_adds_to_the_typed_line() -> None:
    async with typing(Talk(chat=FakeChat([["Writing", 60.0, " on."], "Yes?"]))) as talk:
        await talk.pause(500)
        await talk.say(1000)
        await talk.pause(3000)
    assert talk.lines == talk.messages
    assert talk.lines == [("user", "Tell me a story."), ("user", "Hello there."), ("assistant", "Yes?")]
    assert talk.chat.prompts[1][-1].content == "Tell me a story.\nHello there."


async def test_a_typed_line_that_noise_interrupted_before_a_word_was_written_is_answered_all_the_same() -> (
    None
):
    ears = FakeSpeechToText([Transcript("", final=True)])
    async with typing(Talk(ears, FakeChat([[60.0, "Never."], "Here it is."]))) as talk:
        await talk.pause(500)
        await talk.say(1000)
        await talk.pause(3000)
    assert talk.lines == talk.messages == [("user", "Tell me a story."), ("assistant", "Here it is.")]


async def test_a_recording_that_is_interrupted_before_its_words_are_known_leaves_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "recording.wav"
    file.write_bytes(encode_wav(tone(1000)))
    talk = Talk(FakeSpeechToText([words(final="Never known."), words(("Stop", 500), final="")], delay=2.0))

    async def send_recording() -> None:
        async for _ in talk.session.answer_recording(file, Preferences()):
            pass

    async with talking(talk), anyio.create_task_group() as tasks:
        talk.session.owes_reply = False
        tasks.start_soon(send_recording)
        # Decoding takes a process of its own, and real time.
        while not talk.ears.running:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await talk.say(1000)
        await talk.pause(6000)
    assert ends(talk) == [(1, "cancelled", True)]
    assert not talk.lines
    assert not talk.chat.prompts


async def test_a_typed_line_replaces_the_reply_to_another() -> None:
    talk = Talk(chat=FakeChat([LONG, "Typed answer."]))
    async with typing(talk):
        await talk.pause(1500)
        await type_line(talk, "Or rather a joke.")
        await talk.pause(3000)
    assert [event.reply for event in talk.all(ReplyStarted)] == [1, 2]
    assert talk.all(ReplyCut) == [ReplyCut(1)]
    assert 0 < len(talk.lines[1][1]) < len(LONG)
    assert talk.lines[2:] == [("user", "Or rather a joke."), ("assistant", "Typed answer.")]


async def test_a_typed_line_replaces_one_whose_reply_is_still_written() -> None:
    talk = Talk(chat=FakeChat([[LONG, 60.0], "Typed answer."]))
    async with typing(talk):
        await talk.pause(1500)
        await type_line(talk, "Or rather a joke.")
        await talk.pause(3000)
    assert ends(talk) == [(1, "cancelled", False), (2, "completed", False)]
    assert 0 < len(talk.lines[1][1]) < len(LONG)
    assert talk.lines[2:] == [("user", "Or rather a joke."), ("assistant", "Typed answer.")]


async def test_stopping_the_session_stops_what_is_heard_of_it() -> None:
    async with typing(Talk(chat=FakeChat([[LONG, 60.0]]))) as talk:
        await talk.pause(1500)
        await talk.session.stop()
        assert not talk.live.is_replying
        await talk.pause(500)
    assert ends(talk) == [(1, "cancelled", False)]
    assert 0 < len(talk.lines[1][1]) < len(LONG)
    assert talk.messages == talk.lines


async def test_pressing_to_talk_stops_the_reply_to_a_typed_line() -> None:
    async with typing(Talk(rules=BY_HAND, chat=FakeChat([[LONG, 60.0], "Yes?"]))) as talk:
        await talk.pause(1500)
        talk.live.tell(TalkPressed(talk.live.heard_ms))
        await talk.say(1000)
        talk.live.tell(TalkReleased(talk.live.heard_ms))
        await talk.pause(3000)
    assert ends(talk)[0] == (1, "cancelled", True)
    assert talk.lines[2:] == [("user", "Hello there."), ("assistant", "Yes?")]


async def test_a_line_typed_while_the_user_speaks_is_answered_when_they_have_finished() -> None:
    talk = Talk(chat=FakeChat(["Typed answer.", "Spoken answer."]))
    async with talking(talk), anyio.create_task_group() as tasks:
        await talk.say(1000)
        tasks.start_soon(type_line, talk, "By the way")
        await talk.say(1000)
        await talk.pause(5000)
    assert talk.when(ReplyResumed) == pytest.approx(2.5, abs=0.1)
    assert ends(talk) == [(1, "completed", False), (2, "completed", False)]
    assert talk.lines == [
        ("user", "By the way"),
        ("assistant", "Typed answer."),
        ("user", "Hello there."),
        ("assistant", "Spoken answer."),
    ]


@pytest.mark.parametrize(
    ("chat", "voice"),
    [
        (FakeChat([Unavailable("chat_said_nothing")]), FakeTextToSpeech()),
        (FakeChat([["One is here. Two", Unavailable("chat_lost")]]), FakeTextToSpeech()),
        (FakeChat(["One is here. Two is here."]), FakeTextToSpeech(Unavailable("speech_unreachable"))),
    ],
)
async def test_the_reply_to_a_typed_line_that_fails_is_over_and_told_without_its_error(
    chat: FakeChat, voice: FakeTextToSpeech
) -> None:
    async with typing(Talk(chat=chat, voice=voice)) as talk:
        await talk.pause(3000)
        assert not talk.live.is_replying
    assert talk.all(ReplyDone) == [ReplyDone(1, "failed")]
    assert talk.phases[-1] == Phase.LISTENING


async def test_a_reply_to_a_typed_line_outlives_the_live_conversation() -> None:
    talk = Talk(chat=FakeChat([[LONG, 5.0, " The end."]]))
    async with anyio.create_task_group() as tasks, talking(talk):
        tasks.start_soon(type_line, talk)
        await talk.pause(1500)
    assert talk.lines == talk.messages == [("user", "Tell me a story."), ("assistant", f"{LONG} The end.")]


async def test_clearing_the_conversation_leaves_nothing_of_a_typed_reply_that_is_heard() -> None:
    async with typing(Talk(chat=FakeChat([LONG]))) as talk:
        await talk.pause(1500)
        await talk.session.clear()
        assert not talk.live.is_replying
        await talk.pause(500)
    assert not talk.lines
    assert not talk.messages


async def test_who_listens_to_a_long_reply_to_a_typed_line_is_not_asked_whether_they_are_there() -> None:
    talk = Talk(chat=FakeChat([" ".join([LONG] * 4)]), limits=LiveLimits(idle_seconds=10))
    async with typing(talk):
        await asyncio.sleep(28)
        assert not talk.all(IdleAsked)
        await asyncio.sleep(5)
        assert talk.all(IdleAsked)


async def test_what_was_said_before_a_typed_line_and_is_recognised_after_it_is_answered_too() -> None:
    talk = Talk(FakeSpeechToText(delay=2.0), FakeChat(["Typed answer.", "Spoken answer."]))
    async with talking(talk), anyio.create_task_group() as tasks:
        await talk.say(1000)
        await talk.pause(800)
        tasks.start_soon(type_line, talk, "By the way")
        await talk.pause(8000)
    assert ends(talk) == [(1, "completed", False), (2, "completed", False)]
    assert talk.messages == talk.lines
    assert talk.lines == [
        ("user", "By the way"),
        ("assistant", "Typed answer."),
        ("user", "Hello there."),
        ("assistant", "Spoken answer."),
    ]
    assert talk.chat.prompts[1][-1] == Message("user", "Hello there.")


async def test_what_is_said_while_a_typed_line_is_answered_stands_behind_it() -> None:
    talk = Talk(chat=FakeChat([["Typed answer. ", 6.0, "More."], "Spoken answer."]))
    async with talking(talk), anyio.create_task_group() as tasks:
        await talk.say(1000)
        tasks.start_soon(type_line, talk, "By the way")
        await talk.say(1000)
        await talk.pause(15000)
    assert talk.messages == [
        ("user", "By the way"),
        ("assistant", "Typed answer. More."),
        ("user", "Hello there."),
        ("assistant", "Spoken answer."),
    ]
    assert talk.chat.prompts[1][-1] == Message("user", "Hello there.")


async def test_a_typed_reply_is_cut_where_it_was_heard_though_its_end_has_no_sound() -> None:
    class SilentAtSmiles(FakeTextToSpeech):
        async def speak(
            self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
        ) -> AsyncGenerator[Speech, None]:
            number = -1
            async for phrase in phrases:
                number += 1
                if phrase.isascii():
                    yield Speech(tone(50 * len(phrase)), phrase, number=number)

    ears = FakeSpeechToText([words(("What did you", 600), final="What did you just say?")])
    async with typing(Talk(ears, FakeChat([f"{LONG} 안녕하세요.", "Well."]), SilentAtSmiles())) as talk:
        await talk.pause(1000)
        await talk.say(1500)
        await talk.pause(5000)
    assert talk.messages[1] == talk.lines[1] == ("assistant", "This is the first sentence")


class SlowToClose(FakeChat):
    """Takes three seconds to let go of its first reply."""

    async def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        is_first = not self.prompts
        try:
            async for piece in super().reply(prompt, options):
                yield piece
        finally:
            if is_first:
                with anyio.CancelScope(shield=True):
                    await asyncio.sleep(3)


@pytest.mark.parametrize("written", ["", "Writing"])
async def test_a_typed_line_is_in_the_prompt_of_the_owed_reply_though_an_engine_is_slow_to_close(
    written: str,
) -> None:
    ears = FakeSpeechToText([Transcript("", final=True)])
    chat = SlowToClose([[written, 60.0, " on."], "Here it is."])
    async with typing(Talk(ears, chat)) as talk:
        await talk.pause(500)
        await talk.say(1000)
        await talk.pause(9000)
    assert chat.prompts[1][-1] == Message("user", "Tell me a story.")
    assert talk.messages == [("user", "Tell me a story."), ("assistant", "Here it is.")]


@pytest.mark.parametrize("pieces", [["Writing", 60.0, " on."], ["Written."]])
async def test_a_typed_line_that_is_stopped_before_anything_is_heard_is_forgotten(
    pieces: list[str | float],
) -> None:
    async with typing(Talk(chat=FakeChat([pieces]), voice=FakeTextToSpeech(delay=5.0))) as talk:
        await talk.pause(500)
        talk.live.tell(Cancelled())
        await talk.pause(500)
    assert not talk.messages
    assert talk.lines == [("user", "Tell me a story.")]


async def test_a_written_reply_that_is_still_heard_when_the_conversation_ends_is_cut_there() -> None:
    talk = Talk(chat=FakeChat([LONG]))
    async with anyio.create_task_group() as tasks, talking(talk):
        tasks.start_soon(type_line, talk)
        await talk.pause(1500)
    assert talk.messages == talk.lines == [("user", "Tell me a story."), ("assistant", talk.lines[1][1])]
    assert 0 < len(talk.lines[1][1]) < len(LONG)
    assert talk.session.lines[1].stopped


async def test_speech_that_may_not_interrupt_does_not_end_the_reply_to_a_typed_line() -> None:
    rules = Rules(silence_ms=500, interrupts=False)
    async with typing(Talk(rules=rules, chat=FakeChat([[LONG, 2.0, " And on."], "Second."]))) as talk:
        await talk.pause(1000)
        await talk.say(1500)
        await talk.pause(15000)
    assert ends(talk)[0] == (1, "completed", False)
    assert talk.lines[1] == ("assistant", f"{LONG} And on.")


async def test_a_typed_reply_under_way_is_heard_from_where_the_live_conversation_begins() -> None:
    talk = Talk(chat=FakeChat([[LONG, 3.0, " The end."]]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(type_line, talk)
        await asyncio.sleep(1)
        async with talking(talk):
            await talk.pause(6000)
            assert not talk.live.is_replying
    assert [event.joined for event in talk.all(ReplyStarted)] == [True]
    assert "The end." in [event.speech.phrase for event in talk.all(ReplySpoke)]
    assert ends(talk) == [(1, "completed", False)]
    assert talk.transcript == f"{LONG} The end."
    assert talk.messages == talk.lines == [("user", "Tell me a story."), ("assistant", f"{LONG} The end.")]


async def test_a_typed_reply_that_was_joined_late_is_cut_like_any_other() -> None:
    ears = FakeSpeechToText([words(("What did you", 600), final="What did you just say?")])
    talk = Talk(ears, FakeChat([[LONG, 1.0, f" {LONG}", 60.0, " Never."], "Well."]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(type_line, talk)
        await asyncio.sleep(0.5)
        async with talking(talk):
            await talk.pause(2000)
            await talk.say(1500)
            await talk.pause(3000)
    cut = talk.lines[1][1]
    assert cut.startswith(f"{LONG} This is")
    assert len(cut) < 2 * len(LONG)
    assert talk.lines == talk.messages
    assert talk.lines[2:] == [("user", "What did you just say?"), ("assistant", "Well.")]
