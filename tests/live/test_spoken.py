"""What of a reply was heard, from how long it was heard."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.audio import VOICE_RATE, Pcm
from voice.engines import Speech, Word
from voice.live.spoken import Spoken


def speech(phrase: str, ms: int, *words: tuple[str, int]) -> Speech:
    return Speech(Pcm.silence(ms, VOICE_RATE), phrase, tuple(Word(text, offset) for text, offset in words))


def speak(*pieces: Speech, finished: bool = True) -> Spoken:
    spoken, phrase = Spoken(), None
    for piece in pieces:
        if piece.phrase != phrase:
            spoken.write(piece.phrase)
        phrase = piece.phrase
        spoken.add(piece)
    if finished:
        spoken.finish()
    return spoken


WITH_WORDS = speech(
    "Hello there, my friend.", 1000, ("Hello", 50), ("there", 300), ("my", 600), ("friend", 750)
)


@pytest.mark.parametrize(
    ("ms", "heard"),
    [
        (0, ""),
        (100, ""),
        (200, "Hello"),
        (500, "Hello there,"),
        (700, "Hello there, my"),
        (900, "Hello there, my friend."),
        (5000, "Hello there, my friend."),
    ],
)
def test_a_word_was_heard_if_half_of_it_was(ms: int, heard: str) -> None:
    assert speak(WITH_WORDS).heard(ms) == heard


def test_the_second_phrase_begins_where_the_sound_of_the_first_ends() -> None:
    spoken = speak(WITH_WORDS, speech("How are you?", 800, ("How", 0), ("are", 300), ("you", 500)))
    assert spoken.heard(1000) == "Hello there, my friend."
    assert spoken.heard(1320) == "Hello there, my friend. How"
    assert spoken.length_ms == 1800
    assert [spoken.start_of(n) for n in range(3)] == [0, 1000, None]


def test_words_that_are_spoken_otherwise_than_written_go_with_their_neighbours() -> None:
    spoken = speak(
        speech("It costs $3 today.", 1000, ("It", 0), ("costs", 200), ("three", 400), ("today", 700))
    )
    assert spoken.heard(300) == "It"
    assert spoken.heard(500) == "It costs $3"


def test_words_that_are_not_in_the_text_at_all_leave_the_length_to_tell() -> None:
    assert speak(speech("4 5 6 7", 1000, ("four", 0), ("five", 250))).heard(500) == "4 5"


@pytest.mark.parametrize(
    ("phrase", "ms", "heard"),
    [
        ("One two three four.", 500, "One two"),
        ("そうですね、行きましょう。", 500, "そうですね、"),
        ("きょうはいい天気。", 240, "きょう"),
        ("ラーメンを食べる", 400, "ラーメン"),
        ("東京", 500, "東"),
    ],
)
def test_without_word_times_the_cut_is_at_a_word_or_a_mora(phrase: str, ms: int, heard: str) -> None:
    assert speak(speech(phrase, 1000)).heard(ms) == heard


def test_a_small_kana_is_never_parted_from_its_mora() -> None:
    phrase = "きゃりーぱみゅぱみゅ"
    cuts = {speak(speech(phrase, 1000)).heard(ms) for ms in range(0, 1000, 5)}
    assert cuts == {"", "きゃ", "きゃりー", "きゃりーぱ", "きゃりーぱみゅ", "きゃりーぱみゅぱ", phrase}


def test_a_phrase_whose_sound_still_comes_is_not_taken_for_heard() -> None:
    phrase = "This is quite a long sentence about the weather in the north."
    assert len(speak(speech(phrase, 500), finished=False).heard(10_000)) < 15
    words = speech(phrase, 500, ("This", 0), ("is", 200), ("quite", 300))
    assert speak(words, finished=False).heard(10_000) == "This is quite"


def test_japanese_phrases_have_no_space_between_them_and_english_ones_do() -> None:
    assert speak(speech("はい。", 500), speech("そうです。", 500)).heard(2000) == "はい。そうです。"
    assert speak(speech("Yes.", 500), speech("It is.", 500)).heard(2000) == "Yes. It is."


@pytest.mark.parametrize(
    ("written", "phrases"),
    [
        ("Take these:\n1. Apples\n2. Pears\n", ["Take these:", "1. Apples", "2. Pears"]),
        ("I like it.\n\n海について。", ["I like it.", "海について。"]),
        ("One.\n- Two.", ["One.", "Two."]),
    ],
)
def test_lines_stay_lines_in_what_was_heard(written: str, phrases: list[str]) -> None:
    spoken = speak(*(speech(phrase, 500) for phrase in phrases))
    assert spoken.heard(5000, written) == written.strip().replace("- ", "")


def test_where_a_phrase_is_not_found_as_it_was_written_only_its_own_line_break_is_lost() -> None:
    spoken = speak(*(speech(phrase, 500) for phrase in ("One.", "Two is bold.", "Three.", "Four.")))
    assert spoken.heard(5000, "One.\n**Two** is bold. Three.\nFour.") == "One. Two is bold. Three.\nFour."


@given(st.lists(st.text("ab。\n *-", min_size=1, max_size=8), max_size=5), st.text("ab。\n *-", max_size=40))
def test_whatever_was_written_nothing_but_blank_space_depends_on_it(phrases: list[str], written: str) -> None:
    spoken = speak(*(speech(phrase, 100) for phrase in phrases))
    assert "".join(spoken.heard(9000, written).split()) == "".join(spoken.heard(9000).split())


def test_phrases_without_any_sound_count_once_what_is_before_them_was_heard() -> None:
    spoken = Spoken()
    for phrase in ("One.", "—", "Two."):
        spoken.write(phrase)
        if phrase != "—":
            spoken.add(speech(phrase, 500))
    spoken.finish()
    assert spoken.heard(500) == "One."
    assert spoken.heard(1000) == "One. — Two."


TEXTS = st.lists(
    st.text(alphabet="aZ é'.,!?12 かきゃっーン漢字、。「」", min_size=1, max_size=20), min_size=1, max_size=4
)


@given(TEXTS, st.lists(st.integers(20, 3000), min_size=4, max_size=4), st.booleans())
def test_what_was_heard_only_grows_and_ends_as_the_whole(
    texts: list[str], lengths: list[int], timed: bool
) -> None:
    spoken, whole = Spoken(), ""
    for text, ms in zip(texts, lengths, strict=False):
        whole += spoken.write(text)
        words = text.split() if timed else []
        spoken.add(speech(text, ms, *((word, i * ms // len(words)) for i, word in enumerate(words))))
    spoken.finish()
    heard = [spoken.heard(ms) for ms in range(0, sum(lengths) + 100, 50)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(heard))
    assert heard[-1] == whole.rstrip()
