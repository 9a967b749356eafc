"""When the words of a reply are shown."""

from __future__ import annotations

from voice.audio import VOICE_RATE, Pcm
from voice.engines import Speech, Word
from voice.web.realtime.words import MS_A_CHARACTER, WordTimes


def sound(ms: int) -> Pcm:
    return Pcm.silence(ms, VOICE_RATE)


def test_the_voices_own_times_are_counted_from_the_beginning_of_the_reply() -> None:
    words = WordTimes()
    assert words.place(Speech(sound(500), "Hi there.", (Word("Hi", 10), Word("there", 200)))) == [
        {"text": "Hi", "at_ms": 10},
        {"text": "there", "at_ms": 200},
    ]
    assert words.place(Speech(sound(300), "Hi there.")) == []
    assert words.place(Speech(sound(300), "Bye.", (Word("Bye", 5),), 1)) == [{"text": "Bye", "at_ms": 805}]
    words.begin()
    assert words.place(Speech(sound(300), "Bye.", (Word("Bye", 5),))) == [{"text": "Bye", "at_ms": 5}]


def test_without_them_the_words_are_spread_over_the_phrase() -> None:
    words = WordTimes()
    words.place(Speech(sound(1000), "One."))
    assert words.place(Speech(sound(900), "Ab cde f", number=1)) == [
        {"text": "Ab", "at_ms": 1000},
        {"text": "cde", "at_ms": 1300},
        {"text": "f", "at_ms": 1750},
    ]


def test_the_words_of_a_phrase_that_is_said_again_are_placed_again() -> None:
    words = WordTimes()
    placed = [words.place(Speech(sound(300), "No.", number=number)) for number in (0, 1, 1, 2)]
    assert placed == [
        [{"text": "No.", "at_ms": 0}],
        [{"text": "No.", "at_ms": 300}],
        [],
        [{"text": "No.", "at_ms": 900}],
    ]


def test_of_a_phrase_that_has_only_begun_to_sound_the_length_is_reckoned() -> None:
    first, second = WordTimes().place(Speech(sound(20), "wonderful day"))
    assert (first["at_ms"], second["at_ms"]) == (0, len("wonderful") * MS_A_CHARACTER)


def test_japanese_is_shown_character_by_character_its_marks_with_them() -> None:
    placed = WordTimes().place(Speech(sound(1000), "今日は、OKです。"))
    assert [word["text"] for word in placed] == ["今", "日", "は、", "OK", "で", "す。"]


def test_words_told_after_the_first_sound_take_the_place_of_the_reckoned_ones() -> None:
    words = WordTimes()
    words.place(Speech(sound(400), "Well.", (Word("Well", 0),)))
    shown = ["Well"]

    def show(speech: Speech) -> str:
        placed = words.place(speech)
        shown[words.first :] = [word["text"] for word in placed]
        return " ".join(shown)

    phrase = "Take the blue one."
    assert show(Speech(sound(100), phrase, number=1)) == "Well Take the blue one."
    assert show(Speech(sound(100), phrase, (Word("Take", 20),), 1)) == "Well Take the blue one."
    assert (
        show(Speech(sound(100), phrase, (Word("the", 900), Word("blue", 1200)), 1))
        == "Well Take the blue one."
    )
    assert show(Speech(sound(0), phrase, (Word("one", 1500),), 1)) == "Well Take the blue one"
    assert show(Speech(sound(400), "Bye.", number=2)) == "Well Take the blue one Bye."


def test_what_is_left_of_a_reckoned_phrase_is_never_before_what_was_told() -> None:
    words = WordTimes()
    words.place(Speech(sound(20), "今日は晴れ。"))
    placed = words.place(Speech(sound(20), "今日は晴れ。", (Word("今日", 700),)))
    assert "".join(word["text"] for word in placed) == "今日は晴れ。"
    assert [word["at_ms"] for word in placed] == sorted(word["at_ms"] for word in placed)
