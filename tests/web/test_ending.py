"""What stays open for ever ends with the server; what ends by itself is left alone."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from voice.web.ending import EndEventStreams

pytestmark = pytest.mark.anyio


class Server:
    """Answers with a stream of this type that goes on for ever, or for so long."""

    def __init__(self, content_type: str, seconds: float = 3600) -> None:
        self.stop_event = asyncio.Event()
        self.sent: list[Message] = []
        self._content_type = content_type
        self._seconds = seconds

    async def answer(self) -> None:
        with anyio.fail_after(10):
            await EndEventStreams(self._stream)({"type": "http", "app": self}, self._receive, self._send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self._content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await anyio.sleep(self._seconds)
        await send({"type": "http.response.body", "body": b"end"})

    async def _receive(self) -> Message:
        raise AssertionError("Nobody asks")

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if message.get("more_body"):
            self.stop_event.set()


async def test_an_event_stream_ends_whole_when_the_server_stops() -> None:
    server = Server("text/event-stream; charset=utf-8")
    await server.answer()
    assert server.sent[-1] == {"type": "http.response.body", "body": b""}


async def test_another_answer_is_given_to_its_end() -> None:
    server = Server("audio/wav", seconds=0.05)
    await server.answer()
    assert server.sent[-1]["body"] == b"end"


async def test_a_stream_that_ended_by_itself_ends_once() -> None:
    server = Server("text/event-stream", seconds=0)
    await server.answer()
    assert [message.get("more_body") for message in server.sent].count(None) == 2  # its start, and one end
