"""Which language a text is in, told from its script, and where a mixed phrase changes language.

Scripts are enough to choose a voice: kana is Japanese, Hangul Korean, and Latin the default language if that one is
written in Latin script, else English. Han alone is Japanese unless the default is Chinese. Languages are primary subtags, as "ja".
"""

from __future__ import annotations

import re

LATIN_DEFAULT = "en"
"""What Latin script is taken for when the default language is not written in it."""

NOT_LATIN = frozenset({"ja", "zh", "ko", "ru", "uk", "bg", "el", "ar", "fa", "he", "hi", "th", ""})

_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a"

_EAST_ASIAN_LETTER = re.compile(f"[{_KANA}{_HAN}{_HANGUL}]")
_LATIN_LETTER = re.compile(f"[{_LATIN}]")
_KANA_LETTER = re.compile(f"[{_KANA}]")
_HANGUL_LETTER = re.compile(f"[{_HANGUL}]")

_LETTER = re.compile(f"[{_KANA}{_HAN}{_HANGUL}{_LATIN}]")

_LATIN_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|‘[^’]*’")
_QUOTED = re.compile(rf"{_LATIN_QUOTED.pattern}|「[^」]*」|『[^』]*』|\([^)]*\)|（[^）]*）")

_ENGLISH_GRAMMAR = re.compile(
    r"\b(?:an?|the|is|are|was|were|be|to|of|and|or|in|on|at|for|with|you|it|this|that|means?|as|by|can|The|This|It|In|I)\b",
)
"""Words that names and loanwords in a Japanese sentence hardly ever bring along."""

_RUN = re.compile(
    # Latin words together with what joins them: "state-of-the-art", "I'm fine, thanks", "iPhone 15 Pro".
    rf"(?P<latin>[{_LATIN}](?:[{_LATIN}0-9 \t'’.,;:!?&/+@_-]*[{_LATIN}0-9])?)"
    rf"|(?P<cjk>[{_KANA}{_HAN}]+)"
    rf"|(?P<hangul>[{_HANGUL}](?:[{_HANGUL} ]*[{_HANGUL}])?)"
)
_LATIN_WORD = re.compile(rf"[{_LATIN}][{_LATIN}'’-]+")
_OPENING = "([{「『（【〈《“‘¿¡$€£¥#@"
_QUOTE_MARKS = "\"“”‘’'「」『』"


def language_of(text: str, default: str) -> str:
    """The language that `text` is written in; `default` where no letter tells.

    Quoted and bracketed parts are looked at only when there is nothing else: 「"How are you?"は挨拶です。」 is Japanese
    and 'The word 猫 (ねこ) means cat' English. Any kana outside them is Japanese, except a little of it in a sentence
    that is English by its grammar ('In Japanese, ありがとう means thank you').
    """
    readings = (_QUOTED.sub(" ", text), _LATIN_QUOTED.sub(" ", text), text)
    unquoted = next((reading for reading in readings if _LETTER.search(reading)), text)
    east_asian = len(_EAST_ASIAN_LETTER.findall(unquoted))
    latin = len(_LATIN_LETTER.findall(unquoted))
    if not east_asian:
        return _latin_language(default) if latin else default
    han_only = not (_KANA_LETTER.search(unquoted) or _HANGUL_LETTER.search(unquoted))
    if latin > east_asian and (han_only or _ENGLISH_GRAMMAR.search(unquoted)):
        return _latin_language(default)
    return _east_asian_language(unquoted, default)


def split_by_language(phrase: str, default: str) -> list[tuple[str, str]]:
    """`phrase` as runs of (language, text), each for the voice of its language; joined, the texts are the phrase.

    Within Japanese (or Chinese, Korean), Latin text is a run of its own when it is quoted or has several words. A
    single word, an acronym or a number stays: "AI", "Tシャツ", "Wi-Fi", "3つ" are Japanese as spoken. Within a language
    in Latin script, every East Asian word is a run of its own. Opening punctuation goes with what follows it, all
    other with what precedes.
    """
    base = language_of(phrase, default)
    starts: list[tuple[str, int]] = []
    before = 0  # where the last word of any script ended
    for word in _RUN.finditer(phrase):
        language = _language_of_run(word, base, default)
        if not starts:
            starts.append((language, 0))
        elif starts[-1][0] != language:
            starts.append((language, _opening_start(phrase, before, word.start())))
        before = word.end()
    starts = starts or [(base, 0)]
    ends = [start for _, start in starts[1:]] + [len(phrase)]
    return [
        (language, phrase[start:end]) for (language, start), end in zip(starts, ends, strict=True) if phrase
    ]


def _latin_language(default: str) -> str:
    return LATIN_DEFAULT if default in NOT_LATIN else default


def _east_asian_language(text: str, default: str) -> str:
    if _KANA_LETTER.search(text):
        return "ja"
    if _HANGUL_LETTER.search(text):
        return "ko"
    return "zh" if default == "zh" else "ja"


def _language_of_run(run: re.Match[str], base: str, default: str) -> str:
    if run.lastgroup == "hangul":
        return "ko"
    if run.lastgroup == "cjk":
        return base if base in {"ja", "zh"} else _east_asian_language(run[0], default)
    if base in {"ja", "zh", "ko"} and not _is_foreign(run):
        return base
    return _latin_language(base if base not in NOT_LATIN else default)


def _is_foreign(run: re.Match[str]) -> bool:
    """Whether Latin text inside East Asian text is a foreign-language passage rather than a loanword or a name."""
    words = _LATIN_WORD.findall(run[0])
    if len(words) >= 2:
        return True
    before, after = run.string[: run.start()][-1:], run.string[run.end() :].lstrip(".!?,")[:1]
    quoted = bool(before) and before in _QUOTE_MARKS and bool(after) and after in _QUOTE_MARKS
    return quoted and bool(words) and not words[0].isupper()


def _opening_start(phrase: str, start: int, end: int) -> int:
    """Where the punctuation that opens the run at `end` begins; `start` is where the run before ended."""
    at = end
    while at > start:
        mark = phrase[at - 1]
        opens = mark in _OPENING or (mark == '"' and phrase.count('"', 0, at) % 2 == 1)
        if not opens:
            break
        at -= 1
    return at
