"""One reply, while it is written and spoken: held back until it is released, and then passed on as it comes."""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import anyio
from typing_extensions import assert_never

from voice.conversation import make_item_id
from voice.engines import (
    PLAIN_REPLY,
    EngineError,
    Incomplete,
    IncompleteReason,
    Rejected,
    ReplyOptions,
    ReplyPiece,
    Speech,
    ToolCall,
    Unavailable,
    Usage,
)
from voice.engines.failover import Switch, noting
from voice.live.events import ReplyCalled, ReplySpoke, ReplyWrote
from voice.live.playback import Playback
from voice.live.spoken import Spoken
from voice.live.turn_clock import ReplyClock, ReplyMoment
from voice.speaking import (
    ChatFailed,
    PhraseBegun,
    PhraseSent,
    Progress,
    SpokenBy,
    VoiceFailed,
    Written,
    write_and_speak,
)
from voice.turns.events import ReplyEnded, ReplyFailed, ReplyReady

log = logging.getLogger(__name__)


class Start(Protocol):
    """Begins a task."""

    def __call__(self, work: Callable[..., Coroutine[Any, Any, None]], /, *args: object) -> None: ...


@dataclass(frozen=True, slots=True)
class ReplyWish:
    """What a client may ask of one reply, beyond what the session says."""

    instructions: str | None = None
    """The whole system prompt of this reply, in place of the persona's."""
    aloud: bool = True
    """Else the reply is text alone."""
    options: ReplyOptions = PLAIN_REPLY
    voice: str | None = None
    """A voice's name; None, as `speed`'s: as preferred."""
    speed: float | None = None


class Reply:
    """Whoever makes it runs `run`; the rest returns at once."""

    def __init__(
        self,
        number: int,
        turn: int | None,
        speaker: SpokenBy | None,
        tell: Callable[[ReplyReady | ReplyEnded | ReplyFailed], None],
        pass_on: Callable[[Reply, ReplyWrote | ReplySpoke | ReplyCalled], None],
        note: Callable[[Reply], None],
    ) -> None:
        """`speaker`: None for a reply in text alone. `pass_on`: to the client, from the release on, in order.

        `note`: one more of its `notes`.
        """
        self.number = number
        self.turn = turn
        self.item = make_item_id()
        """What it will be in the conversation."""
        self.text = ""
        """All that was written so far."""
        self.spoken = Spoken()
        self.calls: list[ToolCall] = []
        self.usage: Usage | None = None
        self.error: EngineError | None = None
        self.incomplete: IncompleteReason | None = None
        """Why the chat model broke off."""
        self.notes: tuple[Switch, ...] = ()
        self.clock = ReplyClock()
        self.playback: Playback | None = None
        """From the release on."""
        self.ended = False
        """Whether all that there was to be of it is there; never, if it was stopped before."""
        self.aloud = speaker is not None
        """Whether it is in more than text alone."""
        self.mute = speaker is None
        """Whether it is to be read rather than heard: in text alone, or its voice failed."""
        self.voice_failed = False
        self.guessed = False
        """Whether it was prepared before the user's words were final."""
        self.told_times = False
        self.told_end = False
        self.phrases_heard = 0
        """So many have begun to be heard."""
        self._speaker = speaker
        self._tell = tell
        self._pass_on = pass_on
        self._add_note = note
        self._waiting: deque[ReplyWrote | ReplySpoke | ReplyCalled] = deque()
        self._ready = False
        self._stopped = False
        self._scope = anyio.CancelScope()
        self._now = get_running_loop().time

    @property
    def released(self) -> bool:
        return self.playback is not None

    def release(self) -> None:
        """Pass on what there is, and all that comes."""
        self.playback = Playback(self._now())
        while self._waiting and not self._stopped:
            self._hand_on(self._waiting.popleft())

    def stop(self) -> None:
        """End it, and the work on it; it tells nothing more. What came of it stays to be asked for."""
        self._stopped = True
        self._scope.cancel()

    async def run(self, pieces: AsyncGenerator[ReplyPiece, None]) -> None:
        """Write the reply and speak it. Failures are told, none is raised."""
        self._mark("chat_asked")
        with self._scope, noting(self._note):
            try:
                await write_and_speak(pieces, self._speaker, self._take)
            except Exception:
                log.exception("A reply broke")
                self.error = EngineError("turn_broke")
            if not self._stopped:
                self.spoken.finish()
                self.ended = True
                self._tell(ReplyFailed(self.number) if self.error else ReplyEnded(self.number))

    @property
    def played_ms(self) -> float:
        """Of its sound, until now."""
        return self.playback.position_ms(self._now()) if self.playback else 0

    def is_whole(self, ms: float) -> bool:
        """Whether whoever heard so much of the sound got all that there was to be."""
        return self.ended and (self.mute or ms >= self.spoken.length_ms)

    @property
    def status(self) -> Literal["completed", "failed", "incomplete"]:
        """How it ended."""
        if self.incomplete and not self.voice_failed:
            return "incomplete"
        return "failed" if self.error else "completed"

    def heard(self, ms: float) -> str:
        """What the user got of it by so much of its sound."""
        return self.text if self.mute or self.is_whole(ms) else self.spoken.heard(ms, self.text)

    def _take(self, event: Progress) -> None:
        match event:
            case str() | ToolCall() | Usage() | Incomplete():
                self._take_piece(event)
            case Written():
                if not self.text.strip() and not self.calls:
                    raise Unavailable("chat_said_nothing")
            case PhraseSent():
                self._mark("first_phrase")
            case PhraseBegun(phrase):
                self._give(ReplyWrote(self.number, self.spoken.write(phrase)))
            case Speech():
                self._mark("first_audio")
                self.spoken.add(event)
                self._give(ReplySpoke(self.number, event))
            case ChatFailed(error):
                self.error = self.error or error
            case VoiceFailed(error):
                self.error = self.error or error
                self.mute = self.voice_failed = True
            case _:
                assert_never(event)

    def _take_piece(self, piece: ReplyPiece) -> None:
        match piece:
            case str():
                self._mark("first_token")
                self.text += piece
                if self._speaker is None:
                    self._give(ReplyWrote(self.number, piece))
            case ToolCall():
                self.calls.append(piece)
                self._give(ReplyCalled(self.number, make_item_id(), piece))
            case Usage():
                self.usage = piece
            case Incomplete(reason):
                self.incomplete = reason
                if reason == "content_filter":
                    self.error = self.error or Rejected("chat_filtered")

    def _give(self, event: ReplyWrote | ReplySpoke | ReplyCalled) -> None:
        if self._stopped:
            return
        if self.released:
            self._hand_on(event)
        else:
            self._waiting.append(event)
        first = not self._ready and (self.mute or not isinstance(event, ReplyWrote))
        if first:
            self._ready = True
            self._tell(ReplyReady(self.number))

    def _hand_on(self, event: ReplyWrote | ReplySpoke | ReplyCalled) -> None:
        self._mark("released")
        if isinstance(event, ReplySpoke) and self.playback:
            self.playback.send(event.speech.pcm.seconds * 1000, self._now())
        self._pass_on(self, event)

    def _mark(self, moment: ReplyMoment) -> None:
        self.clock.mark(moment, self._now())

    def _note(self, switch: Switch) -> None:
        self.notes = (*self.notes, switch)
        if not self._stopped:
            self._add_note(self)
