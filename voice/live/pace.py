"""How finely the users' sound is taken up: at once while few talk, in larger pieces when many do.

Each piece has its price in every stage behind it: to resample, to score and to hand on 20 ms costs nearly as much as
100 ms, and of Azure's SDK each piece takes 0.3 ms of the processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voice.audio import Pcm

FEW = 8
PIECE_MS = 96
"""Three frames of the voice detector."""
QUIET = 0.1
"""Share of the loudness of late under which a voice pauses, -20 dB."""
LOUDER = 2.0
"""Times the loudness of late from which somebody has begun to speak, 6 dB."""
FAINTEST = 33
"""Peak of 32768 under which nothing is a voice, -60 dBFS."""
FADING = 0.98
"""Of the loudness of late that is left after each piece: half of it after a second of pieces of 30 ms."""


class Pace:
    """One for a server."""

    def __init__(self, few: int = FEW) -> None:
        self._few = few
        self._conversations = 0

    @property
    def few_talk(self) -> bool:
        """Whether each piece can be taken up as it comes."""
        return self._conversations <= self._few

    @contextmanager
    def joining(self) -> Iterator[None]:
        """One conversation more."""
        self._conversations += 1
        try:
            yield
        finally:
            self._conversations -= 1


class Loudness:
    """Tells when the sound changes so much that somebody may have begun or ceased to speak, which cannot wait."""

    def __init__(self) -> None:
        self._of_late = 0.0
        self._is_quiet = True

    def changes(self, pcm: Pcm) -> bool:
        """Whether it does with the next piece."""
        if not pcm.data:
            return False
        samples = pcm.samples
        peak = max(int(samples.max()), -int(samples.min()))
        was_quiet, of_late = self._is_quiet, self._of_late
        self._is_quiet = peak < max(QUIET * of_late, FAINTEST)
        self._of_late = max(FADING * of_late, peak)
        return self._is_quiet is not was_quiet or peak > max(LOUDER * of_late, FAINTEST)
