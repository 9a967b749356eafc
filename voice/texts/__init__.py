"""Everything the user reads, in one module per language."""

from __future__ import annotations

from voice.texts.en import ENGLISH
from voice.texts.ja import JAPANESE
from voice.texts.words import Words

INTERFACE: dict[str, Words] = {"en": ENGLISH, "ja": JAPANESE}
"""The languages of the interface; English is what others fall back to."""
SPOKEN_LANGUAGES = tuple(ENGLISH.language_names)
"""What a user may say they speak: "auto" or a primary subtag."""
PERSONAS = tuple(ENGLISH.personas)
DEFAULT_PERSONA = "friendly"


def words_of(language: str) -> Words:
    return INTERFACE.get(language, ENGLISH)


def pick_language(accept_language: str | None) -> str:
    """The interface language for an `Accept-Language` header: the first one listed that there is, else English."""
    for item in (accept_language or "").split(","):
        language = item.split(";")[0].strip().split("-")[0].lower()
        if language in INTERFACE:
            return language
    return "en"


def say(sentence: str, language: str, **details: str | int | float) -> str:
    """One of the `sentences` in the reader's language, its blanks filled."""
    return words_of(language).sentences[sentence].format(**details)


def label_page(language: str) -> dict[str, str]:
    """The page's labels by key, names of languages and personas among them."""
    words = words_of(language)
    return {
        **words.page,
        **{f"language_{name}": label for name, label in words.language_names.items()},
        **{f"persona_{name}": label for name, (label, _) in words.personas.items()},
    }


def system_prompt(persona: str, language: str) -> str:
    """How the chat model is told to behave. `persona`: one of `PERSONAS`, or instructions in the user's own words.

    `language`: what the user speaks; instructions for one without a module of its own are in English.
    """
    words = words_of(language)
    name = words.language_names.get(language, words.users_language)
    _, instructions = words.personas.get(persona, ("", persona))
    return words.system_prompt.format(language=name, persona=instructions).strip()
