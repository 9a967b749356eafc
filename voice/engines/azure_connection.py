"""How Azure Speech is reached: whose resource, which errors it answers with, and connections kept for the next turn."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
from azure.cognitiveservices.speech import CancellationErrorCode, PropertyId, SpeechConfig
from azure.core.credentials import TokenCredential

from voice.engines import EngineError, NotConfigured, Rejected, Unavailable

TOKEN_SCOPE = "https://cognitiveservices.azure.com/.default"  # noqa: S105 - a public address
THREADS_AT_MOST = 64
"""Blocking calls of the SDK at a time; one that waits for a silent service holds its thread till it is stopped."""


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

    def configure(self, properties: Mapping[PropertyId | str, str]) -> SpeechConfig:
        """What the SDK's objects are made of; a property without a `PropertyId` goes by its name.

        Raises NotConfigured when the key or the address cannot be one."""
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
        if self.credential:
            return SpeechConfig(token_credential=self.credential, endpoint=self.endpoint)
        if self.endpoint:
            return SpeechConfig(subscription=self.key or None, endpoint=self.endpoint)
        if self.host:
            return SpeechConfig(subscription=self.key or None, host=self.host)
        return SpeechConfig(subscription=self.key, region=self.region)

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
                raise Rejected("speech_signin_failed") from exc

    def translate(self, code: CancellationErrorCode, details: str, timeout_seconds: float) -> EngineError:
        """The SDK's account of a failure. `details` may hold a secret, the result does not."""
        if code in (CancellationErrorCode.AuthenticationFailure, CancellationErrorCode.Forbidden):
            return Rejected("speech_key_refused")
        if code == CancellationErrorCode.TooManyRequests:
            return Unavailable("speech_quota")
        if code == CancellationErrorCode.BadRequest:
            return Rejected("speech_refused", reason=self._reason(details))
        if code == CancellationErrorCode.ServiceTimeout:
            return Unavailable("speech_timeout", seconds=timeout_seconds)
        return Unavailable("speech_unreachable")

    def _reason(self, details: str) -> str:
        """The service's own words: the SDK says before them that, and after them where, the connection ended."""
        lines = details.partition("Error details:")[2] or details
        reason = re.split("USP state:|SessionId:", lines)[0].strip().partition("\n")[0].strip(" .")
        return (reason.replace(self.key, "***") if self.key else reason)[:160]


@contextmanager
def watching(seconds: float) -> Iterator[None]:
    """Around what must give a sign of life, since the SDK waits a minute and more. Raises Unavailable after `seconds`."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as exc:
        raise Unavailable("speech_timeout", seconds=seconds) from exc


K = TypeVar("K", bound=Hashable)


class Pooled(Protocol):
    """An object of the SDK with a connection. Both methods block."""

    def stop(self) -> None:
        """End what it is doing, so that it can be used again. Raises when it cannot be."""
        ...

    def release(self) -> None:
        """Give back its threads and its connection."""
        ...


T = TypeVar("T", bound=Pooled)


class Pool(Generic[K, T]):
    """Objects of the SDK of several kinds that wait, connected, for their next turn.

    Whoever takes one returns it in one of three ways: `put_back`, `recover` or `drop`.
    """

    def __init__(self, make: Callable[[K], T], idle_at_most: int = 8) -> None:
        """`make` blocks and opens the connection without waiting for it."""
        self._make = make
        self._idle_at_most = idle_at_most
        self._idle: list[tuple[K, T]] = []
        self._all: set[T] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._limiter: anyio.CapacityLimiter | None = None
        # Python aborts (SIGABRT) when it ends while the SDK may still call into it.
        self._at_exit = weakref.finalize(self, _release_all, self._all)

    async def take(self, kind: K) -> T:
        """One of this kind. When it was the last one ready, the next one is prepared meanwhile.

        Raises what `make` raises, and Unavailable when closed.
        """
        while (item := self._pop(kind)) is None:
            if self._closed:
                raise Unavailable("speech_unreachable")
            # By way of the idle ones, so that none is lost when the caller is cancelled.
            await self.run(self._prepare, kind)
        if not self._has_idle(kind):
            self._in_thread(self._prepare_quietly, kind)
        return item

    def put_back(self, kind: K, item: T) -> None:
        """It is at rest."""
        with self._lock:
            self._idle.append((kind, item))
            room = 0 if self._closed else self._idle_at_most
            surplus = [self._idle.pop(0) for _ in range(len(self._idle) - room)]
        for _, oldest in surplus:
            self._in_thread(self._release, oldest)

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
        """It failed, and is not used again."""
        self._in_thread(self._release, item)

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
        for _, item in idle:
            self._in_thread(self._release, item)
        while self._threads:
            for thread in list(self._threads):
                await anyio.to_thread.run_sync(thread.join)
        self._at_exit()

    def _pop(self, kind: K) -> T | None:
        with self._lock:
            for index in reversed(range(len(self._idle))):
                if self._idle[index][0] == kind:
                    return self._idle.pop(index)[1]
        return None

    def _has_idle(self, kind: K) -> bool:
        with self._lock:
            return any(each == kind for each, _ in self._idle)

    def _prepare(self, kind: K) -> None:
        item = self._make(kind)
        self._all.add(item)
        self.put_back(kind, item)

    def _prepare_quietly(self, kind: K) -> None:
        with suppress(EngineError):  # whoever needs it is told
            self._prepare(kind)

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
        self._threads.add(thread)
        thread.start()


def _release_all(items: set[Any]) -> None:
    for item in list(items):
        item.release()
    items.clear()
