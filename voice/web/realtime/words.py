"""When each word of a reply is heard: the voice's own word times where it gives them, else a reckoning."""

from __future__ import annotations

import re
from typing import TypedDict
from unicodedata import east_asian_width

from voice.engines import Speech

MS_A_CHARACTER = 65
"""Of alphabetic text (150 to 170 words a minute); a wide one, as a kana, takes twice that."""
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f][\u3001\u3002\uff01\uff1f]?|[^\s\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]+"
)
"""What captions show at once: a word between spaces, or one character of Japanese or Chinese."""


class TimedWord(TypedDict):
    text: str
    at_ms: int
    """From the beginning of the reply's sound."""


class WordTimes:
    """Of one reply after the other."""

    def __init__(self) -> None:
        self._sound_ms = 0.0
        self._phrase = ""
        self._phrase_ms = 0.0
        """Where its sound begins."""
        self._timed = False
        """Whether its words were told."""

    def begin(self) -> None:
        """A reply begins."""
        self.__init__()  # type: ignore[misc]

    def place(self, speech: Speech) -> list[TimedWord]:
        """The words of which this piece of the reply's sound tells."""
        piece_ms = speech.pcm.seconds * 1000
        if speech.phrase != self._phrase or not self._sound_ms:
            self._phrase, self._phrase_ms, self._timed = speech.phrase, self._sound_ms, False
        self._sound_ms += piece_ms
        if speech.words:
            self._timed = True
            return [
                TimedWord(text=word.text, at_ms=round(self._phrase_ms + word.offset_ms))
                for word in speech.words
            ]
        if self._timed or not piece_ms:
            return []
        self._timed = True
        return spread(speech.phrase, round(self._phrase_ms), piece_ms)


def spread(phrase: str, start_ms: int, piece_ms: float) -> list[TimedWord]:
    """The words of a phrase over its sound, of which so much is there; more may come."""
    words = _WORD.findall(phrase)
    weights = [sum(2 if east_asian_width(char) in "WF" else 1 for char in word) for word in words]
    total = sum(weights)
    length_ms = max(piece_ms, total * MS_A_CHARACTER)
    before = [sum(weights[:place]) for place in range(len(words))]
    return [
        TimedWord(text=word, at_ms=start_ms + round(length_ms * sofar / total))
        for word, sofar in zip(words, before, strict=True)
    ]
