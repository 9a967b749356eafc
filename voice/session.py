"""One person's conversation: carries each turn through the engines and tells, event by event, how it goes."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import anyio
from typing_extensions import assert_never

from voice import texts
from voice.audio import Pcm
from voice.conversation import Conversation, make_item_id, open_conversation
from voice.decoding import decode
from voice.engines import (
    SHORT_SECONDS,
    BadInput,
    EngineError,
    Engines,
    Incomplete,
    Message,
    Rejected,
    Speech,
    ToolCall,
    Transcript,
    Unavailable,
    Usage,
)
from voice.engines.failover import Switch, noting
from voice.languages import language_of
from voice.session_events import (
    Began,
    Emit,
    Failed,
    Finished,
    Heard,
    Noted,
    Recognising,
    Replied,
    ReplyGrew,
    Spoke,
    Stopped,
    TurnEvent,
)
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

log = logging.getLogger(__name__)

PERSONA_CHARACTERS = 500
"""Instructions of one's own stand in every prompt, and must leave room for the conversation."""


@dataclass(frozen=True, slots=True)
class Limits:
    recording_seconds: int
    text_characters: int
    history_tokens: int


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the user chose on the page, or a program in its call."""

    language: str | None = None
    """Primary subtag of what is spoken; None to find out."""
    voice: str = ""
    """A voice's name; "" leaves the choice to the engine."""
    speed: float = 1.0
    persona: str = texts.DEFAULT_PERSONA
    """A key of `texts.PERSONAS`, or instructions in the user's own words."""


DEFAULT_PREFERENCES = Preferences()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript as it stands on screen."""

    role: Literal["user", "assistant"]
    text: str
    stopped: bool = False
    error: EngineError | None = None
    notes: tuple[Switch, ...] = ()
    """Which engines stood in for others in this turn."""


class Watcher(Protocol):
    """Somebody who follows a session from outside: its turns, whoever began them, and its lines."""

    def see_turn(self, event: Began | TurnEvent) -> None: ...

    def see_line(self, index: int) -> None:
        """A line is new, has changed, or is gone with all behind it."""


class Session:
    """A user's conversation and its transcript. One turn at a time: a new one stops the one before."""

    def __init__(
        self,
        engines: Engines,
        limits: Limits,
        language: str = "en",
        preferences: Preferences = DEFAULT_PREFERENCES,
    ) -> None:
        """`language`: of the interface; what a line is taken to be in when nothing else tells."""
        self.language = language
        self.preferences = preferences
        """What live turns go by; turns by recording or keyboard bring their own."""
        self.lines: list[Line] = []
        self.engines = engines
        self.limits = limits
        self.conversation = Conversation([], limits.history_tokens)
        self.spoken: str | None = None
        """The language of the last turn."""
        self.owes_reply = False
        """Whether the last live conversation ended while the user waited for a reply."""
        self._persona = ""
        self._notes: tuple[Switch, ...] = ()
        self._reply_line = 0
        self._reply_item = ""
        self._watchers: list[Watcher] = []
        self._player: Watcher | None = None
        self._turn: asyncio.Task[None] | None = None
        self._turn_number = 0
        self._so_far: list[Began | TurnEvent] = []
        """What was told of the last turn, its sound apart."""

    def watch(self, watcher: Watcher, *, plays: bool = False) -> None:
        """`plays`: it lets the user hear replies while they are being made."""
        self._watchers.append(watcher)
        if plays:
            self._player = watcher

    def tell_so_far(self, watcher: Watcher) -> None:
        """Who comes to a turn that is under way is told how it has gone; of its sound only what is to come is heard."""
        if self.is_busy:
            for event in tuple(self._so_far):
                watcher.see_turn(event)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.remove(watcher)
        if self._player is watcher:
            self._player = None

    @property
    def is_played(self) -> bool:
        """Whether the user hears replies while they are being made."""
        return self._player is not None

    def add_line(self, line: Line) -> int:
        """A new line of the transcript; its index."""
        self.lines.append(line)
        return self._show_line(len(self.lines) - 1)

    def change_line(self, index: int, **changes: Any) -> None:
        """`changes`: of `Line`'s fields."""
        self.lines[index] = replace(self.lines[index], **changes)
        self._show_line(index)

    def remove_line(self, index: int) -> None:
        """Only the last line can go: the indexes of all others stay."""
        if index == len(self.lines) - 1:
            del self.lines[index]
            self._show_line(index)

    def answer_recording(self, recording: Path, preferences: Preferences) -> AsyncGenerator[TurnEvent, None]:
        """Recognise what was said and reply to it. Failures come as events, none is raised."""
        return self._run_turn(partial(self._answer_recording, recording, preferences))

    def answer_text(self, text: str, preferences: Preferences) -> AsyncGenerator[TurnEvent, None]:
        """Reply to a line of text. Failures come as events, none is raised."""
        return self._run_turn(partial(self._answer_text, text, preferences))

    async def prepare(self, preferences: Preferences) -> None:
        """Have the chat model read ahead what it will be told of the persona chosen, unless turns would refuse it."""
        if len(preferences.persona) > PERSONA_CHARACTERS:
            return
        language = preferences.language or self.spoken or self.language
        with suppress(EngineError):
            await self.engines.chat.warm(open_conversation(preferences.persona, language))

    @property
    def is_busy(self) -> bool:
        return self._turn is not None and not self._turn.done()

    def check_text(self, text: str) -> None:
        """Raises BadInput when there is nothing in it, or too much."""
        if not text.strip():
            raise BadInput("empty_text")
        if len(text.strip()) > self.limits.text_characters:
            raise BadInput("text_too_long", length=len(text.strip()), limit=self.limits.text_characters)

    @property
    def reply_line(self) -> int:
        """Where the reply to the last recording or typed line stands in the transcript."""
        return self._reply_line

    def cancel(self) -> None:
        """As `stop`, without waiting for it."""
        if self._turn is not None:
            self._turn.cancel()

    async def stop(self) -> None:
        """End the turn that is under way; what was written of its reply stays. Returns when it has ended."""
        while self._turn is not None and not self._turn.done():
            self._turn.cancel()
            await asyncio.wait([self._turn])

    async def clear(self) -> None:
        """Forget everything that was said."""
        await self.stop()
        self.lines.clear()
        self.conversation.clear()
        self.spoken = None
        self._show_line(0)

    async def _run_turn(self, work: Callable[[Emit], Awaitable[None]]) -> AsyncGenerator[TurnEvent, None]:
        """The events of `work`, which runs in a task of its own and ends when the reader leaves.

        A later turn ends this one, and nothing more is told of it.
        """
        self._turn_number += 1
        number = self._turn_number
        await self.stop()
        await asyncio.sleep(0)  # whoever watches is told of that end before this beginning
        if number != self._turn_number:
            return
        send, receive = anyio.create_memory_object_stream[TurnEvent](math.inf)

        def emit(event: TurnEvent) -> None:
            send.send_nowait(event)
            self._show_turn(event)

        def note(switch: Switch) -> None:
            self._notes = (*self._notes, switch)
            emit(Noted(switch))

        async def run() -> None:
            self._notes = ()
            try:
                with noting(note):
                    await work(emit)
            except EngineError as error:
                emit(Failed(error))
            except Exception:
                log.exception("A turn broke")
                emit(Failed(EngineError("turn_broke")))
            emit(Finished())

        def end(turn: asyncio.Task[None]) -> None:
            send.close()
            if turn.cancelled():
                self._show_turn(Stopped())

        self._reply_item = make_item_id()
        self._show_turn(Began(self._reply_item))
        turn = self._turn = asyncio.create_task(run())
        # Not in `run`, which never begins when the next turn comes at once.
        turn.add_done_callback(end)
        try:
            with receive:
                async for event in receive:
                    yield event
        finally:
            turn.cancel()
            await asyncio.wait([turn])
        if turn.cancelled() and number == self._turn_number:
            yield Stopped()

    async def _answer_recording(self, recording: Path, preferences: Preferences, emit: Emit) -> None:
        emit(Recognising())
        pcm = await decode(recording, self.limits.recording_seconds)
        language = preferences.language
        if language is None and pcm.seconds < SHORT_SECONDS:
            language = self.spoken
        transcript = await self._recognise(pcm, language)
        text = transcript.text.strip()
        if not text:
            raise BadInput("nothing_heard")
        language = preferences.language or transcript.language or language_of(text, self.language)
        await self._reply(Heard(text, language), preferences, emit)

    async def _answer_text(self, text: str, preferences: Preferences, emit: Emit) -> None:
        self.check_text(text)
        text = text.strip()
        language = language_of(text, preferences.language or self.language)
        await self._reply(Heard(text, language), preferences, emit)

    async def _recognise(self, pcm: Pcm, language: str | None) -> Transcript:
        final = Transcript("", final=True)
        async with aclosing(
            self.engines.speech_to_text.transcribe(_once(pcm), language, self.spoken)
        ) as transcripts:
            async for transcript in transcripts:
                final = transcript
        return final

    async def _reply(self, heard: Heard, preferences: Preferences, emit: Emit) -> None:
        """Ask for a reply and speak it, phrase by phrase, while it is still being written."""
        if len(preferences.persona) > PERSONA_CHARACTERS:
            raise BadInput("persona_too_long", limit=PERSONA_CHARACTERS)
        self.spoken = heard.language
        prompt = self.prompt(heard.text, heard.language, preferences.persona)
        known = self.conversation.known
        self.add_line(Line("user", heard.text))
        line = self._reply_line = self.add_line(Line("assistant", ""))
        emit(heard)
        by = SpokenBy(self.engines.text_to_speech, preferences.voice, preferences.speed, heard.language)
        finished = False
        try:
            await write_and_speak(self.engines.chat.reply(prompt), by, partial(self._follow_reply, emit))
            finished = True
        finally:
            self.change_line(line, stopped=not finished, notes=self._notes)
            self.conversation.remember(heard.text, self.lines[line].text, self._reply_item, known)

    def prompt(
        self, said: str, language: str, persona: str, instructions: str | None = None
    ) -> list[Message]:
        """The prompt for what was said, or "" for what the conversation ends with already.

        A new persona, or a first turn, brings its own opening. `instructions`: a program's own, in place of all that.
        """
        if instructions is not None:
            self._persona = ""
            self.conversation.opening = [Message("system", instructions)]
        elif persona != self._persona or not any(item.message.content for item in self.conversation.items):
            self._persona = persona
            self.conversation.opening = open_conversation(persona, language)
        return self.conversation.prompt(said)

    def _follow_reply(self, emit: Emit, event: Progress) -> None:
        text = self.lines[self._reply_line].text
        match event:
            case str():
                self._grow_reply(text + event, emit)
            case Incomplete(reason="content_filter"):
                raise Rejected("chat_filtered")
            case Incomplete():
                if text.strip():
                    self._grow_reply(text + "…", emit)
            case Written():
                if not text.strip():
                    raise Unavailable("chat_said_nothing")
                emit(Replied(text))
            case PhraseSent() | PhraseBegun():
                emit(event)
            case Speech():
                emit(Spoke(event))
            case ChatFailed(error) | VoiceFailed(error):
                self._fail(error, emit)
            case ToolCall() | Usage():
                pass  # no tools were offered, and nobody asks what it cost
            case _:
                assert_never(event)

    def _grow_reply(self, text: str, emit: Emit) -> None:
        self.change_line(self._reply_line, text=text)
        emit(ReplyGrew(text))

    def _fail(self, error: EngineError, emit: Emit) -> None:
        self.change_line(self._reply_line, error=error)
        emit(Failed(error))

    def _show_turn(self, event: Began | TurnEvent) -> None:
        if isinstance(event, Began):
            self._so_far.clear()
        if isinstance(event, ReplyGrew) and self._so_far and isinstance(self._so_far[-1], ReplyGrew):
            self._so_far.pop()  # it was the beginning of this one
        if not isinstance(event, Spoke):
            self._so_far.append(event)
        for watcher in tuple(self._watchers):
            watcher.see_turn(event)

    def _show_line(self, index: int) -> int:
        for watcher in tuple(self._watchers):
            watcher.see_line(index)
        return index


async def _once(pcm: Pcm) -> AsyncIterator[Pcm]:
    yield pcm
