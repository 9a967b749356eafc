"""The stages of a turn, timed from the events that the page and programs get too."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from bench.utterances import Utterance
from voice.engines import EngineError
from voice.session_events import Failed, Heard, ReplyGrew, Spoke, TurnEvent
from voice.speaking import PhraseSent

MOMENTS = ("transcript", "first token", "first phrase", "first PCM", "whole text", "whole reply")
"""What happens in a turn, each timed from the recording's end. The whole reply is its text and its sound."""
STAGES = ("recognise", "read the prompt", "write a phrase", "speak it")
"""What lies between the recording's end and the first PCM, each ended by the moment of the same place."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One turn. Moments are seconds from the recording's end, which is when the whole file is handed over."""

    moments: dict[str, float]
    heard: str
    reply: str
    first_phrase: str
    tokens: int
    """Pieces of text that the chat model sent; llama.cpp sends one a token."""
    sound_seconds: float
    voice_seconds: float
    """Time in which the voice had a phrase to speak."""

    @property
    def stages(self) -> dict[str, float]:
        """Seconds that each of `STAGES` took."""
        ends = [self.moments[moment] for moment in MOMENTS[: len(STAGES)]]
        return {stage: end - start for stage, start, end in zip(STAGES, [0.0, *ends[:-1]], ends, strict=True)}

    @property
    def voice_factor(self) -> float:
        """Seconds of work for a second of sound, while the chat model writes on the same cores."""
        return self.voice_seconds / self.sound_seconds

    @property
    def tokens_per_second(self) -> float:
        """How fast the reply was written once it had begun; infinite when it came in one piece."""
        seconds = self.moments["whole text"] - self.moments["first token"]
        return (self.tokens - 1) / seconds if seconds > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Turn:
    utterance: Utterance
    timing: Timing

    @property
    def recognition_factor(self) -> float:
        """Seconds of work for a second of recording."""
        return self.timing.moments["transcript"] / self.utterance.seconds


async def time_turn(
    events: AsyncGenerator[TurnEvent, None], clock: Callable[[], float] = time.perf_counter
) -> Timing:
    """Take a turn, from now to its end. `clock`: seconds.

    Raises:
        EngineError: a part of the turn failed.
        IncompleteTurnError: it ended without a transcript, a reply or its sound.
    """
    start = clock()
    moments: dict[str, float] = {}
    ready: list[float] = []
    heard = reply = first_phrase = ""
    tokens = 0
    sound_seconds = voice_seconds = spoke = 0.0
    failure: EngineError | None = None
    async with aclosing(events):
        async for event in events:
            now = clock() - start
            match event:
                case Heard(heard, _):
                    moments["transcript"] = now
                case ReplyGrew(reply):
                    moments.setdefault("first token", now)
                    moments["whole text"] = now
                    tokens += 1
                case PhraseSent(phrase):
                    moments.setdefault("first phrase", now)
                    first_phrase = first_phrase or phrase
                    ready.append(now)
                case Spoke(speech):
                    moments.setdefault("first PCM", now)
                    moments["whole reply"] = now
                    voice_seconds += now - max(spoke, ready[speech.number])
                    sound_seconds += speech.pcm.seconds
                    spoke = now
                case Failed(error):
                    failure = failure or error
                case _:
                    pass
    if failure:
        raise failure
    if missing := [moment for moment in MOMENTS if moment not in moments]:
        raise IncompleteTurnError(f"the turn ended without: {', '.join(missing)}")
    moments["whole reply"] = max(moments["whole reply"], moments["whole text"])
    return Timing(moments, heard, reply, first_phrase, tokens, sound_seconds, voice_seconds)


class IncompleteTurnError(Exception):
    """A turn that did not get as far as a spoken reply."""


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    p90: float
    """Nine in ten are not above it; between two of them, it is interpolated."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(float(np.median(values)), float(np.percentile(values, 90)))
