"""What the user reads: complete in every language."""

from __future__ import annotations

import ast
import dataclasses
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from voice import texts

PROJECT = Path(__file__).parents[1]
ERRORS = {"EngineError", "NotConfigured", "Rejected", "Unavailable", "BadInput", "say"}


def find_told_sentences() -> Iterator[tuple[str, set[str]]]:
    """Each sentence that the code names, with the details it gives."""
    for path in [PROJECT / "app.py", *(PROJECT / "voice").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ERRORS and node.args and isinstance(node.args[0], ast.Constant):
                given = {keyword.arg for keyword in node.keywords}
                if None not in given:
                    yield str(node.args[0].value), {str(detail) for detail in given}


def blanks_of(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", texts.INTERFACE)
def test_every_sentence_that_the_code_tells_is_there_with_its_blanks(language: str) -> None:
    told = list(find_told_sentences())
    assert len(told) > 20
    for sentence, details in told:
        assert blanks_of(texts.words_of(language).sentences[sentence]) <= details, sentence


def test_every_sentence_is_told_somewhere() -> None:
    code = "".join(
        path.read_text("utf-8") for path in (PROJECT / "voice").rglob("*.py") if path.parent.name != "texts"
    ) + (PROJECT / "app.py").read_text("utf-8")
    assert [key for key in texts.words_of("en").sentences if f'"{key}"' not in code] == []


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(texts.words_of("en"))])
def test_every_language_has_the_same_keys(field: str) -> None:
    values = [getattr(words, field) for words in texts.INTERFACE.values()]
    if isinstance(values[0], Mapping):
        assert all(list(value) == list(values[0]) for value in values)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("fr-FR, ja;q=0.5", "ja"),
        ("en-GB", "en"),
        ("", "en"),
        (None, "en"),
        (";;,,q=", "en"),
    ],
)
def test_the_browsers_language_picks_the_interface(header: str | None, language: str) -> None:
    assert texts.pick_language(header) == language


def test_the_model_is_told_to_answer_in_a_language_without_texts_of_its_own() -> None:
    assert "French" in texts.system_prompt("friendly", "fr")
    assert "the user's language" in texts.system_prompt("friendly", "sw")
