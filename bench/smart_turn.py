"""`python -m bench.smart_turn`: what Smart Turn adds to pauses and words as a hint for the end of a turn.

Recordings of people, each a whole turn: heard to their end, up to the pauses in them, and cut in mid-sentence. Words are
what Whisper makes of the same sound; the silence needed is that of `voice.turns`, at a balanced patience.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import anyio
import numpy as np
import platformdirs
from numpy.typing import NDArray

from bench.machine import describe_machine
from bench.stages import Spread
from tests.speech import read_clips
from voice.audio import SPEECH_RATE, Pcm, resample
from voice.decoding import decode
from voice.engines import SpeechToText
from voice.engines.local_whisper import LocalWhisper
from voice.listening import FRAME_SAMPLES, VoiceActivity, find_runs
from voice.models import fetch
from voice.smart_turn import SmartTurn
from voice.turns.endpointing import silence_needed_ms
from voice.turns.events import Patience, Rules
from voice.turns.hearing import SCORED_PAUSE_MS
from voice.weights import SMART_TURN, WHISPER_BASE

COMPLETE = 0.5
"""Probability from which pipecat takes a turn for complete."""
HASTY_MS = 600
"""Who pauses in mid-sentence often does so for longer than this, and is cut off where less silence is needed."""
CUT_AT = (0.35, 0.65)
"""Of a stretch of speech: it is cut where it is quietest around there."""
AROUND = 0.1
SHORTEST_CUT_SAMPLES = SPEECH_RATE
"""Of a stretch of speech that is worth cutting."""
WORD_PAUSE_MS = 500
"""Whisper is shown so much more silence, as it would come."""

Samples = NDArray[np.float32]


class Kind(Enum):
    WHOLE = "whole turns"
    PAUSE = "pauses within turns"
    CUT = "cut in mid-sentence"


@dataclass(frozen=True, slots=True)
class Piece:
    """The beginning of a turn, or all of it, and the first of the silence behind."""

    kind: Kind
    sound: Pcm


@dataclass(frozen=True, slots=True)
class Judgement:
    kind: Kind
    completeness: float
    ms: float
    """How long the model took."""
    by_words_ms: int
    with_hint_ms: int
    """Silence needed."""


def cut_pieces(sound: Samples) -> Iterator[Piece]:
    """All that can be made of a recording of one turn at 16 kHz; nothing where nobody speaks."""
    rest = np.zeros(SPEECH_RATE, np.float32)
    padded = np.concatenate([sound, rest])
    whole = padded[: len(padded) // FRAME_SAMPLES * FRAME_SAMPLES]
    runs = [
        (start * FRAME_SAMPLES, end * FRAME_SAMPLES) for start, end in find_runs(VoiceActivity().score(whole))
    ]
    if not runs:
        return
    from_sample = max(runs[0][0] - Rules().prefix_ms * SPEECH_RATE // 1000, 0)
    pause = SCORED_PAUSE_MS * SPEECH_RATE // 1000
    for start, end in runs:
        kind = Kind.WHOLE if end == runs[-1][1] else Kind.PAUSE
        yield Piece(kind, Pcm.from_floats(padded[from_sample : end + pause], SPEECH_RATE))
        for at in CUT_AT if end - start >= SHORTEST_CUT_SAMPLES else ():
            cut = _find_quiet(sound, start, end, at)
            begun = np.concatenate([sound[from_sample:cut], rest[:pause]])
            yield Piece(Kind.CUT, Pcm.from_floats(begun, SPEECH_RATE))


def _find_quiet(sound: Samples, start: int, end: int, at: float) -> int:
    """Where a frame of that stretch is quietest, around `at` of its length."""
    length = end - start
    places = range(
        start + int(length * (at - AROUND)), start + int(length * (at + AROUND)), FRAME_SAMPLES // 4
    )
    quietest = min(places, key=lambda place: float(np.square(sound[place : place + FRAME_SAMPLES]).sum()))
    return quietest + FRAME_SAMPLES // 2


async def judge(piece: Piece, language: str | None, model: SmartTurn, ears: SpeechToText) -> Judgement:
    started = time.perf_counter()
    completeness = model.score_now(piece.sound.floats)
    ms = (time.perf_counter() - started) * 1000

    async def sound() -> AsyncIterator[Pcm]:
        yield Pcm(piece.sound.data + Pcm.silence(WORD_PAUSE_MS, SPEECH_RATE).data, SPEECH_RATE)

    async with aclosing(ears.transcribe(sound(), language)) as transcripts:
        text = [transcript.text async for transcript in transcripts][-1]
    return Judgement(
        piece.kind,
        completeness,
        ms,
        silence_needed_ms(text, Patience.BALANCED),
        silence_needed_ms(text, Patience.BALANCED, completeness),
    )


def describe(judgements: Sequence[Judgement]) -> Iterator[str]:
    """What is said of each kind of piece, by the words alone and with the hint, and the time taken."""
    for kind in Kind:
        of_kind = [each for each in judgements if each.kind is kind]
        if not of_kind:
            continue
        complete = sum(each.completeness >= COMPLETE for each in of_kind)
        words = np.array([each.by_words_ms for each in of_kind])
        hint = np.array([each.with_hint_ms for each in of_kind])
        yield (
            f"{kind.value}: {complete} of {len(of_kind)} sound complete; silence needed {words.mean():.0f} -> "
            f"{hint.mean():.0f} ms, less than {HASTY_MS} ms by {(words < HASTY_MS).mean():.0%} -> "
            f"{(hint < HASTY_MS).mean():.0%} of them"
        )
    spread = Spread.of([each.ms for each in judgements])
    yield f"A score takes {spread.median:.0f} ms (p90 {spread.p90:.0f}) of one processor."


async def measure(recordings: Sequence[tuple[Path, str | None]], folder: Path) -> list[Judgement]:
    model = SmartTurn(fetch(SMART_TURN, folder) / SMART_TURN.files[0].name)
    ears = LocalWhisper(fetch(WHISPER_BASE, folder))
    await ears.warm()
    judgements: list[Judgement] = []
    try:
        for path, language in recordings:
            sound = resample(await decode(path, 120), SPEECH_RATE).floats
            judgements += [await judge(piece, language, model, ears) for piece in cut_pieces(sound)]
    finally:
        await ears.close()
    return judgements


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.smart_turn", description="What Smart Turn adds to pauses and words."
    )
    parser.add_argument(
        "recordings", nargs="*", type=Path, help="each a whole turn (default: those of the tests)"
    )
    parser.add_argument("--models-dir", type=Path, default=platformdirs.user_cache_path("kaiwa") / "models")
    options = parser.parse_args()
    clips = [(clip.path, clip.language) for language in ("en", "ja") for clip in read_clips(language)]
    machine = describe_machine()
    print(f"{machine.processor}, {machine.cores} cores, {machine.system}")
    judgements = anyio.run(
        measure, [(path, None) for path in options.recordings] or clips, options.models_dir
    )
    print(*describe(judgements), sep="\n")


if __name__ == "__main__":
    main()
