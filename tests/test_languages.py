from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.languages import language_of, split_by_language


@pytest.mark.parametrize(
    ("text", "default", "language"),
    [
        ("Hello there.", "ja", "en"),
        ("Bonjour.", "fr", "fr"),
        ("こんにちは", "en", "ja"),
        ("日本語", "en", "ja"),
        ("你好", "zh", "zh"),
        ("안녕하세요", "en", "ko"),
        ("123!", "ja", "ja"),
        ("", "en", "en"),
        ("The word 猫 (ねこ) means cat.", "ja", "en"),
        ("In Japanese, ありがとう means thank you.", "ja", "en"),
        ("Visual Studio CodeはMicrosoftのIDEです。", "en", "ja"),
        ('「"How are you?"は挨拶です。」', "en", "ja"),
        ("IT は OK", "en", "ja"),
    ],
)
def test_the_script_tells_the_language(text: str, default: str, language: str) -> None:
    assert language_of(text, default) == language


@pytest.mark.parametrize(
    ("phrase", "runs"),
    [
        ("AIはWi-FiでTシャツを3つ。", [("ja", "AIはWi-FiでTシャツを3つ。")]),
        ("Hello, world!", [("en", "Hello, world!")]),
        ('"How are you?"は挨拶です。', [("en", '"How are you?"'), ("ja", "は挨拶です。")]),
        ("「Hello」は挨拶です。", [("en", "「Hello」"), ("ja", "は挨拶です。")]),
        ("「AI」とは何か。", [("ja", "「AI」とは何か。")]),
        ("彼は good morning と言った。", [("ja", "彼は "), ("en", "good morning "), ("ja", "と言った。")]),
        ("The word 猫 means cat.", [("en", "The word "), ("ja", "猫 "), ("en", "means cat.")]),
        ("It is called (寿司) here.", [("en", "It is called "), ("ja", "(寿司) "), ("en", "here.")]),
        ("123", [("ja", "123")]),
        ("", []),
    ],
)
def test_a_mixed_phrase_is_cut_where_another_voice_must_speak(
    phrase: str, runs: list[tuple[str, str]]
) -> None:
    assert split_by_language(phrase, "ja") == runs


@given(
    st.lists(
        st.sampled_from(["word ", "AI", "は", "日本", "。", '"', "「", "」", " ", "(", "한국", "3", "é"])
        | st.text(max_size=3)
    ).map("".join),
    st.sampled_from(["en", "ja", "zh", "fr"]),
)
def test_the_runs_together_are_the_phrase(phrase: str, default: str) -> None:
    runs = split_by_language(phrase, default)
    assert "".join(text for _, text in runs) == phrase
    assert all(text for _, text in runs)
    assert all(one[0] != other[0] for one, other in pairwise(runs))
