from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.engines.ssml import make_ssml, speakable

SPEAK = "{http://www.w3.org/2001/10/synthesis}"
STYLES = "{https://www.w3.org/2001/mstts}"

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
"""Control characters, noncharacters and lone surrogates among it."""
MARKUP = st.lists(
    st.sampled_from(["<", ">", "&", "</voice>", "<audio src='x'/>", "]]>", "<!--", "&lt;", '"', "'", "a"])
).map("".join)


@given(
    text=ANY_TEXT | MARKUP,
    voice=ANY_TEXT | MARKUP,
    speed=st.floats(0.5, 2.0),
    style=ANY_TEXT | MARKUP,
)
def test_whatever_the_text_it_stays_text(text: str, voice: str, speed: float, style: str) -> None:
    said = speakable(text)
    root = ElementTree.fromstring(make_ssml(said, voice, "ja-JP", speed, style))
    assert "".join(root.itertext()) == said
    tags = [element.tag for element in root.iter()]
    expected = [f"{SPEAK}speak", f"{SPEAK}voice"]
    expected += [f"{STYLES}express-as"] if style else []
    expected += [f"{SPEAK}prosody"] if speed != 1.0 else []
    assert tags == expected


@given(ANY_TEXT | MARKUP)
def test_text_that_was_not_made_speakable_does_not_break_the_document_either(text: str) -> None:
    root = ElementTree.fromstring(make_ssml(text, "ja-JP-NanamiNeural", "ja-JP"))
    assert len(list(root.iter())) == 2


@pytest.mark.parametrize("text", ["", "  ", "…", "\ud800", "\x00\x1b", "？！", "\ufffe"])
def test_nothing_is_left_of_text_without_words(text: str) -> None:
    assert speakable(text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi\nyou\x00there", "Hi you there"),
        ("25℃です", "25℃です"),
        ("A\ud800B", "A B"),
        ("R&D <b>now</b>", "R&D <b>now</b>"),
    ],
)
def test_what_can_be_said_stays(text: str, said: str) -> None:
    assert speakable(text) == said


def test_speed_and_style_are_asked_for_only_when_they_are_not_the_voices_own() -> None:
    plain = make_ssml("Hi", "en-US-JennyNeural", "en-US")
    assert "prosody" not in plain
    assert "express-as" not in plain
    dressed = make_ssml("Hi", "en-US-JennyNeural", "en-US", 1.25, "chat")
    assert '<prosody rate="1.25">Hi</prosody>' in dressed
    assert '<mstts:express-as style="chat">' in dressed
