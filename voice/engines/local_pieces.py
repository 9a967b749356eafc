"""What a local voice is given, and what is made of its sound: pieces of text, trimmed, equally loud, with pauses. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import numpy as np

from voice.audio import Pcm, join

HEADROOM = 0.5
"""Voices give their sound at half: peaks of mei and of Kokoro's Kumo go beyond full scale, by up to 70 %."""

SENTENCE_PAUSE_MS = 300
CLAUSE_PAUSE_MS = 150
WORD_PAUSE_MS = 40
"""Silence after a piece that ends a sentence, that ends in another mark, and that ends in none, at normal speed."""

KEPT_SILENCE_MS = 20
"""What is left of a voice's own silence around a piece: enough for a soft consonant."""
SILENCE = 0.005
"""Amplitude, of 1, under which it is silence (-46 dB)."""
FADE_MS = 5
"""Long enough that no cut clicks, short enough that no sound is lost."""

_UNSPEAKABLE = ("Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk")
"""Unicode categories with nothing to say: control characters, lone surrogates, emoji."""

_SENTENCE_ENDS = ".!?。！？…．"
_CLAUSE_END = re.compile(r"(?<=[、。！？，；：…])|(?<=[,.;:!?])(?=\s)")


def speakable(text: str) -> str:
    """`text` without what no voice can say; empty where no letter or digit is left."""
    text = "".join(" " if unicodedata.category(c) in _UNSPEAKABLE else c for c in text)
    return " ".join(text.split()) if any(c.isalnum() for c in text) else ""


def cut(text: str, longest: int, early: int) -> Iterator[str]:
    """Pieces of at most `longest` characters, cut after marks, else between words, else anywhere.

    The first may end at the first mark after `early` characters; the others are as long as they may be.
    """
    enough = early
    piece = ""
    for clause in _CLAUSE_END.split(text):
        for part in re.findall(rf"(?s).{{1,{longest}}}(?:\Z|(?<=\s))|.{{1,{longest}}}", clause):
            if piece and (len(piece) >= enough or len(piece) + len(part) > longest):
                yield piece
                piece, enough = "", longest
            piece += part
    if piece:
        yield piece


def finish(pcm: Pcm, gain: float, pause_ms: int) -> Pcm:
    """The sound without the silence around it, its edges faded, `gain` times as loud, then `pause_ms` of silence.

    Empty where there is nothing but silence.
    """
    samples = pcm.floats
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    if not loud.size:
        return Pcm(b"", pcm.rate)
    kept = pcm.rate * KEPT_SILENCE_MS // 1000
    samples = samples[max(0, loud[0] - kept) : loud[-1] + 1 + kept] * gain
    fade = np.linspace(0, 1, min(pcm.rate * FADE_MS // 1000, len(samples)), dtype=np.float32)
    samples[: len(fade)] *= fade
    samples[len(samples) - len(fade) :] *= fade[::-1]
    return join([Pcm.from_floats(samples, pcm.rate), Pcm.silence(pause_ms, pcm.rate)], pcm.rate)


def pause_after(piece: str, speed: float) -> int:
    """Milliseconds of silence that belong after `piece`."""
    last = piece.rstrip(" \"'”’」』）)]")[-1:]
    if last and last in _SENTENCE_ENDS:
        pause = SENTENCE_PAUSE_MS
    else:
        pause = WORD_PAUSE_MS if last.isalnum() else CLAUSE_PAUSE_MS
    return round(pause / speed)
