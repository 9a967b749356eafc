"""The main job, with nothing emulated but the microphone: somebody speaks, is understood, and hears a sensible answer."""

from __future__ import annotations

import pyopenjtalk
import pytest

from tests.browser.conftest import Listen, Visit
from tests.browser.steps import fetch_sound, read_clip, said, speak, wait_for_reply, wait_until_played
from tests.speech import read_clips
from tests.wer import character_error_rate, word_error_rate
from voice.phrases import PhraseSplitter

pytestmark = pytest.mark.slow


def test_who_speaks_english_is_understood_and_hears_the_reply(visit: Visit, app: str, listen: Listen) -> None:
    clip = read_clips("en")[1]
    spoken = read_clip(clip)
    page = visit(app, locale="en-US", microphone=spoken)

    speak(page, spoken.seconds + 2)
    reply = wait_for_reply(page)
    wait_until_played(page)

    assert word_error_rate(clip.text, said(page).inner_text()) <= 0.2
    assert word_error_rate(speakable(reply, "en"), listen(fetch_sound(page), "en")) <= 0.3


def test_who_speaks_japanese_is_understood_and_hears_the_reply(
    visit: Visit, app: str, listen: Listen
) -> None:
    clip = read_clips("ja")[0]
    spoken = read_clip(clip)
    page = visit(app, locale="ja-JP", microphone=spoken)

    speak(page, spoken.seconds + 2)
    reply = wait_for_reply(page)
    wait_until_played(page)

    assert kana_error_rate(clip.text, said(page).inner_text()) <= 0.2
    assert kana_error_rate(speakable(reply, "ja"), listen(fetch_sound(page), "ja")) <= 0.3


def speakable(reply: str, language: str) -> str:
    """What of a reply is spoken."""
    splitter = PhraseSplitter(language)
    return " ".join([*splitter.feed(reply), *splitter.finish()])


def kana_error_rate(said: str, heard: str) -> float:
    """By sound, for a word may be written in kanji, in kana or as a number: 良い and いい, 三つ and 3つ."""
    return character_error_rate(
        *(pyopenjtalk.g2p(text, kana=True, use_sudachi_kanji_yomi=False) for text in (said, heard))
    )
