"""How much of a reply's text was heard after so many ms of its sound. Pure: no engine, no clock."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from voice.engines import Speech, Word

MORAE_A_SECOND = 7.5
"""Everyday speech, where nothing else tells how long a phrase will be."""

_EAST_ASIAN = "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff66-\uff9f々〆"
_SMALL_KANA = "ぁぃぅぇぉゃゅょゎァィゥェォャュョヮー"
_UNIT = re.compile(
    # A mora or a character that is one or more; else a word. What is not spoken belongs to what stands before it.
    rf"(?:[{_EAST_ASIAN}][{_SMALL_KANA}]*|[^\W{_EAST_ASIAN}]+(?:['’.,_-][^\W{_EAST_ASIAN}]+)*)"
)

_NEW_LINE = re.compile(r"\n+(?=[^\w\n]*\Z)")
"""Right before a phrase, or before the bullet in front of it."""


@dataclass(slots=True)
class _Phrase:
    text: str
    start_ms: float
    length_ms: float = 0
    words: list[Word] = field(default_factory=list)
    complete: bool = False
    """Whether no more of its sound will come."""


class Spoken:
    """A reply's phrases, in the order in which they are spoken, and when each of their words is heard."""

    def __init__(self) -> None:
        self._phrases: list[_Phrase] = []
        self._length_ms = 0.0

    @property
    def length_ms(self) -> float:
        """Of the sound so far."""
        return self._length_ms

    def write(self, phrase: str) -> str:
        """The next phrase; the sound to come is its. Returns what it adds to the text, a space between words included."""
        before = self._phrases[-1].text if self._phrases else ""
        self.finish()
        self._phrases.append(_Phrase(phrase, self._length_ms))
        return _space_between(before, phrase) + phrase

    def add(self, speech: Speech) -> None:
        """A piece of the last phrase's sound."""
        phrase = self._phrases[-1]
        phrase.words += speech.words
        phrase.length_ms += speech.pcm.seconds * 1000
        self._length_ms += speech.pcm.seconds * 1000

    def finish(self) -> None:
        """The last phrase's sound is complete."""
        if self._phrases:
            self._phrases[-1].complete = True

    def start_of(self, phrase: int) -> float | None:
        """Where in the sound that phrase begins, counted from 0; None as long as there is no sound of it."""
        known = self._phrases[phrase : phrase + 1]
        return known[0].start_ms if known and (known[0].length_ms or known[0].complete) else None

    def phrase(self, phrase: int) -> str:
        return self._phrases[phrase].text

    def heard(self, ms: float, written: str = "") -> str:
        """The text up to the last word, or mora, of which at least half was heard in the first `ms` of the sound.

        `written`: the reply as it was written, whose lines are kept.
        """
        text, at = "", 0
        for phrase in self._phrases:
            if phrase.start_ms >= ms:
                break
            start = written.find(phrase.text, at)  # not where it has markup
            new_line = _NEW_LINE.search(written, at, max(start, at))
            text += new_line[0] if text and new_line else _space_between(text, phrase.text)
            text += _heard_of(phrase, ms - phrase.start_ms)
            at = max(at, start + len(phrase.text)) if start >= 0 else at
        return text.rstrip()


def _heard_of(phrase: _Phrase, ms: float) -> str:
    if phrase.complete and ms >= phrase.length_ms:
        return phrase.text
    heard, ms = 0, min(ms, phrase.length_ms)
    for end, middle_ms in _by_words(phrase) or _by_duration(phrase):
        if middle_ms > ms:
            break
        heard = end
    return phrase.text[:heard]


def _by_words(phrase: _Phrase) -> list[tuple[int, float]]:
    """Where in the text each word that the engine told of ends, and when the middle of it is heard."""
    found = list(_find_words(phrase.text, phrase.words))
    if not found:
        return []
    ends = [start for start, _, _ in found[1:]] + [_end_of_last(phrase, found[-1][1])]
    times = [ms for _, _, ms in found] + [max(phrase.length_ms, found[-1][2])]
    return [(end, (begins + over) / 2) for end, (begins, over) in zip(ends, pairwise(times), strict=True)]


def _find_words(text: str, words: Sequence[Word]) -> Iterator[tuple[int, int, float]]:
    """Where each word begins and ends in the text, and when it begins; not those spoken otherwise than written."""
    at = 0
    for word in words:
        start = text.find(word.text, at)
        if word.text and start >= 0:
            at = start + len(word.text)
            yield start, at, word.offset_ms


def _end_of_last(phrase: _Phrase, end: int) -> int:
    """What the last word found, which ends there, takes with it: its marks, or the rest of a phrase that is complete."""
    after = None if phrase.complete else _UNIT.search(phrase.text, end)
    return after.start() if after else len(phrase.text)


def _by_duration(phrase: _Phrase) -> list[tuple[int, float]]:
    """The same where nothing but the length of the sound is known: each mora takes as long as any other."""
    text = phrase.text
    starts = [unit.start() for unit in _UNIT.finditer(text)]
    ends = [*starts[1:], len(text)] if starts else []
    morae = max(_count_morae(text), 0.5)
    length_ms = phrase.length_ms if phrase.complete else max(phrase.length_ms, morae / MORAE_A_SECOND * 1000)
    return [
        (end, (_count_morae(text[:start]) + _count_morae(text[start:end]) / 2) / morae * length_ms)
        for start, end in zip(starts, ends, strict=True)
    ]


def _space_between(before: str, after: str) -> str:
    """Languages with spaces have one between phrases."""
    if not before or not after or before[-1].isspace():
        return ""
    return "" if _is_wide(before[-1]) or _is_wide(after[0]) else " "


def _count_morae(text: str) -> float:
    """About how long `text` takes to say: a kanji is read in two, two letters make one, a stop is a pause of one."""
    return sum(map(_morae_of, text))


def _morae_of(char: str) -> float:
    if char in _SMALL_KANA:
        return float(char == "ー")
    if _is_wide(char):
        return 2 if char > "\u3400" and char < "\ua000" else 1
    return 0 if char.isspace() else 0.5


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
