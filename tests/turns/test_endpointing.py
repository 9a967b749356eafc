from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.turns.endpointing import SILENCE_MS, Ending, ending_of, silence_needed_ms
from voice.turns.events import Patience

FINISHED = [
    "お願いします", "明日の天気はどうですか", "これください", "そうですね", "もう帰りますよ", "いいと思う。", "こんにちは", "こんばんは",
    "ありがとうございました", "ありがとう", "名前はなに", "何時ですか？", "京都に行きたい", "分かりません", "はい", "うん", "駅はどこ",
    "それは無理だ", "もう食べた", "おすすめを教えてください", "質問してもいい",
    "What time is it?", "what time is it", "where do you live", "thank you", "yes", "How are you", "I like it.", "hello",
    "Where are you from?", "do you like music", "No, thanks", "I think so",
    "¿Dónde está?", "我明白了。", "좋아요.", "Ich komme morgen.",
]  # fmt: skip
UNFINISHED = [
    "今日は", "私が", "東京に", "行きたいんですけど", "雨なので", "昨日から", "食べて", "それで", "でも", "えーと", "えっと", "あのー", "うーん",
    "えーっとね", "東京と", "もし雨が降ったら", "そうですね、", "行くし", "なんか", "今日は。", "日本語を勉強しながら", "例えば", "いつも", "学校へ",
    "I would like to", "because", "and", "I want a", "I went to the", "um", "uh", "well", "I think that", "if you", "It was.",
    "my", "I am", "so I'm", "can you", "tomorrow,", "the thing is", "he said he would",
    "quiero,", "我想，",
]  # fmt: skip
UNCLEAR = [
    "",
    "   ",
    "I went to the store",
    "quiero un café",
    "教えて",
    "北海道",
    "我明白了",
    "Where are you from",
    "Ich komme morgen",
]


@pytest.mark.parametrize("text", FINISHED)
def test_a_finished_sentence_needs_little_silence(text: str) -> None:
    assert ending_of(text) is Ending.FINISHED


@pytest.mark.parametrize("text", UNFINISHED)
def test_an_unfinished_sentence_is_given_time(text: str) -> None:
    assert ending_of(text) is Ending.UNFINISHED


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_tells_nothing_is_in_between(text: str) -> None:
    assert ending_of(text) is Ending.UNCLEAR


def test_patience_scales_every_silence() -> None:
    for ending in Ending:
        lengths = [SILENCE_MS[patience][ending] for patience in Patience]
        assert lengths == sorted(set(lengths))


def test_balanced_silences_are_those_of_a_conversation() -> None:
    assert [silence_needed_ms(text, Patience.BALANCED) for text in ("お願いします", "", "今日は")] == [
        500,
        700,
        1500,
    ]


PROBABILITIES = st.floats(0, 1)


@given(
    st.text() | st.sampled_from(FINISHED + UNCLEAR), st.sampled_from(Patience), PROBABILITIES, PROBABILITIES
)
def test_what_sounds_more_complete_never_needs_more_silence(
    text: str, patience: Patience, one: float, other: float
) -> None:
    less, more = sorted([one, other])
    silences = [silence_needed_ms(text, patience, probability) for probability in (1.0, more, less, 0.0)]
    assert silences == sorted(silences)
    assert silences[-1] < SILENCE_MS[patience][Ending.UNFINISHED] or ending_of(text) is Ending.UNFINISHED
    assert silences[0] <= silence_needed_ms(text, patience) <= silences[-1]


@pytest.mark.parametrize("text", UNFINISHED)
def test_the_sound_does_not_overrule_words_that_hang(text: str) -> None:
    assert silence_needed_ms(text, Patience.BALANCED, 1.0) == SILENCE_MS[Patience.BALANCED][Ending.UNFINISHED]


@given(st.text(), st.sampled_from(Patience))
def test_any_text_has_a_silence(text: str, patience: Patience) -> None:
    assert 200 <= silence_needed_ms(text, patience) <= 2500
