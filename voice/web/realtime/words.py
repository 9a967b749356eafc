"""When each word of a reply is heard: the voice's own word times where it gives them, else a reckoning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
        self.first = 0
        """Where the words placed last stand among the reply's. They take the place of those that were there, and on."""
        self._placed = 0
        """How many of the reply's words there are."""
        self._sound_ms = 0.0
        self._phrase = -1
        self._phrase_ms = 0.0
        """Where its sound begins."""
        self._phrase_first = 0
        self._told: list[TimedWord] = []
        """By the voice, of the phrase."""
        self._reckoned: list[TimedWord] = []
        """For want of better, of the phrase."""

    def begin(self) -> None:
        """A reply begins."""
        self.__init__()  # type: ignore[misc]

    def place(self, speech: Speech) -> list[TimedWord]:
        """The words of which this piece of the reply's sound tells."""
        piece_ms = speech.pcm.seconds * 1000
        if speech.number != self._phrase or not self._sound_ms:
            self._phrase, self._phrase_ms, self._phrase_first = speech.number, self._sound_ms, self._placed
            self._told, self._reckoned = [], []
        self._sound_ms += piece_ms
        if speech.words:
            told = [
                TimedWord(text=word.text, at_ms=round(self._phrase_ms + word.offset_ms))
                for word in speech.words
            ]
            self._told += told
            if not self._reckoned:
                return self._put(self._placed, told)
            # Sound came before the words of it.
            rest = leave_out(self._reckoned, self._told)
            return self._put(self._phrase_first, [*self._told, *rest])
        if self._told or self._reckoned or not piece_ms:
            return []
        self._reckoned = spread(speech.phrase, round(self._phrase_ms), piece_ms)
        return self._put(self._placed, self._reckoned)

    def _put(self, first: int, words: list[TimedWord]) -> list[TimedWord]:
        self.first, self._placed = first, first + len(words)
        return words


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


def leave_out(reckoned: Iterable[TimedWord], told: list[TimedWord]) -> Iterator[TimedWord]:
    """What is left of a phrase after the words that its voice told, none of it earlier than they are."""
    covered = sum(map(_count_letters, told))
    for word in reckoned:
        letters = _count_letters(word)
        if covered and covered >= letters:
            covered -= letters
            continue
        yield TimedWord(text=_cut_letters(word["text"], covered), at_ms=max(word["at_ms"], told[-1]["at_ms"]))
        covered = 0


def _count_letters(word: TimedWord) -> int:
    """Without punctuation, of which voices tell or not."""
    return sum(map(str.isalnum, word["text"]))


def _cut_letters(text: str, count: int) -> str:
    while count and text:
        count -= text[0].isalnum()
        text = text[1:]
    return text
