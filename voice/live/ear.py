"""The user's sound as it comes: resampled for the engines, kept for a while, and listened to for speech."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from voice.audio import SPEECH_RATE, Pcm, Resampler, join
from voice.engines import BadInput
from voice.listening import FRAME_MS, FRAME_SAMPLES, STARTS, VoiceActivity
from voice.live.pace import PIECE_MS, Loudness, Pace
from voice.turns.events import Frame

Score: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""As `VoiceActivity.score`."""

SAMPLES_A_MS = SPEECH_RATE // 1000
KEPT_MS = 2000
"""Of sound that was listened to: speech is known to have begun a little late, and is taken up from before that."""
INLINE_FRAMES = 8
"""So many are scored at once in the event loop, 0.1 to 0.25 ms each; more of them, a burst, in a thread."""
THREAD_FRAMES = 64
FAINT = 0.001
"""Peak of a frame, -60 dBFS, under which nobody speaks; a browser's noise suppression leaves less than that of a pause."""
CALM_FRAMES = 16
"""After so many faint ones in a row the model need not be asked: it has forgotten what was before."""


class Ear:
    """Moments are in ms of the sound so far."""

    def __init__(self, buffered_seconds: float, score: Score | None = None, pace: Pace | None = None) -> None:
        """`score`: instead of a `VoiceActivity`; it is called in the event loop."""
        self.heard_ms = 0
        """All that came."""
        self.listened_ms = 0
        """Up to where frames were told."""
        self.taken_ms = 0
        """Up to where turns have taken the sound; set by whoever takes it."""
        self.given_ms = 0
        """Up to where the open utterance has the sound; set by whoever gives it."""
        self.awaits_end = False
        """Whether an utterance is open; set by whoever opens it."""
        self._buffered_ms = buffered_seconds * 1000
        self._score = score
        self._activity: VoiceActivity | None = None
        self._faint_frames = 0
        self._is_speech = False
        self._listens = False
        self._pace = pace or Pace()
        self._loudness = Loudness()
        self._untouched: list[Pcm] = []  # as it came
        self._untouched_ms = 0.0
        self._resampler: Resampler | None = None
        self._sound = bytearray()
        self._begin = 0  # of what is kept, in samples
        self._heard = 0.0  # seconds
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=4096)
        self._news = anyio.Event()

    @property
    def kept_ms(self) -> int:
        """The oldest sound that can still be read."""
        return -(-self._begin // SAMPLES_A_MS)

    @property
    def taken_up_ms(self) -> int:
        """Up to where sound can be listened to; what came since waits for a larger piece."""
        return self._end // SAMPLES_A_MS

    @property
    def is_behind(self) -> bool:
        """Whether sound that was taken up is yet to be listened to."""
        return self._listens and self._end - self.listened_ms * SAMPLES_A_MS >= FRAME_SAMPLES

    @property
    def listens(self) -> bool:
        """Whether frames are wanted; from the sound to come on."""
        return self._listens

    @listens.setter
    def listens(self, wanted: bool) -> None:
        if wanted and not self._listens:
            self._take_up()
            self.listened_ms = self.kept_ms if self._heard == 0 else self.taken_up_ms
            self._activity = None
        self._listens = wanted

    def hear(self, pcm: Pcm, now: float) -> None:
        """The next piece.

        Raises:
            BadInput: more than the limit waits to be listened to, or to be taken.
        """
        self.check_room(pcm.seconds)
        self._heard += pcm.seconds
        self.heard_ms = int(self._heard * 1000 + 1e-6)
        self._arrivals.append((self.heard_ms, now))
        self._untouched.append(pcm)
        self._untouched_ms += pcm.seconds * 1000
        # The silence that ends a turn is counted frame by frame.
        piece_ms = FRAME_MS if self.awaits_end and not self._is_speech else PIECE_MS
        changes = self._loudness.changes(pcm)
        if changes or self._pace.few_talk or self._untouched_ms >= piece_ms:
            self._take_up()
            self._forget()
            self._news.set()

    def check_room(self, seconds: float) -> None:
        """Raises BadInput if so much more could not be taken."""
        done_ms = self.listened_ms if self._listens else max(self.taken_ms, self.given_ms)
        if self.heard_ms - done_ms + seconds * 1000 > self._buffered_ms:
            raise BadInput("too_much_sound", limit_seconds=round(self._buffered_ms / 1000))

    def read(self, start: int, end: int) -> Pcm:
        """What is kept of these samples at 16 kHz."""
        self._take_up()
        first, last = max(start - self._begin, 0), max(end - self._begin, 0)
        return Pcm(bytes(self._sound[2 * first : 2 * last]), SPEECH_RATE)

    def arrived(self, ms: int) -> float | None:
        """When that moment of the sound came, or would have come if it had been sent as it was spoken."""
        return next((now - (end - ms) / 1000 for end, now in self._arrivals if end >= ms), None)

    async def listen(self, tell: Callable[[Frame], None], go_on: Callable[[], None]) -> None:
        """Tell of each frame; `go_on` after some of them, and after all sound that came. Until cancelled."""
        with self._pace.joining():
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                while self.is_behind:
                    frames = (self._end - self.listened_ms * SAMPLES_A_MS) // FRAME_SAMPLES
                    await self._listen_to(min(frames, THREAD_FRAMES), tell)
                    go_on()
                go_on()

    async def _listen_to(self, frames: int, tell: Callable[[Frame], None]) -> None:
        start = self.listened_ms * SAMPLES_A_MS
        samples = self.read(start, start + frames * FRAME_SAMPLES).floats
        if self._score is not None:
            probabilities = self._score(samples)
        elif self._is_calm(samples):
            probabilities = np.zeros(frames, np.float32)
        else:
            activity = self._activity = self._activity or VoiceActivity()
            if frames <= INLINE_FRAMES:
                probabilities = activity.score(samples)
            else:
                probabilities = await anyio.to_thread.run_sync(activity.score, samples)
        for probability in probabilities:
            if not self._listens:
                return
            self.listened_ms += FRAME_MS
            self._is_speech = probability >= STARTS
            tell(Frame(self.listened_ms, float(probability), FRAME_MS))

    def _is_calm(self, samples: NDArray[np.float32]) -> bool:
        """Whether it has been silent for a while, and still is."""
        if np.abs(samples).max() >= FAINT:
            self._faint_frames = 0
            return False
        was_calm = self._faint_frames >= CALM_FRAMES
        self._faint_frames += len(samples) // FRAME_SAMPLES
        return was_calm

    def _take_up(self) -> None:
        for rate, pieces in groupby(self._untouched, key=attrgetter("rate")):
            for piece in self._resample(join(pieces, rate)):
                self._sound += piece.data
        self._untouched.clear()
        self._untouched_ms = 0.0

    @property
    def _end(self) -> int:
        return self._begin + len(self._sound) // 2

    def _resample(self, pcm: Pcm) -> list[Pcm]:
        pieces: list[Pcm] = []
        if self._resampler is not None and self._resampler.source_rate != pcm.rate:
            pieces += self._resampler.finish()
            self._resampler = None
        if pcm.rate == SPEECH_RATE:
            return [*pieces, pcm]
        self._resampler = self._resampler or Resampler(pcm.rate, SPEECH_RATE)
        return [*pieces, *self._resampler.feed(pcm)]

    def _forget(self) -> None:
        done_ms = self.listened_ms if self._listens else max(self.taken_ms, self.given_ms)
        excess = (done_ms - KEPT_MS) * SAMPLES_A_MS - self._begin
        if excess > SPEECH_RATE:  # by whole seconds, since it moves all that stays
            del self._sound[: 2 * excess]
            self._begin += excess
