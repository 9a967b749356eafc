"""A reply, spoken while it is still being written: chat stream -> phrases -> speech stream. Knows no page and no turns."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from voice.engines import EngineError, ReplyPiece, Speech, TextToSpeech
from voice.phrases import PhraseSplitter


@dataclass(frozen=True, slots=True)
class SpokenBy:
    """The voice, and how it speaks."""

    text_to_speech: TextToSpeech
    voice: str
    speed: float
    language: str
    """Until the text itself tells."""


@dataclass(frozen=True, slots=True)
class Written:
    """The chat model has come to its end."""


@dataclass(frozen=True, slots=True)
class PhraseSent:
    """A phrase is on its way to the voice."""

    phrase: str


@dataclass(frozen=True, slots=True)
class PhraseBegun:
    """The text of a phrase, right ahead of its sound, so that captions know when it is said; late where it got none."""

    phrase: str


@dataclass(frozen=True, slots=True)
class ChatFailed:
    error: EngineError


@dataclass(frozen=True, slots=True)
class VoiceFailed:
    error: EngineError


Progress: TypeAlias = "ReplyPiece | Written | ChatFailed | PhraseSent | PhraseBegun | Speech | VoiceFailed"
"""What the chat model and the voice give, as they give it, and what becomes of it."""
Tell: TypeAlias = Callable[[Progress], None]


async def write_and_speak(pieces: AsyncGenerator[ReplyPiece, None], by: SpokenBy | None, tell: Tell) -> None:
    """Returns when all is written and spoken. `by`: None for a reply in text alone.

    When either engine fails that is told, and the other finishes its work. `tell` is called at once, as each thing
    happens; an EngineError that it raises at what the chat model wrote counts as the chat model's own.
    """
    if by is None:
        await _write(pieces, tell)
        return
    to_voice, phrases = anyio.create_memory_object_stream[str](math.inf)
    voice = _Voice(by, to_voice, tell)
    try:
        with phrases:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(voice.speak, phrases)
                with to_voice:
                    await _write(pieces, voice.take)
                    voice.finish()
    except Exception:
        voice.give_silent()
        raise
    voice.give_silent()


async def _write(pieces: AsyncGenerator[ReplyPiece, None], tell: Tell) -> None:
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if piece != "":
                    tell(piece)
        tell(Written())
    except EngineError as error:
        tell(ChatFailed(error))


class _Voice:
    """Takes what is written, tells it on, and speaks it phrase by phrase."""

    def __init__(self, by: SpokenBy, to_voice: MemoryObjectSendStream[str], tell: Tell) -> None:
        self._by = by
        self._to_voice = to_voice
        self._tell = tell
        self._splitter = PhraseSplitter(by.language)
        self._sent: list[str] = []
        self._begun = 0  # so many of them
        self._failed = False

    def take(self, event: Progress) -> None:
        self._tell(event)
        if isinstance(event, str):
            self._send(self._splitter.feed(event))

    def finish(self) -> None:
        """All is written."""
        self._send(self._splitter.finish())

    async def speak(self, phrases: AsyncIterator[str]) -> None:
        by = self._by
        try:
            async with aclosing(by.text_to_speech.speak(phrases, by.voice, by.speed)) as sound:
                async for speech in sound:
                    self._begin(speech.number + 1)  # with it those before it that the voice passed over
                    self._tell(speech)
        except EngineError as error:
            self._failed = True
            self._tell(VoiceFailed(error))
            self.give_silent()

    def give_silent(self) -> None:
        """The phrases that got no sound, at least to be read."""
        self._begin(len(self._sent))

    def _send(self, phrases: Iterable[str]) -> None:
        for phrase in phrases:
            self._sent.append(phrase)
            self._tell(PhraseSent(phrase))
            self._to_voice.send_nowait(phrase)
        if self._failed:
            self.give_silent()

    def _begin(self, count: int) -> None:
        """So many phrases, from the first on."""
        for phrase in self._sent[self._begun : count]:
            self._begun += 1
            self._tell(PhraseBegun(phrase))
