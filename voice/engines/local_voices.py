"""Text to speech on this machine: each phrase by the voice of its language."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import anyio
import anyio.to_thread

from voice.audio import Pcm
from voice.engines import Speech, Unavailable, Voice
from voice.engines.local_hibari import Heart
from voice.engines.local_kokoro import Kokoro
from voice.engines.local_openjtalk import MEI_ATTRIBUTION, Mei
from voice.engines.local_pieces import cut, finish, pause_after, speakable
from voice.languages import split_by_language

T = TypeVar("T")

log = logging.getLogger(__name__)

REAL_TIME_LIMIT = 0.6
"""Seconds of work for a second of sound above which Kokoro is not the default voice.

While the chat model writes on the same cores each gets half of them, and Kokoro takes twice as long. The model writes a
Japanese reply in about half the time of speaking it, so over the reply Kokoro takes 1.5 times as long: 0.9 s at 0.6.
"""
TRIALS = 3
"""At most, as long as the result is bad."""
TRIAL = "今日はとても良い天気ですね。"


@dataclass(frozen=True)
class _Reader:
    """A voice, what speaks with it, and how."""

    voice: Voice
    synthesise: Callable[[str, float], Pcm]
    turns: anyio.CapacityLimiter
    """One piece at a time, so that conversations share the cores piece by piece, first come first served."""
    gain: float
    """Makes the voices equally loud: what brings its speech, measured over six sentences, to -20 dB of full scale."""
    longest: int
    """Characters given to it at once, at most: some ten seconds of sound."""
    early: int
    """Characters after which the first piece of all may end at a mark, so that a slow voice is heard early."""
    stop: Callable[[], None] = lambda: None
    """Gives up what it is synthesising."""


def _heart() -> _Reader:
    voice = Voice("hibari/heart", "Heart (English)", "en")
    return _Reader(voice, Heart().synthesise, anyio.CapacityLimiter(1), gain=3.5, longest=200, early=200)


def _mei() -> _Reader:
    voice = Voice("mei", "Mei (日本語)", "ja", MEI_ATTRIBUTION)
    return _Reader(voice, Mei().synthesise, anyio.CapacityLimiter(1), gain=1.3, longest=80, early=80)


_KOKORO_GAINS = {
    "jf_alpha": 1.8,
    "jf_gongitsune": 1.76,
    "jf_nezumi": 1.76,
    "jf_tebukuro": 1.78,
    "jm_kumo": 1.68,
}


def _kokoro(folder: Path, threads: int) -> list[_Reader]:
    kokoro = Kokoro(folder, threads)
    turns = anyio.CapacityLimiter(1)
    return [
        _Reader(
            Voice(f"kokoro/{speaker}", f"{speaker[3:].capitalize()} (日本語, Kokoro)", "ja"),
            partial(kokoro.synthesise, speaker=speaker),
            turns,
            gain,
            longest=60,
            early=10,
            stop=kokoro.stop,
        )
        for speaker, gain in _KOKORO_GAINS.items()
    ]


class LocalVoices:
    """hibari for English, Kokoro or mei for Japanese.

    `kokoro`: the folder of Kokoro's weights, None to do without. `japanese`: the default voice of Japanese; "auto" is
    Kokoro where `warm` finds that this machine keeps up with it, else mei. `timeout_seconds`: for one piece of sound,
    the wait for its turn included.
    """

    def __init__(
        self,
        kokoro: Path | None,
        japanese: Literal["auto", "kokoro", "mei"] = "auto",
        threads: int = 2,
        timeout_seconds: float = 30,
    ) -> None:
        self._heart = _heart()
        self._mei = _mei()
        self._kokoro = _kokoro(kokoro, threads) if kokoro else []
        self._japanese = japanese
        self._prefer_kokoro = japanese == "kokoro" and kokoro is not None
        self._timeout_seconds = timeout_seconds

    @property
    def label(self) -> str:
        return f"hibari, {'Kokoro' if self._prefer_kokoro else 'mei'}"

    def voices(self) -> Sequence[Voice]:
        return [reader.voice for reader in self._readers]

    @property
    def _readers(self) -> list[_Reader]:
        japanese = [*self._kokoro, self._mei] if self._prefer_kokoro else [self._mei, *self._kokoro]
        return [self._heart, *japanese]

    async def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """A phrase may come in several pieces. What no voice here can read is passed over.

        Raises:
            Unavailable: a voice failed, or a piece of sound took longer than the time-out.
        """
        chosen = next((reader for reader in self._readers if reader.voice.name == voice), None)
        # Digits and the like are read in the language of what came before.
        before = chosen.voice.language if chosen else "en"
        heard = False
        number = -1
        async for phrase in phrases:
            number += 1
            for language, text in split_by_language(speakable(phrase), before):
                before = language
                reader = self._reader_of(language, chosen)
                if reader is None:
                    continue
                for piece in cut(text, reader.longest, reader.longest if heard else reader.early):
                    pcm = await self._synthesise(reader, piece, speed)
                    if pcm.data:
                        heard = True
                        yield Speech(pcm, phrase, number=number)

    def _reader_of(self, language: str, chosen: _Reader | None) -> _Reader | None:
        """`chosen` if it speaks the language, else the language's default; None when none does."""
        readers = [*([chosen] if chosen else []), *self._readers]
        return next((reader for reader in readers if reader.voice.language == language), None)

    async def _synthesise(self, reader: _Reader, piece: str, speed: float) -> Pcm:
        pcm = await self._in_turn(reader, partial(reader.synthesise, piece, speed))
        return finish(pcm, reader.gain, pause_after(piece, speed))

    async def _in_turn(self, reader: _Reader, work: Callable[[], T]) -> T:
        """`work` in a thread, when the reader is free. Left at once when cancelled; what it still brings is dropped."""
        try:
            with anyio.fail_after(self._timeout_seconds):
                async with reader.turns:
                    try:
                        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
                    except anyio.get_cancelled_exc_class():
                        reader.stop()
                        raise
        except TimeoutError as exc:
            raise Unavailable("voice_timeout", seconds=round(self._timeout_seconds)) from exc
        except Exception as exc:
            raise Unavailable("voice_failed") from exc

    async def warm(self) -> None:
        await self._synthesise(self._heart, "Hello.", 1.0)
        await self._synthesise(self._mei, TRIAL, 1.0)
        if self._japanese == "kokoro" and self._kokoro:
            await self._synthesise(self._kokoro[0], TRIAL, 1.0)
        elif self._japanese == "auto" and self._kokoro:
            try:
                factor = await self._in_turn(self._kokoro[0], partial(_real_time_factor, self._kokoro[0]))
            except Unavailable:
                log.warning("Kokoro does not work here, so mei speaks Japanese", exc_info=True)
            else:
                self._prefer_kokoro = factor <= REAL_TIME_LIMIT
                log.info("Kokoro works %.2f s for a second of sound", factor)

    async def close(self) -> None:
        """Nothing here outlives the object."""


def _real_time_factor(reader: _Reader) -> float:
    """Seconds that a thread works for a second of sound; on a quiet machine about what it takes.

    Work, not time, since other models are loading on the same cores meanwhile. That still makes it more than it is, so
    a bad result is tried again and the best counts. A quota on the CPU goes unseen.
    """
    reader.synthesise("はい。", 1.0)  # the first one loads
    factors: list[float] = []
    while not factors or (min(factors) > REAL_TIME_LIMIT and len(factors) < TRIALS):
        start = time.thread_time()
        pcm = reader.synthesise(TRIAL, 1.0)
        factors.append((time.thread_time() - start) / pcm.seconds)
    return min(factors)
