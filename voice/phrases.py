"""Reply text as it streams -> phrases that a voice can speak, each as early as is safe.

Two stages. `voice.speakable` takes away what is not speech. What is left is cut here: between any two characters there
is a `Boundary`, weak or strong, and a phrase ends at the first one that its length makes good enough. A stop always is;
a comma is at once in the very first phrase, so that sound starts early, and later only in a long sentence.

A boundary depends on the phrase so far and the next visible character, nothing else. So the same phrases come out
however the reply was cut into pieces, and a finished sentence waits for one character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from enum import IntEnum

from voice.speakable import PARAGRAPH, Speakable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Boundary(IntEnum):
    """How well a voice can stop at a place."""

    NONE = 0
    CHARACTER = 1
    """Between any two characters; for texts without a single space, which are not made of words."""
    WORD = 2
    CONJUNCTION = 3
    """Before "and", "because", .."""
    CLAUSE = 4
    SENTENCE = 5


# Lengths are in columns: Latin letters take one, East Asian ones two. In both scripts about 15 columns are one second
# of speech (some 150 words a minute, 7 or 8 kana a second).

FIRST_PHRASE = {
    # "Sure," (0.3 s) would be over before the next phrase is ready, and sounds torn off; そうですね、 is enough.
    Boundary.CLAUSE: 12,
    # Nobody shall wait for a long first sentence: without any comma it is cut after 3 s, in any case after 5 s.
    Boundary.CONJUNCTION: 45,
    Boundary.WORD: 75,
    Boundary.CHARACTER: 400,
}
LATER_PHRASES = {
    # A voice sounds best with whole sentences. 8 s of one are enough for the next phrase to be made meanwhile.
    Boundary.CLAUSE: 120,
    Boundary.CONJUNCTION: 160,
    Boundary.WORD: 220,
    # No language has such a word; voices choke on it.
    Boundary.CHARACTER: 400,
}
"""Columns from which on a phrase may end at each kind of boundary. A sentence's end needs none."""

LONG_QUOTE = 60
"""Columns (4 s) up to which a quotation or bracket is kept whole. It also bounds the harm of one that is never closed."""

_WIDE_STOPS = "。！？｡．‼⁇⁈⁉"
_ELLIPSES = "…‥"
_STOPS = _WIDE_STOPS + _ELLIPSES + ".!?"
_WIDE_COMMAS = "、，；：､"
_COMMAS = _WIDE_COMMAS + ",;:—–"
_BRACKETS = {
    "「": "」",
    "『": "』",
    "（": "）",
    "【": "】",
    "〈": "〉",
    "《": "》",
    "“": "”",
    "(": ")",
    "«": "»",
}
_CLOSERS = "".join(_BRACKETS.values()) + "]}\"'’"
_PAUSES = frozenset(_STOPS + _COMMAS + _CLOSERS)
"""After anything else, without a space, a phrase ends only because it is too long."""

_QUOTE_CONTINUES = frozenset("とっをはがにでもだなのやかへ")
"""What a Japanese sentence goes on with after a quotation: 「はい。」と言った."""

_PARTICLES = frozenset("はがをにでともへの")
_HIRAGANA = re.compile("[\u3041-\u309f]")

_CONJUNCTIONS = _words(
    "and but or so because while which when where although though if unless since after before until whereas that "
    "then than as with for to from"
)

_TITLES = _words(
    "mr mrs ms mx dr prof st mt ft gen col lt sgt capt cmdr maj rev fr hon sen rep gov pres supt messrs "
    "vs cf viz e.g i.e approx al"
)
"""Abbreviations that something always follows."""
_BEFORE_NUMBERS = _words(
    "no nos fig figs vol vols p pp ch sec art eq ex ver v jan feb mar apr jun jul aug sep sept oct nov dec"
)
"""Abbreviations only before a number: "No. 5", but "No. That is wrong."."""
_SUFFIXES = _words("etc inc ltd co corp jr sr dept est bros")
"""Abbreviations that may end a sentence: they do before a capital."""

_INITIALS = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]|Ph\.D")
_LIST_NUMBER = re.compile(r"[(（]?(?:\d{1,3}|[A-Za-z])[.)）．]")


class PhraseSplitter:
    """Cuts one reply into phrases. `language` is that of the spoken hints until the text itself tells."""

    def __init__(self, language: str = "en") -> None:
        self._speakable = Speakable(language)
        self._patience = FIRST_PHRASE
        self._start_phrase("")

    def _start_phrase(self, text: str) -> None:
        self._text = text
        self._gap = ""  # white space after the text: "", " " or "\n"
        self._columns = sum(map(_columns, text))
        self._sounds = bool(text)
        self._word = 0  # where the last word begins
        self._word_ripe = False  # whether a conjunction there is far enough from the phrase's start
        self._quotes: list[tuple[str, int]] = []  # (what closes it, columns before it), the open ones

    def feed(self, piece: str) -> list[str]:
        """The phrases that are certain now. A `piece` may be cut anywhere, even inside a surrogate pair."""
        return self._cut(self._speakable.feed(piece))

    def finish(self) -> list[str]:
        """The rest, at the reply's end."""
        return self._cut(self._speakable.finish() + PARAGRAPH)

    def _cut(self, speakable: str) -> list[str]:
        phrases: list[str] = []
        for char in speakable:
            if char == PARAGRAPH:
                phrases += self._end_phrase()
                self._gap = " "
            elif char.isspace():
                self._gap = "\n" if "\n" in (char, self._gap) else " "
            else:
                phrases += self._end_before(char)
                self._append(char)
        return phrases

    def _end_before(self, after: str) -> list[str]:
        """The phrase, or none, that is complete now that `after` follows it."""
        if self._gap and self._word_ripe and self._text[self._word :].lower() in _CONJUNCTIONS:
            return self._end_before_conjunction()
        boundary = self._boundary_before(after)
        ripe = boundary is Boundary.SENTENCE or self._columns >= self._patience.get(
            boundary, self._columns + 1
        )
        return self._end_phrase() if ripe else []

    def _end_before_conjunction(self) -> list[str]:
        phrase, conjunction, gap = self._text[: self._word].rstrip(), self._text[self._word :], self._gap
        self._patience = LATER_PHRASES
        self._start_phrase(conjunction)
        self._gap = gap
        return [phrase]

    def _boundary_before(self, after: str) -> Boundary:
        text, gap = self._text, self._gap
        if not gap and text[-1:] not in _PAUSES and self._columns < self._patience[Boundary.WORD]:
            return Boundary.NONE  # the bulk of every text
        boundary = find_boundary(text, gap, after)
        if boundary >= Boundary.CLAUSE and gap != "\n" and self._in_short_quote():
            boundary = Boundary.WORD if gap else Boundary.NONE
        if boundary is Boundary.NONE and self._columns >= self._patience[Boundary.CHARACTER]:
            stacked = unicodedata.combining(after) and self._columns < 2 * self._patience[Boundary.CHARACTER]
            return Boundary.NONE if stacked else Boundary.CHARACTER
        return boundary

    def _in_short_quote(self) -> bool:
        return any(self._columns - start <= LONG_QUOTE for _, start in self._quotes)

    def _append(self, char: str) -> None:
        if self._gap and self._text:
            self._text += " "
            self._columns += 1
            self._word = len(self._text)
            self._word_ripe = self._sounds and self._columns >= self._patience[Boundary.CONJUNCTION]
        self._gap = ""
        self._text += char
        self._columns += _columns(char)
        if char.isalnum():
            self._sounds = True
        self._note_quote(char)

    def _note_quote(self, char: str) -> None:
        for depth, (closer, _) in enumerate(self._quotes):
            if closer == char:
                del self._quotes[depth:]
                return
        if char == '"' or char in _BRACKETS:
            self._quotes.append((_BRACKETS.get(char, char), self._columns))
            del self._quotes[:-8]  # deeper nesting is no quotation

    def _end_phrase(self) -> list[str]:
        """Give the phrase out. Text without any sound waits for some to go with, but not for ever."""
        phrase = self._text
        if self._sounds:
            self._patience = LATER_PHRASES
            self._start_phrase("")
            return [phrase]
        if self._columns >= self._patience[Boundary.CHARACTER]:
            self._start_phrase("")
        return []


def split_phrases(pieces: Iterable[str], language: str = "en") -> Iterator[str]:
    """The phrases of a reply that comes in `pieces`, each as soon as it is certain."""
    splitter = PhraseSplitter(language)
    for piece in pieces:
        yield from splitter.feed(piece)
    yield from splitter.finish()


def find_boundary(text: str, gap: str, after: str) -> Boundary:  # noqa: PLR0911 - one answer for each rule
    r"""What lies between a phrase's `text` so far and the visible character `after`.

    `gap`: the white space between them, as "" (none), " " or "\n" (with a line's end). Brackets are not looked at.
    """
    if not gap and after in _PAUSES:
        return Boundary.NONE  # stops gather, and closing marks belong to their sentence
    ended = text.rstrip(_CLOSERS)
    stop = ended[-1:]
    if gap == "\n" and not (after.islower() and stop not in _STOPS):
        return Boundary.SENTENCE  # else a wrapped line
    if not gap and len(ended) < len(text) and after in _QUOTE_CONTINUES:
        return Boundary.NONE
    if stop and stop in _STOPS:
        return _boundary_at_stop(text, ended, gap, after)
    if stop and stop in _COMMAS:
        return _boundary_at_comma(ended, gap, after)
    if gap:
        return Boundary.NONE if stop.isdigit() and after.isdigit() else Boundary.WORD
    if stop in _PARTICLES and _is_east_asian(after) and not _HIRAGANA.match(after):
        return Boundary.WORD  # a particle before a kanji, katakana or bracket ends a bunsetsu
    return Boundary.NONE


def _boundary_at_stop(text: str, ended: str, gap: str, after: str) -> Boundary:  # noqa: PLR0911
    stop, before = ended[-1], ended[-2:-1]
    if _LIST_NUMBER.fullmatch(text):
        return Boundary.NONE
    if stop == "．" and before.isdigit() and after.isdigit():
        return Boundary.NONE
    if stop in _WIDE_STOPS:
        return Boundary.SENTENCE
    if not gap and not (_is_east_asian(after) and (before in _STOPS or _is_east_asian(before))):
        return Boundary.NONE  # 3.14, example.com, Yahoo!ニュース
    if stop in _ELLIPSES or ended.endswith(".."):
        return Boundary.SENTENCE if gap and not after.islower() else Boundary.CLAUSE
    if stop == "." and ended == text and _is_abbreviation(ended.rsplit(None, 1)[-1][:-1], after):
        return Boundary.NONE
    # “Stop!” he said. An unknown abbreviation. Or somebody who writes no capitals.
    return Boundary.CLAUSE if after.islower() else Boundary.SENTENCE


def _boundary_at_comma(ended: str, gap: str, after: str) -> Boundary:
    comma, before = ended[-1], ended[-2:-1]
    if before.isnumeric() and after.isnumeric():
        return Boundary.NONE  # 1,000 and 二、三日
    if gap or comma in _WIDE_COMMAS or comma == "—":
        return Boundary.CLAUSE
    return Boundary.NONE


def _is_abbreviation(word: str, after: str) -> bool:
    """Whether the full stop after `word` (given without it) is an abbreviation's and no sentence's."""
    bare = word.lstrip("([{\"'“‘")
    name = bare.lower()
    if name in _TITLES:
        return True
    if name in _BEFORE_NUMBERS and after.isdigit():
        return True
    if _INITIALS.fullmatch(bare) and bare != "I":  # "So do I."
        return after.islower() or bare[0].isupper() or after.isdigit()
    return name in _SUFFIXES and after.islower()


def _is_east_asian(char: str) -> bool:
    return bool(char) and _columns(char) == 2


def _columns(char: str) -> int:
    return 1 if char < "\u1100" else 2 if unicodedata.east_asian_width(char) in "WF" else 1
