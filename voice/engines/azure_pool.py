"""Objects of Azure's SDK, kept with their connections for the next turn."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
from azure.cognitiveservices.speech import Connection, EventSignal

from voice.engines import EngineError, Unavailable

THREADS_AT_MOST = 64
"""Blocking calls of the SDK at a time; one that waits for a silent service holds its thread till it is stopped."""
LASTING_SECONDS = 20
KEPT_OPEN_SECONDS = 1800
"""After its last turn, a connection that the service closes is opened again for so long."""
SPARE_SECONDS = 60
"""What nobody has needed for so long is given back: with many who talk, how many are needed at once changes all the time,
and to make one anew takes more of the processor than minutes of its rest."""

K = TypeVar("K", bound=Hashable)


class Pooled(Protocol):
    """An object of the SDK with a connection. Its methods block."""

    @property
    def usable(self) -> bool:
        """Not when its connection broke beyond use."""
        ...

    def open(self) -> None:
        """Connect ahead, without waiting for it."""
        ...

    def stop(self) -> None:
        """End what it is doing, so that it can be used again. Raises when it cannot be."""
        ...

    def release(self) -> None:
        """Give back its threads and its connection."""
        ...


T = TypeVar("T", bound=Pooled)


@dataclass(frozen=True, slots=True)
class _Idle(Generic[K, T]):
    kind: K
    item: T
    since: float


class Pool(Generic[K, T]):
    """Objects of the SDK of several kinds that wait, connected, for their next turn.

    Whoever takes one returns it in one of four ways: `put_back`, `recover`, `drop` or `fail`.
    """

    def __init__(
        self,
        make: Callable[[K, Callable[[], None]], T],
        idle_at_most: int = 8,
        spare_seconds: float = SPARE_SECONDS,
    ) -> None:
        """`make` blocks. It is given what to call when a connection that was open is lost.

        `idle_at_most`: of those that nobody has needed for `spare_seconds`.
        """
        self._make = make
        self._idle_at_most = idle_at_most
        self._spare_seconds = spare_seconds
        self._taken: dict[K, float] = {}
        self._idle: list[_Idle[K, T]] = []
        self._all: set[T] = set()
        self._closed = False
        self._era = 0
        """Counts failures: what was begun before one is not trusted after it."""
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._trimming: threading.Timer | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        # Python aborts (SIGABRT) when it ends while the SDK may still call into it.
        self._at_exit = weakref.finalize(self, _release_all, self._all)

    async def take(self, kind: K) -> T:
        """One of this kind. When it was the last one ready, the next one is prepared meanwhile.

        Raises what `make` raises, and Unavailable when closed.
        """
        self._sort_out()
        while (item := self._pop(kind)) is None:
            if self._closed:
                raise Unavailable("speech_unreachable")
            # By way of the idle ones, so that none is lost when the caller is cancelled. One that is broken already is
            # taken all the same: it knows why.
            await self.run(self._prepare, kind)
        self._taken[kind] = time.monotonic()
        if not self._has_idle(kind):
            self._in_thread(self._prepare_quietly, kind)
        return item

    def put_back(self, kind: K, item: T) -> None:
        """It is at rest."""
        with self._lock:
            self._idle.append(_Idle(kind, item, time.monotonic()))
        if self._trimming is None or self._closed:
            self._trim()

    def _trim(self) -> None:
        """Give back what nobody has needed of late, and look again later while there is more than usual."""
        with self._lock:
            now = time.monotonic()
            room = 0 if self._closed else self._idle_at_most
            # The latest is taken first, so that those in front are the ones that were not needed.
            oldest = self._idle[: max(0, len(self._idle) - room)]
            surplus = [idle for idle in oldest if self._closed or now - idle.since >= self._spare_seconds]
            del self._idle[: len(surplus)]
            if self._trimming is not None:
                self._trimming.cancel()  # of two who put back at once both come here
                self._trimming = None
            if len(oldest) > len(surplus):
                self._trimming = threading.Timer(self._spare_seconds, self._trim)
                self._trimming.daemon = True
                self._trimming.start()
        for idle in surplus:
            self._in_thread(self._release, idle.item)

    def recover(self, kind: K, item: T) -> None:
        """It may still be at work: stop it in a thread, then have it back."""

        def stop() -> None:
            try:
                item.stop()
            except Exception:  # whatever it is, this one is not used again
                self._release(item)
            else:
                self.put_back(kind, item)

        self._in_thread(stop)

    def drop(self, item: T) -> None:
        """It is not used again."""
        self._in_thread(self._release, item)

    def fail(self, item: T) -> None:
        """It failed, and so may what waits: its connection was opened in the same bad times, or is not open yet."""
        with self._lock:
            self._era += 1
            suspects = [item, *(idle.item for idle in self._idle)]
            self._idle.clear()
        for suspect in suspects:
            self.drop(suspect)

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        """A blocking call, in a thread. A caller that is cancelled leaves at once."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS_AT_MOST)
        return await anyio.to_thread.run_sync(work, *args, abandon_on_cancel=True, limiter=self._limiter)

    async def close(self) -> None:
        """Release everything, what is still being recovered included."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            if self._trimming:
                self._trimming.cancel()
        for each in idle:
            self._in_thread(self._release, each.item)
        while threads := self._running():
            for thread in threads:
                await anyio.to_thread.run_sync(thread.join)
        self._at_exit()

    def _running(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._threads)

    def _pop(self, kind: K) -> T | None:
        """The latest that was put back, since its connection is the least likely to have been lost."""
        with self._lock:
            for index in reversed(range(len(self._idle))):
                if self._idle[index].kind == kind:
                    return self._idle.pop(index).item
        return None

    def _sort_out(self) -> None:
        """Drop the idle ones that broke."""
        with self._lock:
            spoiled = [idle.item for idle in self._idle if not idle.item.usable]
            self._idle = [idle for idle in self._idle if idle.item.usable]
        for item in spoiled:
            self.drop(item)

    def _has_idle(self, kind: K) -> bool:
        with self._lock:
            return any(idle.kind == kind for idle in self._idle)

    def _prepare(self, kind: K, ahead: bool = False) -> None:
        """`ahead`: open its connection too; one that is used at once does so as it starts."""
        made = time.monotonic()

        def lost() -> None:
            # Services close connections that idle. One that did not last is not made anew: it would not last either.
            now = time.monotonic()
            if now - made > LASTING_SECONDS and now - self._taken.get(kind, 0) < KEPT_OPEN_SECONDS:
                self._in_thread(self._renew, kind)

        era = self._era
        item = self._make(kind, lost)
        self._all.add(item)
        if ahead:
            item.open()
        if era == self._era:
            self.put_back(kind, item)
        else:
            self._release(item)

    def _renew(self, kind: K) -> None:
        self._sort_out()
        if not self._closed and not self._has_idle(kind):
            self._prepare_quietly(kind)

    def _prepare_quietly(self, kind: K) -> None:
        with suppress(EngineError):  # whoever needs it is told
            self._prepare(kind, ahead=True)

    def _release(self, item: T) -> None:
        item.release()
        self._all.discard(item)

    def _in_thread(self, work: Callable[..., None], *args: Any) -> None:
        """Not a daemon: Python waits for it at its end, event loop or not."""

        def carry_out() -> None:
            try:
                work(*args)
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=carry_out, name="azure speech")
        with self._lock:  # so that `close` finds it started
            self._threads.add(thread)
            thread.start()


def _release_all(items: set[Any]) -> None:
    for item in list(items):
        item.release()
    items.clear()


def cut_off(signals: Mapping[EventSignal, Any], connection: Connection) -> None:
    """Have the SDK tell nothing more, and close the connection. Handlers left behind abort the process at its end."""
    for signal in signals:
        signal.disconnect_all()
    with suppress(RuntimeError):
        connection.close()
