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
    assert words.place(Speech(sound(300), "Bye.", (Word("Bye", 5),))) == [{"text": "Bye", "at_ms": 805}]
    words.begin()
    assert words.place(Speech(sound(300), "Bye.", (Word("Bye", 5),))) == [{"text": "Bye", "at_ms": 5}]


def test_without_them_the_words_are_spread_over_the_phrase() -> None:
    words = WordTimes()
    words.place(Speech(sound(1000), "One."))
    assert words.place(Speech(sound(900), "Ab cde f")) == [
        {"text": "Ab", "at_ms": 1000},
        {"text": "cde", "at_ms": 1300},
        {"text": "f", "at_ms": 1750},
    ]


def test_of_a_phrase_that_has_only_begun_to_sound_the_length_is_reckoned() -> None:
    first, second = WordTimes().place(Speech(sound(20), "wonderful day"))
    assert (first["at_ms"], second["at_ms"]) == (0, len("wonderful") * MS_A_CHARACTER)


def test_japanese_is_shown_character_by_character_its_marks_with_them() -> None:
    placed = WordTimes().place(Speech(sound(1000), "今日は、OKです。"))
    assert [word["text"] for word in placed] == ["今", "日", "は、", "OK", "で", "す。"]
