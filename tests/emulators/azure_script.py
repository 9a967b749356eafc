"""What the emulated Azure Speech is told to do: the steps of a turn, and callables that yield them.

`hearing` and `saying` make such callables from a script; `tests.emulators.plausible` and `tests.emulators.local` hear and
speak by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from xml.etree import ElementTree

from tests.emulators.loopback import Pause

BYTES_PER_MS = 32
"""Of what is recognised: 16 kHz, 16 bits, mono."""


@dataclass(frozen=True)
class Close:
    """The WebSocket is closed with this code."""

    code: int
    reason: str = ""


class Drop:
    """The TCP connection is gone, without a word."""


@dataclass(frozen=True)
class Heard:
    """Wait until so much audio has come, or its end."""

    ms: int


END = Heard(3_600_000)
"""Wait for the end of the audio."""


@dataclass(frozen=True)
class Partial:
    text: str
    start_ms: int = 0
    end_ms: int = 500
    language: str = ""
    """What language identification says, as "ja-JP"; empty for none."""


@dataclass(frozen=True)
class Final(Partial):
    status: str = "Success"
    """Or "NoMatch", "InitialSilenceTimeout", "BabbleTimeout", "Error", "TooManyRequests"."""


@dataclass(frozen=True)
class Word:
    text: str
    offset_ms: int
    boundary: str = "WordBoundary"


Hearing: TypeAlias = "Partial | Heard | Pause | Close | type[Drop]"
Saying: TypeAlias = "bytes | Word | Pause | Close | type[Drop]"


@dataclass
class RecognitionTurn:
    """What the client sends of one turn."""

    request_id: str
    languages: tuple[str, ...]
    context: Mapping[str, Any]
    """The `speech.context` message."""
    audio: bytearray = field(default_factory=bytearray)
    """16 kHz, 16 bits, mono; grows."""
    ended: bool = False
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    _arrivals: list[tuple[int, float]] = field(default_factory=list)
    """How many ms of audio there were, and since when on the event loop's clock."""

    @property
    def heard_ms(self) -> int:
        return len(self.audio) // BYTES_PER_MS

    async def hear(self, ms: int) -> None:
        """Returns when `ms` of audio have come, or the audio has ended."""
        async with self.grown:
            await self.grown.wait_for(lambda: self.ended or self.heard_ms >= ms)

    async def grow(self, data: bytes) -> None:
        async with self.grown:
            self.audio += data.removeprefix(data[:44]) if data.startswith(b"RIFF") else data
            self.ended = not data
            self._arrivals.append((self.heard_ms, asyncio.get_running_loop().time()))
            self.grown.notify_all()

    def arrived_at(self, ms: int) -> float:
        """When the audio had come so far, on the event loop's clock; of what has not come yet, the latest there is."""
        return next((when for heard, when in self._arrivals if heard >= ms), self._arrivals[-1][1])


@dataclass(frozen=True)
class SynthesisTurn:
    request_id: str
    ssml: str
    context: Mapping[str, Any]

    @property
    def text(self) -> str:
        return "".join(ElementTree.fromstring(self.ssml).itertext())

    @property
    def rate(self) -> float:
        """How fast to speak; 1.0 is the voice's own."""
        prosody = ElementTree.fromstring(self.ssml).find(".//{http://www.w3.org/2001/10/synthesis}prosody")
        return 1.0 if prosody is None else float(prosody.attrib.get("rate", 1.0))

    @property
    def voice(self) -> str:
        voice = ElementTree.fromstring(self.ssml).find("{http://www.w3.org/2001/10/synthesis}voice")
        return "" if voice is None else voice.attrib["name"]


Recogniser: TypeAlias = Callable[[RecognitionTurn], AsyncGenerator[Hearing, None]]
VoiceBox: TypeAlias = Callable[[SynthesisTurn], AsyncGenerator[Saying, None]]


def hearing(*steps: Hearing) -> Recogniser:
    async def recognise(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        for step in steps:
            yield step

    return recognise


def saying(*steps: Saying) -> VoiceBox:
    async def speak(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
        for step in steps:
            yield step

    return speak


async def say_nothing_new(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
    """A plain recogniser: "Hello there." with a partial before it."""
    yield Heard(100)
    yield Partial("hello")
    yield END
    yield Final("Hello there.")


async def hum(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
    """A plain voice: 50 ms of sound for each character, a boundary for each word."""
    at = 0
    for word in turn.text.split():
        yield Word(word, at)
        yield bytes([1, 0]) * 24 * 50 * len(word)
        at += 50 * len(word)


def in_turn(
    *behaviours: Callable[[Any], AsyncGenerator[Any, None]],
) -> Callable[[Any], AsyncGenerator[Any, None]]:
    """The first turn by the first, and so on; the last is repeated."""
    left = list(behaviours)

    def behave(turn: Any) -> AsyncGenerator[Any, None]:
        return (left.pop(0) if len(left) > 1 else left[0])(turn)

    return behave
