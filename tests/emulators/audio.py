"""A speech server on loopback that speaks OpenAI's protocol and follows a script.

    with AudioServer(Said("Hello.", "english")) as server:
        OpenAISpeechToText(connect_openai(server.url), ...)

The first request gets the first answer, and so on; the last answer is repeated. The same server answers under Azure's
paths too.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.emulators.loopback import (
    LoopbackServer,
    Pause,
    Refuse,
    Silence,
    noticing_the_client_leave,
    refuse,
)


@dataclass(frozen=True)
class Said:
    """A transcript, in the format that is asked for."""

    text: str
    language: str = "english"
    """As OpenAI names it."""

    def payload(self, verbose: bool) -> dict[str, Any]:
        if not verbose:
            return {"text": self.text}
        segment = {"id": 0, "start": 0.0, "end": 1.0, "text": self.text, "no_speech_prob": 0.01}
        head = {"task": "transcribe", "language": self.language, "duration": 1.0}
        return {**head, "text": self.text, "segments": [segment]}


Step = bytes | Pause | type[Exception]


@dataclass(frozen=True)
class Body:
    """Headers, then the steps in order: sound, or whatever else a server may send under this type."""

    steps: tuple[Step, ...]
    content_type: str = "audio/pcm"
    content_length: int | None = None
    """What is promised, if anything; sent in chunks without."""

    def __init__(
        self, *steps: Step, content_type: str = "audio/pcm", content_length: int | None = None
    ) -> None:
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "content_type", content_type)
        object.__setattr__(self, "content_length", content_length)


Answer = Said | Body | Refuse | Silence


@dataclass
class Exchange:
    """One request, and what became of it."""

    target: str
    """Path and query."""
    headers: Mapping[str, str]
    fields: dict[str, Any]
    file: bytes = b""
    """What was uploaded."""
    disconnected: threading.Event = field(default_factory=threading.Event)
    """Set when the client went away before the answer was complete."""

    async def client_left(self, within_seconds: float = 10) -> bool:
        return await anyio.to_thread.run_sync(self.disconnected.wait, within_seconds)


class AudioServer(LoopbackServer):
    def __init__(self, *answers: Answer, models: tuple[str, ...] | Refuse = ("emulated",)) -> None:
        self.answers = list(answers)
        self.models = models
        self.exchanges: list[Exchange] = []
        self.models_asked = 0
        self._asked = threading.Event()
        audio = _Audio(self)
        super().__init__(
            *(
                Route(f"{prefix}/audio/{job}", audio)
                for prefix in ("/v1", "/openai/v1", "/openai/deployments/{deployment}")
                for job in ("speech", "transcriptions")
            ),
            Route("/v1/models", self._list_models),
        )

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
        return JSONResponse({"object": "list", "data": [{"id": name} for name in self.models]})


class _Audio:
    """A bare ASGI app, to see the client leave at any moment."""

    def __init__(self, server: AudioServer) -> None:
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = await _read(Request(scope, receive))
        answer = self.server.take(exchange)
        if isinstance(answer, Refuse):
            await refuse(answer, scope, receive, send)
            return
        async with noticing_the_client_leave(receive, exchange.disconnected):
            if isinstance(answer, Silence):
                await anyio.sleep_forever()
            elif isinstance(answer, Said):
                verbose = exchange.fields.get("response_format") == "verbose_json"
                await JSONResponse(answer.payload(verbose))(scope, receive, send)
            else:
                await _send_body(answer, send)


async def _read(request: Request) -> Exchange:
    target = f"{request.url.path}?{request.url.query}".rstrip("?")
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return Exchange(target, request.headers, await request.json())
    async with request.form() as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        upload = form["file"]
        file = await upload.read() if isinstance(upload, UploadFile) else b""
    return Exchange(target, request.headers, fields, file)


async def _send_body(body: Body, send: Send) -> None:
    headers = [(b"content-type", body.content_type.encode())]
    if body.content_length is not None:
        headers.append((b"content-length", str(body.content_length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for step in body.steps:
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
        elif isinstance(step, bytes):
            await send({"type": "http.response.body", "body": step, "more_body": True})
        else:
            raise step
    await send({"type": "http.response.body", "body": b""})
