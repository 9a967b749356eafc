"""`/v1/realtime` on loopback, and a stock client that checks each event by the openai package's types."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import uvicorn
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from tests.fakes import fake_engines
from tests.speech import read_clips
from voice.audio import VOICE_RATE, Pcm, join, resample
from voice.engines import Engines
from voice.recordings import decode_recording
from voice.session import Limits, Preferences
from voice.turns.events import Rules
from voice.web.door import Door
from voice.web.realtime import MESSAGE_BYTES, realtime_route
from voice.web.realtime.reception import Bounds, Reception
from voice.web.tickets import Tickets

LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
PATIENCE_SECONDS = 60
"""Against hanging; all of it is over in a second."""


@asynccontextmanager
async def serving(
    engines: Engines | None = None,
    *,
    door: Door | None = None,
    tickets: Tickets | None = None,
    bounds: Bounds | None = None,
    rules: Rules | None = None,
    greeting: str = "",
) -> AsyncIterator[str]:
    """Host and port of a server, which leaves no task behind."""
    reception = Reception(
        engines or fake_engines(),
        LIMITS,
        Preferences(persona="Be kind."),
        bounds or Bounds(),
        rules or Rules(),
        greeting,
    )
    route = realtime_route(reception, door or Door(), tickets or Tickets())
    async with serving_routes(route) as host:
        yield host


@asynccontextmanager
async def serving_routes(*routes: BaseRoute) -> AsyncIterator[str]:
    before = asyncio.all_tasks()
    config = uvicorn.Config(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=0,
        log_level="critical",
        lifespan="off",
        ws_max_size=MESSAGE_BYTES,
    )
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        try:
            host, number = server.servers[0].sockets[0].getsockname()
            yield f"{host}:{number}"
        finally:
            server.should_exit = True
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=5)
    assert not [task for task in left if not task.done()]


@dataclass
class Caller:
    """A connection of the openai client's."""

    connection: AsyncRealtimeConnection
    events: list[Any] = field(default_factory=list)
    """All that came, checked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    async def next(self) -> Any:
        event = SERVER_EVENT.validate_json(await self.connection.recv_bytes())
        assert event.event_id not in [earlier.event_id for earlier in self.events]
        self.events.append(event)
        return event

    async def until(self, kind: str) -> Any:
        """The next event of that type."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while (event := await self.next()).type != kind:
                pass
        return event

    async def send_text(self, text: str) -> None:
        """A frame as it is."""
        await self.connection._connection.send(text)

    async def say(self, text: str) -> Any:
        """A text turn; its `response.done`."""
        await self.create_message(text)
        await self.connection.response.create()
        return await self.until("response.done")

    async def create_message(self, text: str, **options: Any) -> None:
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            **options,
        )

    async def update(self, **session: Any) -> Any:
        changes: Any = {"type": "realtime", **session}
        await self.connection.session.update(session=changes)
        return await self.until("session.updated")

    async def listen_for(self, seconds: float) -> list[Any]:
        """What comes within that time."""
        count = len(self.events)
        with anyio.move_on_after(seconds):
            while True:
                await self.next()
        return self.events[count:]

    async def append(self, pcm: Pcm, ms: int = 100) -> None:
        """Sound, in pieces, faster than real time."""
        size = 2 * pcm.rate * ms // 1000
        for start in range(0, len(pcm.data), size):
            piece = base64.b64encode(pcm.data[start : start + size]).decode()
            await self.connection.input_audio_buffer.append(audio=piece)

    @property
    def kinds(self) -> list[str]:
        return [event.type for event in self.events]

    def all(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]


@asynccontextmanager
async def calling(host: str, key: str = "unused", model: str = "some-model") -> AsyncIterator[Caller]:
    """A client that was greeted."""
    async with (
        AsyncOpenAI(base_url=f"http://{host}/v1", api_key=key) as client,
        client.realtime.connect(model=model) as connection,
    ):
        caller = Caller(connection)
        created = await caller.next()
        assert created.type == "session.created"
        yield caller


def read_speech(clip: int = 4, silence_ms: int = 1500) -> Pcm:
    """A person who speaks, 24 kHz, between silences."""
    spoken = resample(decode_recording(read_clips("en")[clip].path, max_seconds=60), VOICE_RATE)
    return join([Pcm.silence(300, VOICE_RATE), spoken, Pcm.silence(silence_ms, VOICE_RATE)])


def collapse(kinds: list[str]) -> list[str]:
    """Runs of the same event, as of deltas, as one."""
    return [kind for place, kind in enumerate(kinds) if not place or kinds[place - 1] != kind]
