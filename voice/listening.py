"""Voice activity: where in the sound somebody speaks. Silero VAD v6, 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voice.audio import SPEECH_RATE, Pcm

FRAME_SAMPLES = 512
"""What the model was trained on at 16 kHz (silero-vad, `VADIterator`)."""
FRAME_MS = FRAME_SAMPLES * 1000 // SPEECH_RATE
CONTEXT_SAMPLES = 64
"""Each frame is shown to the model behind the end of the one before (faster_whisper/vad.py)."""

STARTS = 0.5
"""Probability from which a frame begins speech (silero-vad's default)."""
LASTS = 0.15
"""Probability down to which speech, once begun, goes on. silero-vad's 0.35 loses a drawled "okay" (a human clip)."""
SHORTEST_PAUSE_MS = 100
"""Less is a stop consonant inside a word (silero-vad's default)."""
SHORTEST_SPEECH_MS = 96
"""A murmured "un" is three frames of speech, while clicks reach none; silero-vad's 250 ms loses "hai"."""
PADDING_MS = 400
"""Kept on both sides, as in faster-whisper: soft beginnings score low, and with 150 ms "hai" was heard as "hi"."""

Run: TypeAlias = tuple[int, int]
"""Frames of speech: the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, in ms from the start of the sound."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


class VoiceActivity:
    """Tells, frame by frame, how likely it is that somebody speaks. One for each stream: it remembers what it heard."""

    def __init__(self) -> None:
        self._session = _silero()
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context: NDArray[np.float32] = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)

    def score(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of speech in each frame of `FRAME_MS` that these samples complete.

        `samples`: float32[n], 16 kHz, in [-1, 1], any n; what does not fill a frame waits for the next call.
        Returns float32[frames].
        """
        samples = np.concatenate([self._rest, samples], dtype=np.float32)
        count = len(samples) // FRAME_SAMPLES
        whole, self._rest = np.split(samples, [count * FRAME_SAMPLES])
        if not count:
            return np.zeros(0, np.float32)
        frames = whole.reshape(count, FRAME_SAMPLES)
        shown = np.empty((count, CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        shown[:, CONTEXT_SAMPLES:] = frames
        shown[0, :CONTEXT_SAMPLES] = self._context
        shown[1:, :CONTEXT_SAMPLES] = frames[:-1, -CONTEXT_SAMPLES:]
        self._context = frames[-1, -CONTEXT_SAMPLES:]
        probabilities, self._h, self._c = self._session.run(
            None, {"input": shown, "h": self._h, "c": self._c}
        )
        return np.asarray(probabilities, np.float32).reshape(count)


def find_speech(pcm: Pcm, longest_ms: int | None = None) -> list[Segment]:
    """The speech in a whole recording, in order, without overlap, padded; empty when nobody speaks.

    Neighbours touch where the pause between them is shorter than their padding. Speech without a pause for more
    than `longest_ms` (before padding) is cut where a pause is likeliest.

    Raises:
        ValueError: `pcm` is not 16 kHz.
    """
    if pcm.rate != SPEECH_RATE:
        raise ValueError(f"Expected {SPEECH_RATE} Hz, got {pcm.rate}")
    samples = pcm.floats
    probabilities = VoiceActivity().score(np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)))
    runs = find_runs(probabilities)
    if longest_ms is not None:
        runs = (piece for run in runs for piece in _cut(run, probabilities, longest_ms // FRAME_MS))
    return pad(
        [Segment(start * FRAME_MS, end * FRAME_MS) for start, end in runs], len(samples) * 1000 // pcm.rate
    )


def find_runs(probabilities: NDArray[np.float32]) -> Iterator[Run]:
    """The runs of speech among the frames, by silero-vad's rule.

    Speech begins with a frame of at least `STARTS` and ends before the first of `SHORTEST_PAUSE_MS` of frames that
    stay under `STARTS`, counted from one under `LASTS`. Runs shorter than `SHORTEST_SPEECH_MS` are dropped.
    """
    start: int | None = None
    pause: int | None = None
    for frame, probability in enumerate([*probabilities, *[0.0] * (SHORTEST_PAUSE_MS // FRAME_MS + 2)]):
        if probability >= STARTS:
            start = frame if start is None else start
            pause = None
        elif start is not None:
            if pause is None and probability < LASTS:
                pause = frame
            if pause is not None and (frame - pause) * FRAME_MS >= SHORTEST_PAUSE_MS:
                if (pause - start) * FRAME_MS >= SHORTEST_SPEECH_MS:
                    yield start, pause
                start = pause = None


def _cut(run: Run, probabilities: NDArray[np.float32], longest: int) -> Iterator[Run]:
    """`run` in pieces of at most `longest` frames, each cut in its middle half where speech is least probable."""
    start, end = run
    quarter = (end - start) // 4
    if end - start <= longest or not quarter:
        yield run
        return
    cut = start + quarter + int(np.argmin(probabilities[start + quarter : end - quarter]))
    yield from _cut((start, cut), probabilities, longest)
    yield from _cut((cut, end), probabilities, longest)


def pad(segments: Sequence[Segment], total_ms: int) -> list[Segment]:
    """Each segment with up to `PADDING_MS` on both sides; a pause too short for both is shared by halves."""
    middles = [(before.end_ms + after.start_ms) // 2 for before, after in pairwise(segments)]
    return [
        Segment(max(segment.start_ms - PADDING_MS, floor), min(segment.end_ms + PADDING_MS, ceiling))
        for segment, floor, ceiling in zip(segments, [0, *middles], [*middles, total_ms], strict=False)
    ]


@cache
def _silero() -> onnxruntime.InferenceSession:
    """The one model, as faster-whisper ships it; all state is passed in, so streams and threads may share it."""
    package = find_spec("faster_whisper")  # not imported: that would load the whole of Whisper's runtime
    if package is None or package.origin is None:
        raise ModuleNotFoundError("faster-whisper is not installed", name="faster_whisper")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Threads that wait by spinning take the core away from the engines.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = Path(package.origin).with_name("assets") / "silero_vad_v6.onnx"
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
