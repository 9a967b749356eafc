"""`/v1/realtime`: the OpenAI Realtime protocol over a WebSocket on the page's own port.

The page's script and any stock client are clients alike. Programs come in by an API key, the page by its ticket.
Whom a key would have let in is told so by the HTTP status, before there is a WebSocket; all else by an event.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import ContextVar

import anyio
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from voice import texts
from voice.web.door import Closing, Door
from voice.web.realtime.reception import Guest, Line, Reception
from voice.web.tickets import Tickets

log = logging.getLogger(__name__)

PATH = "/v1/realtime"
SUBPROTOCOL = "realtime"
TICKET_SUBPROTOCOL = "kaiwa-ticket."
CLOSE_SECONDS = 2.0
MODEL_CHARACTERS = 100

_denied: ContextVar[bool] = ContextVar("denied", default=False)
"""Whether this connection was refused before there was a WebSocket."""

MESSAGE_BYTES = 32 * 1024 * 1024
"""That a client may send at once, for uvicorn's `ws_max_size`: more than the largest append, 20 MiB of base64, so that
one which is too large gets an answer."""


def realtime_route(reception: Reception, door: Door, tickets: Tickets) -> WebSocketRoute:
    """The route, for Gradio's `app_kwargs={"routes": [...]}`."""
    return WebSocketRoute(PATH, RealtimeSocket(reception, door, tickets).serve)


class RealtimeSocket:
    """One for the whole server."""

    def __init__(self, reception: Reception, door: Door, tickets: Tickets) -> None:
        self._reception = reception
        self._door = door
        self._tickets = tickets

    async def serve(self, websocket: WebSocket) -> None:
        """A connection, from the handshake to its end."""
        offered = websocket.scope.get("subprotocols", ())
        ticket = next((name for name in offered if name.startswith(TICKET_SUBPROTOCOL)), None)
        language = texts.pick_language(websocket.headers.get("accept-language"))
        if ticket is None:
            refusal = self._door.refusal(websocket)
            if refusal is not None:
                await _deny(websocket, refusal, language)
                return
            wants_times = websocket.query_params.get("kaiwa") == "1"
            user = name_user(websocket, self._door)
            guest = Guest(user, language, read_model(websocket), wants_times)
        elif not self._door.knows_origin(websocket):
            await _deny(websocket, Closing(4403, "origin_refused"), language)
            return
        else:
            session = self._tickets.find(ticket.removeprefix(TICKET_SUBPROTOCOL))
            guest = Guest(ticket, session.language if session else language, session=session)
        # Browsers close a connection whose subprotocols go unanswered; a key or a ticket is never sent back.
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        closing: Closing | None
        if ticket is not None and guest.session is None:
            closing = Closing(4401, "ticket_unknown")  # the page asks for another
        else:
            closing = await self._reception.converse(guest, _lay_line(websocket))
        if closing is not None:
            log.info("Closed a connection to %s: %s", PATH, closing.sentence)
            with suppress(RuntimeError), anyio.move_on_after(CLOSE_SECONDS):
                await websocket.close(closing.code, closing.sentence)


def _lay_line(websocket: WebSocket) -> Line:
    async def receive() -> str | bytes | None:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"")

    async def send(text: str) -> None:
        # What uvicorn says when the connection has ended; `receive` tells so too.
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.send_text(text)

    return Line(receive, send)


async def _deny(websocket: WebSocket, refusal: Closing, language: str) -> None:
    log.info("Refused a connection to %s: %s", PATH, refusal.sentence)
    error = {
        "type": "invalid_request_error",
        "code": "invalid_api_key" if refusal.code == 4401 else refusal.sentence,
        "message": texts.say(refusal.sentence, language, **refusal.details),
        "param": None,
    }
    _denied.set(True)
    await websocket.send_denial_response(JSONResponse({"error": error}, refusal.code - 4000))


def _is_no_denial(record: logging.LogRecord) -> bool:
    # uvicorn's sans-I/O protocol takes a handshake that was answered by an HTTP response, as ASGI allows, for none at all.
    return not (_denied.get() and "without completing handshake" in record.getMessage())


logging.getLogger("uvicorn.error").addFilter(_is_no_denial)


def name_user(connection: HTTPConnection, door: Door) -> str:
    """Whoever a program is: its key, or its address where anything goes for a key."""
    address = connection.client.host if connection.client else ""
    return door.find_key(connection) or address


def read_model(connection: HTTPConnection) -> str:
    return connection.query_params.get("model", "kaiwa")[:MODEL_CHARACTERS]
