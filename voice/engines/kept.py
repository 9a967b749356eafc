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
        self._ended = False
        self._pulling: asyncio.Task[None] | None = None

    def read(self, start: int = 0) -> AsyncIterator[T]:
        """The stream from its item number `start` on."""
        return _Reader(self, start)

    async def has(self, number: int) -> bool:
        """Wait for that item, or the end."""
        while number >= len(self.items) and not self._ended:
            # A reader that is cancelled must not take an item with it, nor end a generator that is the source.
            if self._pulling is None or self._pulling.done():
                self._pulling = asyncio.create_task(self._pull())
            await asyncio.shield(self._pulling)
        return number < len(self.items)

    async def _pull(self) -> None:
        try:
            self.items.append(await anext(self._source))
        except StopAsyncIteration:
            self._ended = True

    async def aclose(self) -> None:
        """Stop reading from the source, which stays its owner's."""
        if self._pulling is not None:
            self._pulling.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._pulling])


class _Reader(AsyncIterator[T]):
    def __init__(self, kept: Kept[T], position: int) -> None:
        self._kept = kept
        self._position = position

    async def __anext__(self) -> T:
        if not await self._kept.has(self._position):
            raise StopAsyncIteration
        self._position += 1
        return self._kept.items[self._position - 1]
