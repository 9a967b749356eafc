"""What is on its way to a Realtime client: bounded, for nobody knows whether it reads."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable

import anyio

from voice.web.realtime.events import ServerEvent

UNREAD_BYTES = 16 * 1024 * 1024
"""Four minutes of a reply's sound beyond what the network holds; a client that reads has next to nothing waiting."""
UNREAD_SECONDS = 30.0
"""For one event to leave."""


class Outbox:
    """Events in the order in which they were put in, as JSON."""

    def __init__(self, unread_bytes: int = UNREAD_BYTES, unread_seconds: float = UNREAD_SECONDS) -> None:
        self._unread_bytes = unread_bytes
        self._unread_seconds = unread_seconds
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self._complete = False
        self._news = anyio.Event()

    @property
    def is_full(self) -> bool:
        return self._bytes > self._unread_bytes

    def put(self, event: ServerEvent) -> None:
        """What does not fit any more is dropped; `pour` ends then."""
        if not self.is_full:
            text = json.dumps(event)
            self._waiting.append(text)
            self._bytes += len(text)
        self._news.set()

    def complete(self) -> None:
        """Nothing more comes."""
        self._complete = True
        self._news.set()

    async def pour(self, send: Callable[[str], Awaitable[None]]) -> bool:
        """Send all that comes, until it is complete. False: the client does not read.

        `send`: of a text; what it raises is raised here.
        """
        while not self.is_full:
            if not self._waiting:
                if self._complete:
                    return True
                self._news = anyio.Event()
                await self._news.wait()
                continue
            text = self._waiting.popleft()
            self._bytes -= len(text)
            with anyio.move_on_after(self._unread_seconds) as sending:
                await send(text)
            if sending.cancelled_caught:
                return False
        return False
