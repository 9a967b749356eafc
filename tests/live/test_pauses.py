"""How a turn sounds in its pauses, as a hint for its end, by a scripted model on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import FakeEndOfTurn, FakeSpeechToText
from tests.live.talk import BY_HAND, Talk, talking, words
from tests.virtual_time import VirtualTimeLoop
from voice.live.events import FinalHeard, ReplyStarted, TurnTimes
from voice.turns.events import Rules, TalkPressed, TalkReleased

pytestmark = pytest.mark.anyio

BY_SOUND = Rules(scores_pauses=True)
TOLERANCE_MS = 60
"""A piece of sound and a frame, one after the other."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def turn_over_ms(model: FakeEndOfTurn | None) -> float:
    """When a turn of a second of speech is over, counted from its end. Without any hint after 500 ms."""
    ears = FakeSpeechToText([words(("Thank you", 1000), final="Thank you.")], lag=0.1)
    async with talking(Talk(ears, end_of_turn=model, rules=BY_SOUND)) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    [times] = talk.all(TurnTimes)
    assert times.turn_over_ms is not None
    return times.turn_over_ms


@pytest.mark.parametrize(
    ("model", "silence_ms"),
    [
        (None, 500),
        (FakeEndOfTurn([1.0]), 350),
        (FakeEndOfTurn([0.0]), 700),
        (FakeEndOfTurn([None]), 500),
        (FakeEndOfTurn([RuntimeError("broken")]), 500),
        (FakeEndOfTurn([0.0], delay=2.0), 500),
    ],
    ids=["no model", "complete", "incomplete", "no time", "broken", "late"],
)
async def test_the_turn_ends_by_how_it_sounds_where_that_is_known_in_time(
    model: FakeEndOfTurn | None, silence_ms: int
) -> None:
    assert await turn_over_ms(model) == pytest.approx(silence_ms, abs=TOLERANCE_MS)


async def test_the_model_hears_the_turn_and_the_first_of_its_pause() -> None:
    model = FakeEndOfTurn()
    async with talking(Talk(end_of_turn=model, rules=BY_SOUND)) as talk:
        await talk.pause(1000)
        await talk.say(1000)
        await talk.pause(1500)
        await talk.say(10_000)
        await talk.pause(3000)
    assert [pcm.rate for pcm in model.heard] == [16_000, 16_000]
    first, second = model.heard
    assert first.seconds == pytest.approx(0.3 + 1.0 + 0.16, abs=TOLERANCE_MS / 1000)
    assert second.seconds == 8.0


async def test_each_pause_is_asked_about_once_and_the_last_one_counts() -> None:
    model = FakeEndOfTurn([0.0, 1.0])
    ears = FakeSpeechToText([words(("Thank you", 2400), final="Thank you.")], lag=0.1)
    async with talking(Talk(ears, end_of_turn=model, rules=BY_SOUND)) as talk:
        await talk.say(1000)
        await talk.pause(400)
        await talk.say(1000)
        await talk.pause(3000)
    assert len(model.heard) == 2
    assert [event.text for event in talk.all(FinalHeard)] == ["Thank you."]
    [times] = talk.all(TurnTimes)
    assert times.turn_over_ms == pytest.approx(350, abs=TOLERANCE_MS)


@pytest.mark.parametrize("rules", [Rules(), Rules(scores_pauses=True, silence_ms=500)], ids=["off", "fixed"])
async def test_nobody_is_asked_where_it_is_not_wanted(rules: Rules) -> None:
    model = FakeEndOfTurn()
    async with talking(Talk(end_of_turn=model, rules=rules)) as talk:
        await talk.say(1000)
        await talk.pause(3000)
    assert len(talk.all(ReplyStarted)) == 1
    assert model.heard == []


async def test_nobody_is_asked_while_a_button_ends_turns() -> None:
    model = FakeEndOfTurn()
    async with talking(Talk(end_of_turn=model, rules=BY_HAND)) as talk:
        talk.live.tell(TalkPressed(talk.live.heard_ms))
        await talk.say(1000)
        await talk.pause(1000)
        talk.live.tell(TalkReleased(talk.live.heard_ms))
        await talk.pause(2000)
    assert len(talk.all(ReplyStarted)) == 1
    assert model.heard == []
