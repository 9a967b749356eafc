"""One reply, while it is written and spoken: held back until it is released, and then passed on as it comes."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from voice.engines import (
    PLAIN_REPLY,
    EngineError,
    ReplyOptions,
    ReplyPiece,
    Speech,
    TextToSpeech,
    ToolCall,
    Unavailable,
    Usage,
)
from voice.engines.failover import Switch, noting
from voice.live.events import ReplyCalled, ReplySpoke, ReplyWrote
from voice.live.playback import Playback
from voice.live.spoken import Spoken
from voice.live.turn_clock import ReplyClock
from voice.phrases import PhraseSplitter
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


@dataclass(frozen=True, slots=True)
class SpokenBy:
    """The voice, and how it speaks."""

    text_to_speech: TextToSpeech
    voice: str
    speed: float
    language: str
    """Until the text itself tells."""


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
        self.notes: tuple[Switch, ...] = ()
        self.clock = ReplyClock()
        self.playback: Playback | None = None
        """From the release on."""
        self.ended = False
        """Whether all that there was to be of it is there; never, if it was stopped before."""
        self.mute = speaker is None
        """Whether it is to be read rather than heard: in text alone, or its voice failed."""
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
        self._silent: deque[str] = deque()  # phrases whose sound has not begun
        self._phrase = ""
        self._ready = False
        self._stopped = False
        self._scope = anyio.CancelScope()
        self._splitter = PhraseSplitter(speaker.language if speaker else "en")
        self._now = anyio.current_time

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
        self.clock.mark("chat_asked", self._now())
        with self._scope, noting(self._note):
            try:
                await self._write_and_speak(pieces)
            except Exception:
                log.exception("A reply broke")
                self.error = EngineError("turn_broke")
            if not self._stopped:
                self._give_silent()
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

    def heard(self, ms: float) -> str:
        """What the user got of it by so much of its sound."""
        return self.text if self.mute or self.is_whole(ms) else self.spoken.heard(ms)

    async def _write_and_speak(self, pieces: AsyncGenerator[ReplyPiece, None]) -> None:
        to_voice, phrases = anyio.create_memory_object_stream[str](math.inf)
        with phrases:
            async with anyio.create_task_group() as tasks:
                if self._speaker:
                    tasks.start_soon(self._speak, phrases, self._speaker)
                with to_voice:
                    await self._write(pieces, to_voice)

    async def _write(
        self, pieces: AsyncGenerator[ReplyPiece, None], to_voice: MemoryObjectSendStream[str]
    ) -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        self.usage = piece
                    elif isinstance(piece, ToolCall):
                        self.calls.append(piece)
                        self._give(ReplyCalled(self.number, make_item_id(), piece))
                    elif piece:
                        self._take_text(piece, to_voice)
            if not self.text.strip() and not self.calls:
                raise Unavailable("chat_said_nothing")
        except EngineError as error:
            self.error = self.error or error
        self._say(self._splitter.finish(), to_voice)

    def _take_text(self, piece: str, to_voice: MemoryObjectSendStream[str]) -> None:
        self.clock.mark("first_token", self._now())
        self.text += piece
        if self._speaker is None:
            self._give(ReplyWrote(self.number, piece))
        else:
            self._say(self._splitter.feed(piece), to_voice)

    def _say(self, phrases: Iterable[str], to_voice: MemoryObjectSendStream[str]) -> None:
        if self._speaker is None:
            return
        for phrase in phrases:
            self.clock.mark("first_phrase", self._now())
            self._silent.append(phrase)
            to_voice.send_nowait(phrase)
        if self.mute:
            self._give_silent()

    async def _speak(self, phrases: AsyncIterator[str], by: SpokenBy) -> None:
        try:
            async with aclosing(by.text_to_speech.speak(phrases, by.voice, by.speed)) as sound:
                async for speech in sound:
                    self._take_speech(speech)
        except EngineError as error:
            self.error = self.error or error
            self.mute = True
            self._give_silent()

    def _take_speech(self, speech: Speech) -> None:
        self.clock.mark("first_audio", self._now())
        # The text of a phrase goes right ahead of its sound, so that captions know when it is said.
        if speech.phrase != self._phrase:
            for _ in range(self._silent.index(speech.phrase) + 1 if speech.phrase in self._silent else 0):
                self._phrase = self._silent.popleft()
                self._give_phrase(self._phrase)
        self.spoken.add(speech)
        self._give(ReplySpoke(self.number, speech))

    def _give_silent(self) -> None:
        """The phrases that got no sound, at least to be read."""
        while self._silent:
            self._give_phrase(self._silent.popleft())

    def _give_phrase(self, phrase: str) -> None:
        self._give(ReplyWrote(self.number, self.spoken.write(phrase)))

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
        self.clock.mark("released", self._now())
        if isinstance(event, ReplySpoke) and self.playback:
            self.playback.send(event.speech.pcm.seconds * 1000, self._now())
        self._pass_on(self, event)

    def _note(self, switch: Switch) -> None:
        self.notes = (*self.notes, switch)
        if not self._stopped:
            self._add_note(self)


def make_item_id() -> str:
    return f"item_{uuid4().hex[:24]}"
