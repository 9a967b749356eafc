"""The one scripted fake of each engine. They read time only from the loop, so they run on virtual time too."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from voice.audio import VOICE_RATE, Pcm
from voice.engines import (
    PLAIN_REPLY,
    ChatModel,
    EngineError,
    Engines,
    Message,
    ReplyOptions,
    ReplyPiece,
    Speech,
    Transcript,
    Voice,
)


@dataclass
class FakeSpeechToText:
    """Understands what the script says, whatever the sound is."""

    script: list[Transcript | EngineError | Sequence[Transcript | EngineError]] = field(default_factory=list)
    """One entry a turn: the final transcript; an error; or partials, each told `lag` after the sound up to its `end_ms`,
    and a final one or an error. When it runs out, "Hello there."."""
    delay: float = 0
    """Seconds from the end of the sound to the final transcript."""
    lag: float = 0.3
    """Seconds of sound from what is said to its partial transcript."""
    heard: list[Pcm] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    """In which it was asked to listen, turn by turn."""
    running: int = 0
    label: str = "fake ears"

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        scripted = (
            self.script.pop(0) if self.script else Transcript("Hello there.", final=True, language="en")
        )
        *partials, ending = scripted if isinstance(scripted, Sequence) else [scripted]
        seconds = 0.0
        self.languages.append(language)
        self.running += 1
        try:
            async for pcm in audio:
                self.heard.append(pcm)
                seconds += pcm.seconds
                while partials and seconds >= _due_of(partials[0], self.lag):
                    yield _unless_error(partials.pop(0))
            await asyncio.sleep(self.delay)
            yield _unless_error(ending)
        finally:
            self.running -= 1

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


def _due_of(scripted: Transcript | EngineError, lag: float) -> float:
    return 0.0 if isinstance(scripted, EngineError) else scripted.end_ms / 1000 + lag


def _unless_error(scripted: Transcript | EngineError) -> Transcript:
    if isinstance(scripted, EngineError):
        raise scripted
    return scripted


@dataclass
class FakeChat:
    """Writes the script, a character at a time."""

    script: list[str | EngineError | Sequence[ReplyPiece | EngineError | float]] = field(default_factory=list)
    """One entry a turn: a reply; an error; or its pieces, a float among them being a pause in seconds. When it runs
    out, the reply is an echo."""
    delay: float = 0
    """Seconds before each piece."""
    prompts: list[Sequence[Message]] = field(default_factory=list)
    options: list[ReplyOptions] = field(default_factory=list)
    """Of each turn."""
    running: int = 0
    label: str = "fake brain"

    async def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        self.prompts.append(prompt)
        self.options.append(options)
        scripted = self.script.pop(0) if self.script else f"You said: {prompt[-1].content}"
        pieces = [scripted] if isinstance(scripted, EngineError) else scripted
        self.running += 1
        try:
            for piece in pieces:
                await asyncio.sleep(piece if isinstance(piece, float) else self.delay)
                if isinstance(piece, EngineError):
                    raise piece
                if not isinstance(piece, float):
                    yield piece
        finally:
            self.running -= 1

    async def warm(self, prompt: Sequence[Message] = ()) -> None: ...

    async def close(self) -> None: ...


@dataclass
class FakeTextToSpeech:
    """Speaks each phrase as a tone of 50 ms a character."""

    error: EngineError | None = None
    """Raised instead of speaking the second phrase."""
    delay: float = 0
    spoken: list[str] = field(default_factory=list)
    label: str = "fake voice"

    def voices(self) -> Sequence[Voice]:
        return (
            Voice("ann", "Ann (English)", "en"),
            Voice("mei", "Mei (日本語)", "ja", "Mei: a voice of nobody, CC BY 3.0"),
        )

    async def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        number = -1
        async for phrase in phrases:
            number += 1
            await asyncio.sleep(self.delay)
            if self.error and self.spoken:
                raise self.error
            self.spoken.append(phrase)
            samples = np.arange(int(len(phrase) * 0.05 / speed * VOICE_RATE))
            yield Speech(
                Pcm.from_floats(0.2 * np.sin(2 * math.pi * 440 * samples / VOICE_RATE), VOICE_RATE),
                phrase,
                number=number,
            )

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


@dataclass
class FakeEndOfTurn:
    """Takes pauses for ends with the probabilities of the script."""

    script: list[float | Exception | None] = field(default_factory=list)
    """One entry a pause. When it runs out, the turn sounds complete."""
    delay: float = 0.1
    """Seconds."""
    heard: list[Pcm] = field(default_factory=list)
    seconds: float = 8
    label: str = "fake melody"

    async def score(self, sound: Pcm) -> float | None:
        self.heard.append(sound)
        scripted = self.script.pop(0) if self.script else 1.0
        await asyncio.sleep(self.delay)
        if isinstance(scripted, Exception):
            raise scripted
        return scripted


def fake_engines(
    speech_to_text: FakeSpeechToText | None = None,
    chat: ChatModel | None = None,
    text_to_speech: FakeTextToSpeech | None = None,
    end_of_turn: FakeEndOfTurn | None = None,
) -> Engines:
    return Engines(
        speech_to_text or FakeSpeechToText(),
        chat or FakeChat(),
        text_to_speech or FakeTextToSpeech(),
        end_of_turn,
    )
