"""Who talks over `/v1/realtime`: a page that comes again, and again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import anyio
import pytest

from tests.fakes import fake_engines
from tests.web.realtime import LIMITS, PATIENCE_SECONDS
from voice.session import Preferences, Session
from voice.turns.events import Rules
from voice.web.realtime.reception import Bounds, Guest, Line, Reception

pytestmark = pytest.mark.anyio


@dataclass
class Connection:
    """One that never leaves by itself."""

    reads: anyio.Event = field(default_factory=anyio.Event)
    """Until then it reads no more than it was greeted with."""
    kinds: list[str] = field(default_factory=list)
    """Of the events that came."""
    code: int | None = None
    """That it was closed with."""

    async def receive(self) -> None:
        await anyio.sleep_forever()

    async def send(self, text: str) -> None:
        kind = json.loads(text)["type"]
        if kind != "session.created":
            await self.reads.wait()
        self.kinds.append(kind)

    async def converse(self, reception: Reception, session: Session) -> None:
        closing = await reception.converse(
            Guest("a page", "en", session=session), Line(self.receive, self.send)
        )
        self.code = closing.code if closing else None


async def test_of_a_page_that_comes_twice_while_its_first_connection_ends_the_last_one_talks() -> None:
    engines = fake_engines()
    reception = Reception(engines, LIMITS, Preferences(), Bounds(), Rules())
    session = Session(engines, LIMITS)
    first, second, third = (Connection() for _ in range(3))
    with anyio.fail_after(PATIENCE_SECONDS):
        async with anyio.create_task_group() as tasks:
            for connection in (first, second, third):
                tasks.start_soon(connection.converse, reception, session)
                await anyio.wait_all_tasks_blocked()
            assert not second.kinds
            for connection in (first, second, third):
                connection.reads.set()
            while "kaiwa.transcript" not in third.kinds:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert (first.code, second.code, third.code) == (4409, 4409, None)
