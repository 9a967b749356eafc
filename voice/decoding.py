"""Recordings decoded in a process of their own, which can be killed when a hostile file keeps it busy."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import anyio.to_process

from voice.audio import Pcm, encode_wav
from voice.engines import BadInput
from voice.recordings import (
    EmptyAudio,
    RecordingTooLarge,
    RecordingTooLong,
    UnreadableAudio,
    decode_recording,
)

CODEC_PADDING_SECONDS = 0.5
"""Lossy codecs fill up their last frame: a recording of just the allowed length may decode to a little more."""
DECODING_SECONDS = 20
"""Decoding 120 s of sound takes half a second; who needs more than this is up to no good."""


async def decode(recording: Path | bytes, max_seconds: int) -> Pcm:
    """The recording's sound at 16 kHz.

    Raises:
        BadInput: it is empty, too long, too large, or no sound.
    """
    work = partial(decode_recording, recording, max_seconds=max_seconds + CODEC_PADDING_SECONDS)
    try:
        with anyio.fail_after(DECODING_SECONDS):
            return await anyio.to_process.run_sync(work, cancellable=True)
    except EmptyAudio as exc:
        raise BadInput("empty_audio") from exc
    except RecordingTooLong as exc:
        raise BadInput("recording_too_long", limit_seconds=max_seconds) from exc
    except RecordingTooLarge as exc:
        raise BadInput("recording_too_large", limit_mb=exc.limit_bytes // 2**20) from exc
    except (UnreadableAudio, TimeoutError, OSError, anyio.BrokenWorkerProcess) as exc:
        raise BadInput("unreadable_audio") from exc


async def warm() -> None:
    """Start the process ahead of the first recording."""
    await decode(encode_wav(Pcm.silence(20, 16_000)), 1)
