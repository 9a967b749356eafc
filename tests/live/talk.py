"""A user with a microphone, for conversations with scripted engines on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import numpy as np
from numpy.typing import NDArray

from tests.fakes import FakeChat, FakeEndOfTurn, FakeSpeechToText, FakeTextToSpeech, fake_engines
from voice.audio import VOICE_RATE, Pcm
from voice.engines import Transcript
from voice.listening import FRAME_SAMPLES
from voice.live import LiveLimits, LiveSession
from voice.live.events import LiveEvent, PhaseChanged, ReplyWrote
from voice.session import Limits, Preferences, Session
from voice.turns.events import Phase, Rules

E = TypeVar("E", bound=LiveEvent)

PIECE_MS = 20
LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)
QUICK = Rules(silence_ms=500)
BY_HAND = Rules(hands_free=False)
LONG = "This is the first sentence of a story. And this is the second sentence of it. The third one ends it."
"""Takes 5.2 s to say."""


def loudness(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Takes loud sound for speech."""
    frames = np.abs(samples.reshape(-1, FRAME_SAMPLES)).max(axis=1)
    return np.where(frames > 0.05, 0.95, 0.0).astype(np.float32)


def tone(ms: int, volume: float = 0.5) -> Pcm:
    samples = np.arange(VOICE_RATE * ms // 1000)
    return Pcm.from_floats(volume * np.sin(2 * np.pi * 220 * samples / VOICE_RATE), VOICE_RATE)


@dataclass
class Talk:
    """A user with a microphone, and all that the client is told."""

    ears: FakeSpeechToText = field(default_factory=FakeSpeechToText)
    chat: FakeChat = field(default_factory=FakeChat)
    voice: FakeTextToSpeech = field(default_factory=FakeTextToSpeech)
    end_of_turn: FakeEndOfTurn | None = None
    rules: Rules = QUICK
    limits: LiveLimits = LiveLimits(idle_seconds=0)  # noqa: RUF009
    told: list[tuple[float, LiveEvent]] = field(default_factory=list)

    def __post_init__(self) -> None:
        engines = fake_engines(self.ears, self.chat, self.voice, self.end_of_turn)
        self.session = Session(engines, LIMITS, preferences=Preferences(persona="Be kind."))
        self.live = LiveSession(self.session, self._note, self.rules, self.limits, loudness)

    def _note(self, event: LiveEvent) -> None:
        self.told.append((anyio.current_time(), event))

    async def say(self, ms: int, volume: float = 0.5) -> None:
        for _ in range(ms // PIECE_MS):
            await asyncio.sleep(PIECE_MS / 1000)
            self.live.hear(tone(PIECE_MS, volume))

    async def pause(self, ms: int) -> None:
        await self.say(ms, 0)

    def all(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.told if isinstance(event, kind)]

    def when(self, kind: type[LiveEvent]) -> float:
        return next(at for at, event in self.told if isinstance(event, kind))

    @property
    def phases(self) -> list[Phase]:
        return [event.phase for event in self.all(PhaseChanged)]

    @property
    def messages(self) -> list[tuple[str, str]]:
        return [(item.message.role, item.message.content) for item in self.session.conversation.items]

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(line.role, line.text) for line in self.session.lines]

    @property
    def transcript(self) -> str:
        return "".join(event.text for event in self.all(ReplyWrote))


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[Talk]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk.live.run)
        await asyncio.sleep(0)
        yield talk
        tasks.cancel_scope.cancel()


def words(*partials: tuple[str, int], final: str) -> list[Transcript]:
    return [
        *(Transcript(text, final=False, language="en", end_ms=end_ms) for text, end_ms in partials),
        Transcript(final, final=True, language="en"),
    ]
