"""Azure's languages and voices: the locale that a language alone means, its default voice, and a list for the menu."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voice.engines import Voice

LOCALES = {
    "ja": "ja-JP",
    "en": "en-US",
    "zh": "zh-CN",
    "ko": "ko-KR",
    "fr": "fr-FR",
    "de": "de-DE",
    "es": "es-ES",
    "it": "it-IT",
    "pt": "pt-BR",
}
"""What a primary language subtag alone stands for."""


def language_of_tag(tag: str) -> str:
    """The primary subtag: "ja" of "ja-JP"."""
    return tag.split("-", maxsplit=1)[0].lower()


def locale_of(language: str) -> str:
    """As "ja-JP" for "ja"; any other tag is left as it is."""
    return LOCALES.get(language.lower(), language)


@dataclass(frozen=True, slots=True)
class OfferedVoice:
    name: str
    """As Azure names it: "ja-JP-NanamiNeural"."""
    given_name: str
    """In the language's own script: "七海"."""

    @property
    def locale(self) -> str:
        return "-".join(self.name.split("-")[:2])

    @property
    def voice(self) -> Voice:
        return Voice(self.name, f"{self.given_name} ({self.locale})", language_of_tag(self.locale))


KNOWN_VOICES = [
    OfferedVoice(name, given_name)
    for name, given_name in {
        "ja-JP-NanamiNeural": "七海",
        "ja-JP-KeitaNeural": "圭太",
        "ja-JP-AoiNeural": "碧衣",
        "ja-JP-DaichiNeural": "大智",
        "ja-JP-MayuNeural": "真夕",
        "ja-JP-NaokiNeural": "直紀",
        "ja-JP-ShioriNeural": "志織",
        "en-US-JennyNeural": "Jenny",
        "en-US-AvaNeural": "Ava",
        "en-US-AndrewNeural": "Andrew",
        "en-US-AriaNeural": "Aria",
        "en-US-GuyNeural": "Guy",
        "en-GB-SoniaNeural": "Sonia",
        "en-GB-RyanNeural": "Ryan",
        "zh-CN-XiaoxiaoNeural": "晓晓",
        "zh-CN-YunxiNeural": "云希",
        "ko-KR-SunHiNeural": "선히",
        "ko-KR-InJoonNeural": "인준",
        "fr-FR-DeniseNeural": "Denise",
        "fr-FR-HenriNeural": "Henri",
        "de-DE-KatjaNeural": "Katja",
        "de-DE-ConradNeural": "Conrad",
        "es-ES-ElviraNeural": "Elvira",
        "es-ES-AlvaroNeural": "Álvaro",
        "it-IT-ElsaNeural": "Elsa",
        "it-IT-DiegoNeural": "Diego",
        "pt-BR-FranciscaNeural": "Francisca",
        "pt-BR-AntonioNeural": "Antônio",
    }.items()
]
"""For when the service's own list can't be had. The first of each language is its default."""

DEFAULT_VOICES = {voice.voice.language: voice.name for voice in reversed(KNOWN_VOICES)}
"""By primary language subtag."""


def name_default_voices(names: Iterable[str]) -> dict[str, str]:
    """Voices by primary language subtag: that of their own locale, or the one put before it, as "ja:en-US-AvaNeural"."""
    voices = {}
    for item in names:
        named = re.fullmatch("([a-z]{2,3}):(.+)", item)
        language, name = named.groups() if named else (language_of_tag(item), item)
        voices[language] = name
    return voices


def offer(voices: Iterable[OfferedVoice], defaults: dict[str, str]) -> Sequence[Voice]:
    """Those of the locales that Kaiwa knows voices of, the default of each language first.

    Azure has over five hundred; a menu of them all would be of no use. `defaults`: name by language; always offered.
    """
    locales = [voice.locale for voice in KNOWN_VOICES]
    named = {voice.name: voice for voice in voices if voice.locale in locales}
    for name in defaults.values():
        named.setdefault(name, OfferedVoice(name, _given_name(name)))

    def place(voice: OfferedVoice) -> tuple[int, bool]:
        locale = locales.index(voice.locale) if voice.locale in locales else len(locales)
        return locale, voice.name not in defaults.values()

    return [voice.voice for voice in sorted(named.values(), key=place)]


def _given_name(name: str) -> str:
    """As "Nanami" of "ja-JP-NanamiNeural"."""
    known = {voice.name: voice.given_name for voice in KNOWN_VOICES}
    return known.get(name) or name.rsplit("-", maxsplit=1)[-1].split(":", maxsplit=1)[0].removesuffix(
        "Neural"
    )
