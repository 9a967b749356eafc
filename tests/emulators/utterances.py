"""Where in the audio somebody speaks, by nothing but its loudness: what the emulated recogniser times its answers by."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np

from tests.emulators.azure_script import BYTES_PER_MS, RecognitionTurn

FRAME_MS = 20
QUIETEST = 150
"""RMS of the quietest frame that is taken for voice, of 32768: -47 dBFS."""
UNDER_PEAK = 0.05
"""Share of the loudest frame's RMS that voice has at the least (-26 dB); what is under it is the room."""
CLICK_FRAMES = 2
"""Louder for no longer than that is no voice."""
SEGMENTATION_MS = 500
"""The pause that ends an utterance for Azure, unless the client asks for another."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech between two pauses, as far as it was heard; in ms from the start of the audio."""

    start_ms: int
    end_ms: int
    """Where the voice was last heard."""
    over: bool
    """Nothing more belongs to it: a pause has come, or the end of the audio."""


@dataclass
class Loudness:
    """The RMS of each frame so far."""

    frames: list[float] = field(default_factory=list)

    def add(self, audio: bytearray) -> None:
        """`audio`: all there is, 16 kHz, 16 bits, mono; what was added before is skipped."""
        start = len(self.frames) * FRAME_MS * BYTES_PER_MS
        count = (len(audio) - start) // (FRAME_MS * BYTES_PER_MS)
        if count > 0:
            whole = bytes(audio[start : start + count * FRAME_MS * BYTES_PER_MS])
            samples = np.frombuffer(whole, "<i2").astype(np.float64).reshape(count, -1)
            self.frames += np.sqrt((samples**2).mean(axis=1)).tolist()

    def find(self, start_ms: int, pause_ms: int, ended: bool) -> Utterance | None:
        """The first utterance at or after `start_ms`; None while nobody speaks. `ended`: no more audio comes."""
        if not self.frames:
            return None
        levels = np.asarray(self.frames)
        loud = levels > max(QUIETEST, UNDER_PEAK * levels.max(initial=0))
        voiced = np.flatnonzero(np.convolve(loud, np.ones(CLICK_FRAMES + 1), "same") > CLICK_FRAMES)
        voiced = voiced[voiced * FRAME_MS >= start_ms]
        if not len(voiced):
            return None
        pauses = np.flatnonzero(np.diff(voiced) * FRAME_MS > pause_ms)
        last = int(voiced[pauses[0]] if len(pauses) else voiced[-1]) + 1
        # The convolution takes a frame away at both ends.
        start, end = max(start_ms, (int(voiced[0]) - 1) * FRAME_MS), (last + 1) * FRAME_MS
        quiet_ms = len(levels) * FRAME_MS - end
        return Utterance(start, end, over=bool(len(pauses)) or ended or quiet_ms >= pause_ms)


async def listen(turn: RecognitionTurn, pause_ms: int = SEGMENTATION_MS) -> AsyncGenerator[Utterance, None]:
    """Each utterance, again and again while it grows, and a last time when it is over; until the audio ends."""
    loudness = Loudness()
    start_ms = heard_ms = 0
    while True:
        await turn.hear(heard_ms + FRAME_MS)
        ended, heard_ms = turn.ended, turn.heard_ms
        loudness.add(turn.audio)
        while utterance := loudness.find(start_ms, pause_ms, ended):
            yield utterance
            if not utterance.over:
                break
            start_ms = utterance.end_ms + FRAME_MS
        if ended:
            return


def pause_asked_for(turn: RecognitionTurn) -> int:
    """The pause in ms that ends an utterance, as the client set it, else Azure's own."""
    return _find(turn.context, "segmentationSilenceTimeoutMs") or SEGMENTATION_MS


def _find(content: object, name: str) -> int:
    """Its place in the context differs from mode to mode."""
    if not isinstance(content, dict):
        return 0
    return int(content.get(name) or max((_find(part, name) for part in content.values()), default=0))
