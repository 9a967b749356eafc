"""Whether what was said so far sounds like a whole turn, by its melody and pace: Smart Turn v3.2, 16 kHz.

A hint beside the words, and what there is where an engine tells no words before the end. It knows 23 languages,
Japanese and English among them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voice.audio import SPEECH_RATE, Pcm

HEARD_SECONDS = 8
"""The model looks at so much, up to the pause (pipecat, `local_smart_turn_v3.py`)."""
HEARD_SAMPLES = HEARD_SECONDS * SPEECH_RATE
LATEST_SECONDS = 1.0
"""A score that comes later than this is of no use: by then most turns have ended without it."""

FFT_SAMPLES, HOP_SAMPLES, MELS = 400, 160, 80
"""As of Whisper, whose encoder the model is made of."""


class SmartTurn:
    """One for the whole process. Takes one processor, for one pause after the other."""

    label = "Smart Turn"
    seconds: float = HEARD_SECONDS

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Threads that wait by spinning take the core away from the engines.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def score(self, sound: Pcm) -> float | None:
        """The probability that the turn is complete, as `score_now` in a thread; None when its turn comes too late."""
        with anyio.move_on_after(LATEST_SECONDS):
            return await anyio.to_thread.run_sync(self.score_now, sound.floats, limiter=self._one_at_a_time)
        return None

    def score_now(self, samples: NDArray[np.float32]) -> float:
        """The probability that the turn is complete. Blocks for some 0.1 s.

        `samples`: float32[n], 16 kHz, in [-1, 1]: the turn so far and the first moment of the pause; of more than
        `HEARD_SECONDS`, the last.
        """
        [probability] = self._session.run(None, {"input_features": log_mel(samples)[None]})
        return float(probability.item())


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the model sees of `samples`, float32[80, 800]: Whisper's features of 8 s, silence in front, one loudness."""
    heard = np.zeros(HEARD_SAMPLES, np.float32)
    samples = samples[-HEARD_SAMPLES:]
    heard[HEARD_SAMPLES - len(samples) :] = samples
    heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
    padded = np.pad(heard, FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[:HEARD_SAMPLES:HOP_SAMPLES]
    window = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window)).astype(np.float32) ** 2
    logs = np.log10(np.maximum(_mel_filters() @ power.T, 1e-10))
    features: NDArray[np.float32] = (np.maximum(logs, logs.max() - 8) + 4) / 4
    return features


@cache
def _mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area on Slaney's mel scale, float32[80, 201]: linear up to 1 kHz, logarithmic above."""
    linear_hz, mels_to_there, step = 200 / 3, 15.0, np.log(6.4) / 27
    top = mels_to_there + np.log(SPEECH_RATE / 2 / 1000) / step
    mels = np.linspace(0, top, MELS + 2)
    hertz = np.where(mels < mels_to_there, linear_hz * mels, 1000 * np.exp(step * (mels - mels_to_there)))
    bins = np.linspace(0, SPEECH_RATE / 2, FFT_SAMPLES // 2 + 1)
    low, middle, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    filters: NDArray[np.float32] = (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)
    return filters
