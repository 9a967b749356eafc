"""How Azure Speech is reached: whose resource, which errors it answers with, and connections kept for the next turn."""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from azure.cognitiveservices.speech import (
    CancellationErrorCode,
    Connection,
    EventSignal,
    PropertyId,
    SpeechConfig,
)
from azure.core.credentials import TokenCredential

from voice.engines import EngineError, NotConfigured, Rejected, Unavailable

TOKEN_SCOPE = "https://cognitiveservices.azure.com/.default"  # noqa: S105 - a public address
THREADS_AT_MOST = 64
"""Blocking calls of the SDK at a time; one that waits for a silent service holds its thread till it is stopped."""
LASTING_SECONDS = 20
KEPT_OPEN_SECONDS = 1800
"""After its last turn, a connection that the service closes is opened again for so long."""
SPARE_SECONDS = 60
"""What nobody has needed for so long is given back: with many who talk, how many are needed at once changes all the time,
and to make one anew takes more of the processor than minutes of its rest."""


@dataclass(frozen=True)
class SpeechResource:
    """A Speech resource and the right to use it.

    Its address is `endpoint` if given (a custom domain, as Entra ID and private links need), else `host` (a container
    or a sovereign cloud), else the public one of `region`. Who asks is told by `credential` (Entra ID), else by `key`;
    a container wants neither.
    """

    key: str = field(default="", repr=False)
    region: str = "japaneast"
    endpoint: str = ""
    host: str = ""
    credential: TokenCredential | None = field(default=None, repr=False)
    name: str = "Azure"
    """For people, who may have two of them."""

    def address_of(self, service: Literal["stt", "tts"]) -> str:
        return self.endpoint or self.host or f"wss://{self.region}.{service}.speech.microsoft.com"

    def configure(self, properties: Mapping[PropertyId | str, str]) -> SpeechConfig:
        """What the SDK's objects are made of; a property without a `PropertyId` goes by its name.

        Raises NotConfigured when the key or the address cannot be one.
        """
        try:
            config = self._configure()
        except (
            ValueError,
            RuntimeError,
        ) as exc:  # the SDK raises RuntimeError for an address it cannot parse
            raise NotConfigured("speech_not_configured") from exc
        for name, value in properties.items():
            if isinstance(name, PropertyId):
                config.set_property(name, value)
            else:
                config.set_property_by_name(name, value)
        return config

    def _configure(self) -> SpeechConfig:
        for address in filter(None, (self.endpoint, self.host)):
            # The SDK takes any text for an address and finds out in the turn.
            parts = urlsplit(address)
            if parts.scheme not in ("https", "wss", "http", "ws") or not parts.hostname:
                raise ValueError(f"Expected an address as https://.., got {address}")
        if self.credential:
            return SpeechConfig(token_credential=self.credential, endpoint=self.endpoint)
        if self.endpoint:
            return SpeechConfig(subscription=self.key or None, endpoint=self.endpoint)
        if self.host:
            return SpeechConfig(subscription=self.key or None, host=self.host)
        return SpeechConfig(subscription=self.key, region=self.region)

    async def reach(self, service: Literal["stt", "tts"]) -> None:
        """Raises Unavailable when nobody takes a connection there."""
        parts = urlsplit(self.address_of(service))
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        try:
            stream = await anyio.connect_tcp(parts.hostname or "", port)
        except OSError as exc:
            raise Unavailable("speech_unreachable") from exc
        await stream.aclose()

    async def sign_in(self) -> None:
        """Get a token, which the credential keeps and renews, since the SDK goes on without one and is refused.

        Raises Rejected when Entra ID gives none.
        """
        if self.credential:
            try:
                await anyio.to_thread.run_sync(self.credential.get_token, TOKEN_SCOPE, abandon_on_cancel=True)
            except (
                Exception
            ) as exc:  # whatever a credential raises: azure-core's errors, its transport's, its own
                raise Rejected("sign_in_failed") from exc

    def translate(self, code: CancellationErrorCode, details: str, timeout_seconds: float) -> EngineError:
        """The SDK's account of a failure. `details` may hold a secret, the result does not."""
        if code in (CancellationErrorCode.AuthenticationFailure, CancellationErrorCode.Forbidden):
            return self._refused()
        if code == CancellationErrorCode.TooManyRequests:
            return Unavailable("speech_quota")
        if code == CancellationErrorCode.BadRequest:
            return Rejected("speech_refused", reason=self._reason(details))
        if code == CancellationErrorCode.ServiceTimeout:
            return Unavailable("speech_timeout", seconds=timeout_seconds)
        return Unavailable("speech_unreachable")

    def _refused(self) -> EngineError:
        if self.credential:
            return Rejected("speech_identity_refused")
        if self.endpoint or self.host:
            return Rejected("speech_key_refused")
        return Rejected("speech_key_unfit", region=self.region)

    def _reason(self, details: str) -> str:
        """The service's own words: the SDK says before them that, and after them where, the connection ended."""
        lines = details.partition("Error details:")[2] or details
        reason = re.split("USP state:|SessionId:", lines)[0].strip().partition("\n")[0].strip(" .")
        return (reason.replace(self.key, "***") if self.key else reason)[:160]


@contextmanager
def watching(seconds: float, since: float) -> Iterator[None]:
    """Around what must give a sign of life, since the SDK waits a minute and more.

    `since`: the last sign of life, or the beginning, on the event loop's clock. Raises Unavailable `seconds` after it.
    """
    try:
        with anyio.fail_after(max(0, since + seconds - anyio.current_time())):
            yield
    except TimeoutError as exc:
        raise Unavailable("speech_timeout", seconds=seconds) from exc


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
        self._idle: list[tuple[K, T, float]] = []  # the last one is since when
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
            self._idle.append((kind, item, time.monotonic()))
        if self._trimming is None or self._closed:
            self._trim()

    def _trim(self) -> None:
        """Give back what nobody has needed of late, and look again later while there is more than usual."""
        with self._lock:
            now = time.monotonic()
            room = 0 if self._closed else self._idle_at_most
            # The latest is taken first, so that those in front are the ones that were not needed.
            oldest = self._idle[: max(0, len(self._idle) - room)]
            surplus = [idle for idle in oldest if self._closed or now - idle[2] >= self._spare_seconds]
            del self._idle[: len(surplus)]
            self._trimming = None
            if len(oldest) > len(surplus):
                self._trimming = threading.Timer(self._spare_seconds, self._trim)
                self._trimming.daemon = True
                self._trimming.start()
        for _, spare, _ in surplus:
            self._in_thread(self._release, spare)

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
            suspects = [item, *(each for _, each, _ in self._idle)]
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
        for _, item, _ in idle:
            self._in_thread(self._release, item)
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
                if self._idle[index][0] == kind:
                    return self._idle.pop(index)[1]
        return None

    def _sort_out(self) -> None:
        """Drop the idle ones that broke."""
        with self._lock:
            spoiled = [item for _, item, _ in self._idle if not item.usable]
            self._idle = [idle for idle in self._idle if idle[1].usable]
        for item in spoiled:
            self.drop(item)

    def _has_idle(self, kind: K) -> bool:
        with self._lock:
            return any(each == kind for each, _, _ in self._idle)

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
