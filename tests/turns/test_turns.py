from __future__ import annotations

import pytest

from tests.turns.scenarios import GREETING, SCENARIOS
from tests.turns.scripts import FRAME_MS, Scenario, Stage
from voice.turns import State, start, step
from voice.turns import events as t

RULES = t.Rules()


def played(*script: tuple[object, ...], rules: t.Rules = RULES) -> Stage:
    stage = Stage(Scenario("", script, (), rules))
    stage.play()
    return stage


def told(*events: t.Event, rules: t.Rules = RULES) -> tuple[State, list[t.Action]]:
    state = start(rules)
    actions: list[t.Action] = []
    for event in events:
        state, more = step(state, event)
        actions += more
    return state, actions


def frames(from_ms: int, to_ms: int, probability: float) -> list[t.Event]:
    return [t.Frame(at_ms, probability) for at_ms in range(from_ms + FRAME_MS, to_ms + 1, FRAME_MS)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario) -> None:
    stage = Stage(scenario)
    stage.play()
    is_timed = dict.fromkeys(range(len(stage.done)), False) | {
        i: line.startswith("@") for i, line in enumerate(scenario.expected)
    }
    done = tuple(f"@{at_ms} {what}" if is_timed[i] else what for i, (at_ms, what) in enumerate(stage.done))
    assert done == scenario.expected
    assert stage.state.phase is scenario.settles_as


def test_a_turn_goes_through_every_phase() -> None:
    assert [phase for _, phase in played(*GREETING).phases] == [
        t.Phase.LISTENING,
        t.Phase.HEARING,
        t.Phase.THINKING,
        t.Phase.SPEAKING,
        t.Phase.LISTENING,
    ]


def test_an_interruption_being_weighed_leaves_the_phase() -> None:
    stage = played(*GREETING, ("speech", 3500, 3900), ("partial", 4200, "yeah"))
    assert [phase for _, phase in stage.phases][-2:] == [t.Phase.SPEAKING, t.Phase.LISTENING]


def test_an_utterance_begins_a_little_before_its_speech() -> None:
    _, actions = told(*frames(0, 960, 0.0), *frames(960, 1280, 0.9))
    assert actions == [t.OpenUtterance(1, 660), t.TellSpeechStarted(1, 960)]


def test_an_utterance_takes_nothing_of_the_one_before() -> None:
    _, actions = told(*frames(0, 960, 0.9), t.Committed(960, 0), *frames(960, 1280, 0.9))
    assert actions[-2:] == [t.OpenUtterance(2, 960), t.TellSpeechStarted(2, 960)]


def test_an_utterance_takes_nothing_of_what_was_cleared() -> None:
    _, actions = told(*frames(0, 960, 0.9), t.Cleared(960), *frames(960, 1280, 0.9))
    assert actions[-2:] == [t.OpenUtterance(2, 960), t.TellSpeechStarted(2, 960)]


def test_speech_ends_where_the_voice_did_not_where_the_pause_was_long_enough() -> None:
    _, actions = told(*frames(0, 960, 0.9), *frames(960, 1920, 0.0))
    assert actions[-2:] == [t.TellSpeechStopped(1, 960), t.CloseUtterance(1, 1664)]


def test_a_partial_transcript_in_the_pause_prepares_the_reply_in_the_same_step() -> None:
    state, _ = told(*frames(0, 960, 0.9), *frames(960, 1248, 0.0))
    _, actions = step(state, t.PartialTranscript(1, "お願いします", 900))
    assert actions == (t.PrepareReply(1, 1, "お願いします"),)


def test_a_partial_transcript_that_makes_the_pause_long_enough_ends_the_turn_in_the_same_step() -> None:
    state, _ = told(*frames(0, 960, 0.9), *frames(960, 1600, 0.0))
    _, actions = step(state, t.PartialTranscript(1, "お願いします", 900))
    assert actions == (
        t.PrepareReply(1, 1, "お願いします"),
        t.TellSpeechStopped(1, 960),
        t.CloseUtterance(1, 1600),
    )


def test_a_hint_that_makes_the_pause_long_enough_ends_the_turn_in_the_same_step() -> None:
    rules = t.Rules(scores_pauses=True)
    state, _ = told(*frames(0, 960, 0.9), *frames(960, 1536, 0.0), rules=rules)
    _, actions = step(state, t.PauseScored(1, 960, 0.99))
    assert actions == (t.TellSpeechStopped(1, 960), t.CloseUtterance(1, 1536))


def test_a_reply_that_was_ready_before_its_release_is_heard_at_once() -> None:
    state, _ = told(
        *frames(0, 960, 0.9),
        *frames(960, 1248, 0.0),
        t.PartialTranscript(1, "お願いします", 900),
        t.ReplyReady(1),
        *frames(1248, 1920, 0.0),
    )
    assert state.phase is t.Phase.THINKING
    state, actions = step(state, t.FinalTranscript(1, "お願いします。", "ja"))
    assert actions == (t.KeepUtterance(1, "お願いします。", "ja"), t.ReleaseReply(1))
    assert state.phase is t.Phase.SPEAKING


def test_a_frame_in_which_nobody_speaks_changes_nothing() -> None:
    state = start(t.Rules())
    assert step(state, t.Frame(32, 0.1)) == (state, ())


def test_an_asked_reply_whose_number_was_taken_meanwhile_is_ignored() -> None:
    state, actions = told(t.ReplyAsked(1), t.ReplyAsked(1))
    assert actions == [t.PrepareReply(1, None, ""), t.ReleaseReply(1)]
    assert state.next_reply == 2


def test_an_asked_reply_that_still_waits_gives_way_to_the_next() -> None:
    _, actions = told(
        t.Committed(1000, 0), t.ReplyAsked(1), t.ReplyAsked(2), t.FinalTranscript(1, "Hello.", None)
    )
    assert actions[2:] == [
        t.DropReply(1),
        t.KeepUtterance(1, "Hello.", None),
        t.PrepareReply(2, 1, ""),
        t.ReleaseReply(2),
    ]


def test_all_phases_can_be_interrupted_by_a_button() -> None:
    rules = t.Rules(hands_free=False)
    spoken = (t.TalkPressed(0), t.TalkReleased(1000), t.FinalTranscript(1, "Hello."))
    for heard in ((), (t.ReplyReady(1),), (t.ReplyReady(1), t.ReplyEnded(1)), (t.ReplyFailed(1),)):
        state, actions = told(*spoken, *heard, t.TalkPressed(2000), rules=rules)
        assert actions[-1] == t.CutReply(1, interrupted=True)
        assert state.phase is t.Phase.HEARING


@pytest.mark.parametrize("event", [t.PlaybackEnded, t.ReplyFailed, t.ReplyEnded, t.ReplyReady])
@pytest.mark.parametrize("other", [0, 2])
def test_what_is_told_of_another_reply_changes_nothing(event: type[t.PlaybackEnded], other: int) -> None:
    for before in ((), (t.ReplyReady(1),)):
        state, _ = told(t.ReplyAsked(1), *before)
        assert step(state, event(other)) == (state, ())
