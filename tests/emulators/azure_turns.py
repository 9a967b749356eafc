"""One connection of the emulated Azure Speech: the protocol's frames, and a turn carried out in them."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import uuid
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.emulators.azure_script import (
    BYTES_PER_MS,
    END,
    Close,
    Drop,
    Final,
    Heard,
    Partial,
    RecognitionTurn,
    SynthesisTurn,
    Word,
)
from tests.emulators.loopback import Pause

if TYPE_CHECKING:
    from tests.emulators.azure_speech import AzureSpeechServer

log = logging.getLogger(__name__)

TICKS = 10_000
"""Azure's unit of time, 100 ns, in a millisecond."""


@dataclass(frozen=True)
class Frame:
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def decode(cls, message: str | bytes) -> Frame:
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


class Speaker:
    """One connection; at most one turn at a time."""

    def __init__(self, server: AzureSpeechServer, connection: ServerConnection) -> None:
        self.server = server
        self.connection = connection
        self._turn: asyncio.Task[None] | None = None

    async def receive(self, frame: Frame) -> None:
        raise NotImplementedError

    async def begin(self, turn: Any) -> None:
        await self.end()
        self._turn = asyncio.create_task(self._carry_out(turn))

    async def end(self) -> None:
        if self._turn:
            self._turn.cancel()
            await asyncio.wait([self._turn])

    async def _carry_out(self, turn: Any) -> None:
        try:
            with suppress(ConnectionClosed):
                await self.answer(turn)
        except Exception as exc:
            log.exception("What hears or speaks in the emulated Azure Speech failed")
            self.server.failures.append(exc)
            await self.connection.close(1011, "the emulator failed")

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


class Recognition(Speaker):
    def __init__(self, server: AzureSpeechServer, connection: ServerConnection) -> None:
        super().__init__(server, connection)
        self._hears: RecognitionTurn | None = None

    async def receive(self, frame: Frame) -> None:
        if frame.path == "speech.context":
            self._hears = RecognitionTurn(frame.request_id, self._languages(frame.json()), frame.json())
            self.server.recognitions.append(self._hears)
            await self.begin(self._hears)
        elif frame.path == "audio" and self._hears and frame.request_id == self._hears.request_id:
            if not frame.body:
                self.server.note("audio's end", "")
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
        offset = {"Offset": len(turn.audio) * TICKS // BYTES_PER_MS}
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
            self.server.note("final", step.text)
            await self.send(turn.request_id, "speech.phrase", payload)
        else:
            await self.send(turn.request_id, "speech.hypothesis", payload | {"Text": step.text})


class Synthesis(Speaker):
    def __init__(self, server: AzureSpeechServer, connection: ServerConnection) -> None:
        super().__init__(server, connection)
        self._context: dict[str, Any] = {}

    async def receive(self, frame: Frame) -> None:
        if frame.path == "synthesis.context":
            self._context = frame.json()
        elif frame.path == "ssml":
            turn = SynthesisTurn(frame.request_id, frame.body.decode(), self._context)
            self.server.syntheses.append(turn)
            self.server.note("ssml", turn.text)
            await self.begin(turn)
        elif frame.path == "synthesis.control" or frame.path == "stop":
            await self.end()

    async def answer(self, turn: SynthesisTurn) -> None:
        started = sounded = False
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
                    if not sounded:
                        self.server.note("sound", turn.text)
                    sounded = True
                    await self.send_sound(turn.request_id, stream_id, step)
        if not started:
            await self.start(turn.request_id)
        await self.send_sound(turn.request_id, stream_id, b"")
        await self.send(turn.request_id, "turn.end", {})


def _boundary(word: Word) -> dict[str, Any]:
    text = {"Text": word.text, "Length": len(word.text), "BoundaryType": word.boundary}
    data = {"Offset": word.offset_ms * TICKS, "Duration": 50 * TICKS, "text": text}
    return {"Metadata": [{"Type": "WordBoundary", "Data": data}]}
