"""Sound as a value: 16-bit little-endian mono PCM with its rate."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import av
import numpy as np
from numpy.typing import NDArray

SPEECH_RATE = 16_000
"""Hz that speech to text wants."""
VOICE_RATE = 24_000
"""Hz that voices give and the wire carries."""


@dataclass(frozen=True, slots=True)
class Pcm:
    """16-bit little-endian mono samples at `rate` Hz."""

    data: bytes
    rate: int

    def __post_init__(self) -> None:
        if len(self.data) % 2:
            raise ValueError(f"Expected whole 16-bit samples, got {len(self.data)} bytes")
        if self.rate <= 0:
            raise ValueError(f"Expected a positive rate in Hz, got {self.rate}")

    @classmethod
    def from_samples(cls, samples: NDArray[np.int16], rate: int) -> Pcm:
        """`samples`: int16[n], mono."""
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"Expected int16[n], got {samples.dtype}{list(samples.shape)}")
        return cls(samples.astype("<i2", copy=False).tobytes(), rate)

    @classmethod
    def from_floats(cls, samples: NDArray[np.floating], rate: int) -> Pcm:
        """`samples`: float[n], mono, in [-1, 1]; louder is clipped."""
        if samples.ndim != 1:
            raise ValueError(f"Expected float[n], got {samples.shape}")
        return cls((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes(), rate)

    @classmethod
    def silence(cls, ms: int, rate: int) -> Pcm:
        return cls(bytes(2 * (rate * ms // 1000)), rate)

    @property
    def samples(self) -> NDArray[np.int16]:
        """int16[n], read only."""
        return np.frombuffer(self.data, dtype="<i2")

    @property
    def floats(self) -> NDArray[np.float32]:
        """float32[n] in [-1, 1)."""
        return np.divide(self.samples, 32768, dtype=np.float32)

    @property
    def seconds(self) -> float:
        return len(self.data) / 2 / self.rate


def join(pieces: Iterable[Pcm], rate: int = VOICE_RATE) -> Pcm:
    """One after the other; every piece must have `rate`."""
    data = bytearray()
    for piece in pieces:
        if piece.rate != rate:
            raise ValueError(f"Expected {rate} Hz, got {piece.rate}")
        data += piece.data
    return Pcm(bytes(data), rate)


def resample(pcm: Pcm, rate: int) -> Pcm:
    """The same sound at `rate` Hz, not shifted in time: round(n * rate / pcm.rate) samples."""
    return join(resample_pieces([pcm], rate), rate)


def resample_pieces(pieces: Iterable[Pcm], rate: int) -> Iterator[Pcm]:
    """`resample` for a sound that comes in pieces, which may even change their rate; seamless, by FFmpeg's swresample."""
    if rate <= 0:
        raise ValueError(f"Expected a positive rate in Hz, got {rate}")
    for source_rate, run in groupby(pieces, key=attrgetter("rate")):
        yield from _resample_run(run, source_rate, rate)


def _resample_run(run: Iterable[Pcm], source_rate: int, rate: int) -> Iterator[Pcm]:
    if source_rate == rate:
        yield from run
        return
    resampler = Resampler(source_rate, rate)
    for pcm in run:
        yield from resampler.feed(pcm)
    yield from resampler.finish()


class Resampler:
    """`resample` for a stream: what comes out is 16 samples of the lower rate behind, 1 ms at 16 kHz."""

    def __init__(self, source_rate: int, rate: int) -> None:
        """Both in Hz, and different."""
        self.source_rate = source_rate
        self._rate = rate
        # In floats, since for 16 bits in and out swresample would filter in 16 bits too, which hisses.
        self._resampler = av.AudioResampler("fltp", "mono", rate)
        self._taken = self._given = 0

    def feed(self, pcm: Pcm) -> Iterator[Pcm]:
        """`pcm`: at the source's rate."""
        if not pcm.data:
            return
        self._taken += len(pcm.samples)
        for samples in self._push(pcm.samples):
            self._given += len(samples)
            yield Pcm.from_samples(samples, self._rate)

    def finish(self) -> Iterator[Pcm]:
        """The rest: swresample keeps back what its filter, 32 samples of the lower rate wide, still needs."""
        owed = round(self._taken * self._rate / self.source_rate) - self._given
        # Silence pushes it out.
        for samples in self._push(np.zeros(64 + 64 * self.source_rate // self._rate, np.int16)):
            yield Pcm.from_samples(samples[:owed], self._rate)
            owed -= len(samples[:owed])

    def _push(self, samples: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
        floats = np.divide(samples, 32768, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(floats[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = self.source_rate
        for piece in self._resampler.resample(frame):
            yield np.clip(np.rint(piece.to_ndarray()[0] * 32768), -32768, 32767).astype(np.int16)


def encode_wav(pcm: Pcm) -> bytes:
    """A RIFF WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(pcm.rate)
        wav.writeframes(pcm.data)
    return out.getvalue()
