"""The marks of Markdown, HTML and TeX in a text that is still growing.

Every construct is written down once, as the *steps* of a regular expression. Text that ends between two steps may
still become the construct, so the scanner waits there; anything else is decided at once. That makes the result a
function of the text alone, however it was cut into pieces, provided that each step keeps one rule: whatever begins
a match of the step also matches it (a character, a lookahead, a bounded repetition of a class).

Nothing waits for long: each repetition is bounded, and an opening mark that is not closed within its bound is text.
"""

from __future__ import annotations

import re
from functools import lru_cache

SILENT_CHARACTERS = (
    "\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad"  # controls, soft hyphen
    "\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"  # zero width, direction, specials
    "\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"  # lone surrogates, private use
    "\u20e3\ufe00-\ufe0f\U000e0000-\U000e0fff"  # keycap, variation selectors, tags
    "\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"  # emoji, by block
    "\u2600-\u2775\u2794-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
"""A class's inside: what has no sound. Emoji follow Unicode's emoji-data; © ® ™ ‼ ⁉ and arrows count as text."""

_NEXT = r"(?=[\s\S])"  # what comes next must be seen


class Scanner:
    """Tries its constructs, the first one first, at a place of a text that may still be growing."""

    def __init__(self, **constructs: str | tuple[str, ...]) -> None:
        growing: list[str] = []
        ended: list[str] = []
        for name, construct in constructs.items():
            steps = (construct,) if isinstance(construct, str) else construct
            ended.append(f"(?P<{name}>{''.join(steps)})")
            growing.append(ended[-1])
            if len(steps) > 1:
                growing.append(_begun(steps))
        self._growing = re.compile("|".join(growing), re.IGNORECASE)
        self._ended = re.compile("|".join(ended), re.IGNORECASE)

    def match(self, text: str, at: int, ended: bool) -> re.Match[str] | None:
        """What stands at `at`: its name is the match's `lastgroup`. None while only more text can tell."""
        match = (self._ended if ended else self._growing).match(text, at)
        return match if match and match.lastgroup else None


def _begun(steps: tuple[str, ...]) -> str:
    """Matches a text that ends after some of the steps, but not all."""
    pattern = r"(?!)"
    for step in reversed(steps[:-1]):
        pattern = rf"{step}(?:\Z|{pattern})"
    return pattern


def _rule(mark: str, gap: str) -> tuple[str, ...]:
    """A horizontal rule: three marks or more, `gap` after each."""
    one = mark + gap
    return (one, one, one, rf"(?:{one}){{0,{20 if gap else 200}}}", r"[ \t]{0,9}", r"\n")


LINE_START = Scanner(
    blank=r"\n",
    space=r"[ \t\u3000]+",
    quote=r">",
    dashes=_rule("-", ""),
    stars=_rule(r"\*", ""),
    underscores=_rule("_", ""),
    equals=_rule("=", ""),
    spaced_dashes=_rule("-", r"[ \t]{0,3}"),
    spaced_stars=_rule(r"\*", r"[ \t]{0,3}"),
    bullet=(r"[-*+•◦▪‣]", r"(?=[ \t])"),
    japanese_bullet=r"・",
    task=(r"\[", r"[ x]", r"\]", r"(?=[ \t])"),
    number=(r"[0-9]{1,9}", r"[.)]", r"(?=[ \t])"),
    heading=(r"#{1,6}", r"(?=[ \t\n])"),
    backticks=("`", "`", "`", r"`{0,20}", r"[^`\n]{0,100}", r"\n"),
    tildes=("~", "~", "~", r"~{0,20}", r"[^~\n]{0,100}", r"\n"),
    table=(r"\|", r"[^\n]{0,400}", r"(?<=\|)[ \t]{0,9}", r"\n"),
    footnote=(r"\[", r"\^", r"[^\]\s]{1,40}", r"\]", r":"),
    words=r"(?=[\s\S])",
)

INLINE = Scanner(
    # First, for speed: the bulk of every text, which begins no construct (links begin with h and w).
    plain=r"[a-gi-vx-z ,.?;:\"'()\u3001-\u300f\u3011-\u302f\u3041-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]+",
    newline=r"\n",
    keycap=(r"[0-9#*]", r"\ufe0f?", r"\u20e3"),
    silent=f"[{SILENT_CHARACTERS}]+",
    # TeX
    math=(r"\$", r"[^\s\d$]", r"[^$\n]{0,200}", r"\$"),
    display=(r"\$", r"\$", r"[^$]{1,400}", r"\$", r"\$"),
    parentheses=(r"\\", r"\(", r"(?:[^\n\\]|\\[^()\n]){0,200}", r"\\", r"\)"),
    brackets=(r"\\", r"\[", r"(?:[^\\]|\\[^\[\]]){0,300}", r"\\", r"\]"),
    # HTML
    comment=("<", "!", "-", "-"),
    autolink=("<", "h", "t", "t", "p", "s?", ":", r"[^<>\s]{0,300}", ">"),
    mail=("<", r"[\w.+-]{1,64}", "@", r"[\w.-]{1,255}", ">"),
    # "a <b and c" may be text: without a quoted attribute to show that it is a tag, it is waited for only briefly.
    tag=("<", "/?", "[a-z]", r"[\w\s=:@/-]{0,60}", ">"),
    attributes=("<", "[a-z]", "[a-z0-9:-]{0,30}", r"\s", "[^<>=]{0,60}", "=", "[\"']", "[^<>]{0,600}", ">"),
    declaration=("<", "[!?]", "[^<>]{0,300}", ">"),
    entity=("&", "#?", "[0-9a-z]{1,31}", ";"),
    # Links
    url=(r"(?<![a-z0-9])h", "t", "t", "p", "s?", ":", "/", "/", r"(?=[a-z0-9])"),
    www=(r"(?<![a-z0-9])(?-i:w)", "w", "w", r"\.", r"(?=[a-z0-9])"),
    image=("!", r"(?=\[)"),
    reference=(r"\[", r"\^", r"[^\]\s]{1,40}", r"\]"),
    citation=("【", r"[^】\n†]{0,20}", "†", r"[^】\n]{0,60}", "】"),
    target=(r"\]", r"\(", r"[^\s()]{0,1000}", r"\)"),
    nested=(r"\]", r"\(", r"[^\s()]{0,1000}", r"\(", r"[^\s()]{0,100}", r"\)", r"[^\s()]{0,100}", r"\)"),
    titled=(
        r"\]",
        r"\(",
        r"[^\s()]{1,1000}",
        r"[ \t]",
        r"[ \t]{0,9}",
        r"[\"']",
        r"[^\"'\n]{0,200}",
        r"[\"']",
        r"\)",
    ),
    opening=(r"\[", _NEXT),
    closing=r"\]",
    # Emphasis and code
    code=("`", r"[^`\n]{1,100}", "`"),
    longcode=("`", "`", r"[^`\n]{1,100}", "`", "`"),
    backticks=r"`",
    # A run of marks is looked at as a whole; one longer than any emphasis goes in parts, so that nothing waits for it.
    long_run=r"\*{21}|_{21}|~{21}",
    star=(r"\*{1,20}", r"(?=[^*])"),
    underscore=(r"_{1,20}", r"(?=[^_])"),
    strike=("~", r"~{1,19}", r"(?=[^~])"),
    escape=(r"\\", r"[!-/:-@\[-`{-~]"),
    character=r"[\s\S]",
)

URL = Scanner(
    address=r"[a-z0-9/%#&=+@$(-]+",
    # Only inside: at its end it belongs to the sentence.
    punctuation=(r"[.,;:!?'*_~)]", r"(?=[a-z0-9/%#&=+@$(-])"),
    words=_NEXT,
)

TABLE = Scanner(
    row=(r"(?<=\n)[ \t]{0,12}", r"\|"),
    cells=r"(?<!\n)(?:\n|[^\n]+)",
    words=_NEXT,
)

COMMENT = Scanner(end=("-", "-", ">"), silent=r"[^-]+|-")


@lru_cache(maxsize=64)
def fence_scanner(mark: str) -> Scanner:
    """What a code block opened by `mark` consists of."""
    end = (r"(?<=\n)[ \t>]{0,12}", *mark, f"{mark[0]}{{0,20}}", r"[ \t]{0,20}", r"\n")
    return Scanner(end=end, silent=r"\n|[^\n]+")


@lru_cache(maxsize=64)
def element_scanner(name: str) -> Scanner:
    """What a silent HTML element consists of."""
    return Scanner(end=("<", "/", *name, r"\s{0,9}", ">"), silent=r"[^<]+|<")
