"""Whether a turn sounds complete, by the real model and recordings of people."""

from __future__ import annotations

from pathlib import Path

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.speech import find_clip
from voice.audio import SPEECH_RATE, Pcm, resample
from voice.decoding import decode
from voice.models import fetch
from voice.smart_turn import HEARD_SAMPLES, SmartTurn, log_mel
from voice.weights import SMART_TURN

pytestmark = pytest.mark.anyio

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("samples", [1, 30_000, HEARD_SAMPLES, HEARD_SAMPLES + 5_000])
def test_the_model_sees_the_features_that_whisper_would(samples: int) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    sound = (RANDOM.normal(size=samples) * np.linspace(0, 0.3, samples)).astype(np.float32)
    last = sound[-HEARD_SAMPLES:]
    padded = np.pad(last, (HEARD_SAMPLES - len(last), 0))
    even = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    expected = FeatureExtractor(feature_size=80, chunk_length=8)(even, padding=0)
    np.testing.assert_allclose(log_mel(sound), expected, atol=1e-4)


def test_features_do_not_tell_how_loud_it_is() -> None:
    sound = RANDOM.normal(size=40_000).astype(np.float32)
    np.testing.assert_allclose(log_mel(0.01 * sound), log_mel(0.1 * sound), atol=1e-2)


@pytest.fixture(scope="module")
def smart_turn(models_folder: Path) -> SmartTurn:
    return SmartTurn(fetch(SMART_TURN, models_folder) / SMART_TURN.files[0].name)


async def listen(file: str) -> NDArray[np.float32]:
    return resample(await decode(find_clip(file).path, 60), SPEECH_RATE).floats


def pause_after(sound: NDArray[np.float32], ms: int) -> Pcm:
    """The sound up to there, and 160 ms of silence."""
    return Pcm.from_floats(np.pad(sound[: ms * SPEECH_RATE // 1000], (0, 2560)), SPEECH_RATE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "whole_ms", "cut_ms"),
    [
        ("en/04.flac", 2944, 1055),  # I'm afraid I don't know who sent this message.
        ("en/07.flac", 4512, 3392),  # .. I will try to locate them for you.
        ("en/08.flac", 4928, 3256),  # .. the wizard who had vanished behind the curtain on the left.
        ("ja/02.flac", 5664, 4177),  # .. 外れの電柱に電球がともっていた
        ("ja/03.flac", 5728, 3377),  # .. たくさんありますけれども、読むべき本はまだまだいっぱい残っています。
    ],
)
async def test_a_whole_sentence_sounds_complete_and_its_beginning_does_not(
    smart_turn: SmartTurn, file: str, whole_ms: int, cut_ms: int
) -> None:
    sound = await listen(file)
    whole = await smart_turn.score(pause_after(sound, whole_ms))
    cut = await smart_turn.score(pause_after(sound, cut_ms))
    assert whole is not None
    assert cut is not None
    assert cut < 0.4 < 0.7 < whole


@pytest.mark.slow
@pytest.mark.parametrize("ms", [0, 10, 30_000])
async def test_any_length_of_sound_has_a_probability(smart_turn: SmartTurn, ms: int) -> None:
    assert 0 <= (await smart_turn.score(Pcm.silence(ms, SPEECH_RATE)) or 0) <= 1


@pytest.mark.slow
async def test_who_comes_in_a_crowd_is_told_nothing_rather_than_too_late(smart_turn: SmartTurn) -> None:
    scores: list[float | None] = []

    async def ask() -> None:
        scores.append(await smart_turn.score(Pcm.silence(1000, SPEECH_RATE)))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(1000):
                tasks.start_soon(ask)
    assert len(scores) == 1000
    assert None in scores
    assert scores[0] is not None
