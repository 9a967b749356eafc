"""Azure Speech on loopback: both WebSocket services as the SDK meets them, and the list of voices.

    with AzureSpeechServer(recognise=hearing(Partial("Hel"), END, Final("Hello."))) as server:
        AzureSpeechToText(SpeechResource(host=server.host, key="any"), ...)

What hears and what speaks behind the protocol are two callables that read a turn and yield steps
(`tests.emulators.azure_script`); both may be exchanged while the server runs. Protocol: as read off the wire of SDK 1.53.0.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Container, Coroutine, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.emulators.azure_script import (
    END,
    Close,
    Drop,
    Final,
    Heard,
    Hearing,
    Partial,
    Recogniser,
    RecognitionTurn,
    Saying,
    SynthesisTurn,
    VoiceBox,
    Word,
    hearing,
    hum,
    in_turn,
    say_nothing_new,
    saying,
)
from tests.emulators.azure_turns import Frame, Recognition, Synthesis
from tests.emulators.loopback import STALL, Note, Pause, forget

__all__ = [
    "END",
    "STALL",
    "AzureSpeechServer",
    "Close",
    "Drop",
    "Final",
    "Heard",
    "Hearing",
    "Partial",
    "Pause",
    "Recogniser",
    "RecognitionTurn",
    "Saying",
    "SynthesisTurn",
    "VoiceBox",
    "Word",
    "hearing",
    "hum",
    "in_turn",
    "say_nothing_new",
    "saying",
]

_QUIET = logging.getLogger("azure speech emulator")
# A cut connection is a failure to the library; here it is meant. Not `disabled`, which uvicorn's set-up takes back.
_QUIET.setLevel(logging.CRITICAL + 1)

T = TypeVar("T")
Handshake: TypeAlias = "int | Pause | None"


class AzureSpeechServer:
    """Serves in a thread and an event loop of its own between `with` and its end.

    An exception in `recognise` or `speak` closes the connection, and is raised again at the end of `with`.
    """

    def __init__(
        self,
        recognise: Recogniser = say_nothing_new,
        speak: VoiceBox = hum,
        handshake: Handshake | Callable[[], Handshake] = None,
        voices: Iterable[Mapping[str, str]] = (),
        port: int = 0,
        keys: Container[str] | None = None,
        note: Note = forget,
    ) -> None:
        """How it answers.

        `handshake`: None accepts, a status refuses, `STALL` never answers; a callable decides for each. `keys`: those
        that are let in, None for whatever comes. `note`: told of "audio's end", "final", "ssml" and
        "sound" as they pass the wire.
        """
        self.recognise = recognise
        self.speak = speak
        self.handshake = handshake
        self.voices = list(voices)
        self.keys = keys
        self.note = note
        self.failures: list[Exception] = []
        """What `recognise` and `speak` raised, which is a mistake in them."""
        self.requests: list[Request] = []
        """Every handshake and every plain request, in order."""
        self.recognitions: list[RecognitionTurn] = []
        self.syntheses: list[SynthesisTurn] = []
        self.connections: set[ServerConnection] = set()
        self._port = port
        self._started = threading.Event()
        self._not_started: OSError | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ending = asyncio.Event()
        self._server: Server
        self._thread = threading.Thread(target=self._run, name="azure speech emulator", daemon=True)

    @property
    def host(self) -> str:
        """Where `SpeechConfig(host=..)` is pointed at; also good as its endpoint."""
        return f"ws://127.0.0.1:{self._port}"

    def __enter__(self) -> AzureSpeechServer:
        self._thread.start()
        self._started.wait()
        if self._not_started:
            raise self._not_started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        if self.failures and not error:
            raise self.failures[0]

    def drop_connections(self) -> None:
        """Every connection there is now, as a service does with idle ones."""

        def drop() -> None:
            for connection in self.connections:
                connection.transport.abort()

        self._loop.call_soon_threadsafe(drop)

    def pause_listening(self) -> None:
        """Connections are refused, and those there are end."""
        self.run(self._stop_listening())

    def resume_listening(self) -> None:
        self.run(self._listen())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out `work` in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self) -> None:
        asyncio.run(self._serve())  # which also ends the handshakes that stall

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._listen()
        except OSError as error:  # the port is taken
            self._not_started = error
            return
        finally:
            self._started.set()
        await self._ending.wait()
        await self._stop_listening()

    async def _listen(self) -> None:
        self._server = await serve(
            self._converse,
            "127.0.0.1",
            self._port,
            process_request=self._shake_hands,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=0.2,
            open_timeout=None,
            logger=_QUIET,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def _stop_listening(self) -> None:
        for connection in self.connections:
            connection.transport.abort()
        self._server.close()

    async def _shake_hands(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        self.connections.add(connection)
        handshake = self.handshake() if callable(self.handshake) else self.handshake
        if isinstance(handshake, Pause):
            await asyncio.sleep(handshake.seconds)
        elif handshake is not None or not self._lets_in(request):
            return connection.respond(HTTPStatus(handshake or 401), "refused\n")
        if urlsplit(request.path).path.endswith("/voices/list"):
            await self._list_voices(connection)
        return None

    def _lets_in(self, request: Request) -> bool:
        offered = {request.headers.get("Ocp-Apim-Subscription-Key", "")}
        offered.add(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return self.keys is None or any(key in self.keys for key in offered)

    async def _list_voices(self, connection: ServerConnection) -> None:
        # The SDK takes the end of the connection for an error even behind a whole answer, so it is kept a while.
        body = json.dumps(self.voices, ensure_ascii=False).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.transport.write(head.encode() + body)
        await asyncio.sleep(0.3)
        connection.transport.abort()

    async def _converse(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        synthesis = urlsplit(connection.request.path).path.endswith("/cognitiveservices/websocket/v1")
        speaker = Synthesis(self, connection) if synthesis else Recognition(self, connection)
        try:
            with suppress(ConnectionClosed):
                async for message in connection:
                    await speaker.receive(Frame.decode(message))
        finally:
            self.connections.discard(connection)
            await speaker.end()
