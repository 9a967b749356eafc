"""Sound on the Realtime wire: base64 of 24 kHz PCM or of telephone sound, cut anywhere."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import cast

from anyio.lowlevel import checkpoint

from voice import g711
from voice.audio import VOICE_RATE, Pcm, Resampler
from voice.web.realtime.events import Refused
from voice.web.realtime.session import AudioFormat, PcmFormat

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""As the hosted API."""
SLICE = 256 * 1024
"""Of an append's base64, that is decoded in one go: all of 15 MiB would keep everybody waiting. Whole groups of four."""
DELTA_MS = 200
"""A piece of a reply. Stock clients take from 20 to 500 ms well, and some no frame over a megabyte."""


class AppendReader:
    """Takes what a client appends; a sample that an append cuts in two is completed by the next."""

    def __init__(self) -> None:
        self._odd = b""

    async def read(self, audio: str, audio_format: AudioFormat) -> list[Pcm]:
        """The sound of one append, in pieces small enough to be worked on without a pause.

        Raises:
            Refused: no base64, or too much. None of it is kept then.
        """
        if len(audio) > MAX_APPEND_BYTES * 4 // 3 + 4:
            raise Refused("invalid_value", "Invalid 'audio'. An append takes at most 15 MiB.", "audio")
        pieces: list[Pcm] = []
        odd = self._odd
        for start in range(0, len(audio), SLICE):
            if start:
                await checkpoint()
            data = _decode(audio[start : start + SLICE])
            if not isinstance(audio_format, PcmFormat):
                pieces.append(g711.decode(data, _law(audio_format)))
                continue
            data = odd + data
            whole = len(data) // 2 * 2
            odd = data[whole:]
            pieces.append(Pcm(data[:whole], VOICE_RATE))
        self._odd = odd
        return pieces

    def clear(self) -> None:
        self._odd = b""


class SpeechWriter:
    """A reply's sound as the pieces of its audio deltas. One for each reply, whose sound goes through without seams."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._telephone = (
            None if isinstance(audio_format, PcmFormat) else Resampler(VOICE_RATE, g711.TELEPHONE_RATE)
        )

    def write(self, pcm: Pcm) -> Iterator[str]:
        """base64 of each piece. `pcm`: 24 kHz."""
        if self._telephone is None:
            yield from _cut(pcm.data, 2 * VOICE_RATE * DELTA_MS // 1000)
        else:
            yield from self._encode(self._telephone.feed(pcm))

    def finish(self) -> Iterator[str]:
        """What was kept back."""
        if self._telephone is not None:
            yield from self._encode(self._telephone.finish())

    def _encode(self, pieces: Iterable[Pcm]) -> Iterator[str]:
        for pcm in pieces:
            yield from _cut(g711.encode(pcm, _law(self._format)), g711.TELEPHONE_RATE * DELTA_MS // 1000)


def _decode(audio: str) -> bytes:
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Refused(
            "invalid_value",
            "Invalid 'audio'. Expected base64-encoded audio bytes in the session's input format.",
            "audio",
        ) from exc


def _cut(data: bytes, size: int) -> Iterator[str]:
    for start in range(0, len(data), size):
        yield base64.b64encode(data[start : start + size]).decode()


def _law(audio_format: AudioFormat) -> g711.Law:
    return cast("g711.Law", audio_format.type.removeprefix("audio/"))
