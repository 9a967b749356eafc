"""Two turns of a session: one that meets a fault, one after it is mended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import ChatServer
from voice.engines import EngineError, Engines
from voice.session import Limits, Preferences, Session
from voice.session_events import Failed, Finished, TurnEvent

KEY = "a-key-that-stays-secret"
PATIENT = 15.0
"""Time-out where the fault is not about waiting."""
FAR_TOO_LONG = 40
"""The SDK's own patience is 60 s and more; on a busy machine a turn that ends by the time-out takes a few seconds."""
LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)
USUAL = Preferences(language="en", persona="Be kind.")

S = TypeVar("S", bound=AzureSpeechServer | ChatServer)
Service: TypeAlias = Literal["hears", "says", "writes"]
Told: TypeAlias = "tuple[type[EngineError], str] | None"
"""The error's class and its sentence; None where the turn is to succeed."""


@dataclass
class Outcome:
    """What came of a row."""

    failures: list[EngineError] = field(default_factory=list)
    said: str = ""
    """The reply as far as it was written."""
    ended: bool = False
    next_turn_failures: list[EngineError] | None = None
    """None: the next turn did not come to its end."""
    broke: Exception | None = None
    """Of the test itself."""


Turn: TypeAlias = Callable[[], AsyncGenerator[TurnEvent, None]]


@asynccontextmanager
async def serving(server: S) -> AsyncIterator[S]:
    """A server that starts and ends in a thread, since other rows wait on this event loop."""
    with ExitStack() as stack:
        await anyio.to_thread.run_sync(lambda: stack.enter_context(server))
        yield server
        await anyio.to_thread.run_sync(stack.close)


@asynccontextmanager
async def conversing(engines: Engines) -> AsyncIterator[Session]:
    try:
        yield Session(engines, LIMITS)
    finally:
        with anyio.fail_after(FAR_TOO_LONG):
            await engines.close()


async def meet_and_go_on(session: Session, take_turn: Turn, mend: Callable[[], None]) -> Outcome:
    """A turn that meets the fault, and one after `mend`."""
    outcome = Outcome()
    with anyio.move_on_after(FAR_TOO_LONG):
        events = await read(take_turn())
        outcome.failures = failures_of(events)
        outcome.ended = events[-1] == Finished()
        outcome.said = session.lines[-1].text if session.lines else ""
        await anyio.to_thread.run_sync(mend)
        outcome.next_turn_failures = failures_of(await read(take_turn()))
    return outcome


async def read(turn: AsyncGenerator[TurnEvent, None]) -> list[TurnEvent]:
    async with aclosing(turn) as events:
        return [event async for event in events]


def failures_of(events: list[TurnEvent]) -> list[EngineError]:
    return [event.error for event in events if isinstance(event, Failed)]
