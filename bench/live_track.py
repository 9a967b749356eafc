"""What is said to a live conversation: recordings of people one after the other, and where in the sound they speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from tests.emulators.utterances import Loudness
from tests.speech import find_clip
from voice.audio import SPEECH_RATE, VOICE_RATE, Pcm, join, resample
from voice.recordings import decode_recording

CLIPS = ("en/02.flac", "en/03.flac", "en/04.flac", "en/05.flac", "en/06.flac")
"""Those of one sentence without a long pause, in a studio's silence: where their speech ends is beyond doubt."""
LEAD_IN_MS = 2000
GAPS_MS = (3000, 3130, 3090, 3050, 3170, 3010, 3110)
"""Between two clips: a reply begins some 1,050 ms into it and is heard until the next clip interrupts it. Not all alike,
lest every turn meets the frames of 20 and 32 ms in the same place."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One clip in the track, in ms of it. Where speech begins and ends is told by energy (`Loudness`)."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Track:
    pcm: Pcm
    """24 kHz."""
    turns: Sequence[Spoken]


def make_track(
    turns: int,
    gaps_ms: Sequence[int] = GAPS_MS,
    lead_in_ms: int = LEAD_IN_MS,
    files: Sequence[str] = CLIPS,
) -> Track:
    """`turns` clips, each followed by a gap.

    Speech is where the level of 20 ms is within 26 dB of the clip's loudest 20 ms: the rule of the emulated recogniser.
    """
    pieces = [Pcm.silence(lead_in_ms, VOICE_RATE)]
    spoken: list[Spoken] = []
    at_ms = lead_in_ms
    known = {file: _read(file) for file in files[:turns]}
    for file, gap_ms in zip(islice(cycle(known), turns), cycle(gaps_ms), strict=False):
        clip, within = known[file]
        silence = Pcm.silence(gap_ms, VOICE_RATE)
        spoken.append(Spoken(within.text, at_ms + within.start_ms, at_ms + within.end_ms))
        pieces += [clip, silence]
        at_ms += round(1000 * clip.seconds) + gap_ms
    return Track(join(pieces), spoken)


def _read(file: str) -> tuple[Pcm, Spoken]:
    clip = find_clip(file)
    pcm = resample(decode_recording(clip.path, max_seconds=60), SPEECH_RATE)
    loudness = Loudness()
    loudness.add(bytearray(pcm.data))
    voice = loudness.find(0, pause_ms=10**9, ended=True)
    assert voice is not None
    # Whole ms, so that the clips' places in the track add up.
    whole = pcm.data[: len(pcm.data) // 32 * 32]
    spoken = resample(Pcm(whole, SPEECH_RATE), VOICE_RATE)
    return spoken, Spoken(clip.text, voice.start_ms, voice.end_ms)
