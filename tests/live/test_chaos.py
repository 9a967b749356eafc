"""A live conversation in which anything happens at any moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from tests.live.talk import LONG, Talk, talking, words
from tests.virtual_time import VirtualTimeLoop
from voice.engines import EngineError, ReplyPiece, Transcript, Unavailable
from voice.live import LiveLimits
from voice.live.events import (
    FinalHeard,
    HearingFailed,
    LiveEvent,
    ReplyCalled,
    ReplyCut,
    ReplyDone,
    ReplyHeld,
    ReplyResumed,
    ReplySpoke,
    ReplyStarted,
    ReplyWrote,
    UtteranceCommitted,
)
from voice.session import Preferences
from voice.turns.events import Cancelled, Cleared, Committed, Phase, Rules, RulesChanged

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def script_ears(dice: random.Random) -> list[Transcript | EngineError | Sequence[Transcript | EngineError]]:
    said = ["Stop it.", "Uh-huh.", "Tell me a story about", "What is the time?", "", "そうですね、えーと"]
    chosen = [dice.choice(said) for _ in range(60)]
    return [
        Unavailable("speech_unreachable")
        if dice.random() < 0.1
        else list(
            words((text, dice.randrange(100, 1500)), final=dice.choice([text, text, "Something else."]))
        )
        for text in chosen
    ]


def script_chat(dice: random.Random) -> list[str | EngineError | Sequence[ReplyPiece | EngineError | float]]:
    broken = Unavailable("chat_unreachable")
    ways: list[str | EngineError | Sequence[ReplyPiece | EngineError | float]] = [
        LONG,
        "Short.",
        [dice.random(), LONG, 1.0, " And on."],
        broken,
        ["One is here. Two", broken],
    ]
    return [dice.choice(ways) for _ in range(200)]


async def type_line(talk: Talk) -> None:
    async for _ in talk.session.answer_text("Hello", Preferences()):
        pass


async def do_something(talk: Talk, dice: random.Random, tasks: TaskGroup) -> None:
    live = talk.live
    match dice.randrange(14):
        case 0 | 1 | 2 | 3:
            await talk.say(dice.choice([60, 200, 400, 1000, 2500]))
        case 4 | 5 | 6 | 7:
            await talk.pause(dice.choice([200, 400, 1000, 3000]))
        case 8:
            live.tell(Cancelled())
        case 9:
            live.ask_reply()
        case 10:
            heard_ms = live.heard_ms
            cleared, committed = Cleared(heard_ms), Committed(heard_ms, heard_ms - live.untaken_ms)
            live.tell(cleared if dice.random() < 0.5 else committed)
        case 11:
            live.report_played(dice.randrange(30), dice.randrange(8000), dice.random() < 0.5)
        case 12:
            live.tell(
                RulesChanged(Rules(hands_free=dice.random() < 0.8, weighs_interruptions=dice.random() < 0.5))
            )
        case 13:
            if dice.random() < 0.3:
                await talk.session.clear()
            else:
                tasks.start_soon(type_line, talk)
                await asyncio.sleep(dice.choice([0, 0, 0.5]))


def check_replies(told: list[LiveEvent]) -> None:
    """One at a time; each ends once; nothing comes before its start and nothing but a cut after its end."""
    current: int | None = None
    done: set[int] = set()
    for event in told:
        match event:
            case ReplyStarted(reply=reply):
                assert current is None
                assert reply not in done
                current = reply
            case ReplyWrote(reply=reply) | ReplySpoke(reply=reply) | ReplyCalled(reply=reply):
                assert reply == current
            case ReplyDone(reply=reply):
                assert reply == current
                done.add(reply)
                current = None
            case ReplyCut(reply=reply):
                assert reply in done
            case ReplyHeld(reply=reply) | ReplyResumed(reply=reply):
                assert reply == current or reply in done
            case _:
                pass
    assert current is None


def check_utterances(told: list[LiveEvent]) -> None:
    """Each turn that is committed gets its words, or a failure, once."""
    waiting: set[int] = set()
    for event in told:
        match event:
            case UtteranceCommitted(turn=turn):
                waiting.add(turn)
            case FinalHeard(turn=turn):
                waiting.remove(turn)
            case HearingFailed(turn=turn):
                waiting.discard(turn)
            case _:
                pass
    assert not waiting


@pytest.mark.parametrize("seed", range(15))
async def test_whatever_happens_replies_and_turns_stay_in_order_and_end(seed: int) -> None:
    dice = random.Random(seed)
    talk = Talk(
        FakeSpeechToText(script_ears(dice), delay=dice.choice([0, 0.2, 1.0])),
        FakeChat(script_chat(dice), delay=dice.choice([0, 0.1])),
        FakeTextToSpeech(delay=dice.choice([0, 0.15])),
        limits=LiveLimits(idle_seconds=dice.choice([0, 5])),
    )
    before = asyncio.all_tasks()
    async with talking(talk), anyio.create_task_group() as tasks:
        for _ in range(40):
            await do_something(talk, dice, tasks)
        talk.live.tell(RulesChanged(Rules()))
        await talk.pause(20_000)
        await asyncio.sleep(30)
        assert talk.phases[-1] in {Phase.LISTENING, Phase.ASLEEP}
        assert not talk.live.is_replying
        assert talk.chat.running == talk.ears.running == 0
        told = [event for _, event in talk.told]
    assert asyncio.all_tasks() == before
    check_replies(told)
    check_utterances(told)
    assert all(content for _, content in talk.messages)
    assert len({item.id for item in talk.session.conversation.items}) == len(talk.messages)
