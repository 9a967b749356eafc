"""`/api/chat`: text in, text and sound out, over a WebSocket on the page's own port.

A client sends a line of text. It receives the reply as a text message, then what is spoken of it as one binary message,
a WAV file. What goes wrong is told in a text message too, and the connection stays. Lines are answered in order. Each
connection is a conversation of its own, gone when it closes.

What keeps a connection from being opened, or ends it, is told in a text message and by the code of the close, which
is 4000 + the HTTP status of the same meaning; its reason is the key of the sentence. The connection is accepted first:
of one that is refused outright a browser shows its script nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from voice import texts
from voice.audio import Pcm, encode_wav, join
from voice.engines import Engines
from voice.session import Limits, Preferences, Session
from voice.session_events import Failed, Replied, ReplyGrew, Spoke, TurnEvent
from voice.web.door import Closing, Door
from voice.web.figures import Figures

log = logging.getLogger(__name__)

PATH = "/api/chat"
SUBPROTOCOL = "kaiwa"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one client may ask for. Meant for people, who type or speak: a program in a hurry opens more connections."""

    connections: int = 16
    """At once, of one address; a household or an office may share it."""
    messages_per_minute: int = 30
    """Of one connection."""
    waiting: int = 4
    """Lines that may wait for the one being answered."""
    refusals: int = 20
    """Messages refused in a minute, for coming too fast or for being no text, before the connection is closed."""
    idle_seconds: float = 1800


def chat_route(
    engines: Engines,
    limits: Limits,
    preferences: Preferences | None = None,
    door: Door | None = None,
    bounds: Bounds | None = None,
    figures: Figures | None = None,
) -> WebSocketRoute:
    """The route, for Gradio's `app_kwargs={"routes": [...]}`. `preferences`: voice, speed and persona of every client."""
    socket = ChatSocket(
        engines,
        limits,
        preferences or Preferences(),
        door or Door(),
        bounds or Bounds(),
        figures or Figures(),
    )
    return WebSocketRoute(PATH, socket.serve)


class ChatSocket:
    """One for the whole server."""

    def __init__(
        self,
        engines: Engines,
        limits: Limits,
        preferences: Preferences,
        door: Door,
        bounds: Bounds,
        figures: Figures,
    ) -> None:
        self._engines = engines
        self._limits = limits
        self._preferences = preferences
        self._door = door
        self._bounds = bounds
        self._figures = figures
        self._open: Counter[str] = Counter()
        """Connections by the address they come from."""

    async def serve(self, websocket: WebSocket) -> None:
        """A connection, from the handshake to its end."""
        language = texts.pick_language(websocket.headers.get("accept-language"))
        client = Client(websocket, language)
        try:
            await client.accept()
            with self._counting(websocket) as number:
                closing = self._door.refusal(websocket)
                if closing is None and number > self._bounds.connections:
                    closing = Closing(4429, "too_many_connections", {"limit": self._bounds.connections})
                closing = closing or await self._converse(client)
                if closing is not None:
                    await client.close(closing)
        except WebSocketDisconnect:
            pass

    @contextmanager
    def _counting(self, websocket: WebSocket) -> Iterator[int]:
        address = websocket.client.host if websocket.client else ""
        self._open[address] += 1
        try:
            yield self._open[address]
        finally:
            self._open[address] -= 1
            self._open += Counter()  # forgets addresses without connections

    async def _converse(self, client: Client) -> Closing | None:
        """Answer until the client leaves (None), or must."""
        session = Session(self._engines, self._limits, client.language)
        self._figures.follow(session)
        closing: Closing | None = None
        try:
            lines_in, lines_out = anyio.create_memory_object_stream[str](self._bounds.waiting)
            async with lines_in, lines_out, anyio.create_task_group() as tasks:
                tasks.start_soon(self._answer, lines_out, client, session, tasks.cancel_scope)
                closing = await Reader(client, lines_in, self._bounds, self._limits).read()
                tasks.cancel_scope.cancel()
        finally:
            # The turn under way is a task of the session's own.
            with anyio.CancelScope(shield=True):
                await session.stop()
        return closing

    async def _answer(
        self,
        lines: MemoryObjectReceiveStream[str],
        client: Client,
        session: Session,
        connection: anyio.CancelScope,
    ) -> None:
        try:
            async for line in lines:
                async with aclosing(session.answer_text(line, self._preferences)) as turn:
                    await _tell(turn, client)
        except WebSocketDisconnect:
            connection.cancel()


async def _tell(turn: AsyncGenerator[TurnEvent, None], client: Client) -> None:
    unsent = ""
    failures: list[Failed] = []
    sound: list[Pcm] = []
    async for event in turn:
        match event:
            case ReplyGrew(text):
                unsent = text
            case Replied(text):
                unsent = ""
                await client.send_text(text)
            case Spoke(speech):
                sound.append(speech.pcm)
            case Failed():
                failures.append(event)
            case _:
                pass
    if unsent.strip():
        await client.send_text(unsent)
    for failed in failures:
        await client.say(failed.error.sentence, **failed.error.details)
    if any(pcm.data for pcm in sound):
        await client.send_bytes(encode_wav(join(sound, sound[0].rate)))


class Client:
    """The other end of a connection, and the language it reads."""

    def __init__(self, websocket: WebSocket, language: str) -> None:
        self.language = language
        self._websocket = websocket

    async def accept(self) -> None:
        # Browsers close a connection whose subprotocols go unanswered; a key is never sent back.
        offered = self._websocket.scope.get("subprotocols", ())
        await self._websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            WebSocketDisconnect: the client has left, or the server is about to end.
        """
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text: str | None = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"")

    async def say(self, sentence: str, **details: str | int | float) -> None:
        await self.send_text(texts.say(sentence, self.language, **details))

    async def send_text(self, text: str) -> None:
        # Half of a surrogate pair, which a model may write, is no Unicode text.
        with _noticing_its_end():
            await self._websocket.send_text(text.encode(errors="replace").decode())

    async def send_bytes(self, data: bytes) -> None:
        with _noticing_its_end():
            await self._websocket.send_bytes(data)

    async def close(self, closing: Closing) -> None:
        log.info("Closed a connection to %s: %s", PATH, closing.sentence)
        await self.say(closing.sentence, **closing.details)
        with _noticing_its_end():
            await self._websocket.close(closing.code, closing.sentence)


@contextmanager
def _noticing_its_end() -> Iterator[None]:
    """What uvicorn says when it has closed the connection itself, for a broken frame or a missing pong."""
    try:
        yield
    except RuntimeError as exc:
        raise WebSocketDisconnect(1006) from exc


class Reader:
    """Takes a client's messages in; refuses at once what cannot be answered.

    A client that does not read what it is sent is not read from either, so it holds no more than a reply's sound and
    the lines waiting.
    """

    def __init__(
        self, client: Client, lines: MemoryObjectSendStream[str], bounds: Bounds, limits: Limits
    ) -> None:
        self._client = client
        self._lines = lines
        self._bounds = bounds
        self._limit = limits.text_characters
        self._longest = 4 * self._limit + 1024
        """Characters, or bytes; what is a little too long is told so by the session."""
        self._taken: deque[float] = deque()
        self._refused: deque[float] = deque()

    async def read(self) -> Closing | None:
        """Until the client leaves (None), or must."""
        while True:
            message: str | bytes | None = None
            try:
                with anyio.move_on_after(self._bounds.idle_seconds):
                    message = await self._client.receive()
                if message is None:
                    return Closing(4408, "idle_too_long")
                if len(message) > self._longest:
                    return Closing(4413, "message_too_large", {"limit": self._limit})
                await self._take(message)
            except WebSocketDisconnect:
                return None
            if len(self._refused) > self._bounds.refusals:
                return Closing(4429, "too_many_messages", {"limit": self._bounds.messages_per_minute})

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            await self._refuse("only_text")
        elif _count_last_minute(self._taken) >= self._bounds.messages_per_minute:
            await self._refuse("too_many_messages", limit=self._bounds.messages_per_minute)
        else:
            try:
                self._lines.send_nowait(message)
            except anyio.WouldBlock:
                await self._refuse("too_many_waiting", limit=self._bounds.waiting)
            else:
                self._taken.append(anyio.current_time())

    async def _refuse(self, sentence: str, **details: int) -> None:
        _count_last_minute(self._refused)
        self._refused.append(anyio.current_time())
        await self._client.say(sentence, **details)


def _count_last_minute(times: deque[float]) -> int:
    """Drops what is older."""
    while times and times[0] <= anyio.current_time() - 60:
        times.popleft()
    return len(times)
