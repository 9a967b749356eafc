"""hibari: English, by the voice that lies in its package."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from hibari import Hibari

from voice.audio import VOICE_RATE, Pcm
from voice.engines.local_pieces import HEADROOM

_LONGEST_NUMBER = 12
"""Digits that are still read as one number; hibari has no names for numbers of more than 33."""


@cache
def _hibari() -> Hibari:
    # The voices that do not lie in the package would be downloaded.
    return Hibari("heart", threads=1)


def pronounce(word: str) -> str:
    """An English word in misaki's American phonemes, as "pˈIθˌɑn"; empty where hibari has none."""
    return "".join(_hibari().phonemize(word))


class Heart:
    """hibari's voice "heart", loaded at the first use."""

    def synthesise(self, text: str, speed: float = 1.0) -> Pcm:
        """24 kHz. Empty where there is nothing to say."""
        if not any(c.isalnum() for c in text):
            return Pcm(b"", VOICE_RATE)
        try:
            # With a seed the same text sounds the same again.
            samples = _hibari()(_spoken_form(text), speed=speed, seed=0)
        except (IndexError, KeyError, TypeError, ValueError):
            # hibari's reading stumbles over some odd characters, as a superscript digit before a letter.
            samples = _hibari()(_plain(text), speed=speed, seed=0)
        return Pcm.from_floats(samples * HEADROOM, VOICE_RATE)


def _spoken_form(text: str) -> str:
    # Brackets could make a link, which hibari takes for a word with its pronunciation.
    text = text.replace("[", " ").replace("]", " ")
    return re.sub(rf"\d{{{_LONGEST_NUMBER + 1},}}", lambda digits: " ".join(digits[0]), text)


def _plain(text: str) -> str:
    """Words and single digits of ASCII, nothing else."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[A-Za-z']+|[0-9]", ascii_only))
