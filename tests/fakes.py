"""The one scripted fake of each engine. They read time only from the loop, so they run on virtual time too."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from voice.audio import VOICE_RATE, Pcm
from voice.engines import ChatModel, EngineError, Engines, Message, Speech, Transcript, Voice


@dataclass
class FakeSpeechToText:
    """Understands what the script says, whatever the sound is."""

    script: list[Transcript | EngineError] = field(default_factory=list)
    """One entry a turn; when it runs out, "Hello there."."""
    delay: float = 0
    heard: list[Pcm] = field(default_factory=list)
    label: str = "fake ears"

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        self.heard += [pcm async for pcm in audio]
        await asyncio.sleep(self.delay)
        scripted = (
            self.script.pop(0) if self.script else Transcript("Hello there.", final=True, language="en")
        )
        if isinstance(scripted, EngineError):
            raise scripted
        yield scripted

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


@dataclass
class FakeChat:
    """Writes the script, a character at a time."""

    script: list[str | EngineError | Sequence[str | EngineError | float]] = field(default_factory=list)
    """One entry a turn: a reply; an error; or its pieces, a float among them being a pause in seconds. When it runs
    out, the reply is an echo."""
    delay: float = 0
    """Seconds before each piece."""
    prompts: list[Sequence[Message]] = field(default_factory=list)
    running: int = 0
    label: str = "fake brain"

    async def reply(self, prompt: Sequence[Message]) -> AsyncGenerator[str, None]:
        self.prompts.append(prompt)
        scripted = self.script.pop(0) if self.script else f"You said: {prompt[-1].content}"
        pieces = [scripted] if isinstance(scripted, EngineError) else scripted
        self.running += 1
        try:
            for piece in pieces:
                await asyncio.sleep(piece if isinstance(piece, float) else self.delay)
                if isinstance(piece, EngineError):
                    raise piece
                if isinstance(piece, str):
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
        async for phrase in phrases:
            await asyncio.sleep(self.delay)
            if self.error and self.spoken:
                raise self.error
            self.spoken.append(phrase)
            samples = np.arange(int(len(phrase) * 0.05 / speed * VOICE_RATE))
            yield Speech(
                Pcm.from_floats(0.2 * np.sin(2 * math.pi * 440 * samples / VOICE_RATE), VOICE_RATE), phrase
            )

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


def fake_engines(
    speech_to_text: FakeSpeechToText | None = None,
    chat: ChatModel | None = None,
    text_to_speech: FakeTextToSpeech | None = None,
) -> Engines:
    return Engines(
        speech_to_text or FakeSpeechToText(), chat or FakeChat(), text_to_speech or FakeTextToSpeech()
    )
