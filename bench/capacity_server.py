"""`python -m bench.capacity_server`: `/v1/realtime` with scripted engines in the same process, which take no time of note."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette

from bench.capacity import REPLY
from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech, fake_engines
from voice.engines import Transcript
from voice.session import Limits, Preferences
from voice.turns.events import Rules
from voice.web.door import Door
from voice.web.realtime import MESSAGE_BYTES, realtime_route
from voice.web.realtime.reception import Bounds, Reception
from voice.web.tickets import Tickets

LIMITS = Limits(recording_seconds=60, text_characters=1000, history_tokens=1500)
MANY = 10_000


class Again(list[Any]):
    """A script whose first entry is played again and again."""

    def pop(self, _: Any = 0) -> Any:
        return self[0]


class Forgotten(list[Any]):
    """What a fake writes down for tests."""

    def append(self, _: Any) -> None: ...


def main() -> None:
    """Serve until the process is ended; prints the address."""
    ears = FakeSpeechToText(
        Again([Transcript("Tell me something.", final=True, language="en")]), heard=Forgotten()
    )
    chat = FakeChat(Again([REPLY.split(" ")]), prompts=Forgotten(), options=Forgotten())
    chat.script[0] = [f"{word} " for word in chat.script[0]]  # type: ignore[union-attr]
    engines = fake_engines(ears, chat, FakeTextToSpeech(spoken=Forgotten()))
    reception = Reception(
        engines, LIMITS, Preferences(), Bounds(sessions=MANY, sessions_per_user=MANY), Rules()
    )
    app = Starlette(routes=[realtime_route(reception, Door(), Tickets())])
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws_max_size=MESSAGE_BYTES)
        asyncio.run(uvicorn.Server(config).serve([listening]))


if __name__ == "__main__":
    main()
