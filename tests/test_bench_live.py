"""How a live conversation is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.capacity import Results as CapacityResults
from bench.capacity import Series, Step
from bench.capacity import write_report as write_capacity
from bench.capacity_load import find_gaps
from bench.live_browser import STEP_MS, Levels, PageTalk, PageTurn, find_page_turns, find_shift, measure_level
from bench.live_client import Talk, Told, Turn, find_turns
from bench.live_report import REPLY, Requests, Results, write_report
from bench.live_track import make_track
from bench.machine import Machine
from voice.turns.endpointing import Ending, ending_of

MACHINE = Machine("A processor", 2, 8.0, "Linux")
TRACK = make_track(2, gaps_ms=(3000,), lead_in_ms=1000)


def told(ms: float, kind: str, **fields: object) -> Told:
    return Told(ms, {"type": kind, **fields})


def events_of_turn(number: int, answered_after_ms: float = 1040) -> list[Told]:
    spoken = TRACK.turns[number]
    return [
        told(spoken.start_ms + 150, "input_audio_buffer.speech_started"),
        told(spoken.end_ms + 600, "input_audio_buffer.speech_stopped", audio_end_ms=spoken.end_ms + 80),
        told(spoken.end_ms + 600, "input_audio_buffer.committed"),
        told(
            spoken.end_ms + 1030,
            "conversation.item.input_audio_transcription.completed",
            transcript=spoken.text,
        ),
        told(spoken.end_ms + answered_after_ms, "response.output_audio.delta", response_id=f"resp_{number}"),
        told(spoken.end_ms + 1500, "response.output_audio.delta", response_id=f"resp_{number}"),
    ]


def test_the_track_tells_where_people_speak_and_none_of_them_sounds_unfinished() -> None:
    assert all(ending_of(spoken.text) is not Ending.UNFINISHED for spoken in TRACK.turns)
    level = measure_level(TRACK)
    for spoken in TRACK.turns:
        assert level[spoken.end_ms // STEP_MS + 10 : spoken.end_ms // STEP_MS + 100].max() < 0.01
        assert level[spoken.start_ms // STEP_MS : spoken.end_ms // STEP_MS].max() > 0.05


def test_a_turn_is_timed_from_the_true_end_of_its_speech_to_the_first_byte() -> None:
    talk = find_turns(TRACK, [*events_of_turn(0), *events_of_turn(1, 1060)], late_ms=0)
    assert [turn.answered_ms for turn in talk.turns] == [1040, 1060]
    assert [turn.turn_over_ms for turn in talk.turns] == [600, 600]
    assert [turn.wait_over_ms for turn in talk.turns] == [580, 580]
    assert [turn.silenced_ms for turn in talk.turns] == [None, 150]
    assert not talk.unanswered
    assert not talk.misheard
    assert talk.answered_early == 0


def test_an_answer_while_somebody_speaks_is_counted_and_is_none() -> None:
    talk = find_turns(TRACK, [*events_of_turn(0), *events_of_turn(1, answered_after_ms=-100)], late_ms=0)
    assert talk.answered_early == 1
    assert list(talk.unanswered) == [TRACK.turns[1].text]


def test_levels_of_the_page_are_laid_on_the_track() -> None:
    expected = measure_level(TRACK)
    assert find_shift(expected, np.concatenate([np.zeros(321), expected, np.zeros(50)])) == 321
    microphone = np.concatenate([np.zeros(100), 0.5 * expected, np.zeros(600)])
    loudspeaker = np.zeros(len(microphone))
    first, second = TRACK.turns
    sound = slice(100 + (first.end_ms + 1100) // STEP_MS, 100 + (second.start_ms + 200) // STEP_MS)
    loudspeaker[sound] = 0.04
    loudspeaker[100 + (second.start_ms + 40) // STEP_MS : sound.stop] = 0.01
    loudspeaker[100 + (second.end_ms + 1200) // STEP_MS :][:200] = 0.04
    talk = find_page_turns(TRACK, Levels(microphone, loudspeaker))
    assert talk.answered_early == 0
    a, b = talk.turns
    assert abs(a.heard_ms - 1100) <= 2 * STEP_MS
    assert abs(b.heard_ms - 1200) <= 2 * STEP_MS
    assert a.ducked_ms is None
    assert b.ducked_ms is not None
    assert abs(b.ducked_ms - 40) <= 2 * STEP_MS
    assert b.silent_ms is not None
    assert abs(b.silent_ms - 200) <= 2 * STEP_MS


def test_the_report_tells_which_aims_are_met(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text('{"what": "request"}\n{"what": "ssml"}\n{"what": "request"}\n{"what": "request"}\n')
    turn = Turn("Hello?", 1040, 600, 580, 150)
    talk = Talk([turn, turn], [], 0, [], 1.0)
    page = PageTalk([PageTurn("Hello?", 1100, 40, 190)] * 2, [], 0)
    at_once = Talk([Turn("Hello?", 620, 600, 580, None)] * 2, [], 0, [], 1.0)
    results = Results(MACHINE, 0.0, [3950.0], talk, page, at_once, Requests.read(trace, 2))
    report = "\n".join(write_report(results))
    assert "3 for 2 turns: 1 in vain" in report
    assert report.count("MISSED") == 1  # the first sound's median
    assert "WARNING" not in report


def test_the_reply_is_what_the_floors_assume() -> None:
    first = REPLY[: REPLY.index(".") + 1]
    assert len(first.replace(".", " .").split()) == 12


def test_a_gap_is_where_sound_comes_later_than_it_is_played() -> None:
    assert find_gaps([(0.0, "a", 200.0), (0.1, "a", 200.0), (0.39, "a", 100.0)]) == []
    assert [round(gap) for gap in find_gaps([(0.0, "a", 200.0), (0.25, "a", 200.0), (0.3, "b", 100.0)])] == [
        50
    ]


def test_capacity_is_the_most_up_to_which_all_went_well() -> None:
    def step(people: int, delay: float, unanswered: int = 0) -> Step:
        return Step(people, [delay] * 5, [], unanswered, 0, 0.0, 0.5, 0.2, 100.0)

    series = Series("azure", [step(1, 1000), step(10, 1020), step(25, 1049), step(50, 1051), step(75, 1010)])
    assert series.most == 25
    assert Series("azure", [step(1, 1000), step(10, 1000, unanswered=1)]).most == 1
    assert "25 at once" in "\n".join(write_capacity(CapacityResults(MACHINE, 0.5, 20, 1, [series])))
