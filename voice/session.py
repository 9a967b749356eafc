"""One person's conversation: carries each turn through the engines and tells, event by event, how it goes."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from voice import texts
from voice.audio import Pcm
from voice.conversation import Conversation, open_conversation
from voice.decoding import decode
from voice.engines import BadInput, EngineError, Engines, Message, Speech, Transcript, Unavailable
from voice.engines.failover import Switch, noting
from voice.languages import language_of
from voice.phrases import PhraseSplitter

log = logging.getLogger(__name__)

SHORT_SECONDS = 1.2
"""A shorter recording holds a word, too little to tell its language by: it is taken to be in the last turn's."""


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


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript as it stands on screen."""

    role: Literal["user", "assistant"]
    text: str
    stopped: bool = False
    error: EngineError | None = None
    notes: tuple[Switch, ...] = ()
    """Which engines stood in for others in this turn."""


@dataclass(frozen=True, slots=True)
class Recognising:
    """The recording arrived; its words are being found."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the user said, by voice or by keyboard."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class ReplyGrew:
    text: str
    """The whole reply so far."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply is written to its end; what is left is its sound."""

    text: str


@dataclass(frozen=True, slots=True)
class Noted:
    """An engine failed, and the one behind it answered."""

    switch: Switch


@dataclass(frozen=True, slots=True)
class PhraseReady:
    """A phrase of the reply is on its way to the voice."""

    phrase: str


@dataclass(frozen=True, slots=True)
class Spoke:
    """A piece of the reply's sound, in playing order."""

    speech: Speech


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn, or a part of it, could not be done; the conversation goes on."""

    error: EngineError


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over; nothing more comes."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The turn was stopped; nothing more comes."""


TurnEvent: TypeAlias = (
    Recognising | Heard | ReplyGrew | Replied | PhraseReady | Spoke | Noted | Failed | Finished | Stopped
)
Emit: TypeAlias = Callable[[TurnEvent], None]


class Session:
    """A user's conversation and its transcript. One turn at a time: a new one stops the one before."""

    def __init__(self, engines: Engines, limits: Limits, language: str = "en") -> None:
        """`language`: of the interface; what a line is taken to be in when nothing else tells."""
        self.language = language
        self.lines: list[Line] = []
        self._engines = engines
        self._limits = limits
        self._conversation = Conversation([], limits.history_tokens)
        self._persona = ""
        self._spoken: str | None = None
        """The language of the last turn."""
        self._notes: tuple[Switch, ...] = ()
        self._turn: asyncio.Task[None] | None = None
        self._turn_number = 0

    def answer_recording(self, recording: Path, preferences: Preferences) -> AsyncGenerator[TurnEvent, None]:
        """Recognise what was said and reply to it. Failures come as events, none is raised."""
        return self._run_turn(partial(self._answer_recording, recording, preferences))

    def answer_text(self, text: str, preferences: Preferences) -> AsyncGenerator[TurnEvent, None]:
        """Reply to a line of text. Failures come as events, none is raised."""
        return self._run_turn(partial(self._answer_text, text, preferences))

    async def prepare(self, preferences: Preferences) -> None:
        """Have the chat model read ahead what it will be told of the persona chosen."""
        language = preferences.language or self._spoken or self.language
        with suppress(EngineError):
            await self._engines.chat.warm(open_conversation(preferences.persona, language))

    @property
    def is_busy(self) -> bool:
        return self._turn is not None and not self._turn.done()

    def check_text(self, text: str) -> None:
        """Raises BadInput when there is nothing in it, or too much."""
        if not text.strip():
            raise BadInput("empty_text")
        if len(text.strip()) > self._limits.text_characters:
            raise BadInput("text_too_long", length=len(text.strip()), limit=self._limits.text_characters)

    async def stop(self) -> None:
        """End the turn that is under way; what was written of its reply stays. Returns when it has ended."""
        while self._turn is not None and not self._turn.done():
            self._turn.cancel()
            await asyncio.wait([self._turn])

    async def clear(self) -> None:
        """Forget everything that was said."""
        await self.stop()
        self.lines.clear()
        self._conversation.clear()
        self._spoken = None

    async def _run_turn(self, work: Callable[[Emit], Awaitable[None]]) -> AsyncGenerator[TurnEvent, None]:
        """The events of `work`, which runs in a task of its own and ends when the reader leaves.

        A later turn ends this one, and nothing more is told of it.
        """
        self._turn_number += 1
        number = self._turn_number
        await self.stop()
        if number != self._turn_number:
            return
        send, receive = anyio.create_memory_object_stream[TurnEvent](math.inf)

        def note(switch: Switch) -> None:
            self._notes = (*self._notes, switch)
            send.send_nowait(Noted(switch))

        async def run() -> None:
            self._notes = ()
            try:
                with noting(note):
                    await work(send.send_nowait)
            except EngineError as error:
                send.send_nowait(Failed(error))
            except Exception:
                log.exception("A turn broke")
                send.send_nowait(Failed(EngineError("turn_broke")))
            send.send_nowait(Finished())

        turn = self._turn = asyncio.create_task(run())
        # Not in `run`, which never begins when the next turn comes at once.
        turn.add_done_callback(lambda _: send.close())
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
        pcm = await decode(recording, self._limits.recording_seconds)
        language = preferences.language
        if language is None and pcm.seconds < SHORT_SECONDS:
            language = self._spoken
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
        async with aclosing(self._engines.speech_to_text.transcribe(_once(pcm), language)) as transcripts:
            async for transcript in transcripts:
                final = transcript
        return final

    async def _reply(self, heard: Heard, preferences: Preferences, emit: Emit) -> None:
        """Ask for a reply and speak it, phrase by phrase, while it is still being written."""
        if len(preferences.persona) > PERSONA_CHARACTERS:
            raise BadInput("persona_too_long", limit=PERSONA_CHARACTERS)
        self._spoken = heard.language
        prompt = self._prompt(heard, preferences.persona)
        self.lines += [Line("user", heard.text), Line("assistant", "")]
        emit(heard)
        finished = False
        to_voice, phrases = anyio.create_memory_object_stream[str](math.inf)
        try:
            with phrases:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._speak, phrases, preferences, emit)
                    with to_voice:
                        await self._write(prompt, PhraseSplitter(heard.language), to_voice, emit)
            finished = True
        finally:
            self._change_last_line(stopped=not finished, notes=self._notes)
            self._conversation.remember(heard.text, self.lines[-1].text)

    def _prompt(self, heard: Heard, persona: str) -> list[Message]:
        """The prompt for what was heard. A new persona, or a first turn, brings its own opening."""
        if persona != self._persona or not self._conversation.turns:
            self._persona = persona
            self._conversation.opening = open_conversation(persona, heard.language)
        return self._conversation.prompt(heard.text)

    async def _write(
        self,
        prompt: Sequence[Message],
        splitter: PhraseSplitter,
        to_voice: MemoryObjectSendStream[str],
        emit: Emit,
    ) -> None:
        """Read the reply as it is written, and hand its phrases to the voice."""

        def hand_over(ready: Iterable[str]) -> None:
            for phrase in ready:
                emit(PhraseReady(phrase))
                to_voice.send_nowait(phrase)

        text = ""
        try:
            async with aclosing(self._engines.chat.reply(prompt)) as pieces:
                async for piece in pieces:
                    text += piece
                    self._change_last_line(text=text)
                    emit(ReplyGrew(text))
                    hand_over(splitter.feed(piece))
            if not text.strip():
                raise Unavailable("chat_said_nothing")
            emit(Replied(text))
        except EngineError as error:
            self._fail(error, emit)
        hand_over(splitter.finish())

    async def _speak(self, phrases: AsyncIterator[str], preferences: Preferences, emit: Emit) -> None:
        voice = self._engines.text_to_speech
        try:
            async with aclosing(voice.speak(phrases, preferences.voice, preferences.speed)) as sound:
                async for speech in sound:
                    emit(Spoke(speech))
        except EngineError as error:
            self._fail(error, emit)

    def _fail(self, error: EngineError, emit: Emit) -> None:
        self._change_last_line(error=error)
        emit(Failed(error))

    def _change_last_line(self, **changes: Any) -> None:
        self.lines[-1] = replace(self.lines[-1], **changes)


async def _once(pcm: Pcm) -> AsyncIterator[Pcm]:
    yield pcm
