"""Latin words inside Japanese, as katakana from their English pronunciation: Python is パイソン, not ピーワイティー..."""

from __future__ import annotations

import re
from functools import lru_cache

from voice.engines.local_hibari import pronounce

_ROWS = {
    "": "ア イ ウ エ オ",
    "k": "カ キ ク ケ コ",
    "ɡ": "ガ ギ グ ゲ ゴ",
    "s": "サ シ ス セ ソ",
    "θ": "サ シ ス セ ソ",
    "z": "ザ ジ ズ ゼ ゾ",
    "ð": "ザ ジ ズ ゼ ゾ",
    "ʃ": "シャ シ シュ シェ ショ",
    "ʒ": "ジャ ジ ジュ ジェ ジョ",
    "ʤ": "ジャ ジ ジュ ジェ ジョ",
    "t": "タ ティ トゥ テ ト",
    "T": "タ ティ トゥ テ ト",
    "d": "ダ ディ ドゥ デ ド",
    "ʧ": "チャ チ チュ チェ チョ",
    "n": "ナ ニ ヌ ネ ノ",
    "h": "ハ ヒ フ ヘ ホ",
    "f": "ファ フィ フ フェ フォ",
    "b": "バ ビ ブ ベ ボ",
    "p": "パ ピ プ ペ ポ",
    "m": "マ ミ ム メ モ",
    "j": "ヤ イ ユ イェ ヨ",
    "l": "ラ リ ル レ ロ",
    "ɹ": "ラ リ ル レ ロ",
    "ɾ": "ラ リ ル レ ロ",
    "v": "ヴァ ヴィ ヴ ヴェ ヴォ",
    "w": "ワ ウィ ウ ウェ ウォ",
}
_KANA = {
    (consonant, vowel): kana
    for consonant, row in _ROWS.items()
    for vowel, kana in zip("aiueo", row.split(), strict=True)
}
_ALONE = {
    "t": "ト",
    "T": "ト",
    "d": "ド",
    "ʧ": "チ",
    "ʤ": "ジ",
    "ʃ": "シュ",
    "n": "ン",
    "ŋ": "ング",
    "h": "",
    "j": "イ",
}
"""A consonant without a vowel, where it is not the kana of its row with u."""

_VOWELS = {
    "æ": "a",
    "ʌ": "a",
    "ə": "a",
    "ɐ": "a",
    "ɑ": "a",
    "ɛ": "e",
    "o": "o",
    "ɪ": "i",
    "ᵻ": "i",
    "ʊ": "u",
    "i": "iー",
    "u": "uー",
    "ɔ": "oー",
    "ɜ": "aー",
    "O": "oー",
    "A": "eー",
    "I": "aイ",
    "W": "aウ",
    "Y": "oイ",
}
"""misaki's American vowels: the kana row's vowel, and what follows."""

_SYLLABLE = re.compile(rf"([^{''.join(_VOWELS)}ˈˌ]?)(j?)([{''.join(_VOWELS)}])|(.)")


@lru_cache(4096)
def katakana(word: str) -> str:
    """How Japanese would say the English `word`, about. Empty where its pronunciation cannot be had."""
    sounds = re.sub("[ˈˌᵊʔ ]", "", pronounce(word))
    if "o" in word.lower():
        sounds = sounds.replace("ɑ", "o")
    said = ""
    for syllable in _SYLLABLE.finditer(sounds):
        consonant, glide, vowel, alone = syllable.groups()
        after = sounds[syllable.end() : syllable.end() + 1]
        if vowel:
            said += _syllable(consonant, glide, _VOWELS[vowel])
        elif alone == "ɹ" and said:
            said += "" if said.endswith("ー") else "ー"
        elif (alone == "m" and after in {"p", "b"}) or (alone == "ŋ" and after in {"k", "ɡ"}):
            said += "ン"
        else:
            said += _ALONE.get(alone, _KANA.get((alone, "u"), ""))
    return said


def _syllable(consonant: str, glide: str, vowel: str) -> str:
    if glide and consonant and vowel[0] in "auo":
        return _KANA[consonant, "i"] + dict(zip("auo", "ャュョ", strict=True))[vowel[0]] + vowel[1:]
    return _KANA.get((consonant, vowel[0]), _KANA["", vowel[0]]) + vowel[1:]
