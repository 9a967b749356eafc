"""Azure's engines on the emulator, and what is put in at one end and comes out at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio

from tests.emulators.azure_speech import AzureSpeechServer
from voice.audio import SPEECH_RATE, Pcm
from voice.engines import Speech, Transcript
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.azure_synthesis import AzureTextToSpeech

TIMEOUT = 2.5
FAR_TOO_LONG = 30


@asynccontextmanager
async def ears(server: AzureSpeechServer, **options: Any) -> AsyncIterator[AzureSpeechToText]:
    engine = AzureSpeechToText(
        SpeechResource(key="secret", host=server.host), **{"timeout_seconds": TIMEOUT, **options}
    )
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def mouth(server: AzureSpeechServer, **options: Any) -> AsyncIterator[AzureTextToSpeech]:
    engine = AzureTextToSpeech(
        SpeechResource(key="secret", host=server.host), **{"timeout_seconds": TIMEOUT, **options}
    )
    try:
        yield engine
    finally:
        await engine.close()


async def clip(ms: int = 500) -> AsyncIterator[Pcm]:
    for _ in range(ms // 20):
        yield Pcm.silence(20, SPEECH_RATE)


async def endless() -> AsyncIterator[Pcm]:
    while True:
        yield Pcm.silence(20, SPEECH_RATE)
        await anyio.sleep(0.02)


async def stream(*phrases: str) -> AsyncIterator[str]:
    for phrase in phrases:
        yield phrase


async def transcribe(
    engine: AzureSpeechToText, language: str | None = "ja", ms: int = 500
) -> list[Transcript]:
    with anyio.fail_after(FAR_TOO_LONG):
        async with aclosing(engine.transcribe(clip(ms), language)) as transcripts:
            return [transcript async for transcript in transcripts]


async def speak(
    engine: AzureTextToSpeech, *phrases: str, voice: str = "", speed: float = 1.0
) -> list[Speech]:
    with anyio.fail_after(FAR_TOO_LONG):
        async with aclosing(engine.speak(stream(*phrases), voice, speed)) as pieces:
            return [piece async for piece in pieces]
