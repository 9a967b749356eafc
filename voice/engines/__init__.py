"""What an engine is: three streaming Protocols, their value types, their errors; and `choose`.

Streams in, streams out. Whoever iterates an engine's stream also closes it (`contextlib.aclosing`); closing is how
work is stopped. Engines raise only the errors below, translated once at their own edge with `raise ... from`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias

import anyio

from voice.audio import Pcm
from voice.cpus import count_cpus

if TYPE_CHECKING:
    from voice.progress import Progress
    from voice.settings import Settings


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
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


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


class SpeechToText(Protocol):
    @property
    def label(self) -> str:
        """For people: short."""
        ...

    def transcribe(self, audio: AsyncIterator[Pcm], language: str | None) -> AsyncGenerator[Transcript, None]:
        """Partials as they come, one final last. An empty final text means that no speech was recognised.

        `audio`: 16 kHz. `language`: primary subtag, or None to detect it.
        """
        ...

    async def warm(self) -> None:
        """Load and try, so that the first turn is as fast as the next. Raises what `transcribe` raises."""
        ...

    async def close(self) -> None: ...


class ChatModel(Protocol):
    @property
    def label(self) -> str: ...

    def reply(self, prompt: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Pieces of the reply's text as they are written, cut anywhere."""
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


Engine: TypeAlias = "SpeechToText | ChatModel | TextToSpeech"


class Engines:
    """The three that a conversation needs. One set serves every user."""

    def __init__(
        self,
        speech_to_text: SpeechToText,
        chat: ChatModel,
        text_to_speech: TextToSpeech,
    ) -> None:
        self.speech_to_text = speech_to_text
        self.chat = chat
        self.text_to_speech = text_to_speech
        self._warming = anyio.Lock()
        self._warm = False

    async def warm(self, prompts: Sequence[Sequence[Message]] = ()) -> list[EngineError]:
        """Make all three ready, at once, and return what hinders any of them. Done once; who comes meanwhile waits.

        `prompts`: what conversations will begin with, for the chat model to read ahead.
        """
        failures: list[EngineError] = []

        async def warm(engine: Engine) -> None:
            try:
                await engine.warm()
                if engine is self.chat:
                    for prompt in prompts:
                        await self.chat.warm(prompt)
            except EngineError as error:
                failures.append(error)

        async with self._warming:
            if not self._warm:
                async with anyio.create_task_group() as tasks:
                    for engine in self.all():
                        tasks.start_soon(warm, engine)
                self._warm = not failures
        return failures

    async def close(self) -> None:
        async with anyio.create_task_group() as tasks:
            for engine in self.all():
                tasks.start_soon(engine.close)

    def all(self) -> tuple[Engine, Engine, Engine]:
        return (self.speech_to_text, self.chat, self.text_to_speech)


QUANTISATION = re.compile(r"([-_.](instruct|chat|it))?[-_.](i?q\d\w*|b?f16|f32)$", re.IGNORECASE)
"""What a GGUF file's name ends with and people need not read."""
OPENING_TOKENS = 500
"""Room for the system prompt and the exchanges that set the tone."""


def choose(settings: Settings, progress: Progress | None = None) -> Engines:
    """The engines that the settings ask for; models of this machine that are missing are fetched first. Blocks.

    Raises:
        NotConfigured: the local engines are not installed, or there is no such model.
        Unavailable: a model cannot be fetched or stored.
    """
    try:
        from voice.engines.local_voices import LocalVoices
        from voice.engines.local_whisper import LocalWhisper
    except ImportError as exc:
        raise NotConfigured("local_engines_missing") from exc
    from voice.models import fetch
    from voice.weights import KOKORO_JA, WHISPER_BASE

    chat = _choose_chat(settings, progress)
    timeout = settings.engine_timeout_seconds
    threads = settings.cpu_threads or count_cpus()
    whisper = fetch(WHISPER_BASE, settings.models_dir, progress)
    kokoro = (
        fetch(KOKORO_JA, settings.models_dir, progress) if settings.local_japanese_voice != "mei" else None
    )
    return Engines(
        LocalWhisper(whisper, cpu_threads=min(threads, 4), timeout_seconds=timeout),
        chat,
        LocalVoices(kokoro, settings.local_japanese_voice, threads=min(threads, 4), timeout_seconds=timeout),
    )


def _choose_chat(settings: Settings, progress: Progress | None) -> ChatModel:
    from voice.engines.openai_chat import OpenAIChat

    key = settings.openai_api_key.get_secret_value()
    configured = bool(settings.openai_base_url or key)
    if settings.chat_engine == "openai" and not configured:
        raise NotConfigured("openai_not_configured")
    if configured and settings.chat_engine != "local":
        return OpenAIChat(
            base_url=settings.openai_base_url or "https://api.openai.com/v1",
            api_key=key,
            model=settings.openai_model or ("" if settings.openai_base_url else "gpt-4o-mini"),
            temperature=settings.chat_temperature,
            max_tokens=settings.chat_max_tokens,
            timeout_seconds=settings.engine_timeout_seconds,
        )
    from voice.engines.local_llama import LocalLlama, check_llama
    from voice.models import resolve_chat_model

    check_llama()

    model = resolve_chat_model(settings.local_chat_model, settings.models_dir, progress)
    return LocalLlama(
        model,
        label=QUANTISATION.sub("", model.stem),
        slots=settings.local_chat_slots,
        threads=settings.cpu_threads or count_cpus(),
        context_tokens=OPENING_TOKENS
        + settings.history_tokens
        + settings.max_text_characters
        + settings.chat_max_tokens,
        temperature=settings.chat_temperature,
        max_tokens=settings.chat_max_tokens,
        timeout_seconds=settings.engine_timeout_seconds,
    )
