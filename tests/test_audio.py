from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.audio import Pcm, encode_wav, join, resample, resample_pieces

rates = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])


def tone(seconds: float, rate: int, hz: float = 440) -> Pcm:
    return Pcm.from_floats(0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate), rate)


def pitch(pcm: Pcm) -> float:
    """Hz of the strongest tone."""
    spectrum = np.abs(np.fft.rfft(pcm.floats * np.hanning(len(pcm.floats))))
    return float(np.argmax(spectrum)) * pcm.rate / len(pcm.floats)


def test_pcm_refuses_half_a_sample_and_a_rate_of_nothing() -> None:
    with pytest.raises(ValueError, match="whole 16-bit samples"):
        Pcm(b"abc", 16_000)
    with pytest.raises(ValueError, match="positive rate"):
        Pcm(b"", 0)


def test_samples_refuse_what_is_not_mono_int16() -> None:
    with pytest.raises(ValueError, match="int16"):
        Pcm.from_samples(np.zeros(3, np.float32), 16_000)
    with pytest.raises(ValueError, match="float"):
        Pcm.from_floats(np.zeros((2, 3)), 16_000)


def test_louder_than_full_scale_is_clipped_and_not_wrapped() -> None:
    assert Pcm.from_floats(np.array([2.0, -2.0]), 16_000).samples.tolist() == [32767, -32767]


def test_join_refuses_a_piece_of_another_rate() -> None:
    with pytest.raises(ValueError, match="24000 Hz"):
        join([Pcm.silence(10, 24_000), Pcm.silence(10, 16_000)])


@given(st.integers(0, 5_000), rates, rates)
def test_resampling_keeps_the_duration_to_the_sample(length: int, source: int, target: int) -> None:
    pcm = Pcm(bytes(2 * length), source)
    assert len(resample(pcm, target).samples) == round(length * target / source)


@given(rates, rates)
def test_a_tone_keeps_its_pitch_its_place_and_its_loudness(source: int, target: int) -> None:
    resampled = resample(tone(1, source), target)
    assert abs(pitch(resampled) - 440) <= 1
    # The edges are left out: what lies beyond them is anyone's guess.
    error = (resampled.floats - tone(1, target).floats)[target // 50 : -target // 50]
    assert np.abs(error).max() < 0.001


def test_the_tail_is_not_lost() -> None:
    click = np.zeros(24_000, np.int16)
    click[-12:] = 20_000
    assert resample(Pcm.from_samples(click, 24_000), 16_000).samples[-8:].min() > 10_000


@given(rates, rates, st.lists(st.integers(0, 700), max_size=12))
def test_a_sound_in_pieces_resamples_as_the_whole(source: int, target: int, lengths: list[int]) -> None:
    noise = np.random.default_rng(0).integers(-9_000, 9_000, sum(lengths)).astype(np.int16)
    cuts = np.split(noise, np.cumsum(lengths)[:-1]) if lengths else []
    pieces = resample_pieces([Pcm.from_samples(cut, source) for cut in cuts], target)
    assert join(pieces, target) == resample(Pcm.from_samples(noise, source), target)


def test_pieces_may_change_their_rate() -> None:
    pieces = [tone(0.5, 44_100), tone(0.5, 24_000), tone(0.5, 8_000)]
    assert abs(pitch(join(resample_pieces(pieces, 24_000), 24_000)) - 440) <= 2


def test_the_same_rate_leaves_every_bit() -> None:
    pcm = tone(0.1, 24_000)
    assert resample(pcm, 24_000) == pcm


def test_resampling_to_no_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="positive rate"):
        resample(tone(0.1, 24_000), 0)


def test_a_wav_says_what_it_holds() -> None:
    wav = encode_wav(tone(0.5, 24_000))
    assert wav[:4] == b"RIFF"
    assert len(wav) == 44 + 24_000
