"""Every so often a turn goes wrong, in one of the ways that clouds do. Seeded, so that a run can be repeated."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from tests.emulators.azure_script import (
    Close,
    Drop,
    Final,
    Heard,
    Partial,
    Recogniser,
    VoiceBox,
    Word,
    hearing,
    saying,
)
from tests.emulators.azure_speech import Handshake
from tests.emulators.chat import (
    AZURE_BROKEN,
    AZURE_BUSY,
    AZURE_FILTERED,
    AZURE_FIREWALL,
    AZURE_KEY_REFUSED,
    Answer,
    Decide,
    Exchange,
    Stream,
    azure_refuse,
    chunk,
)
from tests.emulators.loopback import Cut, Pause, Raw, Silence

Turn = TypeVar("Turn")
T = TypeVar("T")

SILENCE = Pause(60)
"""Longer than any client waits."""

HEARING: Mapping[str, Recogniser] = {
    "TCP drop": hearing(Drop),
    "close 1011": hearing(Close(1011, "oops")),
    "close 1007": hearing(Close(1007, "bad")),
    "close 1000": hearing(Close(1000)),
    "silence": hearing(SILENCE),
    "TCP drop in mid-turn": hearing(Heard(300), Partial("he"), Drop),
    "close 1011 in mid-turn": hearing(Heard(300), Partial("he"), Close(1011)),
    "stall in mid-turn": hearing(Heard(300), Partial("he"), SILENCE),
    "NoMatch": hearing(Heard(300), Final("", status="NoMatch")),
    "InitialSilenceTimeout": hearing(Heard(300), Final("", status="InitialSilenceTimeout")),
    "BabbleTimeout": hearing(Heard(300), Final("", status="BabbleTimeout")),
    "Error": hearing(Final("", status="Error")),
    "TooManyRequests": hearing(Final("", status="TooManyRequests")),
}
SPEAKING: Mapping[str, VoiceBox] = {
    "TCP drop": saying(Drop),
    "close 1011": saying(Close(1011, "oops")),
    "close 1007": saying(Close(1007, "bad")),
    "close 1000": saying(Close(1000)),
    "silence": saying(SILENCE),
    "TCP drop in mid-turn": saying(bytes(4800), Drop),
    "close 1011 in mid-turn": saying(bytes(4800), Close(1011)),
    "stall in mid-turn": saying(bytes(4800), SILENCE),
    "slow drip": saying(*[step for _ in range(5) for step in (bytes(4800), Pause(0.5))]),
    "no sound": saying(),
    "half a sample": saying(Word("x", 0), bytes(4801)),
}
ANSWERING: Mapping[str, Answer] = {
    "401": AZURE_KEY_REFUSED,
    "403": AZURE_FIREWALL,
    "429": AZURE_BUSY,
    "500": AZURE_BROKEN,
    "503": azure_refuse(
        503, "ServiceUnavailable", "The service is temporarily unable to process your request."
    ),
    "silence": Silence(),
    "stall before the first token": Stream(SILENCE),
    "stall in mid-stream": Stream("Well, the answer", SILENCE),
    "cut before the first token": Stream(Cut),
    "cut in mid-stream": Stream("Well, the answer", Cut),
    "stream without an end": Stream("Well, the answer is this.", finish=None),
    "no JSON": Stream("Well", Raw(b"data: {oops\n\n")),
    "empty choices only": Stream(chunk([]), chunk([])),
    "filtered prompt": AZURE_FILTERED,
    "filtered in mid-stream": Stream("Well, the answer", finish="content_filter"),
    "cut for its length": Stream("Well, the answer is so long that", finish="length"),
    "slow drip": Stream(*[step for word in ["One.", "Two.", "Three."] for step in (f"{word} ", Pause(0.5))]),
}
HANDSHAKES: Mapping[str, Handshake] = {"401": 401, "403": 403, "429": 429, "503": 503, "stall": SILENCE}


class RandomFaults:
    """Wraps what hears, speaks and answers; each of its turns meets a fault with this probability.

    faults = RandomFaults(0.2, random.Random(1))
    AzureSpeechServer(faults.hearing(say_nothing_new), faults.speaking(hum), handshake=faults.handshake)
    ChatServer(faults.answering(answer))
    """

    def __init__(self, probability: float, chance: random.Random) -> None:
        self.probability = probability
        self.met: Counter[str] = Counter()
        """How often each fault was, as "hearing: silence"."""
        self._chance = chance

    def hearing(self, recognise: Recogniser) -> Recogniser:
        return self._sometimes("hearing", recognise, HEARING)

    def speaking(self, speak: VoiceBox) -> VoiceBox:
        return self._sometimes("speaking", speak, SPEAKING)

    def answering(self, answer: Decide) -> Decide:
        def decide(exchange: Exchange) -> Answer:
            return self._draw("answering", ANSWERING) or answer(exchange)

        return decide

    def handshake(self) -> Handshake:
        """For `AzureSpeechServer`. Connections are kept, so that these are few."""
        return self._draw("handshake", HANDSHAKES)

    def _sometimes(
        self,
        where: str,
        behave: Callable[[Turn], AsyncGenerator[Any, None]],
        faults: Mapping[str, Callable[[Turn], AsyncGenerator[Any, None]]],
    ) -> Callable[[Turn], AsyncGenerator[Any, None]]:
        async def perhaps(turn: Turn) -> AsyncGenerator[Any, None]:
            async with aclosing((self._draw(where, faults) or behave)(turn)) as steps:
                async for step in steps:
                    yield step

        return perhaps

    def _draw(self, where: str, faults: Mapping[str, T]) -> T | None:
        if self._chance.random() >= self.probability:
            return None
        name = self._chance.choice(list(faults))
        self.met[f"{where}: {name}"] += 1
        return faults[name]
