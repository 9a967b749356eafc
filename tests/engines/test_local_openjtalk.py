from __future__ import annotations

import pytest

from voice.engines.local_openjtalk import Mei, read


def kana(text: str) -> str:
    return "".join(reading.kana for reading in read(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3本", "サンボン"),
        ("1個", "イッコ"),
        ("20歳", "ニジュッサイ"),
        ("1日と8日", "ツイタチトヨーカ"),
        ("2024年", "ニセンニジューヨネン"),
        ("1億2000万人", "イチオクニセンマンニン"),
        ("23.5度", "ニジューサンテンゴド"),
        ("1,250円", "センニヒャクゴジューエン"),
        ("¥3,000", "サンゼンエン"),
        ("$5.99", "ゴーテンキューキュードル"),
        ("10:30", "ジュージサンジュップン"),
        ("9:05", "クジゴフン"),
        ("9:00〜17:00", "クジカラジューシチジ"),
        ("2024/05/12", "ニセンニジューヨネンゴガツジューニニチ"),
        ("-5℃", "マイナスゴド"),
        ("50%", "ゴジュッパーセント"),
        ("A&B", "エイアンドビー"),
        ("AIとNASA", "エーアイトナサ"),
        ("PythonとGoogle", "パイソントグーグル"),
    ],
)
def test_numbers_times_money_and_latin_words_are_read_as_people_say_them(text: str, said: str) -> None:
    assert kana(text) == said


def test_a_particle_is_read_as_it_sounds() -> None:
    assert kana("私は学校へ行く").startswith("ワタシワガッコーエ")


def test_a_kanji_missing_from_the_dictionary_does_not_stop_the_sentence() -> None:
    assert "ウナギ" in kana("鱻と鰻")


@pytest.mark.parametrize("text", ["", " ", "。", "ー", "「」"])
def test_mei_says_nothing_where_there_is_nothing_to_say(text: str) -> None:
    assert not Mei().synthesise(text).data


def test_mei_speaks_half_as_long_at_double_speed() -> None:
    normal, fast = (Mei().synthesise("今日は良い天気です", speed).seconds for speed in (1.0, 2.0))
    assert 0.4 < fast / normal < 0.7
