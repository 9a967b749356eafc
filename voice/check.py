"""`--check`: try every engine once, for real, and say which work."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from voice import texts
from voice.audio import SPEECH_RATE, Pcm, join, resample
from voice.engines import Engine, EngineError, Engines, Message

T = TypeVar("T")

PHRASE = "Hello, can you hear me?"


async def check_engines(engines: Engines) -> int:
    """Print a line for each engine, with what it did or what to do about it. The exit status: 1 if any failed."""
    spoken: list[Pcm] = []

    async def speak() -> str:
        async with aclosing(engines.text_to_speech.speak(_only(PHRASE), "")) as sound:
            spoken.extend([speech.pcm async for speech in sound])
        return f"spoke {sum(pcm.seconds for pcm in spoken):.1f} s of sound"

    async def recognise() -> str:
        sound = resample(join(spoken), SPEECH_RATE) if spoken else Pcm.silence(1000, SPEECH_RATE)
        async with aclosing(engines.speech_to_text.transcribe(_only(sound), "en")) as transcripts:
            heard = [transcript.text async for transcript in transcripts]
        return f"heard “{heard[-1]}”" if spoken else "works; had nothing to hear"

    async def chat() -> str:
        async with aclosing(engines.chat.reply([Message("user", PHRASE)])) as pieces:
            reply = "".join([piece async for piece in pieces])
        return f"wrote “{' '.join(reply.split())[:60]}”"

    try:
        ok = [
            await _try("Text to speech", engines.text_to_speech, speak),
            await _try("Speech to text", engines.speech_to_text, recognise),
            await _try("Chat model", engines.chat, chat),
        ]
    finally:
        await engines.close()
    return 0 if all(ok) else 1


async def _try(role: str, engine: Engine, work: Callable[[], Awaitable[str]]) -> bool:
    try:
        await engine.warm()
        started = time.perf_counter()
        did = await work()
    except EngineError as error:
        print(f"✗ {role} ({engine.label}): {texts.say(error.sentence, 'en', **error.details)}")
        return False
    print(f"✓ {role} ({engine.label}): {did} in {time.perf_counter() - started:.1f} s")
    return True


async def _only(item: T) -> AsyncIterator[T]:
    yield item
