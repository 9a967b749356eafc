"""The live panel in Firefox: what differs from Chromium is the audio graph, its worklets and its locks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.firefox import EXECUTABLE, open_firefox
from tests.browser.panel_steps import WATCH, live_app, question
from tests.browser.sound_card import SoundCard, has_sound_card, sound_card

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (EXECUTABLE and has_sound_card()), reason="no Firefox or no PulseAudio here"),
]

LIVE = "document.querySelector('#live .live').dataset"
SPOKEN = "document.querySelector('#live .spoken').textContent"
SAID = "[...document.querySelectorAll('#transcript [data-testid=user]')].map((line) => line.innerText.trim())"
NOTE_LATENCY = """
    window.latencyReads = 0;
    Object.defineProperty(AudioContext.prototype, "outputLatency", { get() { latencyReads++; return 0; } });
"""


@pytest.fixture
def card() -> Iterator[SoundCard]:
    # Not in tmp_path: a socket's path may have a hundred characters at most.
    with tempfile.TemporaryDirectory() as folder, sound_card(Path(folder)) as card:
        yield card


def test_two_turns_hands_free(tmp_path: Path, card: SoundCard) -> None:
    with live_app() as app, open_firefox(tmp_path, card.environment) as firefox:
        app.will_hear("Which folder should I take?", "And who sent it?")
        app.will_answer("Take the blue one.", "That I do not know.")
        firefox.visit(app.address, WATCH, NOTE_LATENCY)
        firefox.wait_for("document.querySelector('#live .talk')?.disabled === false")

        firefox.press("#live .talk")

        firefox.wait_for(f"{LIVE}.status === 'live'")
        for number, reply in ((1, "Take the blue one."), (3, "That I do not know.")):
            card.utter(question(number))
            firefox.wait_for(f"{SPOKEN} === '{reply}'")
            firefox.wait_for(f"{LIVE}.mood === 'listening'")
        assert firefox.evaluate(SAID) == ["Which folder should I take?", "And who sent it?"]
        assert firefox.evaluate("Math.max(...levels.map(([, level]) => level))") > 0.1
        firefox.press("#live .end")
        firefox.wait_for(f"{LIVE}.status === 'off'")
        # Reading it freezes the page now and then.
        assert firefox.evaluate("latencyReads") == 0
        assert firefox.troubles == []
