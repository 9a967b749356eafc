"""Recordings that people send, in whatever format, decoded to PCM by FFmpeg's libraries (PyAV).

Files come from strangers, so FFmpeg gets nothing but bytes to read: no names, no addresses, only demuxers and
decoders on a list, and limits on all that a small file could blow up.
"""

from __future__ import annotations

import io
import re
import struct
import time
from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard
from numpy.typing import NDArray

from voice.audio import SPEECH_RATE, Pcm, join, resample_pieces

MAX_BYTES = 100 * 2**20
"""Two minutes of 96 kHz stereo in 32 bits are 92 MB; nothing that is sent needs more."""

_MP4_DEMUXER = "mov"
_MATROSKA_DEMUXER = "matroska"
_OTHER_DEMUXERS = "wav,w64,aiff,au,caf,flac,mp3,aac,amr,ogg"
_DECODERS = frozenset(
    [
        "mp3",
        "mp3float",
        "aac",
        "opus",
        "vorbis",
        "flac",
        "amrnb",
        "amrwb",
        "pcm_alaw",
        "pcm_mulaw",
        "pcm_u8",
        "pcm_s8",
    ]
    + [f"pcm_{sample}{end}" for sample in ("s16", "s24", "s32", "f32", "f64") for end in ("le", "be")]
)
_RATES = range(4_000, 384_001)
"""Hz. Speech needs the lower end, no microphone passes the upper one."""
_MAX_FRAME_SAMPLES = 2**21
"""In all channels. A decoder may not ask for more at once; FFmpeg cuts even 64 channels at 192 kHz smaller."""
_MAX_MP4_SAMPLES = 6_000_000
"""Entries of an MP4's tables: FFmpeg unrolls them into memory, and a few bytes can promise billions."""
_MAX_MATROSKA_BYTES = 16 * 2**20
"""FFmpeg's memory of a Matroska's own tables takes up to 25 times the bytes of the file. Two minutes of Opus are 2 MB."""
_EBML = b"\x1a\x45\xdf\xa3"
_MP4_BOXES = frozenset(
    [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"moof", b"styp", b"pnot", b"sidx"]
)

_TO_INT16 = {"uint8": 2.0**8, "int16": 1.0, "int32": 2.0**-16, "float32": 2.0**15, "float64": 2.0**15}


class UnusableRecording(ValueError):
    """Why a recording cannot be taken; one of the classes below."""


class UnreadableAudio(UnusableRecording):
    """No audio, or none that can be decoded, or made to do harm."""


class EmptyAudio(UnusableRecording):
    """Nothing in it: no bytes, or a header without sound."""


class RecordingTooLong(UnusableRecording):
    """It lasts longer than allowed."""

    def __init__(self, limit_seconds: float) -> None:
        super().__init__(limit_seconds)
        self.limit_seconds = limit_seconds

    def __str__(self) -> str:
        return f"Longer than {self.limit_seconds:g} seconds"


class RecordingTooLarge(UnusableRecording):
    """The file has more bytes than allowed."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return f"More than {self.limit_bytes} bytes"


def decode_recording(
    source: Path | bytes | BinaryIO,
    *,
    max_seconds: float,
    max_bytes: int = MAX_BYTES,
    rate: int = SPEECH_RATE,
    timeout_seconds: float = 20,
) -> Pcm:
    """The sound of a recording, all channels mixed into one, at `rate` Hz.

    Blocks. Best called in a process that can be killed (`anyio.to_process`), for in native code FFmpeg does not look at
    the time: a megabyte of tags keeps it busy for a minute.

    WAV, AIFF, AU, CAF, FLAC, MP3, AAC, AMR, Ogg, WebM/Matroska and MP4/M4A/MOV, told by their content, never by a
    name; of a video its first sound track. A truncated file gives what is there. Memory is bounded whatever the
    file says about itself. `source`: a BinaryIO must be seekable and is left open.

    Raises:
        EmptyAudio: no bytes, or no sound in a file that is otherwise sound.
        RecordingTooLarge: more than `max_bytes`, or 16 MB of WebM/Matroska; nothing was decoded.
        RecordingTooLong: more than `max_seconds` decoded; the rest was not. A lossy codec may add up to 0.1 s.
        UnreadableAudio: anything else, also when decoding takes `timeout_seconds` (120 s of sound take about 0.4).
        OSError: `source` itself cannot be read.
    """
    opened = source.open("rb") if isinstance(source, Path) else nullcontext(_as_file(source))
    with opened as file:
        size = file.seek(0, io.SEEK_END)
        if size == 0:
            raise EmptyAudio("No bytes")
        if size > max_bytes:
            raise RecordingTooLarge(max_bytes)
        reader = _Reader(file, timeout_seconds)
        try:
            with _open_container(reader) as container:
                sound = _decode_sound(container, reader, max_seconds)
                pcm = join(resample_pieces(sound, rate), rate)
        except UnusableRecording:
            raise
        except (av.FFmpegError, ValueError) as exc:
            raise UnreadableAudio("Not decodable") from exc
    if not pcm.data:
        raise EmptyAudio("No sound")
    return pcm


def _as_file(source: bytes | BinaryIO) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


class _Reader:
    """All that FFmpeg gets of a recording: read and seek, until the time is over. No name, or FFmpeg would go by it."""

    def __init__(self, file: BinaryIO, timeout_seconds: float) -> None:
        self._file = file
        self._deadline = time.monotonic() + timeout_seconds
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        self.check_time()
        return self._file.read(size)

    def check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise UnreadableAudio("Decoding takes too long")


def _open_container(reader: _Reader) -> InputContainer:
    options = {
        "format_whitelist": _choose_demuxers(reader),
        # Else FFmpeg decodes a picture just to know its size, and a small picture can be gigabytes wide.
        "codec_whitelist": ",".join(sorted(_DECODERS)),
        "max_samples": str(_MAX_FRAME_SAMPLES),
        # Edit lists multiply the tables of an MP4; without them some milliseconds of a codec's lead-in stay in.
        "advanced_editlist": "0",
    }
    reader.seek(0)
    # Old tags are in any encoding.
    return av.open(reader, "r", options=options, metadata_errors="replace", io_open=_refuse_to_open)


def _refuse_to_open(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise UnreadableAudio("Refers to something outside of itself")


def _choose_demuxers(reader: _Reader) -> str:
    """The demuxers that may try; those with big tables only when these are known to be of a sane size."""
    reader.seek(0)
    head = reader.read(8)
    if head.startswith(_EBML):
        if reader.seek(0, io.SEEK_END) > _MAX_MATROSKA_BYTES:
            raise RecordingTooLarge(_MAX_MATROSKA_BYTES)
        return _MATROSKA_DEMUXER
    if head[4:] not in _MP4_BOXES:
        return _OTHER_DEMUXERS
    reader.seek(0)
    if _count_mp4_samples(reader.read(-1)) > _MAX_MP4_SAMPLES:
        raise UnreadableAudio("MP4 tables out of proportion")
    return _MP4_DEMUXER


def _count_mp4_samples(file: bytes) -> int:
    """How many samples the tables of an MP4 promise (ISO/IEC 14496-12, 8.7.3 and 8.8.8), rather too many."""
    tables = _find_mp4_tables(file)
    if b"cmvd" in tables:
        raise UnreadableAudio("Compressed MP4 tables")
    if b"sidx" in tables or b"mfra" in tables:
        # An index of fragments can lead FFmpeg to tables hidden within the sound.
        tables = file
    counts = re.findall(rb"(?=(?:stsz.{8}|stz2.{8}|trun.{4})(.{4}))", tables, re.DOTALL)
    return sum(int.from_bytes(count, "big") for count in counts)


def _find_mp4_tables(file: bytes) -> bytes:
    """Everything but the boxes of sound."""
    tables = bytearray()
    at = 0
    while at + 16 <= len(file):
        size, kind, long_size = struct.unpack_from(">I4sQ", file, at)
        size = long_size if size == 1 else size
        if size < 8:  # 0 means up to the end, and after nonsense who knows.
            size = len(file) - at
        if kind != b"mdat":
            tables += file[at : at + size]
        at += size
    return bytes(tables)


def _decode_sound(container: InputContainer, reader: _Reader, max_seconds: float) -> Iterator[Pcm]:
    """Frame by frame. What a damaged place breaks is left out, unless nearly all is broken."""
    stream = _choose_stream(container)
    seconds = Fraction(0)
    good = bad = 0
    for packet in _read_packets(container, stream):
        reader.check_time()
        try:
            frames = packet.decode()
        except av.FFmpegError:
            bad += 1
            continue
        for frame in frames:
            if frame.sample_rate not in _RATES:
                raise UnreadableAudio(f"{frame.sample_rate} Hz")
            seconds += Fraction(frame.samples, frame.sample_rate)
            if seconds > max_seconds:
                raise RecordingTooLong(max_seconds)
            good += 1
            yield Pcm.from_samples(_mix_down(frame), frame.sample_rate)
    if bad > good:
        raise UnreadableAudio(f"{bad} of {good + bad} packets are broken")


def _choose_stream(container: InputContainer) -> av.AudioStream:
    for stream in container.streams.audio:
        # FFmpeg opens a stream without decoder, too: PyAV then has no context for it.
        decoder: av.AudioCodecContext | None = stream.codec_context
        if decoder and decoder.name in _DECODERS:
            decoder.options = {"max_samples": str(_MAX_FRAME_SAMPLES)}
            for other in container.streams:
                if other is not stream:
                    other.discard = Discard.all
            return stream
    raise UnreadableAudio("No sound track")


def _read_packets(container: InputContainer, stream: av.AudioStream) -> Iterator[av.Packet[av.AudioStream]]:
    """Up to the end or to where the file breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.FFmpegError):
            return


def _mix_down(frame: av.AudioFrame) -> NDArray[np.int16]:
    """int16[n], the mean of all channels; NaN and infinity are silence."""
    samples: NDArray[Any] = frame.to_ndarray()
    channels = len(samples) if frame.format.is_planar else samples.size // frame.samples
    if samples.dtype == np.int16 and channels == 1:
        return samples.reshape(-1)
    if samples.dtype.kind == "f":
        samples = np.where(np.isfinite(samples), samples, 0).clip(-1, 1)
    levels = samples.astype(np.float32)
    if samples.dtype == np.uint8:
        levels -= 128
    levels = levels if frame.format.is_planar else levels.reshape(-1, channels).T
    mixed: NDArray[np.float32] = (
        np.full(channels, _TO_INT16[samples.dtype.name] / channels, np.float32) @ levels
    )
    return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
