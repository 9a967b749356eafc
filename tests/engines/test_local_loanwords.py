from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.engines.local_loanwords import katakana


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Python", "パイソン"),
        ("Whisper", "ウィスパー"),
        ("Docker", "ドカー"),
        ("computer", "カンピューター"),
        ("learning", "ラーニング"),
        ("camp", "カンプ"),
        ("bank", "バンク"),
        ("TypeScript", "タイプスクリプト"),
    ],
)
def test_an_english_word_is_said_as_japanese_would_say_it(word: str, said: str) -> None:
    assert katakana(word) == said


@given(st.from_regex(r"[A-Za-z]{1,20}", fullmatch=True))
@settings(max_examples=50, deadline=None)
def test_any_word_becomes_katakana(word: str) -> None:
    assert re.fullmatch("[ァ-ヴー]*", katakana(word))
