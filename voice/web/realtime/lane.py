"""`/v1/realtime/lane`: the page's live conversation over plain HTTP, for networks that let no WebSocket through.

    GET  v1/realtime/lane        a response without end; its first line is {"type": "kaiwa.lane", "lane": LANE}
    POST v1/realtime/lane/LANE   the page's next events; one request at a time keeps their order

One event a line both ways, the same ones as on the WebSocket. Both want `Authorization: Bearer kaiwa-ticket.TICKET`.
An empty line says only that the lane is alive. Where the server ends it, the last line is {"type": "kaiwa.closed",
"code": CODE, "reason": SENTENCE}, as a WebSocket's close.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from voice import texts
from voice.session import Session
from voice.web.door import Door
from voice.web.realtime import PATH, TICKET_SUBPROTOCOL
from voice.web.realtime.reception import Guest, Line, Reception
from voice.web.tickets import Tickets

POST_BYTES = 1024 * 1024
"""Of events at once; the page gathers them for 150 ms, which is 10 kB of sound."""
WAITING_EVENTS = 256
ALIVE_SECONDS = 15.0
"""Proxies give up a response that is silent for a minute, the page for 40 seconds."""
MEDIA_TYPE = "application/x-ndjson"


def lane_routes(reception: Reception, door: Door, tickets: Tickets) -> list[Route]:
    lanes = Lanes(reception, door, tickets)
    return [
        Route(f"{PATH}/lane", lanes.open, methods=["GET"]),
        Route(f"{PATH}/lane/{{lane}}", lanes.take, methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class Lane:
    session: Session
    messages: MemoryObjectSendStream[str | None]
    """From the page; None when it has left."""


class Lanes:
    """One for the whole server."""

    def __init__(self, reception: Reception, door: Door, tickets: Tickets) -> None:
        self.reception = reception
        self.open_lanes: dict[str, Lane] = {}
        self._door = door
        self._tickets = tickets

    async def open(self, request: Request) -> Response:
        session = self._find_session(request)
        if session is None:
            return _refuse(request, 401, "ticket_unknown")
        return LaneResponse(self, session, _read_ticket(request))

    async def take(self, request: Request) -> Response:
        lane = self.open_lanes.get(request.path_params["lane"])
        session = self._find_session(request)
        if session is None:
            return _refuse(request, 401, "ticket_unknown")
        if lane is None or lane.session is not session:
            return Response(status_code=404)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > POST_BYTES:
                return Response(status_code=413)
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it ends just now
            for line in body.decode(errors="replace").splitlines():
                if line.strip():
                    await lane.messages.send(line)
        return Response(status_code=204)

    def _find_session(self, request: Request) -> Session | None:
        return self._tickets.find(_read_ticket(request)) if self._door.knows_origin(request) else None


class LaneResponse(Response):
    """Goes on as long as the conversation."""

    def __init__(self, lanes: Lanes, session: Session, ticket: str) -> None:
        super().__init__(
            media_type=MEDIA_TYPE,
            # nginx would gather what is to go at once.
            headers={"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"},
        )
        del self.headers["content-length"]
        self._lanes = lanes
        self._session = session
        self._guest = Guest(ticket, session.language, session=session)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = secrets.token_urlsafe(16)
        to_server, messages = anyio.create_memory_object_stream[str | None](WAITING_EVENTS)

        async def send_line(text: str) -> None:
            await send({"type": "http.response.body", "body": f"{text}\n".encode(), "more_body": True})

        async def keep_alive() -> None:
            while True:
                await anyio.sleep(ALIVE_SECONDS)
                await send_line("")

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            await to_server.send(None)

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send_line(json.dumps({"type": "kaiwa.lane", "lane": name}))
        self._lanes.open_lanes[name] = Lane(self._session, to_server)
        try:
            with to_server, messages:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(keep_alive)
                    tasks.start_soon(watch)
                    closing = await self._lanes.reception.converse(
                        self._guest, Line(messages.receive, send_line)
                    )
                    if closing is not None:
                        fields = {"type": "kaiwa.closed", "code": closing.code, "reason": closing.sentence}
                        await send_line(json.dumps(fields))
                    tasks.cancel_scope.cancel()
        finally:
            del self._lanes.open_lanes[name]
        await send({"type": "http.response.body", "body": b""})


def _read_ticket(request: Request) -> str:
    _, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip().removeprefix(TICKET_SUBPROTOCOL)


def _refuse(request: Request, status: int, sentence: str) -> Response:
    language = texts.pick_language(request.headers.get("accept-language"))
    return JSONResponse({"error": {"code": sentence, "message": texts.say(sentence, language)}}, status)
