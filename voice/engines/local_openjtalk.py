"""Open JTalk: how Japanese text is read, and the voice mei."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyopenjtalk

from voice.audio import VOICE_RATE, Pcm, resample
from voice.engines.local_loanwords import katakana
from voice.engines.local_pieces import HEADROOM

MEI_ATTRIBUTION = (
    'HTS Voice "Mei", released by the MMDAgent Project Team (http://www.mmdagent.jp/). '
    "Copyright (c) 2009-2013 Nagoya Institute of Technology, Department of Computer Science. "
    "Licensed under CC BY 3.0 (https://creativecommons.org/licenses/by/3.0/)."
)
"""What the voice's licence (LICENSE_mei_normal.htsvoice, in the package) asks to be shown."""

_SPOKEN_FORMS = [
    # What Open JTalk passes over or reads as a pause.
    (r"°C|℃", "度"),
    (r"(?<!\d)(\d{4})/(\d\d?)/(\d\d?)(?!\d)", r"\1年\2月\3日"),
    (r"(?<![\d/])(\d\d?)/(\d\d?)(?=\([日月火水木金土]\))", r"\1月\2日"),
    (r"(?<![\d:])(\d\d?):00(?![\d:])", r"\1時"),
    (r"(?<![\d:])(\d\d?):(\d\d)(?![\d:])", r"\1時\2分"),
    (r"(?<=[年月時])0(?=\d[月日分])", ""),
    (r"[~〜～](?=\d)", "から"),
    (r"¥\s?(\d[\d,]*)", r"\1円"),
    (r"\$\s?(\d[\d,]*(?:\.\d+)?)", r"\1ドル"),
    (r"€\s?(\d[\d,]*(?:\.\d+)?)", r"\1ユーロ"),
    (r"(?<=\d),(?=\d{3}(?!\d))", ""),
    (r"(?<![\w-])-(?=\d)", "マイナス"),
    (r"(?<=\d)\s?\+\s?(?=\d)", "プラス"),
    (r"(?<=\d)\s?=\s?(?=\d)", "イコール"),
    (r"&", "アンド"),
]


@dataclass(frozen=True, slots=True)
class Reading:
    """How one word is said."""

    kana: str
    """Katakana as pronounced (は the particle is ワ), or the punctuation mark itself."""
    joined: bool
    """Whether it is said in one breath, in one accent phrase, with the word before it."""


def spoken_form(text: str) -> str:
    """`text` with what Open JTalk would misread written out."""
    text = unicodedata.normalize("NFKC", text)
    for pattern, spoken in _SPOKEN_FORMS:
        text = re.sub(pattern, spoken, text)
    return re.sub(r"[A-Za-z]{3,}", lambda word: _as_loanword(word[0]), text)


@lru_cache(4096)
def _as_loanword(word: str) -> str:
    """Katakana for a word that Open JTalk does not know and would spell; every letter's name has two morae or more."""
    spelled = sum(node["mora_size"] for node in _analyse(word)) >= 2 * len(word)
    return (katakana(word) if spelled and not word.isupper() else "") or word


def read(text: str) -> list[Reading]:
    """The readings of `text`, word by word."""
    return [
        Reading(
            kana=node["pron"].replace("’", "") if node["mora_size"] else node["string"],
            joined=node["chain_flag"] == 1,
        )
        for node in _analyse(spoken_form(text))
    ]


def _analyse(text: str) -> list[dict[str, Any]]:
    if not text:
        return []
    try:
        # Sudachi's corrections of homographs would load a second dictionary.
        nodes: list[dict[str, Any]] = pyopenjtalk.run_frontend(text, use_sudachi_kanji_yomi=False)
    except Exception:  # of Sudachi, asked for a rare kanji where its dictionary is not installed
        nodes = pyopenjtalk.run_frontend(text, use_vanilla=True)
    return nodes


class Mei:
    """The HMM voice mei. Safe to use from several threads: pyopenjtalk-plus holds a lock while it synthesises."""

    def synthesise(self, text: str, speed: float = 1.0) -> Pcm:
        """24 kHz. Empty where there is nothing to say."""
        nodes = _analyse(spoken_form(text))
        if not any(node["mora_size"] for node in nodes):
            return Pcm(b"", VOICE_RATE)
        samples, rate = pyopenjtalk.synthesize(pyopenjtalk.make_label(nodes), speed=speed)
        return resample(Pcm.from_floats(samples / 32768 * HEADROOM, rate), VOICE_RATE)
