"""What of a reply can be spoken: Markdown, HTML, links and emoji are taken away as the text streams in.

`voice.markup` says what stands at a place of the text; here is said what of it is heard.
"""

from __future__ import annotations

import html
import re
from collections import deque

from voice.languages import language_of
from voice.markup import (
    COMMENT,
    INLINE,
    LINE_START,
    SILENT_CHARACTERS,
    TABLE,
    URL,
    element_scanner,
    fence_scanner,
)
from voice.texts import words_of

PARAGRAPH = "\u2029"
"""Stands in the speakable text where one block ends and another begins; "\\n" is a line end that may be mere wrapping."""

LANGUAGE_MEMORY = 200
"""Characters of speakable text, the latest ones, that tell the language of a hint: about two sentences."""

SILENT_ELEMENTS: dict[str, str | None] = {
    "script": None,
    "style": None,
    "svg": None,
    "think": None,  # how several open models mark the reasoning before their answer
    "pre": "code",
    "table": "table",
}
"""HTML elements whose content is never spoken, and the hint that stands for it."""

BLOCK_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 "
        "header hr li main nav ol p section summary td th tr ul",
    )
)

_NEWLINES = str.maketrans(
    {"\r": None, "\x0b": "\n", "\x0c": "\n", "\x85": "\n", "\u2028": "\n", "\u2029": "\n"}
)
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SILENT = re.compile(f"[{SILENT_CHARACTERS}]+")
_ALPHANUMERIC = re.compile("[A-Za-z0-9]")
_TAG_NAME = re.compile("<(/?)([A-Za-z][A-Za-z0-9]*)")
_TEX = re.compile(r"\\([A-Za-z]+)|\\[\s\S]|[{}$]")
_TEX_SYMBOLS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "neq": "≠",
    "approx": "≈", "infty": "∞", "sqrt": "√", "to": "→", "frac": "", "text": "", "mathrm": "", "mathbf": "",
    "left": "", "right": "", "quad": "", "displaystyle": "",
}  # fmt: skip


class Speakable:
    """The speakable text of one reply. `language` is that of the hints until the text itself tells."""

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._recent: deque[str] = deque(maxlen=LANGUAGE_MEMORY)
        self._text = "\n"  # what is undecided, after the one character before it
        self._high_surrogate = ""
        self._scanner = LINE_START
        self._in_heading = False

    def feed(self, piece: str) -> str:
        """The speakable text that is certain now. A `piece` may be cut anywhere and hold lone surrogates."""
        piece = self._high_surrogate + piece
        self._high_surrogate = piece[-1] if piece and "\ud800" <= piece[-1] <= "\udbff" else ""
        piece = _SURROGATE_PAIR.sub(_join_surrogates, piece.removesuffix(self._high_surrogate))
        return self._scan(piece.translate(_NEWLINES), ended=False)

    def finish(self) -> str:
        """The rest, at the reply's end."""
        self._high_surrogate = ""
        return self._scan("\n", ended=True)

    def _scan(self, piece: str, ended: bool) -> str:
        text = self._text + piece
        at = 1
        spoken: list[str] = []
        while at < len(text) and (match := self._scanner.match(text, at, ended)):
            words = self._speak(match)
            self._recent.extend(words)
            spoken.append(words)
            at = match.end()
        self._text = text[at - 1 :]
        return "".join(spoken)

    def _speak(self, match: re.Match[str]) -> str:
        """What is said for a construct; moves on to the scanner for what follows it."""
        if self._scanner is INLINE:
            return self._speak_inline(match)
        if self._scanner is LINE_START:
            return self._speak_line_start(match)
        if match.lastgroup == "words":
            self._scanner = LINE_START if self._scanner is TABLE else INLINE
        elif match.lastgroup == "end":
            self._scanner = LINE_START if match[0].endswith("\n") else INLINE
        return ""

    def _speak_line_start(self, match: re.Match[str]) -> str:  # noqa: PLR0911 - one answer for each construct
        match match.lastgroup:
            case "words":
                self._scanner = INLINE
                return ""
            case "number":
                self._scanner = INLINE
                return PARAGRAPH + match[0]
            case "backticks" | "tildes":
                mark = match[0][0]
                length = len(match[0]) - len(match[0].lstrip(mark))
                self._scanner = fence_scanner(mark * length)
                return self._hint_paragraph("code")
            case "table":
                self._scanner = TABLE
                return self._hint_paragraph("table")
            case "heading":
                self._in_heading = True
                return PARAGRAPH
            case "space" | "quote" | "task":
                return ""
            case "blank":
                self._in_heading = False
                return PARAGRAPH
            case _:  # a rule, a bullet, a footnote's mark
                return PARAGRAPH

    def _speak_inline(self, match: re.Match[str]) -> str:  # noqa: PLR0911, PLR0912 - one answer for each construct
        before, after = match.string[match.start() - 1], match.string[match.end() : match.end() + 1]
        match match.lastgroup:
            case "plain" | "character":
                return match[0]
            case "newline":
                self._scanner = LINE_START
                heading, self._in_heading = self._in_heading, False
                return PARAGRAPH if heading else "\n"
            case "star":
                return match[0] if _is_operator(before, match[0], after) else ""
            case "underscore":
                inside_name = _ALPHANUMERIC.match(before) and _ALPHANUMERIC.match(after)
                return match[0] if inside_name else ""
            case "opening":  # arr[0] is not arr0
                return " " if _ALPHANUMERIC.match(before) and _ALPHANUMERIC.match(after) else ""
            case "code" | "longcode":
                return _SILENT.sub("", match[0].strip("`"))
            case "url" | "www":
                self._scanner = URL
                return self._hint("link")
            case "autolink":
                return self._hint("link")
            case "mail":
                return match[0][1:-1]
            case "entity":
                return _SILENT.sub("", html.unescape(match[0]).translate(_NEWLINES))
            case "escape":
                return match[0][1]
            case "math" | "display" | "parentheses" | "brackets":
                return _SILENT.sub("", _TEX.sub(_speak_tex, match[0]))
            case "comment":
                self._scanner = COMMENT
                return ""
            case "tag" | "attributes":
                return self._speak_tag(match[0])
            case _:  # marks, link targets, declarations, emoji
                return ""

    def _speak_tag(self, tag: str) -> str:
        slash, name = _TAG_NAME.findall(tag)[0]
        name = name.lower()
        if name in SILENT_ELEMENTS and not slash and not tag.endswith("/>"):
            self._scanner = element_scanner(name)
            hint = SILENT_ELEMENTS[name]
            return self._hint_paragraph(hint) if hint else ""
        return PARAGRAPH if name in BLOCK_ELEMENTS else ""

    def _hint(self, name: str) -> str:
        language = language_of("".join(self._recent), self._language)
        return words_of(language).spoken_hints[name]

    def _hint_paragraph(self, name: str) -> str:
        return PARAGRAPH + self._hint(name) + PARAGRAPH


def _join_surrogates(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _is_operator(before: str, stars: str, after: str) -> bool:
    """Whether stars are meant: "2 * 3", "2*3", "2**3"; between letters two of them are emphasis."""
    if before.isspace() and after.isspace():
        return True
    if len(stars) == 1:
        return bool(_ALPHANUMERIC.match(before) and _ALPHANUMERIC.match(after))
    return before.isdigit() and after.isdigit()


def _speak_tex(mark: re.Match[str]) -> str:
    name = mark[1]
    return f" {_TEX_SYMBOLS.get(name, name)} " if name else " "
