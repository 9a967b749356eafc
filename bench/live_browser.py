"""The same talk in real Chromium: a track at the fake microphone, and when the loudspeaker speaks and falls silent.

Both are written down within the page on the clock of its audio (`live_page.js`), so that no two clocks are compared: what
is measured lies between the page's microphone and its loudspeaker, without the devices' own delays.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright

from bench.live_track import Track
from voice.audio import encode_wav, resample

MICROPHONE_RATE = 48_000
SCRIPT = Path(__file__).with_name("live_page.js")
STEP_MS = 4
"""Levels are compared in steps of this."""
SOUND = 0.002
"""RMS from which the loudspeaker speaks: -54 dBFS; the emulated voice hums at -30."""
SILENT_MS = 150
"""Silence is what lasts so long: words swell and fade, for some ms."""
DUCKED = 0.5
"""Of the reply's level before: the page ducks it to a quarter."""
STEADY_MS = 48
"""So long must it stay ducked to be told from the seam of two words."""
REACTION_MS = 700
"""After the onset of speech the reply of before must be over."""
ENDING_SECONDS = 4


@dataclass(frozen=True, slots=True)
class PageTurn:
    """One clip; in ms."""

    text: str
    heard_ms: float
    """From the true end of speech to the first sound."""
    ducked_ms: float | None
    """From the onset of speech over a reply until its volume has fallen."""
    silent_ms: float | None
    """From there until nothing of it is heard."""


@dataclass(frozen=True, slots=True)
class PageTalk:
    turns: Sequence[PageTurn]
    unanswered: Sequence[str]
    answered_early: int


@dataclass(frozen=True, slots=True)
class Levels:
    """RMS in [0, 1] every `STEP_MS`, on one clock."""

    microphone: NDArray[np.float64]
    loudspeaker: NDArray[np.float64]


def record_talk(address: str, track: Track) -> Levels:
    """Open the page, start the live conversation, and say the track."""
    executable = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recording = Path(folder) / "microphone.wav"
        recording.write_bytes(encode_wav(resample(track.pcm, MICROPHONE_RATE)))
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={recording}%noloop",
            ],
        )
        page = browser.new_page(locale="en-US")
        page.add_init_script(path=SCRIPT)
        page.goto(address)
        page.wait_for_selector("#live .talk:not([disabled])", timeout=60_000)
        page.locator("#live .talk").click()
        page.wait_for_timeout(1000 * (track.pcm.seconds + ENDING_SECONDS))
        recorded = np.asarray(page.evaluate("window.benchLevels"), np.float64).reshape(-1, 3)
        browser.close()
    return _put_in_steps(recorded)


def _put_in_steps(recorded: NDArray[np.float64]) -> Levels:
    at = np.arange(recorded[0, 0], recorded[-1, 0], STEP_MS)
    return Levels(*(np.interp(at, recorded[:, 0], recorded[:, column]) for column in (1, 2)))


def find_page_turns(track: Track, levels: Levels) -> PageTalk:
    """What was heard of the reply to each clip, and of the reply that the clip interrupts."""
    expected = measure_level(track)
    whole = find_shift(expected, levels.microphone)
    turns: list[PageTurn] = []
    unanswered: list[str] = []
    early = 0
    for number, spoken in enumerate(track.turns):
        # Anew for each clip: the fake microphone's clock is not quite that of the page.
        span = slice(spoken.start_ms // STEP_MS, spoken.end_ms // STEP_MS)
        around = 400 // STEP_MS
        begin = max(0, span.start + whole - around)
        shift = (
            begin
            + find_shift(expected[span], levels.microphone[begin : span.stop + whole + around])
            - span.start
        )
        start, end = (round(ms / STEP_MS) + shift for ms in (spoken.start_ms, spoken.end_ms))
        following = track.turns[number + 1].start_ms if number + 1 < len(track.turns) else None
        until = len(levels.loudspeaker) if following is None else round(following / STEP_MS) + shift
        early += bool((levels.loudspeaker[start + REACTION_MS // STEP_MS : end] > SOUND).any())
        heard = np.flatnonzero(levels.loudspeaker[end:until] > SOUND)
        if not len(heard):
            unanswered.append(spoken.text)
            continue
        ducked_ms, silent_ms = find_interruption(levels.loudspeaker, start)
        turns.append(PageTurn(spoken.text, float(heard[0] * STEP_MS), ducked_ms, silent_ms))
    return PageTalk(turns, unanswered, early)


def find_interruption(loudspeaker: NDArray[np.float64], onset: int) -> tuple[float | None, float | None]:
    """Milliseconds from `onset`, a step, until the reply is ducked and until it is silent; None where there was none."""
    before = loudspeaker[max(0, onset - 400 // STEP_MS) : onset]
    after = loudspeaker[onset : onset + (REACTION_MS + SILENT_MS) // STEP_MS]
    if not len(before) or (before > SOUND).mean() < 0.8:
        return None, None
    return (
        _find_lasting(after < DUCKED * before.max(), STEADY_MS // STEP_MS),
        _find_lasting(after < SOUND, SILENT_MS // STEP_MS),
    )


def _find_lasting(is_so: NDArray[np.bool_], steps: int) -> float | None:
    """Milliseconds until it is so for `steps` in a row."""
    runs = np.convolve(is_so, np.ones(steps), "valid")
    first = np.flatnonzero(runs >= steps)
    return float(first[0] * STEP_MS) if len(first) else None


def measure_level(track: Track) -> NDArray[np.float64]:
    """RMS every `STEP_MS`."""
    samples = track.pcm.floats.astype(np.float64)
    size = track.pcm.rate * STEP_MS // 1000
    level: NDArray[np.float64] = np.sqrt(
        (samples[: len(samples) // size * size].reshape(-1, size) ** 2).mean(axis=1)
    )
    return level


def find_shift(expected: NDArray[np.float64], recorded: NDArray[np.float64]) -> int:
    """At which step of `recorded` it begins that is most like `expected`. May be negative."""
    size = len(expected) + len(recorded)
    likeness = np.fft.irfft(np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(expected, size)), size)
    best = int(np.argmax(likeness))
    return best if best < len(recorded) else best - size
