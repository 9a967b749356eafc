"""Where somebody speaks, by the real Silero."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voice.audio import SPEECH_RATE, Pcm
from voice.listening import (
    FRAME_MS,
    FRAME_SAMPLES,
    LASTS,
    PADDING_MS,
    SHORTEST_PAUSE_MS,
    SHORTEST_SPEECH_MS,
    STARTS,
    Segment,
    VoiceActivity,
    find_runs,
    find_speech,
    pad,
)

SECONDS = np.arange(3 * SPEECH_RATE) / SPEECH_RATE
RANDOM = np.random.default_rng(7)
NO_SPEECH: dict[str, NDArray[np.floating]] = {
    "silence": 0 * SECONDS,
    "white noise": 0.1 * RANDOM.normal(size=SECONDS.size),
    "faint noise": 0.003 * RANDOM.normal(size=SECONDS.size),
    "brown noise": 0.01 * np.cumsum(RANDOM.normal(size=SECONDS.size)),
    "mains hum": 0.1 * np.sin(2 * np.pi * np.outer((50, 100, 150), SECONDS)).sum(0),
    "clicks": 0.9 * (RANDOM.random(SECONDS.size) < 0.0005),
    "a pure tone": 0.3 * np.sin(2 * np.pi * 440 * SECONDS),
    "a chord": 0.1 * np.sin(2 * np.pi * np.outer((262, 330, 392), SECONDS)).sum(0),
    "a constant": 0 * SECONDS + 0.3,
}


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.float32]:
    """About 2.5 s of English at 16 kHz, hardly any silence around it."""
    from hibari import Hibari

    spoken = Hibari()("The weather is getting colder every day this week.")
    at = np.arange(0, len(spoken), 24_000 / SPEECH_RATE)
    resampled: NDArray[np.float32] = np.interp(at, np.arange(len(spoken)), spoken).astype(np.float32)
    return resampled


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * SPEECH_RATE), np.float32)


@pytest.mark.parametrize("sound", NO_SPEECH)
def test_there_is_no_speech_in(sound: str) -> None:
    assert find_speech(Pcm.from_floats(NO_SPEECH[sound], SPEECH_RATE)) == []


def test_there_is_no_speech_in_nothing() -> None:
    assert find_speech(Pcm(b"", SPEECH_RATE)) == []


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="16000"):
        find_speech(Pcm.silence(100, 24_000))


@pytest.mark.slow
@pytest.mark.parametrize("loudness", [1, 0.03])
def test_speech_is_found_between_silences_loud_or_quiet(
    sentence: NDArray[np.float32], loudness: float
) -> None:
    sound = np.concatenate([silence(2), sentence, silence(2)]) * loudness
    segments = find_speech(Pcm.from_floats(sound, SPEECH_RATE))
    assert 2000 - PADDING_MS <= segments[0].start_ms <= 2200
    length_ms = len(sentence) * 1000 // SPEECH_RATE
    assert 1800 + length_ms <= segments[-1].end_ms <= 2100 + length_ms + PADDING_MS


@pytest.mark.slow
def test_a_long_pause_is_left_out(sentence: NDArray[np.float32]) -> None:
    sound = np.concatenate([sentence, silence(5), sentence])
    speech = sum(segment.length_ms for segment in find_speech(Pcm.from_floats(sound, SPEECH_RATE)))
    assert speech <= 2 * len(sentence) * 1000 // SPEECH_RATE + 2 * PADDING_MS


@pytest.mark.slow
def test_speech_without_end_is_cut_within_the_limit(sentence: NDArray[np.float32]) -> None:
    voiced = sentence[SPEECH_RATE // 2 : -SPEECH_RATE // 2]
    segments = find_speech(Pcm.from_floats(np.tile(voiced, 8), SPEECH_RATE), longest_ms=3000)
    assert len(segments) > 3
    assert max(segment.length_ms for segment in segments) <= 3000 + 2 * PADDING_MS


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 5000), max_size=20))
def test_a_stream_scores_the_same_however_it_is_cut(sentence: NDArray[np.float32], cuts: list[int]) -> None:
    whole = VoiceActivity().score(sentence)
    stream = VoiceActivity()
    pieces = [stream.score(piece) for piece in np.split(sentence, np.cumsum(cuts))]
    assert len(whole) == len(sentence) // FRAME_SAMPLES
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


@pytest.mark.slow
def test_streams_do_not_disturb_each_other(sentence: NDArray[np.float32]) -> None:
    alone = VoiceActivity().score(sentence)
    one, other = VoiceActivity(), VoiceActivity()
    together = []
    for piece in np.array_split(sentence, 20):
        together.append(one.score(piece))
        other.score(silence(0.1))
    np.testing.assert_allclose(np.concatenate(together), alone, atol=1e-4)


@given(st.lists(st.sampled_from([0.0, LASTS, 0.3, STARTS, 1.0]) | st.floats(0, 1)))
def test_runs_begin_with_speech_and_lie_a_pause_apart(probabilities: list[float]) -> None:
    runs = list(find_runs(np.array(probabilities)))
    for start, end in runs:
        assert probabilities[start] >= STARTS
        assert probabilities[end - 1] >= LASTS
        assert (end - start) * FRAME_MS >= SHORTEST_SPEECH_MS
    for (_, end), (start, _) in pairwise(runs):
        assert (start - end) * FRAME_MS >= SHORTEST_PAUSE_MS


def test_a_dip_inside_speech_does_not_end_it() -> None:
    assert list(find_runs(np.array([0, 0.9, 0.9, 0.2, 0.0, 0.0, 0.9, 0.9, 0.0]))) == [(1, 8)]


def test_a_pause_separates_speech() -> None:
    assert list(find_runs(np.array([0.9] * 4 + [0.0] * 5 + [0.9] * 4))) == [(0, 4), (9, 13)]


def test_a_blip_is_not_speech() -> None:
    assert list(find_runs(np.array([0, 0, 0.9, 0.9, 0, 0, 0, 0, 0, 0]))) == []


@given(st.lists(st.integers(0, 60_000), unique=True, max_size=20), st.integers(0, 1000))
def test_padding_keeps_order_and_loses_nothing(times: list[int], rest: int) -> None:
    times = sorted(times[: len(times) // 2 * 2])
    speech = [Segment(start, end) for start, end in zip(times[::2], times[1::2], strict=True)]
    total_ms = (times[-1] if times else 0) + rest
    padded = pad(speech, total_ms)
    assert len(padded) == len(speech)
    bounds = [0, *(time for segment in padded for time in (segment.start_ms, segment.end_ms)), total_ms]
    assert bounds == sorted(bounds)
    for before, after in zip(speech, padded, strict=True):
        assert after.start_ms <= before.start_ms
        assert before.end_ms <= after.end_ms
        assert after.length_ms <= before.length_ms + 2 * PADDING_MS
