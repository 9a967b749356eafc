from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voice.listening import FRAME_MS, find_runs
from voice.turns.events import Frame
from voice.turns.voice_edges import VoiceEdges


def heard(probabilities: list[float], threshold: float = 0.5) -> list[VoiceEdges]:
    edges = [VoiceEdges()]
    for number, probability in enumerate(probabilities, 1):
        edges.append(edges[-1].hear(Frame(number * FRAME_MS, probability), threshold))
    return edges


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.4, 0.6, 0.95])))
def test_live_speech_ends_where_that_of_a_recording_does(probabilities: list[float]) -> None:
    edges = heard([*probabilities, *[0.0] * 5])
    ends = [after.ended_ms for before, after in pairwise(edges) if before.ended_ms < after.ended_ms]
    assert ends == [end * FRAME_MS for _, end in find_runs(np.array(probabilities, np.float32))]


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.4, 0.6, 0.95])))
def test_live_speech_begins_where_that_of_a_recording_does(probabilities: list[float]) -> None:
    begun = {edges.began_ms for edges in heard([*probabilities, *[0.0] * 5]) if edges.is_speech}
    runs = find_runs(np.array(probabilities, np.float32))
    assert begun == {start * FRAME_MS for start, _ in runs}


def test_three_frames_are_speech_and_two_are_a_click() -> None:
    assert not heard([0.9, 0.9])[-1].is_speech
    assert heard([0.9, 0.9, 0.9])[-1].is_speech


def test_a_click_does_not_break_the_silence() -> None:
    edges = heard([0.9] * 10 + [0.0] * 10 + [0.9] + [0.0] * 10)
    assert edges[-1].silence_ms == 21 * FRAME_MS


def test_a_higher_threshold_hears_less() -> None:
    assert not heard([0.6] * 10, threshold=0.8)[-1].is_speech


def test_a_frame_that_comes_again_changes_nothing() -> None:
    edges = heard([0.9] * 5)[-1]
    assert edges.hear(Frame(5 * FRAME_MS, 0.0), 0.5) is edges
