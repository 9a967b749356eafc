"""What an engine is: three streaming Protocols, their value types and their errors.

Streams in, streams out. Whoever iterates an engine's stream also closes it (`contextlib.aclosing`); closing is how
work is stopped. Engines raise only the errors below, translated once at their own edge with `raise ... from`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias

import anyio

from voice.audio import Pcm


@dataclass(frozen=True, slots=True)
class Transcript:
    """What speech to text understood so far (`final=False`, a partial) or at the end."""

    text: str
    final: bool
    language: str | None = None
    """Primary language subtag, as "ja"; None when unknown."""
    start_ms: int = 0
    """Where the speech begins, from the start of the audio."""
    end_ms: int = 0


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the client can call for the chat model."""

    name: str
    description: str
    parameters: str
    """JSON schema, as JSON text."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The chat model wants a function called."""

    id: str
    """At most 32 characters."""
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a reply took."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


IncompleteReason: TypeAlias = Literal["max_output_tokens", "content_filter"]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The reply breaks off here."""

    reason: IncompleteReason


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    """What an assistant's message asks to be called."""
    call_id: str = ""
    """Of a tool's message: which call its content answers."""


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """What one reply may be like, beyond its prompt."""

    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """"auto", "none", "required", or a tool's name."""
    max_tokens: int | None = None
    """None: as configured."""


PLAIN_REPLY = ReplyOptions()
ReplyPiece: TypeAlias = "str | ToolCall | Usage | Incomplete"


async def only_text(reply: AsyncGenerator[ReplyPiece, None]) -> AsyncGenerator[str, None]:
    """The words of a reply, for whoever offers no tools and counts no tokens."""
    async with aclosing(reply) as pieces:
        async for piece in pieces:
            if isinstance(piece, str):
                yield piece


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    offset_ms: int
    """From the start of the phrase's own sound."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of spoken sound, in the order in which it is to be played."""

    pcm: Pcm
    phrase: str
    """The phrase that this sound belongs to; a phrase may come in several pieces."""
    words: tuple[Word, ...] = ()
    number: int = 0
    """Which of the phrases that were given to `speak` it is, from 0 on: one may be said twice ("No. No.")."""


@dataclass(frozen=True, slots=True)
class Voice:
    name: str
    """Unique within its engine, as "kokoro/jf_alpha"."""
    label: str
    """For people: short, no engine jargon needed to choose."""
    language: str
    """Primary language subtag of what it speaks, as "ja"."""
    attribution: str = ""
    """What its licence asks to be shown, else empty."""


class EngineError(Exception):
    """A provider's failure, told so that a user can act on it.

    `sentence` names a sentence of `voice.texts`; `details` fill its blanks and never hold a secret.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, sentence: str, **details: str | int | float) -> None:
        super().__init__(sentence, details)
        self.sentence = sentence
        self.details = details


class NotConfigured(EngineError):
    """Something must be set or installed before this engine can work."""


class Rejected(EngineError):
    """The provider answered and refuses: key, quota, content."""


class Unavailable(EngineError):
    """The provider cannot be reached, is overloaded or took too long."""

    retryable = True


class BadInput(EngineError):
    """What was sent cannot be used: empty, too long, unreadable."""


SHORT_SECONDS = 1.2
"""Of speech, or less, are a word or two: too little to tell their language by. They are taken to be in the last turn's."""


class SpeechToText(Protocol):
    @property
    def label(self) -> str:
        """For people: short."""
        ...

    def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        """Partials as they come, one final last. An empty final text means that no speech was recognised.

        `audio`: 16 kHz. `language`: primary subtag, or None to detect it. `last`: of the turn before, for an engine that
        detects the language and finds the audio too short for it.
        """
        ...

    async def warm(self) -> None:
        """Load and try, so that the first turn is as fast as the next. Raises what `transcribe` raises."""
        ...

    async def close(self) -> None: ...


class ChatModel(Protocol):
    @property
    def label(self) -> str: ...

    def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        """Pieces of the reply's text as they are written, cut anywhere.

        Whole calls of tools, if some were offered. After the text, whether it breaks off; last, where the provider
        tells it, the usage.
        """
        ...

    async def warm(self, prompt: Sequence[Message] = ()) -> None:
        """Connect or load; with a `prompt`, have the model read it ahead so that a reply to it starts at once."""
        ...

    async def close(self) -> None: ...


class TextToSpeech(Protocol):
    @property
    def label(self) -> str: ...

    def voices(self) -> Sequence[Voice]:
        """Every voice on offer, the default of each language first."""
        ...

    def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """The sound of each phrase, in order. 24 kHz.

        `voice`: a name of `voices()`, which speaks phrases of its own language; phrases of another language are
        spoken by that language's default voice. "" leaves the choice to the engine. `speed`: 0.5 to 2.0.
        """
        ...

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


class EndOfTurn(Protocol):
    """Hears whether a turn is complete. A conversation can do without."""

    @property
    def label(self) -> str: ...

    @property
    def seconds(self) -> float:
        """Of a turn's sound: how much of its end counts."""
        ...

    async def score(self, sound: Pcm) -> float | None:
        """The probability that the turn is complete; None where there is no time to find out.

        `sound`: of the turn so far, 16 kHz, with the first 0.2 s of the pause.
        """
        ...


Engine: TypeAlias = "SpeechToText | ChatModel | TextToSpeech"


TRY_AGAIN_SECONDS = 10
"""After a failure; whoever opens the page meanwhile is told of that one at once."""


class Engines:
    """The three that a conversation needs, and what it can do without. One set serves every user."""

    def __init__(
        self,
        speech_to_text: SpeechToText,
        chat: ChatModel,
        text_to_speech: TextToSpeech,
        end_of_turn: EndOfTurn | None = None,
    ) -> None:
        self.speech_to_text = speech_to_text
        self.chat = chat
        self.text_to_speech = text_to_speech
        self.end_of_turn = end_of_turn
        self._users: list[Callable[[], Awaitable[None]]] = []
        self._warming = anyio.Lock()
        self._warm = False
        self._failures: list[EngineError] = []
        self._failed_at = -math.inf

    @property
    def is_warm(self) -> bool:
        return self._warm

    @property
    def failures(self) -> Sequence[EngineError]:
        """What hindered the last attempt to warm them."""
        return self._failures

    async def warm(self, prompts: Sequence[Sequence[Message]] = ()) -> list[EngineError]:
        """Make all three ready, at once, and return what hinders any of them. Done once; who comes meanwhile waits.

        `prompts`: what conversations will begin with, for the chat model to read ahead.
        """
        async with self._warming:
            if not self._warm and anyio.current_time() - self._failed_at > TRY_AGAIN_SECONDS:
                self._failures = await self._warm_all(prompts)
                self._warm = not self._failures
                self._failed_at = anyio.current_time()
            return self._failures

    async def _warm_all(self, prompts: Sequence[Sequence[Message]]) -> list[EngineError]:
        failures: list[EngineError] = []

        async def warm_chat() -> None:
            await self.chat.warm()
            for prompt in prompts:
                await self.chat.warm(prompt)

        async def warm_in_turn(*steps: Callable[[], Awaitable[None]]) -> None:
            for step in steps:
                try:
                    await step()
                except EngineError as error:
                    failures.append(error)

        # The speech models one after the other: on two cores they would only slow down the chat model, the largest.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(warm_in_turn, warm_chat)
            tasks.start_soon(warm_in_turn, self.speech_to_text.warm, self.text_to_speech.warm)
        return failures

    def before_closing(self, stop: Callable[[], Awaitable[None]]) -> None:
        """`stop` ends what uses the engines."""
        self._users.append(stop)

    async def close(self) -> None:
        for stop in self._users:
            await stop()
        async with anyio.create_task_group() as tasks:
            for engine in self.all():
                tasks.start_soon(engine.close)

    def all(self) -> tuple[Engine, Engine, Engine]:
        return (self.speech_to_text, self.chat, self.text_to_speech)
