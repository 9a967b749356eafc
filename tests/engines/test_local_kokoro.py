from __future__ import annotations

from pathlib import Path

import pytest

from voice.engines.local_kokoro import Kokoro, phonemes
from voice.engines.local_openjtalk import read


def test_words_of_one_accent_phrase_are_said_in_one_breath() -> None:
    assert "".join(phonemes(read("今日は、天気が良い。"))) == "kʲoːβa, teŋkʲiɡa joi."


def test_the_syllabic_n_takes_the_place_of_the_sound_after_it() -> None:
    assert "".join(phonemes(read("三本と三個と三時と本"))) == "sambonto saŋkoto saɲʥito hoɴ"


def test_a_mark_is_said_with_the_word_before_it() -> None:
    assert "".join(phonemes(read("本当？"))) == "hontoː?"


@pytest.mark.slow
def test_nothing_is_said_where_there_is_nothing_to_say(kokoro_folder: Path) -> None:
    kokoro = Kokoro(kokoro_folder)
    assert not any(kokoro.synthesise(text).data for text in ["", "。", "「」"])


@pytest.mark.slow
def test_a_text_over_the_models_limit_is_spoken_whole(kokoro_folder: Path) -> None:
    kokoro = Kokoro(kokoro_folder)
    sentence = "昨日は友達と一緒に、海の近くにある小さな町へ出かけました。"
    assert (
        kokoro.synthesise(sentence * 10, speed=2.0).seconds
        > 8 * kokoro.synthesise(sentence, speed=2.0).seconds
    )


@pytest.mark.slow
def test_letters_spelled_out_beyond_the_models_limit_are_all_spoken(kokoro_folder: Path) -> None:
    assert Kokoro(kokoro_folder).synthesise("W" * 60, speed=2.0).seconds > 10


@pytest.mark.slow
@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_stretches_the_sound(kokoro_folder: Path, speed: float) -> None:
    kokoro = Kokoro(kokoro_folder)
    normal = kokoro.synthesise("今日は良い天気ですね。").seconds
    assert kokoro.synthesise("今日は良い天気ですね。", speed).seconds == pytest.approx(
        normal / speed, rel=0.25
    )
