"""How far a transcript is from what was said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def word_error_rate(said: str, heard: str) -> float:
    """Word edits per word said; case and punctuation do not count."""
    words = [re.sub(r"[^\w\s']", " ", text.lower()).split() for text in (said, heard)]
    return _edits(*words) / len(words[0])


def character_error_rate(said: str, heard: str) -> float:
    """Character edits per character said; spaces, punctuation and width do not count."""
    letters = [[c for c in unicodedata.normalize("NFKC", text) if c.isalnum()] for text in (said, heard)]
    return _edits(*letters) / len(letters[0])


def _edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != got))
    return row[-1]
