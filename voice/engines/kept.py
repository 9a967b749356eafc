"""A stream that can be read again, for an engine that takes over or tries once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class Kept(Generic[T]):
    """A stream that is read from its source once and can be read again from here."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        self.items: list[T] = []
        self._source = source
        self._error: Exception | None = None
        self._news = asyncio.Event()
        # A reader that is cancelled must not take an item with it, nor end a generator that is the source.
        self._reading: asyncio.Task[None] | None = None

    def read(self, start: int = 0) -> AsyncIterator[T]:
        """The stream from its item number `start` on. Raises there what the source raised."""
        return _Reader(self, start)

    async def has(self, number: int) -> bool:
        """Wait for that item, or the end."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(lambda _: self._news.set())
        while number >= len(self.items) and not self._reading.done():
            self._news.clear()
            await self._news.wait()
        if number < len(self.items):
            return True
        if self._error:
            raise self._error
        return False

    async def _read(self) -> None:
        try:
            async for item in self._source:
                self.items.append(item)
                self._news.set()
        except Exception as exc:
            self._error = exc

    async def aclose(self) -> None:
        """Stop reading from the source, which stays its owner's."""
        if self._reading is not None:
            self._reading.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._reading])


class _Reader(AsyncIterator[T]):
    def __init__(self, kept: Kept[T], position: int) -> None:
        self._kept = kept
        self._position = position

    async def __anext__(self) -> T:
        if not await self._kept.has(self._position):
            raise StopAsyncIteration
        self._position += 1
        return self._kept.items[self._position - 1]
