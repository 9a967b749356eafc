"""The texts that a language of the interface must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """Keys are the same in every language."""

    sentences: Mapping[str, str]
    """What went wrong and what to do about it; `{blanks}` are filled with an error's details."""
    page: Mapping[str, str]
    """Labels of the page."""
    panel: Mapping[str, str]
    """What the live panel says; `{blanks}` are filled in the browser."""
    phases: Mapping[str, str]
    """The status line."""
    spoken_hints: Mapping[str, str]
    """What is said in place of what cannot be read aloud."""
    stopped_mark: str
    """Stands behind a reply that was stopped."""
    engine_roles: tuple[str, str, str]
    """What speech to text, the chat model and text to speech do."""
    voice_sample: str
    """What a voice says to introduce itself."""
    language_names: Mapping[str, str]
    """By primary subtag; "auto" first."""
    users_language: str
    """Stands for a language without a name here, in `system_prompt`."""
    system_prompt: str
    """With blanks for the language and the persona."""
    examples: Sequence[tuple[str, str]]
    """Exchanges that show a model how to answer."""
    personas: Mapping[str, tuple[str, str]]
    """A label for people, and instructions for the chat model."""
