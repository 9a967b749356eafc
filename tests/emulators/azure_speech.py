"""Azure Speech on loopback: both WebSocket services as the SDK meets them, and the list of voices.

    with AzureSpeechServer(recognise=hearing(Partial("Hel"), END, Final("Hello."))) as server:
        AzureSpeechToText(SpeechResource(host=server.host, key="any"), ...)

What hears and what speaks behind the protocol are two callables that read a turn and yield steps; `hearing` and `saying`
make them from a script, and both may be exchanged while the server runs. Protocol: as read off the wire of SDK 1.53.0.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

_QUIET = logging.getLogger("azure speech emulator")
_QUIET.disabled = True  # a cut connection is a failure to the library; here it is meant

TICKS = 10_000
"""Azure's unit of time, 100 ns, in a millisecond."""


# Steps


@dataclass(frozen=True)
class Pause:
    seconds: float


STALL = Pause(3600)
"""Silence that outlasts every test."""


@dataclass(frozen=True)
class Close:
    """The WebSocket is closed with this code."""

    code: int
    reason: str = ""


class Drop:
    """The TCP connection is gone, without a word."""


@dataclass(frozen=True)
class Heard:
    """Wait until so much audio has come, or its end."""

    ms: int


END = Heard(3_600_000)
"""Wait for the end of the audio."""


@dataclass(frozen=True)
class Partial:
    text: str
    start_ms: int = 0
    end_ms: int = 500
    language: str = ""
    """What language identification says, as "ja-JP"; empty for none."""


@dataclass(frozen=True)
class Final(Partial):
    status: str = "Success"
    """Or "NoMatch", "InitialSilenceTimeout", "BabbleTimeout", "Error", "TooManyRequests"."""


@dataclass(frozen=True)
class Word:
    text: str
    offset_ms: int
    boundary: str = "WordBoundary"


Hearing: TypeAlias = "Partial | Heard | Pause | Close | type[Drop]"
Saying: TypeAlias = "bytes | Word | Pause | Close | type[Drop]"


@dataclass
class RecognitionTurn:
    """What the client sends of one turn."""

    request_id: str
    languages: tuple[str, ...]
    context: Mapping[str, Any]
    """The `speech.context` message."""
    audio: bytearray = field(default_factory=bytearray)
    """16 kHz, 16 bits, mono; grows."""
    ended: bool = False
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hear(self, ms: int) -> None:
        """Returns when `ms` of audio have come, or the audio has ended."""
        async with self.grown:
            await self.grown.wait_for(lambda: self.ended or len(self.audio) >= 32 * ms)

    async def grow(self, data: bytes) -> None:
        async with self.grown:
            self.audio += data.removeprefix(data[:44]) if data.startswith(b"RIFF") else data
            self.ended = not data
            self.grown.notify_all()


@dataclass(frozen=True)
class SynthesisTurn:
    request_id: str
    ssml: str
    context: Mapping[str, Any]

    @property
    def text(self) -> str:
        return "".join(ElementTree.fromstring(self.ssml).itertext())

    @property
    def voice(self) -> str:
        voice = ElementTree.fromstring(self.ssml).find("{http://www.w3.org/2001/10/synthesis}voice")
        return "" if voice is None else voice.attrib["name"]


Recogniser: TypeAlias = Callable[[RecognitionTurn], AsyncGenerator[Hearing, None]]
VoiceBox: TypeAlias = Callable[[SynthesisTurn], AsyncGenerator[Saying, None]]


def hearing(*steps: Hearing) -> Recogniser:
    async def recognise(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        for step in steps:
            yield step

    return recognise


def saying(*steps: Saying) -> VoiceBox:
    async def speak(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
        for step in steps:
            yield step

    return speak


async def say_nothing_new(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
    """A plain recogniser: "Hello there." with a partial before it."""
    yield Heard(100)
    yield Partial("hello")
    yield END
    yield Final("Hello there.")


async def hum(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
    """A plain voice: 50 ms of sound for each character, a boundary for each word."""
    at = 0
    for word in turn.text.split():
        yield Word(word, at)
        yield bytes([1, 0]) * 24 * 50 * len(word)
        at += 50 * len(word)


def in_turn(
    *behaviours: Callable[[Any], AsyncGenerator[Any, None]],
) -> Callable[[Any], AsyncGenerator[Any, None]]:
    """The first turn by the first, and so on; the last is repeated."""
    left = list(behaviours)

    def behave(turn: Any) -> AsyncGenerator[Any, None]:
        return (left.pop(0) if len(left) > 1 else left[0])(turn)

    return behave


# The server


class AzureSpeechServer:
    """Serves in a thread and an event loop of its own between `with` and its end.

    `handshake`: None accepts, a status refuses, `STALL` never answers.
    """

    def __init__(
        self,
        recognise: Recogniser = say_nothing_new,
        speak: VoiceBox = hum,
        handshake: int | Pause | None = None,
        voices: Iterable[Mapping[str, str]] = (),
        port: int = 0,
    ) -> None:
        self.recognise = recognise
        self.speak = speak
        self.handshake = handshake
        self.voices = list(voices)
        self.requests: list[Request] = []
        """Every handshake and every plain request, in order."""
        self.recognitions: list[RecognitionTurn] = []
        self.syntheses: list[SynthesisTurn] = []
        self.connections: set[ServerConnection] = set()
        self._port = port
        self._started = threading.Event()
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def drop_connections(self) -> None:
        """Every connection there is now, as a service does with idle ones."""

        def drop() -> None:
            for connection in self.connections:
                connection.transport.abort()

        self._loop.call_soon_threadsafe(drop)

    def pause_listening(self) -> None:
        """Connections are refused, and those there are end."""
        asyncio.run_coroutine_threadsafe(self._stop_listening(), self._loop).result()

    def resume_listening(self) -> None:
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def _run(self) -> None:
        asyncio.run(self._serve())  # which also ends the handshakes that stall

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._listen()
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
        if isinstance(self.handshake, Pause):
            await asyncio.sleep(self.handshake.seconds)
        elif self.handshake is not None:
            return connection.respond(HTTPStatus(self.handshake), "refused\n")
        if urlsplit(request.path).path.endswith("/voices/list"):
            await self._list_voices(connection)
        return None

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
        speaker = _Synthesis(self, connection) if synthesis else _Recognition(self, connection)
        try:
            with suppress(ConnectionClosed):
                async for message in connection:
                    await speaker.receive(_Frame.decode(message))
        finally:
            self.connections.discard(connection)
            await speaker.end()


@dataclass(frozen=True)
class _Frame:
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def decode(cls, message: str | bytes) -> _Frame:
        if isinstance(message, str):
            head, _, body = message.partition("\r\n\r\n")
            return cls(_parse(head), body.encode())
        (length,) = struct.unpack_from(">H", message)
        return cls(_parse(message[2 : 2 + length].decode()), message[2 + length :])

    @property
    def path(self) -> str:
        return self.headers.get("path", "").lower()

    @property
    def request_id(self) -> str:
        return self.headers.get("x-requestid", "")

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body or b"{}")
        return content


def _parse(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines}


class _Speaker:
    """One connection; at most one turn at a time."""

    def __init__(self, server: AzureSpeechServer, connection: ServerConnection) -> None:
        self.server = server
        self.connection = connection
        self._turn: asyncio.Task[None] | None = None

    async def receive(self, frame: _Frame) -> None:
        raise NotImplementedError

    async def begin(self, turn: Any) -> None:
        await self.end()
        self._turn = asyncio.create_task(self._carry_out(turn))

    async def end(self) -> None:
        if self._turn:
            self._turn.cancel()
            await asyncio.wait([self._turn])

    async def _carry_out(self, turn: Any) -> None:
        with suppress(ConnectionClosed):
            await self.answer(turn)

    async def answer(self, turn: Any) -> None:
        raise NotImplementedError

    async def meet(self, step: Pause | Close | type[Drop]) -> None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Close):
            await self.connection.close(step.code, step.reason)
        else:
            self.connection.transport.abort()

    async def send(self, request_id: str, path: str, payload: Mapping[str, Any]) -> None:
        head = (
            f"X-RequestId:{request_id}\r\nContent-Type:application/json; charset=utf-8\r\nPath:{path}\r\n\r\n"
        )
        await self.connection.send(head + json.dumps(payload, ensure_ascii=False))

    async def send_sound(self, request_id: str, stream_id: str, data: bytes) -> None:
        head = f"X-RequestId:{request_id}\r\nContent-Type:audio/x-wav\r\nX-StreamId:{stream_id}\r\nPath:audio\r\n"
        await self.connection.send(struct.pack(">H", len(head)) + head.encode() + data)

    async def start(self, request_id: str) -> None:
        await self.send(request_id, "turn.start", {"context": {"serviceTag": uuid.uuid4().hex}})


class _Recognition(_Speaker):
    def __init__(self, server: AzureSpeechServer, connection: ServerConnection) -> None:
        super().__init__(server, connection)
        self._hears: RecognitionTurn | None = None

    async def receive(self, frame: _Frame) -> None:
        if frame.path == "speech.context":
            self._hears = RecognitionTurn(frame.request_id, self._languages(frame.json()), frame.json())
            self.server.recognitions.append(self._hears)
            await self.begin(self._hears)
        elif frame.path == "audio" and self._hears and frame.request_id == self._hears.request_id:
            await self._hears.grow(frame.body)

    def _languages(self, context: Mapping[str, Any]) -> tuple[str, ...]:
        identified = context.get("languageId", {}).get("languages")
        if identified:
            return tuple(identified)
        assert self.connection.request is not None
        asked = parse_qs(urlsplit(self.connection.request.path).query).get("language")
        language = context.get("phraseDetection", {}).get("language") or context.get("language")
        return tuple(asked or ([language] if language else []))

    async def answer(self, turn: RecognitionTurn) -> None:
        started = spoken = False
        async with aclosing(self.server.recognise(turn)) as steps:
            async for step in steps:
                if isinstance(step, Heard):
                    await turn.hear(step.ms)
                elif not isinstance(step, Partial):
                    await self.meet(step)
                else:
                    if not started:
                        await self.start(turn.request_id)
                    if not spoken and getattr(step, "status", "Success") == "Success":
                        offset = {"Offset": step.start_ms * TICKS}
                        await self.send(turn.request_id, "speech.startDetected", offset)
                        spoken = True
                    started = True
                    await self._say(turn, step)
        if not started:
            await self.start(turn.request_id)
        await turn.hear(END.ms)
        offset = {"Offset": len(turn.audio) // 32 * TICKS}
        await self.send(turn.request_id, "speech.endDetected", offset)
        ending = {"RecognitionStatus": "EndOfDictation", **offset, "Duration": 0}
        await self.send(turn.request_id, "speech.phrase", ending)
        await self.send(turn.request_id, "turn.end", {})

    async def _say(self, turn: RecognitionTurn, step: Partial) -> None:
        payload: dict[str, Any] = {
            "Id": uuid.uuid4().hex,
            "Offset": step.start_ms * TICKS,
            "Duration": (step.end_ms - step.start_ms) * TICKS,
        }
        if step.language:
            payload["PrimaryLanguage"] = {"Language": step.language, "Confidence": "High"}
        if isinstance(step, Final):
            payload |= {"RecognitionStatus": step.status, "DisplayText": step.text}
            await self.send(turn.request_id, "speech.phrase", payload)
        else:
            await self.send(turn.request_id, "speech.hypothesis", payload | {"Text": step.text})


class _Synthesis(_Speaker):
    def __init__(self, server: AzureSpeechServer, connection: ServerConnection) -> None:
        super().__init__(server, connection)
        self._context: dict[str, Any] = {}

    async def receive(self, frame: _Frame) -> None:
        if frame.path == "synthesis.context":
            self._context = frame.json()
        elif frame.path == "ssml":
            turn = SynthesisTurn(frame.request_id, frame.body.decode(), self._context)
            self.server.syntheses.append(turn)
            await self.begin(turn)
        elif frame.path == "synthesis.control" or frame.path == "stop":
            await self.end()

    async def answer(self, turn: SynthesisTurn) -> None:
        started = False
        stream_id = uuid.uuid4().hex
        async with aclosing(self.server.speak(turn)) as steps:
            async for step in steps:
                if not isinstance(step, (bytes, Word)):
                    await self.meet(step)
                    continue
                if not started:
                    await self.start(turn.request_id)
                    started = True
                if isinstance(step, Word):
                    await self.send(turn.request_id, "audio.metadata", _boundary(step))
                else:
                    await self.send_sound(turn.request_id, stream_id, step)
        if not started:
            await self.start(turn.request_id)
        await self.send_sound(turn.request_id, stream_id, b"")
        await self.send(turn.request_id, "turn.end", {})


def _boundary(word: Word) -> dict[str, Any]:
    text = {"Text": word.text, "Length": len(word.text), "BoundaryType": word.boundary}
    data = {"Offset": word.offset_ms * TICKS, "Duration": 50 * TICKS, "text": text}
    return {"Metadata": [{"Type": "WordBoundary", "Data": data}]}
