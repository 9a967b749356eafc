from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.turns.interruptions import Weight, weigh_words
from voice.turns.wording import normalise, same_words

REPLY = "The weather in Kyoto will be fine tomorrow, about 24 degrees. Would you like tea or coffee?"
REPLY_JA = "明日の京都は晴れで、気温は二十四度くらいになるでしょう。"


@pytest.mark.parametrize(
    "text",
    ["うん", "うんうん", "うーん", "はい", "はいはい", "はい、はい。", "ええ", "そうですね", "そうなんですか", "へえ", "へぇー", "なるほど", "ほう", "ふーん",
     "uh-huh", "Uh huh.", "yeah", "Yeah, yeah.", "OK", "okay", "right", "Mm-hm.", "mhm", "hmm", "I see.", "oh really", "Yes.", "ああ、なるほどね"],
)  # fmt: skip
def test_a_sign_of_listening_is_a_back_channel(text: str) -> None:
    assert weigh_words(text, REPLY) is Weight.BACK_CHANNEL


@pytest.mark.parametrize(
    "text",
    ["うんでも明日", "はい、質問があります", "そうですねでも", "ええと待って", "待って", "ストップ", "ちょっと", "違う", "いいえ", "もういい",
     "yeah but when", "stop", "Wait.", "no", "No, no!", "hold on", "right now", "what about Friday", "OK Google", "really why"],
)  # fmt: skip
def test_words_of_ones_own_interrupt(text: str) -> None:
    assert weigh_words(text, REPLY) is Weight.WORDS


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("the weather in kyoto", REPLY),
        ("weather in Kyoto will be fine", REPLY),
        ("the weather in Tokyo will be fine tomorrow", REPLY),
        ("would you like tea", REPLY),
        ("明日の京都は晴れ", REPLY_JA),
        ("二十四度くらいになる", REPLY_JA),
    ],
)
def test_the_replys_own_words_are_its_echo(text: str, reply: str) -> None:
    assert weigh_words(text, reply) is Weight.ECHO
    assert weigh_words(text, "") is Weight.WORDS


@pytest.mark.parametrize(("text", "reply"), [("coffee", REPLY), ("Kyoto", REPLY), ("京都", REPLY_JA)])
def test_a_word_or_two_of_the_reply_may_be_the_users(text: str, reply: str) -> None:
    assert weigh_words(text, reply) is Weight.MAYBE_ECHO


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("the weather in kyoto will be stop that please", REPLY),
        ("明日の京都は晴れで待ってください", REPLY_JA),
        ("the weather in Osaka and the trains", REPLY),
    ],
)
def test_who_speaks_into_an_echo_interrupts(text: str, reply: str) -> None:
    assert weigh_words(text, reply) is Weight.WORDS


def test_a_stop_word_interrupts_though_the_reply_has_it() -> None:
    assert weigh_words("待って", "少し待ってください") is Weight.WORDS


@pytest.mark.parametrize("text", ["", " ", "。", "...", "♪"])
def test_marks_are_no_words(text: str) -> None:
    assert weigh_words(text, REPLY) is Weight.NO_WORDS


@given(st.text(), st.text())
def test_any_text_weighs_something(text: str, spoken: str) -> None:
    assert weigh_words(text, spoken) in Weight
    assert (weigh_words(text, spoken) is Weight.NO_WORDS) == (not normalise(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hello there", "Hello, there."),
        ("明日 の 天気", "明日の天気。"),
        ("ＯＫです", "OKです"),
        ("ｶﾞｷﾞ", "ガギ"),
        ("it's", "its"),
        ("state of the art", "state-of-the-art"),
    ],
)
def test_spelling_does_not_make_other_words(one: str, other: str) -> None:
    assert same_words(one, other)
    assert not same_words(one, other + "x")


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
