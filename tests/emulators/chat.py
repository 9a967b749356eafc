"""A chat-completions server on loopback that follows a script: what the openai client meets in the wild.

    with ChatServer(Stream("Hel", "lo."), Refuse(429)) as server:
        OpenAIChat(base_url=server.url, ...)

The first request gets the first answer, and so on; the last answer is repeated. Streams look as OpenAI's do: a chunk
with the role first, one chunk a piece, the finish reason, then `[DONE]`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


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
class Event:
    """A JSON payload as one server-sent event."""

    payload: Mapping[str, Any]


def delta(finish: str | None = None, **fields: Any) -> Event:
    """A chunk whose one choice carries these fields."""
    return chunk([{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}])


def chunk(choices: list[dict[str, Any]], **fields: Any) -> Event:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "emulated"}
    return Event({**head, "choices": choices, **fields})


AZURE_PROMPT_FILTER = chunk([], prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])
"""What Azure sends ahead of everything: no choices."""
USAGE = chunk([], usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12})

Step = str | Pause | type[Cut] | Raw | Event


@dataclass(frozen=True)
class Stream:
    """Headers, then the steps in order; a str is a piece of the reply."""

    steps: tuple[Step, ...]
    finish: str | None = "stop"
    """None: the body just ends, without a finish reason or `[DONE]`."""

    def __init__(self, *steps: Step, finish: str | None = "stop") -> None:
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "finish", finish)

    def events(self) -> list[Step]:
        ending: list[Step] = (
            [] if self.finish is None else [delta(self.finish), USAGE, Raw(b"data: [DONE]\n\n")]
        )
        return [delta(role="assistant", content="", refusal=None), *self.steps, *ending]


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


Answer = Stream | Refuse | Silence


@dataclass
class Exchange:
    """One request for a completion, and what became of it."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    disconnected: threading.Event = field(default_factory=threading.Event)
    """Set when the client went away before the answer was complete."""

    async def client_left(self, within_seconds: float = 10) -> bool:
        return await anyio.to_thread.run_sync(self.disconnected.wait, within_seconds)


class ChatServer:
    """Serves in a thread of its own between `with` and its end."""

    def __init__(self, *answers: Answer, models: tuple[str, ...] | Refuse = ("emulated",)) -> None:
        self.answers = list(answers) or [Stream("Hello", " there.")]
        self.models = models
        self.exchanges: list[Exchange] = []
        self.models_asked = 0
        self._asked = threading.Event()
        routes = [Route("/v1/chat/completions", _Completions(self)), Route("/v1/models", self._list_models)]
        config = uvicorn.Config(
            Starlette(routes=routes), port=0, log_level="critical", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="chat emulator", daemon=True)

    @property
    def url(self) -> str:
        """Where an OpenAI client is pointed at."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def was_asked(self) -> None:
        """Returns when a first request has arrived."""
        await anyio.to_thread.run_sync(self._asked.wait)

    def take(self, exchange: Exchange) -> Answer:
        """The answer to this request."""
        self.exchanges.append(exchange)
        self._asked.set()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def _list_models(self, request: Request) -> JSONResponse:
        self.models_asked += 1
        if isinstance(self.models, Refuse):
            return JSONResponse(self.models.payload(), self.models.status)
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in self.models]
        return JSONResponse({"object": "list", "data": data})


class _Completions:
    """POST /v1/chat/completions as a bare ASGI app, to see the client leave at any moment."""

    def __init__(self, server: ChatServer) -> None:
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        exchange = Exchange(await request.json(), request.headers)
        answer = self.server.take(exchange)
        if isinstance(answer, Refuse):
            await JSONResponse(answer.payload(), answer.status, dict(answer.headers))(scope, receive, send)
            return
        async with _noticing_the_client_leave(receive, exchange):
            if isinstance(answer, Silence):
                await anyio.sleep_forever()
            elif not exchange.body.get("stream"):
                await JSONResponse(_completion())(scope, receive, send)
            else:
                await _stream(answer, send)


@asynccontextmanager
async def _noticing_the_client_leave(receive: Receive, exchange: Exchange) -> AsyncIterator[None]:
    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        exchange.disconnected.set()
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


async def _stream(answer: Stream, send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for step in answer.events():
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
        elif isinstance(step, type):
            raise step
        else:
            await send({"type": "http.response.body", "body": _encode(step), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _encode(step: str | Raw | Event) -> bytes:
    if isinstance(step, Raw):
        return step.data
    event = delta(content=step) if isinstance(step, str) else step
    return f"data: {json.dumps(event.payload, ensure_ascii=False)}\n\n".encode()


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": "H"}
    choices = [{"index": 0, "message": message, "finish_reason": "length"}]
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "emulated", "choices": choices}


# What a cut looks like to uvicorn is an app that failed; that is meant.
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
