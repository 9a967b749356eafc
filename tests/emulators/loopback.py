"""What emulated servers have in common: a server on loopback, in a thread of its own, and faults to script."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from typing_extensions import Self


@dataclass(frozen=True)
class Pause:
    seconds: float


STALL = Pause(3600)
"""Silence that outlasts every test."""


class Cut(Exception):
    """As a step: the connection is dropped here."""


@dataclass(frozen=True)
class Raw:
    """Bytes as they are, in the place of an event."""

    data: bytes


@dataclass(frozen=True)
class Refuse:
    """An error answer with OpenAI's error body, or with `body` as it is."""

    status: int
    message: str = "refused"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    def payload(self) -> Any:
        error = {"message": self.message, "type": "error", "param": self.param, "code": self.code}
        return {"error": error} if self.body is None else self.body


@dataclass(frozen=True)
class Silence:
    """The request is read and nothing is ever sent, not even headers."""


Lifespan: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[None]]
Note: TypeAlias = Callable[[str, str], None]
"""Told of what passes the wire, as it does: what it is, and its text."""


def forget(what: str, text: str) -> None:
    """Nobody wants to know."""


class _Server(uvicorn.Server):
    async def main_loop(self) -> None:
        # uvicorn's own looks every 0.1 s, which hundreds of tests would wait for.
        while not self.should_exit:  # noqa: ASYNC110
            await anyio.sleep(0.01)


class LoopbackServer:
    """Serves in a thread of its own between `with` and its end."""

    def __init__(self, *routes: Route, port: int = 0, lifespan: Lifespan | None = None) -> None:
        """`port`: 0 for any that is free. `lifespan`: entered before, and left after, all that is served."""
        self.failures: list[Exception] = []
        """What a script raised, which is a mistake in it; the first is raised again at the end of `with`."""
        config = uvicorn.Config(
            Starlette(routes=routes, lifespan=self._telling_failures(lifespan) if lifespan else None),
            port=port,
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)

    @property
    def address(self) -> str:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    @property
    def url(self) -> str:
        """Where an OpenAI client is pointed at."""
        return f"{self.address}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise (
                    self.failures[0]
                    if self.failures
                    else OSError(f"No emulator could be started on port {self._server.config.port}")
                )
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        if self.failures and not error:
            raise self.failures[0]

    def _telling_failures(self, lifespan: Lifespan) -> Lifespan:
        @asynccontextmanager
        async def live(app: Starlette) -> AsyncIterator[None]:
            try:
                async with lifespan(app):
                    yield
            except Exception as exc:
                self.failures.append(exc)
                raise

        return live

    def _run(self) -> None:
        with suppress(SystemExit):  # which is how uvicorn tells that the port is taken
            self._server.run()


async def refuse(refusal: Refuse, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(refusal.payload(), refusal.status, dict(refusal.headers))(scope, receive, send)


@asynccontextmanager
async def noticing_the_client_leave(receive: Receive, disconnected: threading.Event) -> AsyncIterator[None]:
    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected.set()
        tasks.cancel_scope.cancel()

    cut = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            yield
        except Cut:
            cut = True
        tasks.cancel_scope.cancel()
    if cut:
        # uvicorn closes the socket under an answer whose app failed in the middle of it.
        raise Cut


# What a cut looks like to uvicorn is an app that failed; that is meant.
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
