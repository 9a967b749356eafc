from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.audio import VOICE_RATE, Pcm
from voice.engines.local_pieces import (
    KEPT_SILENCE_MS,
    SENTENCE_PAUSE_MS,
    cut,
    finish,
    pause_after,
    speakable,
)


@given(st.text(), st.integers(1, 50), st.integers(1, 50))
def test_pieces_are_short_enough_and_together_the_text(text: str, longest: int, early: int) -> None:
    pieces = list(cut(text, longest, early))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= longest for piece in pieces)


def test_the_first_piece_ends_at_the_first_mark_after_enough_characters() -> None:
    text = "はい、明日の天気は晴れですが、風が強いので、気をつけて、出かけてください。"
    assert list(cut(text, 60, 10)) == [
        "はい、明日の天気は晴れですが、",
        "風が強いので、気をつけて、出かけてください。",
    ]


def test_a_decimal_point_and_a_clock_time_are_not_cut() -> None:
    assert list(cut("At 10:30 it costs 1,250.75 dollars", 100, 1)) == ["At 10:30 it costs 1,250.75 dollars"]


def test_a_long_clause_is_cut_between_words() -> None:
    assert list(cut("one two three four five", 10, 10)) == ["one two ", "three ", "four five"]


@given(st.text(st.characters()))
def test_only_what_can_be_encoded_and_said_is_speakable(text: str) -> None:
    said = speakable(text)
    said.encode()
    assert not said or any(c.isalnum() for c in said)


@pytest.mark.parametrize("text", ["", " \n", "...!?", "。、", "😀🎉", "\x00\x07", "\ud800", "「」", "<>&"])
def test_nothing_is_speakable_in_text_without_letters_and_digits(text: str) -> None:
    assert speakable(text) == ""


def test_a_voices_own_silence_is_replaced_by_the_pause() -> None:
    tone = Pcm.from_floats(0.5 * np.sin(np.arange(VOICE_RATE) * 0.1), VOICE_RATE)
    silence = Pcm.silence(700, VOICE_RATE)
    finished = finish(Pcm(silence.data + tone.data + silence.data, VOICE_RATE), 1.0, 300)
    assert finished.seconds == pytest.approx(1 + 2 * KEPT_SILENCE_MS / 1000 + 0.3, abs=0.002)


def test_a_sound_that_starts_and_ends_loud_does_not_click() -> None:
    square = Pcm.from_floats(np.full(VOICE_RATE // 2, 0.9), VOICE_RATE)
    edges = finish(square, 1.0, 0).floats
    assert max(abs(edges[0]), abs(edges[-1])) < 0.01
    assert np.abs(np.diff(edges)).max() < 0.02


@given(st.binary(max_size=400), st.floats(0, 4), st.integers(0, 500))
def test_any_sound_can_be_finished(data: bytes, gain: float, pause_ms: int) -> None:
    finish(Pcm(data[: len(data) // 2 * 2], VOICE_RATE), gain, pause_ms)


def test_pauses_are_longest_after_sentences_and_shrink_with_speed() -> None:
    assert pause_after("はい。」", 1) == SENTENCE_PAUSE_MS > pause_after("はい、", 1) > pause_after("はい", 1)
    assert pause_after("Yes.", 2) == SENTENCE_PAUSE_MS / 2
