"""What Smart Turn adds to pauses and words, measured."""

from __future__ import annotations

import pytest

from bench.smart_turn import Judgement, Kind, cut_pieces, describe
from tests.speech import find_clip
from voice.audio import SPEECH_RATE, Pcm, resample
from voice.decoding import decode

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_a_recording_is_heard_to_its_end_up_to_its_pauses_and_cut_in_mid_sentence() -> None:
    sound = resample(await decode(find_clip("en/07.flac").path, 60), SPEECH_RATE)  # two sentences
    pieces = list(cut_pieces(sound.floats))
    kinds = [piece.kind for piece in pieces]
    assert kinds == [Kind.PAUSE, Kind.CUT, Kind.CUT, Kind.WHOLE, Kind.CUT, Kind.CUT]
    pause, early, late, whole, third, fourth = [piece.sound.seconds for piece in pieces]
    assert early < late < pause < third < fourth < whole < sound.seconds + 0.2


def test_nothing_comes_of_silence() -> None:
    assert list(cut_pieces(Pcm.silence(3000, SPEECH_RATE).floats)) == []


def test_each_kind_is_told_by_words_alone_and_with_the_hint() -> None:
    lines = list(
        describe(
            [
                Judgement(Kind.WHOLE, 0.9, 60, 500, 350),
                Judgement(Kind.WHOLE, 0.2, 60, 500, 650),
                Judgement(Kind.CUT, 0.1, 90, 500, 700),
            ]
        )
    )
    assert lines == [
        "whole turns: 1 of 2 sound complete; silence needed 500 -> 500 ms, less than 600 ms by 100% -> 50% of them",
        "cut in mid-sentence: 0 of 1 sound complete; silence needed 500 -> 700 ms, less than 600 ms by 100% -> 0% of them",
        "A score takes 60 ms (p90 84) of one processor.",
    ]
