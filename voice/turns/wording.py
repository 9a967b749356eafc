"""Whether two texts say the same, whatever their spelling."""

from __future__ import annotations

import re
import unicodedata

_NOT_SAID = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """What is said of `text`: lower case, one width, without punctuation; words of letters are one space apart."""
    return _NOT_SAID.sub(" ", unicodedata.normalize("NFKC", text).casefold().replace("'", "")).strip()


def same_words(one: str, other: str) -> bool:
    """Whether both say the same: case, punctuation, width and white space do not count."""
    return one == other or normalise(one).replace(" ", "") == normalise(other).replace(" ", "")
