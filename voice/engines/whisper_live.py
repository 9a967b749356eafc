"""When to look at speech that is still going on: at its pauses, and now and then in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager

import anyio

from voice.audio import SPEECH_RATE, Pcm, join
from voice.listening import FRAME_MS, LASTS, SHORTEST_SPEECH_MS, STARTS, VoiceActivity

PAUSE_MS = 160
"""Longer than a stop consonant, shorter than any wait for the end of a turn: what is found out here is ready by then."""
BETWEEN_LOOKS_MS = 1100
"""Of speech without a pause."""
LONGEST_LOOK_SECONDS = 0.7
"""A pause must not find the machine busy for longer: when looks take longer, only pauses are worth one."""
REAL_TIME_SECONDS = 0.1
"""A source that made us wait so long in all is somebody speaking now; recordings are there at once."""
CAUGHT_UP_SECONDS = 0.002
"""A piece that was waited for so long was not lying there: behind it there is nothing yet."""


class LiveUtterance:
    """What has come of a stream of 16 kHz so far."""

    def __init__(self) -> None:
        self._pieces: list[Pcm] = []
        self._activity = VoiceActivity()
        self._scored = 0
        """Pieces."""
        self._waited = 0.0
        self._speech_ms = 0
        self._new_speech_ms = 0
        """Since the last look."""
        self._quiet_ms = 0
        """Since the last speech."""
        self._look_seconds = 0.0
        """What the last look took."""
        self._looked_at_pause = False

    @property
    def pcm(self) -> Pcm:
        return join(self._pieces, SPEECH_RATE)

    async def hear(self, audio: AsyncIterator[Pcm]) -> AsyncGenerator[None, None]:
        """Take what comes; tells each time that somebody who speaks now has been heard up to this moment."""
        asked = anyio.current_time()
        async for piece in audio:
            waited = anyio.current_time() - asked
            self._waited += waited
            self._pieces.append(piece)
            if self._waited >= REAL_TIME_SECONDS and waited >= CAUGHT_UP_SECONDS:
                await self._score()
                yield
            asked = anyio.current_time()

    def is_worth_a_look(self) -> bool:
        """Whether something new was said that is whole by now, or long enough."""
        if self._quiet_ms >= PAUSE_MS:
            spoken_ms = self._new_speech_ms if self._looked_at_pause else self._speech_ms
            return spoken_ms >= SHORTEST_SPEECH_MS
        return self._new_speech_ms >= BETWEEN_LOOKS_MS and self._look_seconds <= LONGEST_LOOK_SECONDS

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Around a look at `pcm`."""
        self._looked_at_pause = self._quiet_ms >= PAUSE_MS
        self._new_speech_ms = 0
        began = anyio.current_time()
        yield
        self._look_seconds = anyio.current_time() - began

    async def has_gone_on(self) -> bool:
        """Whether anything was said since the last look, or may have been."""
        await self._score()
        return not self._looked_at_pause or self._new_speech_ms > 0

    async def _score(self) -> None:
        """What is new of speech and of quiet, by the rule of `voice.listening.find_runs`."""
        new = join(self._pieces[self._scored :], SPEECH_RATE)
        self._scored = len(self._pieces)
        for probability in await anyio.to_thread.run_sync(self._activity.score, new.floats):
            if probability >= STARTS:
                self._speech_ms += FRAME_MS
                self._new_speech_ms += FRAME_MS
                self._quiet_ms = 0
            elif self._quiet_ms or probability < LASTS:
                self._quiet_ms += FRAME_MS
