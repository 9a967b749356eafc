"""`--check`: try every engine once, for real, and say which work; of one that does not, say what is wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar
from urllib.parse import urlsplit

from voice import texts
from voice.audio import SPEECH_RATE, Pcm, join, resample
from voice.engines import (
    ChatModel,
    Engine,
    EngineError,
    Engines,
    Message,
    NotConfigured,
    SpeechToText,
    TextToSpeech,
    Unavailable,
    only_text,
)
from voice.engines.failover import Failover
from voice.network import WELL_KNOWN_HOSTS, Resolve, find_fault, resolve
from voice.settings import Settings

T = TypeVar("T")
E = TypeVar("E", bound=Engine)

PHRASE = "Hello, can you hear me?"
UNREACHABLE = frozenset({"speech_unreachable", "speech_timeout", "chat_unreachable", "chat_timeout"})
"""Sentences behind which there may be a wrong address, or no network."""


async def check_engines(
    engines: Engines, hosts: Mapping[str, str] | None = None, resolve: Resolve = resolve
) -> int:
    """Print a line for each engine, with what it did or what to do about it. The exit status: 1 if any failed.

    Of engines that stand in for each other each has its line. `hosts`: which setting names a host, as `name_hosts` says.
    """
    spoken: list[Pcm] = []

    async def speak(engine: TextToSpeech) -> str:
        async with aclosing(engine.speak(_only(PHRASE), "")) as sound:
            pieces = [speech.pcm async for speech in sound]
        spoken[:] = spoken or pieces
        return f"spoke {sum(pcm.seconds for pcm in pieces):.1f} s of sound"

    async def recognise(engine: SpeechToText) -> str:
        sound = resample(join(spoken), SPEECH_RATE) if spoken else Pcm.silence(1000, SPEECH_RATE)
        async with aclosing(engine.transcribe(_only(sound), "en")) as transcripts:
            heard = [transcript.text async for transcript in transcripts]
        return f"heard “{heard[-1]}”" if spoken else "works; had nothing to hear"

    async def chat(engine: ChatModel) -> str:
        async with aclosing(only_text(engine.reply([Message("user", PHRASE)]))) as pieces:
            reply = "".join([piece async for piece in pieces])
        return f"wrote “{' '.join(reply.split())[:60]}”"

    async def try_all(role: str, engine: E, work: Callable[[E], Awaitable[str]]) -> bool:
        return all([await _try(role, each, work, hosts or {}, resolve) for each in _parts(engine)])

    try:
        ok = [
            await try_all("Text to speech", engines.text_to_speech, speak),
            await try_all("Speech to text", engines.speech_to_text, recognise),
            await try_all("Chat model", engines.chat, chat),
        ]
    finally:
        await engines.close()
    return 0 if all(ok) else 1


def name_hosts(settings: Settings) -> dict[str, str]:
    """Which setting each host comes from that the settings name, in an address or as a region."""
    hosts = {
        f"{region}.{service}.speech.microsoft.com": name
        for name, region in (
            ("AZURE_FAILOVER_REGION", settings.azure_failover_region),
            ("AZURE_REGION", settings.azure_region),
        )
        for service in ("stt", "tts")
    }
    for name, value in settings:
        if isinstance(value, str) and "://" in value:
            hosts[urlsplit(value).hostname or ""] = name.upper()
    return hosts


def _parts(engine: E) -> Sequence[E]:
    return engine.engines if isinstance(engine, Failover) else [engine]


async def _try(
    role: str, engine: E, work: Callable[[E], Awaitable[str]], hosts: Mapping[str, str], resolve: Resolve
) -> bool:
    try:
        await engine.warm()
        started = time.perf_counter()
        did = await work(engine)
    except EngineError as failure:
        error = await _look_into(failure, getattr(engine, "address", ""), hosts, resolve)
        print(f"✗ {role} ({engine.label}): {texts.say(error.sentence, 'en', **error.details)}")
        return False
    print(f"✓ {role} ({engine.label}): {did} in {time.perf_counter() - started:.1f} s")
    return True


async def _look_into(
    error: EngineError, address: str, hosts: Mapping[str, str], resolve: Resolve
) -> EngineError:
    """The error, or what is behind it."""
    host = urlsplit(address).hostname
    if not host or error.sentence not in UNREACHABLE:
        return error
    fault = await find_fault(host, resolve)
    if fault == "no network":
        return Unavailable("network_missing", known=WELL_KNOWN_HOSTS[0])
    if fault == "no address":
        setting = hosts.get(host, "the settings")
        if setting.endswith("REGION"):
            return NotConfigured("region_missing", region=host.split(".")[0], host=host, setting=setting)
        return NotConfigured("address_missing", host=host, setting=setting)
    return error


async def _only(item: T) -> AsyncIterator[T]:
    yield item
