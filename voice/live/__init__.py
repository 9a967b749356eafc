"""A live conversation: hands free and interruptible. Carries out what `voice.turns` decides, with the engines."""

from __future__ import annotations

import math
from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup
from typing_extensions import assert_never

from voice import texts
from voice.audio import Pcm
from voice.live.ear import Ear, Score
from voice.live.events import FellAsleep, IdleAsked, LiveEvent, PhaseChanged
from voice.live.hearing import Hearing
from voice.live.pace import Pace
from voice.live.record import Record
from voice.live.reply import ReplyWish
from voice.live.replying import TIMER_SLACK_SECONDS, Replying
from voice.session import Session
from voice.session_events import Began, TurnEvent
from voice.turns import start, step
from voice.turns.events import (
    Action,
    AskWhetherThere,
    Cancelled,
    Cleared,
    CloseUtterance,
    CutReply,
    DropReply,
    DropUtterance,
    Event,
    FinalTranscript,
    Frame,
    HoldReply,
    IdlePassed,
    KeepUtterance,
    OpenUtterance,
    PartialTranscript,
    Phase,
    PrepareReply,
    ReleaseReply,
    ReplyAsked,
    ReplyEnded,
    ReplyFailed,
    ReplyJoined,
    ResumeReply,
    Rules,
    RulesChanged,
    ScorePause,
    Sleep,
    TellSpeechStarted,
    TellSpeechStopped,
    TranscriptFailed,
)
from voice.turns.interruptions import Weight

__all__ = ["Emit", "LiveLimits", "LiveSession", "ReplyWish"]

Emit: TypeAlias = Callable[[LiveEvent], None]


@dataclass(frozen=True, slots=True)
class LiveLimits:
    idle_seconds: float = 60
    """Without anybody speaking, until it asks once, and again until it sleeps; 0 for never."""
    buffered_seconds: float = 120
    """Of sound that no turn has taken yet."""
    pace: Pace = field(default_factory=Pace)
    """Of all conversations of the server."""


class LiveSession:
    """One person's live conversation on the items, lines and engines of a `Session`.

    Whoever makes it runs `run` in a task; all else may be called from that task's event loop, and returns at once.
    What is called before `run` has begun is carried out when it does; after it has ended, nothing is.
    """

    def __init__(
        self,
        session: Session,
        emit: Emit,
        rules: Rules = Rules(),  # noqa: B008 - a frozen value
        limits: LiveLimits = LiveLimits(),
        score: Score | None = None,
    ) -> None:
        """`score`: tells speech from other sound instead of Silero."""
        self._session = session
        self._client = emit
        self._idle_seconds = limits.idle_seconds or math.inf
        self._state = start(rules)
        self._ear = Ear(limits.buffered_seconds, score, limits.pace)
        self._ear.listens = rules.hands_free
        record = self._record = Record(session)
        self._hearing = Hearing(session, self._ear, record, self._emit, self.tell, self._start)
        self._replying = Replying(session, self._hearing, record, self._emit, self.tell, self._start)
        self._events: deque[Event] = deque()
        self._is_stepping = False
        self._tasks: TaskGroup | None = None
        self._is_over = False
        self._cut_short = False
        self._now = get_running_loop().time
        self._quiet_since = 0.0
        self._stirred = anyio.Event()

    async def run(self) -> None:
        """Take turns until cancelled. Everything that was begun ends with it."""
        self._session.watch(self, plays=True)
        self._quiet_since = self._now()
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                try:
                    tasks.start_soon(self._ear.listen, self.tell, self._hearing.feed)
                    self._take_steps()
                    self._session.tell_so_far(self)
                    await self._keep_time()
                finally:
                    self._is_over = True
                    self._cut_short = self._hearing.leave(self._find_words())
                    self._replying.leave()
        finally:
            self._session.unwatch(self)

    # What a client may do

    @property
    def rules(self) -> Rules:
        return self._state.rules

    @property
    def wish(self) -> ReplyWish:
        """What every reply is like unless it is asked for otherwise; may be set."""
        return self._replying.wish

    @wish.setter
    def wish(self, wish: ReplyWish) -> None:
        self._replying.wish = wish

    def hear(self, pcm: Pcm) -> None:
        """The next piece of the user's sound, any rate, any length, real time or faster.

        Raises:
            BadInput: more than the limit waits to be taken up.
        """
        self._ear.hear(pcm, self._now())

    def check_room(self, seconds: float) -> None:
        """Raises BadInput if so much sound could not be heard now."""
        self._ear.check_room(seconds)

    def tell(self, event: Event) -> None:
        """`Committed`, `TalkPressed`, `Cancelled`, `RulesChanged`, ..: what a client may tell by itself."""
        if self._is_over:
            return
        self._events.append(event)
        self._take_steps()

    @property
    def heard_ms(self) -> int:
        """Of the user's sound, all that came so far."""
        return self._ear.heard_ms

    @property
    def untaken_ms(self) -> int:
        """Of sound since the last turn: what a `Committed` would take. When hands free, two seconds of silence at most."""
        return self._ear.heard_ms - max(self._ear.taken_ms, self._ear.kept_ms)

    def ask_reply(self, wish: ReplyWish | None = None) -> int:
        """Reply to the conversation as it stands; the reply's number. One under way is cut.

        It is told of from its start, or at the latest from its end on, also when it was cancelled before it began.
        """
        return self._ask(wish, None)

    def greet(self, text: str) -> int:
        """Say this, as a reply that needs no chat model; its number."""
        return self._ask(None, text)

    @property
    def is_replying(self) -> bool:
        """Whether a released reply is still being written or spoken."""
        return self._replying.current is not None

    @property
    def owes_reply(self) -> bool:
        """Whether the user waits for a reply, or was interrupted by the end in saying what wants one."""
        return self._state.is_engaged or self._cut_short

    def report_played(self, reply: int, ms: int, ended: bool = False) -> None:
        """The client has played so much of a reply's sound. Without such reports playback is reckoned from the release.

        `ended`: all that was sent of a reply that is done.
        """
        self._replying.report_played(reply, ms, ended)
        self._stirred.set()

    def cut_item(self, item: str, ms: int) -> str:
        """The client heard only so much of this reply's item: cut its text, in the conversation and on screen.

        Returns what is left of it; "" also when nothing was, for nothing of it had been heard. `ms` beyond its sound is
        clamped. A reply that is still under way is cut for good.

        Raises:
            KeyError: there is no reply of that item, it is in text alone, or it was long ago (`replying.REPLIES_KEPT`).
        """
        reply = self._replying.find_item(item)
        if reply is self._replying.current:
            self.tell(Cancelled())
        return self._replying.cut_text(reply, ms)

    # What the session tells (`voice.session.Watcher`)

    def see_turn(self, event: Began | TurnEvent) -> None:
        """The reply to a turn by recording or keyboard takes the place of a live one."""
        self._quiet_since = self._now()
        if self._is_over:
            return
        if isinstance(event, Began):
            number = self._state.next_reply
            self._replying.join(number, event.item)
            self._tell_first(ReplyJoined(number, is_known=False))
        else:
            self._replying.follow(event)

    def see_line(self, index: int) -> None:
        """Where all was cleared away, what is being said about it goes too."""
        if self._record.see_line(index):
            self.tell(Cancelled())

    # One step after the other

    def _take_steps(self) -> None:
        """All events up to now. What they bring about may tell further ones, which wait for their turn."""
        if self._tasks is None or self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._events and not self._is_over:
                self._take_step(self._events.popleft())
        finally:
            self._is_stepping = False

    def _take_step(self, event: Event) -> None:
        before = self._state.phase
        if isinstance(event, PartialTranscript):
            self._hearing.understand(event)
        elif isinstance(event, FinalTranscript):
            self._hearing.mark_final(event)
        elif isinstance(event, Cleared):
            self._hearing.forget_before(event.at_ms)
        self._state, actions = step(self._state, event)
        for action in actions:
            self._carry_out(action)
        if isinstance(event, TranscriptFailed):
            self._hearing.tell_failure(event)
        elif isinstance(event, (ReplyEnded, ReplyFailed)):
            self._replying.finish(event.reply)
        elif isinstance(event, RulesChanged):
            self._ear.listens = event.rules.hands_free
        if self._state.phase is not before:
            self._emit(PhaseChanged(self._state.phase))
        if actions or not isinstance(event, Frame):
            self._hearing.forget_all_but(self._state.live_turns)
            self._quiet_since = self._now()
            self._stirred.set()

    def _carry_out(self, action: Action) -> None:
        match action:
            case TellSpeechStarted():
                rules = self._state.rules
                if self._session.is_busy and (rules.interrupts or not rules.hands_free):
                    self._session.cancel()  # also a turn from before this conversation
                self._hearing.carry_out(action)
            case OpenUtterance() | CloseUtterance() | DropUtterance() | KeepUtterance():
                self._hearing.carry_out(action)
            case TellSpeechStopped() | ScorePause():
                self._hearing.carry_out(action)
            case PrepareReply() | DropReply() | ReleaseReply() | HoldReply() | ResumeReply() | CutReply():
                self._replying.carry_out(action)
            case AskWhetherThere():
                self._emit(IdleAsked())
                language = (
                    self._session.preferences.language or self._session.spoken or self._session.language
                )
                self.greet(texts.say("are_you_there", language))
            case Sleep():
                self._emit(FellAsleep())
            case _:
                assert_never(action)

    def _find_words(self) -> set[int]:
        """The turns whose transcripts are to come, but in which the user has said something already."""
        awaited = [*self._state.awaited, *filter(None, [self._state.open])]
        return {heard.turn for heard in awaited if heard.weight is Weight.WORDS}

    def _ask(self, wish: ReplyWish | None, text: str | None) -> int:
        number = self._state.next_reply
        if self._is_over:
            return number
        self._replying.expect(number, wish, text)
        self._tell_first(ReplyAsked(number, answers=text is None))
        return number

    def _tell_first(self, event: ReplyAsked | ReplyJoined) -> None:
        """Ahead of what waits: an event there might take the number."""
        self._events.appendleft(event)
        self._take_steps()

    def _emit(self, event: LiveEvent) -> None:
        self._client(event)
        self._stirred.set()

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], /, *args: object) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(work, *args)

    # Time

    async def _keep_time(self) -> None:
        while True:
            self._stirred = anyio.Event()
            with anyio.CancelScope(deadline=min(self._replying.next_moment, self._idle_from)):
                await self._stirred.wait()
            self._replying.pass_time()
            if self._idle_from <= self._now() + TIMER_SLACK_SECONDS:
                self.tell(IdlePassed())

    @property
    def _idle_from(self) -> float:
        return self._quiet_since + self._idle_seconds if self._state.phase is Phase.LISTENING else math.inf
