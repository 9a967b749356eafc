from __future__ import annotations

import http.server
import io
import pickle
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_audio import pitch, tone
from voice.audio import Pcm, encode_wav
from voice.recordings import (
    EmptyAudio,
    RecordingTooLarge,
    RecordingTooLong,
    UnreadableAudio,
    UnusableRecording,
    decode_recording,
)

FORMATS = {
    "wav u8": ("wav", "pcm_u8", 8_000, "mono"),
    "wav 16": ("wav", "pcm_s16le", 8_000, "mono"),
    "wav 24": ("wav", "pcm_s24le", 96_000, "stereo"),
    "wav 32": ("wav", "pcm_s32le", 44_100, "stereo"),
    "wav float": ("wav", "pcm_f32le", 48_000, "stereo"),
    "wav double": ("wav", "pcm_f64le", 48_000, "mono"),
    "wav a-law": ("wav", "pcm_alaw", 8_000, "mono"),
    "wav mu-law": ("wav", "pcm_mulaw", 8_000, "mono"),
    "wav 5.1": ("wav", "pcm_s16le", 48_000, "5.1"),
    "w64": ("w64", "pcm_s16le", 44_100, "mono"),
    "aiff": ("aiff", "pcm_s16be", 44_100, "stereo"),
    "au": ("au", "pcm_s16be", 44_100, "mono"),
    "caf": ("caf", "pcm_s16le", 44_100, "mono"),
    "flac": ("flac", "flac", 44_100, "stereo"),
    "mp3": ("mp3", "libmp3lame", 44_100, "stereo"),
    "mp3 mono": ("mp3", "libmp3lame", 16_000, "mono"),
    "m4a": ("ipod", "aac", 44_100, "stereo"),
    "mp4": ("mp4", "aac", 48_000, "mono"),
    "mov pcm": ("mov", "pcm_s16le", 48_000, "mono"),
    "aac": ("adts", "aac", 44_100, "mono"),
    "3gp amr": ("3gp", "libopencore_amrnb", 8_000, "mono"),
    "amr": ("amr", "libopencore_amrnb", 8_000, "mono"),
    "webm opus": ("webm", "libopus", 48_000, "mono"),
    "webm vorbis": ("webm", "vorbis", 48_000, "stereo"),
    "ogg opus": ("ogg", "libopus", 48_000, "stereo"),
    "ogg vorbis": ("ogg", "vorbis", 44_100, "stereo"),
    "ogg flac": ("ogg", "flac", 48_000, "mono"),
    "mkv": ("matroska", "pcm_s16le", 48_000, "mono"),
}
SMALL = ["wav 16", "aiff", "flac", "mp3", "m4a", "aac", "amr", "webm opus", "ogg opus", "ogg vorbis", "mkv"]


class Pipe(io.BytesIO):
    """What a browser's recorder or a pipe writes to: nothing can be filled in afterwards."""

    def seekable(self) -> bool:
        return False


def encode(
    pcm: Pcm,
    container: str,
    codec: str,
    layout: str = "mono",
    picture: bool = False,
    file: io.BytesIO | None = None,
) -> bytes:
    """A file with `pcm` in every channel."""
    file = file or io.BytesIO()
    with av.open(file, "w", format=container) as out:
        if picture:
            kind = "mpeg4" if container == "mp4" else "mjpeg"
            video = cast(av.VideoStream, out.add_stream(kind, rate=25, width=64, height=64))
            video.pix_fmt = "yuv420p" if container == "mp4" else "yuvj420p"
        stream = cast(av.AudioStream, out.add_stream(codec, rate=pcm.rate, layout=layout))
        if codec == "vorbis":
            stream.codec_context.options = {"strict": "-2"}
        if picture:
            out.mux(video.encode(av.VideoFrame(64, 64, str(video.pix_fmt))))
            out.mux(video.encode(None))
        for at in range(0, len(pcm.samples), 960):
            samples = np.repeat(pcm.samples[at : at + 960], stream.layout.nb_channels)
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout=layout)
            frame.sample_rate, frame.pts = pcm.rate, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


@cache
def example(name: str, seconds: float = 1) -> bytes:
    container, codec, rate, layout = FORMATS[name]
    return encode(tone(seconds, rate), container, codec, layout)


def wav(
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    kind: int = 1,
    data: bytes = b"",
    size: int | None = None,
) -> bytes:
    align = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    size = len(data) if size is None else size
    riff = min(36 + size, 0xFFFFFFFF) if size else 0
    return (
        b"RIFF"
        + struct.pack("<I", riff)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def mp4(samples: int, hidden: bytes = b"", reference: bytes = b"") -> bytes:
    """A hand-made QuickTime file of 4000 bytes of sound, whose table promises `samples`."""
    entry = box(b"sowt", bytes(6), b"\0\1", bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16))
    table = box(
        b"stbl",
        box(b"stsd", words(0, 1), entry),
        box(b"stts", words(0, 1, samples, 2)),
        box(b"stsc", words(0, 1, 1, samples, 1)),
        box(b"stsz", words(0, 1, samples)),
        box(b"stco", words(0, 1, 40)),
    )
    dref = box(b"dref", words(0, 1), reference or box(b"url ", words(1)))
    media = box(
        b"mdia",
        box(b"mdhd", words(0, 0, 0, 16_000, samples, 0)),
        box(b"hdlr", words(0, 0), b"soun", bytes(13)),
        box(b"minf", box(b"smhd", bytes(8)), box(b"dinf", dref), table),
    )
    movie = box(
        b"moov",
        box(b"mvhd", words(0, 0, 0, 1000, 0), bytes(80)),
        box(b"trak", box(b"tkhd", bytes(84)), media),
        hidden,
    )
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"mdat", bytes(4000)) + movie


@pytest.mark.parametrize("name", FORMATS)
def test_every_usual_format_decodes_to_its_own_sound(name: str) -> None:
    pcm = decode_recording(example(name), max_seconds=2)
    assert pcm.rate == 16_000
    assert abs(pcm.seconds - 1) < 0.1  # a codec pads
    assert abs(pitch(pcm) - 440) <= 2
    assert 0.4 < np.abs(pcm.floats[4_000:12_000]).max() < 0.6


@given(st.binary(max_size=4_000), st.sampled_from([8_000, 16_000, 24_000, 48_000, 96_000]))
def test_our_own_wav_comes_back_bit_for_bit(data: bytes, rate: int) -> None:
    pcm = Pcm(data[: len(data) // 2 * 2], rate)
    if pcm.data:
        assert decode_recording(encode_wav(pcm), max_seconds=10, rate=rate) == pcm
    else:
        with pytest.raises(EmptyAudio):
            decode_recording(encode_wav(pcm), max_seconds=10)


def test_bytes_an_open_file_and_a_path_are_all_taken(tmp_path: Path) -> None:
    path = tmp_path / "concat:http:%d|.m3u8"
    path.write_bytes(example("flac"))
    with path.open("rb") as file:
        assert decode_recording(file, max_seconds=2) == decode_recording(path, max_seconds=2)
        assert not file.closed
    assert decode_recording(path, max_seconds=2) == decode_recording(example("flac"), max_seconds=2)


def test_a_missing_file_is_not_called_unreadable_audio(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode_recording(tmp_path / "none.wav", max_seconds=2)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 10**6])
def test_a_streamed_wav_with_a_wrong_size_is_read_to_its_end(size: int) -> None:
    data = tone(1, 16_000).data
    assert decode_recording(wav(data=data, size=size), max_seconds=2).data == data


def test_an_extensible_wav_is_read() -> None:
    subformat = struct.pack("<HHIH", 22, 24, 3, 1) + bytes.fromhex("000000001000800000aa00389b71")
    fmt = struct.pack("<HHIIHH", 0xFFFE, 2, 48_000, 48_000 * 6, 6, 24) + subformat
    data = np.repeat(tone(1, 48_000).samples, 2).astype("<i4") << 16
    body = b"".join(sample[1:] for sample in struct.unpack(f"{len(data) * '4s'}", data.tobytes()))
    file = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(body)) + body
    pcm = decode_recording(b"RIFF" + struct.pack("<I", len(file)) + file, max_seconds=2)
    assert pcm.seconds == 1
    assert abs(pitch(pcm) - 440) <= 2


def test_a_recorders_webm_without_duration_is_read() -> None:
    file = encode(tone(1, 48_000), "webm", "libopus", file=Pipe())
    with av.open(io.BytesIO(file)) as container:
        assert cast(InputContainer, container).duration is None
    assert abs(decode_recording(file, max_seconds=2).seconds - 1) < 0.1


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "aac"), ("matroska", "libopus"), ("mp3", "libmp3lame")]
)
def test_of_a_video_or_a_cover_picture_the_sound_is_taken(container: str, codec: str) -> None:
    pcm = decode_recording(encode(tone(1, 48_000), container, codec, picture=True), max_seconds=2)
    assert abs(pcm.seconds - 1) < 0.1
    assert abs(pitch(pcm) - 440) <= 2


def test_a_video_without_sound_is_unreadable() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        video = out.add_stream("mpeg4", rate=25, width=64, height=64)
        out.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(video.encode(None))
    with pytest.raises(UnreadableAudio):
        decode_recording(file.getvalue(), max_seconds=2)


@pytest.mark.parametrize("bits", [32, 64])
def test_what_is_no_number_is_silence(bits: int) -> None:
    levels = np.full(16_000, 0.25)
    levels[4_000:4_300:3], levels[4_001:4_300:3], levels[4_002:4_300:3] = np.nan, np.inf, -np.inf
    data = levels.astype(f"<f{bits // 8}").tobytes()
    samples = decode_recording(wav(bits=bits, kind=3, data=data), max_seconds=2).samples
    assert not samples[4_000:4_300].any()
    assert set(samples[4_300:].tolist()) == {8192}


def test_channels_are_averaged_without_clipping() -> None:
    data = np.array([[32767, 32767], [32767, -32767], [10_000, 0]] * 4_000, "<i2").tobytes()
    samples = decode_recording(wav(channels=2, data=data), max_seconds=2).samples
    assert samples[:3].tolist() == [32767, 0, 5_000]


def not_audio() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "b" * 1_000)
    chunk = b"IHDR" + words(60_000, 60_000) + b"\x08\2\0\0\0"
    png = b"\x89PNG\r\n\x1a\n" + words(13) + chunk + words(zlib.crc32(chunk))
    return {
        "text": b"Good morning.\n" * 500,
        "html": b"<!DOCTYPE html><html><body>404</body></html>" * 50,
        "json": b'{"a": [1, 2, 3]}',
        "png": png + words(4_000) + b"IDAT" + zlib.compress(bytes(10**6)),
        "zip": zipped.getvalue(),
        "executable": Path(sys.executable).read_bytes()[:200_000],
        "noise": np.random.default_rng(1).bytes(100_000),
        "zeros": bytes(100_000),
        "one byte": b"R",
        "half a header": example("wav 16")[:30],
        "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n" * 50,
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "raw amr header": b"#!AMR\n",
    }


@pytest.mark.parametrize("name", not_audio())
def test_what_is_no_audio_is_refused(name: str) -> None:
    with pytest.raises(EmptyAudio if name == "raw amr header" else UnreadableAudio):
        decode_recording(not_audio()[name], max_seconds=2)


@pytest.mark.parametrize("file", [b"", wav(), wav(size=1_000), encode_wav(tone(1, 16_000))[:44]])
def test_nothing_is_empty(file: bytes) -> None:
    with pytest.raises(EmptyAudio):
        decode_recording(file, max_seconds=2)


@pytest.mark.parametrize(
    "name", ["wav 16", "aiff", "flac", "mp3", "aac", "webm opus", "ogg opus", "ogg vorbis", "mkv", "amr"]
)
def test_a_truncated_file_gives_what_is_there(name: str) -> None:
    whole = example(name, 4)
    assert 0.9 < decode_recording(whole[: len(whole) // 2], max_seconds=5).seconds < 3


def test_an_m4a_cut_before_its_index_is_unreadable() -> None:
    with pytest.raises(UnreadableAudio):
        decode_recording(example("m4a")[:-200], max_seconds=2)


def test_a_recording_may_last_its_limit_and_no_longer() -> None:
    assert decode_recording(encode_wav(Pcm.silence(2_000, 16_000)), max_seconds=2).seconds == 2
    with pytest.raises(RecordingTooLong) as caught:
        decode_recording(encode_wav(Pcm.silence(2_001, 16_000)), max_seconds=2)
    assert caught.value.limit_seconds == 2


def test_a_file_over_the_limit_of_bytes_is_refused() -> None:
    with pytest.raises(RecordingTooLarge) as caught:
        decode_recording(example("wav 16"), max_seconds=2, max_bytes=1_000)
    assert caught.value.limit_bytes == 1_000


def test_errors_survive_the_way_between_processes() -> None:
    too_long = pickle.loads(pickle.dumps(RecordingTooLong(120)))
    assert (too_long.limit_seconds, str(too_long)) == (120, "Longer than 120 seconds")
    assert pickle.loads(pickle.dumps(RecordingTooLarge(5))).limit_bytes == 5


def test_decoding_gives_up_when_its_time_is_over() -> None:
    with pytest.raises(UnreadableAudio):
        decode_recording(example("mp3"), max_seconds=2, timeout_seconds=-1)


@pytest.mark.parametrize("rate", [1, 3_999, 384_001, 4_000_000_000])
def test_an_absurd_rate_is_unreadable(rate: int) -> None:
    with pytest.raises(UnreadableAudio):
        decode_recording(wav(rate=rate, data=bytes(40_000)), max_seconds=2)


@pytest.fixture
def visitors() -> Iterator[tuple[int, list[str]]]:
    """A web server on loopback with a WAV: its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(example("wav 16"))

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


@pytest.mark.parametrize("kind", ["hls", "hls ts", "concat", "dash", "sdp", "mov dref", "mov url", "rmra"])
@pytest.mark.parametrize("way", ["file", "http"])
def test_a_file_that_refers_to_another_reads_nothing_of_it(
    kind: str, way: str, tmp_path: Path, visitors: tuple[int, list[str]]
) -> None:
    port, asked = visitors
    secret = tmp_path / "secret.wav"
    secret.write_bytes(example("wav 16"))
    url = secret.as_uri() if way == "file" else f"http://127.0.0.1:{port}/secret.wav"
    alias = box(
        b"alis",
        words(0),
        bytes(150),
        struct.pack(">HH", 2, len(str(secret))),
        str(secret).encode(),
        b"\xff\xff\0\0",
    )
    files = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        "hls ts": f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n{url}?.ts\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{url}'\n".encode(),
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
        f"<Representation><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>".encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "mov dref": mp4(1_000, reference=alias),
        "mov url": mp4(1_000, reference=box(b"url ", words(0), url.encode() + b"\0")),
        "rmra": mp4(
            1_000,
            hidden=box(b"rmra", box(b"rmda", box(b"rdrf", words(0), b"url ", words(len(url)), url.encode()))),
        ),
    }
    try:
        samples = decode_recording(files[kind], max_seconds=2).samples
    except UnusableRecording:
        pass
    else:
        assert kind in {"mov dref", "mov url", "rmra"}
        assert not samples.any()  # its own silence, not the tone of the other file
    assert asked == []


@pytest.mark.parametrize("hidden", [b"", box(b"moof", box(b"traf", box(b"trun", words(0, 30_000_000))))])
def test_an_mp4_that_promises_more_than_it_can_hold_is_refused(hidden: bytes) -> None:
    assert decode_recording(mp4(1_000), max_seconds=2).data
    with pytest.raises(UnreadableAudio):
        decode_recording(mp4(1_000 if hidden else 30_000_000, hidden), max_seconds=2)


def test_mp4_tables_hidden_within_the_sound_are_found() -> None:
    fragment = box(b"mdat", box(b"moof", box(b"traf", box(b"trun", words(0, 30_000_000)))))
    assert decode_recording(mp4(1_000) + fragment, max_seconds=2).data
    with pytest.raises(UnreadableAudio):
        decode_recording(mp4(1_000) + box(b"sidx", bytes(24)) + fragment, max_seconds=2)


BOMB = """
import resource, sys
from voice.recordings import UnusableRecording, decode_recording
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_recording(sys.stdin.buffer.read(), max_seconds=120)
except UnusableRecording as exc:
    print(type(exc).__name__)
else:
    print("Pcm")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def bomb(name: str) -> bytes:
    if name == "an hour of silence":
        # Ogg may chain: one short file after the other is one long sound.
        return encode(Pcm.silence(60_000, 48_000), "ogg", "libopus") * 60
    if name == "64 channels at 192 kHz":
        return wav(192_000, 64, data=bytes(40_000_000), size=0xFFFFFFFF)
    if name == "one endless frame":
        return encode(Pcm.silence(600_000, 48_000), "flac", "flac")
    if name == "a table of billions":
        return mp4(2_000_000_000)
    shrink = zlib.compressobj()
    pixels = b"".join(shrink.compress(bytes(1 + 3 * 12_000)) for _ in range(12_000)) + shrink.flush()
    chunks = [b"IHDR" + words(12_000, 12_000) + b"\x08\2\0\0\0", b"IDAT" + pixels, b"IEND"]
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(words(len(c) - 4) + c + words(zlib.crc32(c)) for c in chunks)
    apic = b"\0image/png\0\3\0" + picture
    frame = b"APIC" + words(len(apic)) + b"\0\0" + apic
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame + example("mp3")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "an hour of silence",
        "64 channels at 192 kHz",
        "one endless frame",
        "a table of billions",
        "a cover of 432 MB",
    ],
)
def test_a_bomb_does_not_fill_the_memory(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOMB], input=bomb(name), capture_output=True, check=True, timeout=120
    )
    outcome, kilobytes = done.stdout.decode().split()
    assert outcome in {"RecordingTooLong", "UnreadableAudio", "Pcm"}
    in_kilobytes = 1024 if sys.platform == "darwin" else 1
    assert int(kilobytes) / in_kilobytes < 250_000


def try_to_decode(file: bytes) -> None:
    try:
        pcm = decode_recording(file, max_seconds=5)
    except UnusableRecording:
        return
    assert 0 < pcm.seconds <= 5.001


@given(st.binary(max_size=3_000))
def test_any_bytes_are_decoded_or_refused(file: bytes) -> None:
    try_to_decode(file)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=8)), max_size=8),
    st.floats(0, 1),
)
def test_any_damage_is_decoded_or_refused(name: str, changes: list[tuple[float, bytes]], kept: float) -> None:
    file = bytearray(example(name, 0.3))
    for place, new in changes:
        # Squared, for headers and tables are where damage tells.
        at = int(place**2 * len(file))
        file[at : at + len(new)] = new
    try_to_decode(bytes(file[: int(kept * len(file))] if kept < 0.5 else file))
