"""How far a reply's sound was played: by what the client reports, else reckoned from its release. Pure; times in seconds."""

from __future__ import annotations

import math

SILENT_CLIENT_SECONDS = 1.5
"""A client that reported what it played and then fell silent has played it all by so long after the reckoning. Reports
come some four times a second, and a browser's buffer grows to a few hundred ms."""

ROUNDING_MS = 50
"""By which a client may be wrong that counts in samples of its own rate."""


class Playback:
    """Of one reply. `now` is any clock's, always the same one."""

    def __init__(self, now: float) -> None:
        """It begins with the first sound that is sent."""
        self.sent_ms = 0.0
        self.began: float | None = None
        """When the user heard the first of it, as far as the client told."""
        self._ms = 0.0
        self._at = now
        self._held = False
        self._reported = False

    def send(self, ms: float, now: float) -> None:
        """So much more sound is on its way."""
        self._move(now)
        self.sent_ms += ms

    def hold(self, now: float) -> None:
        self._move(now)
        self._held = True

    def resume(self, now: float) -> None:
        self._move(now)
        self._held = False

    def report(self, ms: float, now: float) -> None:
        """What the client says that it has played, of all that was sent."""
        self._ms = min(max(ms, 0.0), self.sent_ms)
        self._at = now
        self._reported = True
        # More than there is says only that it is over.
        if 0 < ms < self.sent_ms + ROUNDING_MS and self.began is None:
            self.began = now - self._ms / 1000

    def position_ms(self, now: float) -> float:
        """What was played by now."""
        passed_ms = 0.0 if self._held else (now - self._at) * 1000
        return min(self._ms + passed_ms, self.sent_ms)

    @property
    def is_held(self) -> bool:
        return self._held

    def when(self, ms: float) -> float:
        """When so much of it will have been played; `math.inf` while it is held."""
        return math.inf if self._held else self._at + (ms - self._ms) / 1000

    @property
    def ends(self) -> float:
        """When the last of what was sent will have been played; `math.inf` while it is held."""
        if self._held:
            return math.inf
        silence = SILENT_CLIENT_SECONDS if self._reported and self._ms < self.sent_ms else 0.0
        return self._at + (self.sent_ms - self._ms) / 1000 + silence

    def _move(self, now: float) -> None:
        self._ms = self.position_ms(now)
        self._at = now
