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
    EndOfTurn,
    Engine,
    EngineError,
    Engines,
    Message,
    NotConfigured,
    Rejected,
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
REFUSED = frozenset({"speech_key_refused", "speech_key_unfit", "chat_key_refused"})

SETTINGS_OF = {
    "Text to speech": ("AZURE", "TTS"),
    "Speech to text": ("AZURE", "STT"),
    "Chat model": ("OPENAI",),
}
"""What the names of the settings for an address begin with; one server may serve several roles."""
KEYS = {
    "AZURE_REGION": "AZURE_SPEECH_KEY and AZURE_REGION",
    "AZURE_SPEECH_HOST": "AZURE_SPEECH_KEY",
    "AZURE_SPEECH_ENDPOINT": "AZURE_SPEECH_KEY",
    "AZURE_FAILOVER_REGION": "AZURE_FAILOVER_KEY and AZURE_FAILOVER_REGION",
    "AZURE_FAILOVER_HOST": "AZURE_FAILOVER_KEY",
    "OPENAI_ENDPOINT": "OPENAI_KEY",
    "OPENAI_FAILOVER_ENDPOINT": "OPENAI_FAILOVER_KEY",
    "OPENAI_BASE_URL": "OPENAI_API_KEY",
    "STT_BASE_URL": "STT_API_KEY",
    "TTS_BASE_URL": "TTS_API_KEY",
}
"""What to check of a key that is refused, by the setting of the address."""


async def check_engines(
    engines: Engines, hosts: Mapping[str, Sequence[str]] | None = None, resolve: Resolve = resolve
) -> int:
    """Print a line for each engine, with what it did or what to do about it. The exit status: 1 if any failed.

    Of engines that stand in for each other each has its line. `hosts`: which settings name a host, as `name_hosts` says.
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
        if engines.end_of_turn is not None:
            await _listen_for_end(
                engines.end_of_turn, join(spoken) if spoken else Pcm.silence(1000, SPEECH_RATE)
            )
    finally:
        await engines.close()
    return 0 if all(ok) else 1


async def _listen_for_end(engine: EndOfTurn, sound: Pcm) -> None:
    started = time.perf_counter()
    score = await engine.score(resample(sound, SPEECH_RATE))
    told = "had no time" if score is None else f"what was spoken sounds {score:.0%} complete"
    print(f"✓ End of turn ({engine.label}): {told} in {time.perf_counter() - started:.1f} s")


def name_hosts(settings: Settings) -> dict[str, list[str]]:
    """The settings that name each host, as `_host_of` has it, in an address or as a region."""
    hosts: dict[str, list[str]] = {}
    for name, region in (
        ("AZURE_REGION", settings.azure_region),
        ("AZURE_FAILOVER_REGION", settings.azure_failover_region),
    ):
        for service in ("stt", "tts"):
            hosts.setdefault(f"{region}.{service}.speech.microsoft.com", []).append(name)
    for name, value in settings:
        if isinstance(value, str) and "://" in value:
            hosts.setdefault(_host_of(value), []).append(name.upper())
    return hosts


def _host_of(address: str) -> str:
    """Its port too, where it names one."""
    return urlsplit(address).netloc.rpartition("@")[2].lower()


def _parts(engine: E) -> Sequence[E]:
    return engine.engines if isinstance(engine, Failover) else [engine]


async def _try(
    role: str,
    engine: E,
    work: Callable[[E], Awaitable[str]],
    hosts: Mapping[str, Sequence[str]],
    resolve: Resolve,
) -> bool:
    try:
        await engine.warm()
        started = time.perf_counter()
        did = await work(engine)
    except EngineError as failure:
        address = getattr(engine, "address", "")
        names = hosts.get(_host_of(address), ())
        setting = next((name for name in names if name.startswith(SETTINGS_OF[role])), "")
        error = await _look_into(failure, address, setting, resolve)
        print(f"✗ {role} ({engine.label}): {texts.say(error.sentence, 'en', **error.details)}")
        return False
    print(f"✓ {role} ({engine.label}): {did} in {time.perf_counter() - started:.1f} s")
    return True


async def _look_into(error: EngineError, address: str, setting: str, resolve: Resolve) -> EngineError:
    """The error, or what is behind it. `setting`: that of the address; "" for OpenAI's own."""
    if address and error.sentence in REFUSED:
        key = KEYS.get(setting) or ("OPENAI_API_KEY" if error.sentence == "chat_key_refused" else "")
        return Rejected("key_refused", host=_host_of(address), setting=key) if key else error
    if address and error.sentence in UNREACHABLE:
        return await _look_for(address, setting, resolve) or error
    return error


async def _look_for(address: str, setting: str, resolve: Resolve) -> EngineError | None:
    """Why nobody answers there, if that can be told."""
    host = urlsplit(address).hostname or ""
    fault = await find_fault(host, resolve)
    if fault == "no network":
        return Unavailable("network_missing", known=WELL_KNOWN_HOSTS[0])
    if fault == "no address" and setting.endswith("REGION"):
        return NotConfigured("region_missing", region=host.split(".")[0], host=host, setting=setting)
    if fault == "no address":
        return NotConfigured("address_missing", host=host, setting=setting or "the settings")
    return Unavailable("address_silent", host=_host_of(address), setting=setting) if setting else None


async def _only(item: T) -> AsyncIterator[T]:
    yield item
