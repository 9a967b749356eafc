"""Who talks over `/v1/realtime`, however they come: how many may, for how long, and with which conversation."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import anyio

from voice import texts
from voice.engines import Engines
from voice.live import LiveLimits
from voice.live.events import LiveEvent
from voice.live.pace import Pace
from voice.session import Limits, Preferences, Session
from voice.turns.events import Rules
from voice.web.door import Closing
from voice.web.figures import Figures
from voice.web.realtime.events import Refused, ServerEvent, make_error
from voice.web.realtime.outbox import Outbox
from voice.web.realtime.page import PageTalk, make_notice
from voice.web.realtime.talk import Talk

log = logging.getLogger(__name__)

BUFFERED_SECONDS = 330.0
"""Of the user's sound: what the largest append holds, 15 MiB at 24 kHz."""
LAST_WORDS_SECONDS = 5.0
"""For what the client is yet to be told when the conversation ends."""

PROGRAM_CODES = {"live_too_long": "session_expired", "turn_broke": "server_error"}
"""The protocol's own, where it has some."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the live conversations may take."""

    session_seconds: float = 1800
    sessions: int = 100
    sessions_per_user: int = 4
    """Of one page, of one key, or of one address where no key is asked for."""
    idle_seconds: float = 60
    """On the page, without anybody speaking, until it asks once, and again until it sleeps."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A client that was let in."""

    user: str
    """Whoever it is, for the number of its conversations."""
    language: str
    """Of what it is told."""
    model: str = "kaiwa"
    """What it calls this server's."""
    wants_times: bool = False
    """Whether it asks for `kaiwa.metrics`, which the protocol does not know."""
    session: Session | None = None
    """The page's own; programs get a new one."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way to a client and back."""

    receive: Callable[[], Awaitable[str | bytes | None]]
    """Its next message; None when it has left."""
    send: Callable[[str], Awaitable[None]]


class Reception:
    """One for the whole server."""

    def __init__(
        self,
        engines: Engines,
        limits: Limits,
        preferences: Preferences,
        bounds: Bounds,
        rules: Rules,
        greeting: str = "",
        figures: Figures | None = None,
    ) -> None:
        """`rules`: of a page's conversation at first; what the protocol has no words for holds for programs too.

        `greeting`: what a page's conversation begins with.
        """
        self._engines = engines
        self._limits = limits
        self._preferences = preferences
        self._bounds = bounds
        self._rules = rules
        self._greeting = greeting
        self._figures = figures or Figures()
        self._pace = Pace()
        self._users: Counter[str] = Counter()
        self._visits: set[_Visit] = set()
        self._pages: WeakKeyDictionary[Session, _Visit] = WeakKeyDictionary()
        engines.before_closing(self.end_all)

    async def converse(self, guest: Guest, line: Line) -> Closing | None:
        """Until the client leaves (None), or must: then it has been told why."""
        async with self._replacing_earlier(guest) as visit:
            with self._counting(guest.user) as full:
                if full is not None:
                    await line.send(json.dumps(_word(full, guest)))
                    return full
                with self._figures.live_conversation() as figures:
                    return await self._talk(guest, line, visit, figures.observe)

    async def end_all(self) -> None:
        """All conversations, since the server ends: clients may come again."""
        for visit in list(self._visits):
            visit.leave(None)
            await visit.gone.wait()

    async def _talk(
        self, guest: Guest, line: Line, visit: _Visit, observe: Callable[[LiveEvent], None]
    ) -> Closing | None:
        outbox = Outbox()
        talk = self._open(guest, outbox.put, observe)
        closing: Closing | None = None
        ended = False

        def end(why: Closing | None) -> None:
            nonlocal closing, ended
            if not ended:
                closing, ended = why, True
                conversation.cancel()

        async def pour() -> None:
            if not await outbox.pour(line.send):
                end(Closing(1013, "reads_too_slowly"))

        async def live() -> None:
            try:
                await talk.run()
            except Exception:
                log.exception("A live conversation broke")
                end(Closing(1011, "turn_broke"))

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(self._bounds.session_seconds) as conversation:
                tasks.start_soon(pour)
                talk.begin()
                visit.begin(end)
                try:
                    async with anyio.create_task_group() as conversing:
                        conversing.start_soon(live)
                        while (message := await line.receive()) is not None:
                            await talk.take(message)
                        conversing.cancel_scope.cancel()
                finally:
                    talk.end()
            if conversation.cancelled_caught and not ended:
                closing = Closing(
                    4408, "live_too_long", {"minutes": math.ceil(self._bounds.session_seconds / 60)}
                )
            if closing is None:
                tasks.cancel_scope.cancel()
            else:
                outbox.put(_word(closing, guest))
                outbox.complete()
                tasks.cancel_scope.deadline = anyio.current_time() + LAST_WORDS_SECONDS
        return closing

    def _open(
        self, guest: Guest, send: Callable[[ServerEvent], None], observe: Callable[[LiveEvent], None]
    ) -> Talk:
        seconds = self._bounds.session_seconds
        if guest.session is not None:
            limits = LiveLimits(self._bounds.idle_seconds, BUFFERED_SECONDS, self._pace)
            return PageTalk(guest.session, send, self._rules, limits, seconds, observe, self._greeting)
        session = Session(self._engines, self._limits, guest.language, self._preferences)
        limits = LiveLimits(0, BUFFERED_SECONDS, self._pace)
        return Talk(session, send, self._rules, limits, seconds, observe, guest.model, guest.wants_times)

    @contextmanager
    def _counting(self, user: str) -> Iterator[Closing | None]:
        """What stands against one conversation more."""
        self._users[user] += 1
        try:
            if self._users.total() > self._bounds.sessions:
                yield Closing(4429, "too_many_live")
            elif self._users[user] > self._bounds.sessions_per_user:
                yield Closing(4429, "too_many_live_of_user", {"limit": self._bounds.sessions_per_user})
            else:
                yield None
        finally:
            self._users[user] -= 1
            self._users += Counter()  # forgets users without conversations

    @asynccontextmanager
    async def _replacing_earlier(self, guest: Guest) -> AsyncIterator[_Visit]:
        """A page that comes again has lost its connection, which the server may be the last to know."""
        visit = _Visit()
        earlier: _Visit | None = None
        if guest.session is not None:
            earlier, self._pages[guest.session] = self._pages.get(guest.session), visit
        self._visits.add(visit)
        try:
            if earlier is not None:
                earlier.leave(Closing(4409, "live_replaced"))
                await earlier.gone.wait()
            yield visit
        finally:
            self._visits.remove(visit)
            visit.gone.set()


class _Visit:
    """A client that is there."""

    def __init__(self) -> None:
        self.gone = anyio.Event()
        self._end: Callable[[Closing | None], None] | None = None
        self._left: list[Closing | None] = []
        """Why it was to end before it had begun."""

    def begin(self, end: Callable[[Closing | None], None]) -> None:
        """From now on `end` ends it."""
        self._end = end
        for why in self._left:
            end(why)

    def leave(self, why: Closing | None) -> None:
        """End it, at once or as soon as it begins, and tell the client why."""
        if self._end is not None:
            self._end(why)
        else:
            self._left.append(why)


def _word(closing: Closing, guest: Guest) -> ServerEvent:
    """Why the conversation ends, as the client expects to be told."""
    sentence = texts.say(closing.sentence, guest.language, **closing.details)
    if guest.session is not None:
        return make_notice("error", sentence)
    return make_error(Refused(PROGRAM_CODES.get(closing.sentence, closing.sentence), sentence))
