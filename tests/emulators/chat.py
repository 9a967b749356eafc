"""A chat-completions server on loopback that follows a script: what the openai client meets in the wild.

    with ChatServer(Stream("Hel", "lo."), Refuse(429)) as server:
        OpenAIChat(connect_openai(server.url, ...), ...)

The same server answers under Azure's paths, classic and /openai/v1/, in Azure's way. The first request gets the first
answer, and so on; the last answer is repeated. Streams look as OpenAI's do: a chunk with the role first, one chunk a
piece, the finish reason, then `[DONE]`. An answer may also be a callable that is shown the request, and a `Writer` makes
its pieces while it is read.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
from starlette.datastructures import Address
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.emulators.loopback import (
    Cut,
    Lifespan,
    LoopbackServer,
    Note,
    Pause,
    Raw,
    Refuse,
    Silence,
    forget,
    noticing_the_client_leave,
    refuse,
)


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
AZURE_SAFE = {"hate": {"filtered": False, "severity": "safe"}}
USAGE = chunk([], usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12})

Step = str | Pause | type[Cut] | Raw | Event

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stream:
    """Headers, then the steps in order; a str is a piece of the reply."""

    steps: tuple[Step, ...]
    finish: str | None = "stop"
    """None: the body just ends, without a finish reason or `[DONE]`."""

    def __init__(self, *steps: Step, finish: str | None = "stop") -> None:
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "finish", finish)

    async def write(self) -> AsyncGenerator[Step, None]:
        for step in self.steps:
            yield step


@dataclass(frozen=True)
class Writer:
    """A stream whose steps are made while it is read."""

    write: Callable[[], AsyncGenerator[Step, None]]
    finish: str | None = "stop"


def azure_delta(text: str) -> Event:
    """A piece as Azure sends it, with what its filter found."""
    choice = {
        "index": 0,
        "delta": {"content": text},
        "finish_reason": None,
        "content_filter_results": AZURE_SAFE,
    }
    return chunk([choice])


def azure_refuse(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **details: Any
) -> Refuse:
    """An error with Azure's body, which holds no more than code and message."""
    body = {"error": {"code": code, "message": message, **details}}
    return Refuse(status, message, code, headers=headers or {}, body=body)


AZURE_KEY_REFUSED = azure_refuse(
    401,
    "401",
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource.",
)
AZURE_ROLE_MISSING = azure_refuse(
    401,
    "PermissionDenied",
    "The principal `00000000` lacks the required data action "
    "`Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action`.",
)
AZURE_FIREWALL = azure_refuse(403, "403", "Access denied due to Virtual Network/Firewall rules.")
AZURE_NO_DEPLOYMENT = azure_refuse(
    404,
    "DeploymentNotFound",
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again.",
)
AZURE_NO_RESOURCE = azure_refuse(404, "404", "Resource not found")
AZURE_BUSY = azure_refuse(
    429,
    "429",
    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-05-01-preview have exceeded "
    "token rate limit of your current OpenAI S0 pricing tier. Please retry after 7 seconds.",
    {"retry-after": "7", "retry-after-ms": "6400", "x-ratelimit-remaining-tokens": "0"},
)
AZURE_FILTERED = azure_refuse(
    400,
    "content_filter",
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    type=None,
    param="prompt",
    innererror={
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
    },
)
AZURE_BROKEN = azure_refuse(
    500, "InternalServerError", "The server had an error while processing your request."
)


Answer = Stream | Writer | Refuse | Silence


@dataclass
class Exchange:
    """One request for a completion, and what became of it."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    target: str = ""
    """Path and query."""
    disconnected: threading.Event = field(default_factory=threading.Event)
    """Set when the client went away before the answer was complete."""

    async def client_left(self, within_seconds: float = 10) -> bool:
        return await anyio.to_thread.run_sync(self.disconnected.wait, within_seconds)


Decide: TypeAlias = Callable[[Exchange], Answer]


class ChatServer(LoopbackServer):
    """A chat model behind OpenAI's paths and Azure's.

    `azure_keys`: what Azure's paths let in, as `api-key` or as bearer token; None lets everybody in. `note`: told of
    each "request" and of each "token" as they pass the wire.
    """

    def __init__(
        self,
        *answers: Answer | Decide,
        models: tuple[str, ...] | Refuse = ("emulated",),
        deployments: tuple[str, ...] = ("gpt-4o",),
        azure_keys: tuple[str, ...] | None = None,
        port: int = 0,
        lifespan: Lifespan | None = None,
        note: Note = forget,
    ) -> None:
        self.answers = list(answers) or [Stream("Hello", " there.")]
        self.note = note
        self.models = models
        self.deployments = deployments
        self.azure_keys = azure_keys
        self.exchanges: list[Exchange] = []
        self.models_asked = 0
        self.connections: set[Address | None] = set()
        """Where requests came from, each kept connection once."""
        self._asked = threading.Event()
        completions = _Completions(self)
        super().__init__(
            Route("/v1/chat/completions", completions),
            Route("/v1/models", self._list_models),
            Route("/openai/v1/chat/completions", completions),
            Route("/openai/v1/models", self._list_models),
            Route("/openai/deployments/{deployment}/chat/completions", completions),
            Route("/openai/models", self._list_models),
            port=port,
            lifespan=lifespan,
        )

    async def was_asked(self) -> None:
        """Returns when a first request has arrived."""
        await anyio.to_thread.run_sync(self._asked.wait)

    def take(self, exchange: Exchange) -> Answer:
        """The answer to this request."""
        self.exchanges.append(exchange)
        self._asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not callable(answer):
            return answer
        try:
            return answer(exchange)
        except Exception as exc:
            self.fail(exc)
            raise

    def fail(self, exc: Exception) -> None:
        log.error("What answers in the emulated chat failed", exc_info=exc)
        self.failures.append(exc)

    def refuse_on_azure(self, request: Request, deployment: str | None) -> Refuse | None:
        """What Azure's front door says before it looks at the request itself. `deployment`: None for no matter."""
        classic = not request.url.path.startswith("/openai/v1/")
        offered = {request.headers.get("authorization", "").removeprefix("Bearer ")}
        offered.add(request.headers.get("api-key", ""))
        if self.azure_keys is not None and not offered.intersection(self.azure_keys):
            return AZURE_KEY_REFUSED
        if classic and not request.query_params.get("api-version"):
            return AZURE_NO_RESOURCE
        return AZURE_NO_DEPLOYMENT if deployment is not None and deployment not in self.deployments else None

    async def _list_models(self, request: Request) -> JSONResponse:
        if is_azure(request) and (refusal := self.refuse_on_azure(request, None)):
            return JSONResponse(refusal.payload(), refusal.status)
        self.models_asked += 1
        self.connections.add(request.client)
        if isinstance(self.models, Refuse):
            return JSONResponse(self.models.payload(), self.models.status)
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in self.models]
        return JSONResponse({"object": "list", "data": data})


def is_azure(request: Request) -> bool:
    return request.url.path.startswith("/openai/")


class _Completions:
    """POST /v1/chat/completions as a bare ASGI app, to see the client leave at any moment."""

    def __init__(self, server: ChatServer) -> None:
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.server.note("request", request.url.path)
        self.server.connections.add(request.client)
        body = await request.json()
        target = f"{request.url.path}?{request.url.query}".rstrip("?")
        deployment = request.path_params.get("deployment", body.get("model"))
        answer: Answer | None = None
        if is_azure(request):
            answer = self.server.refuse_on_azure(request, deployment)
        exchange = Exchange(body, request.headers, target)
        answer = answer or self.server.take(exchange)
        if isinstance(answer, Refuse):
            await refuse(answer, scope, receive, send)
            return
        async with noticing_the_client_leave(receive, exchange.disconnected):
            if isinstance(answer, Silence):
                await anyio.sleep_forever()
            elif not exchange.body.get("stream"):
                await JSONResponse(_completion())(scope, receive, send)
            else:
                await self._stream(answer, is_azure(request), send)

    async def _stream(self, answer: Stream | Writer, azure: bool, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(self._steps(answer, azure)) as steps:
            async for step in steps:
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                elif isinstance(step, type):
                    raise step
                else:
                    await send({"type": "http.response.body", "body": _encode(step), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _steps(self, answer: Stream | Writer, azure: bool) -> AsyncGenerator[Step, None]:
        if azure:
            yield AZURE_PROMPT_FILTER
        yield delta(role="assistant", content="", refusal=None)
        async with aclosing(answer.write()) as written:
            while True:
                try:
                    step = await anext(written)
                except StopAsyncIteration:
                    break
                except Exception as exc:
                    self.server.fail(exc)
                    raise Cut from exc
                if isinstance(step, str):
                    self.server.note("token", step)
                yield azure_delta(step) if azure and isinstance(step, str) else step
        if answer.finish is not None:
            for ending in (delta(answer.finish), USAGE, Raw(b"data: [DONE]\n\n")):
                yield ending


def _encode(step: str | Raw | Event) -> bytes:
    if isinstance(step, Raw):
        return step.data
    event = delta(content=step) if isinstance(step, str) else step
    return f"data: {json.dumps(event.payload, ensure_ascii=False)}\n\n".encode()


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": "H"}
    choices = [{"index": 0, "message": message, "finish_reason": "length"}]
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "emulated", "choices": choices}
