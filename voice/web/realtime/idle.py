"""Server VAD's `idle_timeout_ms`: where nobody speaks for so long after a reply was heard, the next one comes unasked."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio


class IdleTimer:
    """Goes off once for each time that it is wound up."""

    def __init__(self, go_off: Callable[[], None]) -> None:
        self._go_off = go_off
        self._due = math.inf
        self._changed = anyio.Event()

    def wind_up(self, ms: int) -> None:
        self._due = anyio.current_time() + ms / 1000
        self._changed.set()

    def stop(self) -> None:
        self._due = math.inf
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=self._due) as waiting:
                await self._changed.wait()
            if waiting.cancelled_caught:
                self._due = math.inf
                self._go_off()
