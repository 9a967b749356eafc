"""What a user does on the page, and what they see and hear there."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.speech import Clip
from voice.audio import Pcm
from voice.recordings import decode_recording

PATIENCE_MS = 120_000
"""For what a user waits for; far more than it takes, for a machine that is busy with other work."""


def read_clip(clip: Clip) -> Pcm:
    """16 kHz."""
    return decode_recording(clip.path, max_seconds=60)


def press_record(page: Page) -> None:
    page.locator("#recorder .record-button").click()
    expect(page.locator("#recorder .stop-button")).to_be_visible()


def press_stop_recording(page: Page) -> None:
    page.locator("#recorder .stop-button").click()


def speak(page: Page, seconds: float) -> None:
    """Record for as long as the microphone has something to say."""
    press_record(page)
    page.wait_for_timeout(1000 * seconds)
    press_stop_recording(page)


def write(page: Page, text: str) -> None:
    """Type a message and send it."""
    box = message_box(page)
    box.fill(text)
    box.press("Enter")


def message_box(page: Page) -> Locator:
    return page.locator("#message textarea")


def said(page: Page) -> Locator:
    """The user's lines of the transcript."""
    return page.locator("#transcript [data-testid=user]")


def replies(page: Page) -> Locator:
    return page.locator("#transcript [data-testid=bot]")


def status(page: Page) -> Locator:
    return page.locator("#status .status")


def wait_for_phase(page: Page, *phases: str) -> None:
    """Until the status line shows one of them."""
    shown = ", ".join(f"#status .status[data-phase={phase}]" for phase in phases)
    page.wait_for_selector(shown, timeout=PATIENCE_MS)


def wait_for_reply(page: Page, number: int = 1) -> str:
    """Until that reply is complete and its sound begins to play; the reply's text."""
    expect(replies(page)).to_have_count(number, timeout=PATIENCE_MS)
    wait_for_phase(page, "speaking", "answered")
    page.wait_for_function("document.querySelector('#reply audio')?.currentTime > 0", timeout=PATIENCE_MS)
    return replies(page).last.inner_text()


def wait_until_played(page: Page) -> None:
    page.wait_for_function("document.querySelector('#reply audio').ended", timeout=PATIENCE_MS)
    wait_for_phase(page, "answered")


def fetch_sound(page: Page) -> Pcm:
    """What the page plays, at 16 kHz."""
    address = page.locator("#reply audio").evaluate("audio => audio.currentSrc")
    response = page.request.get(address)
    assert response.ok
    return decode_recording(response.body(), max_seconds=120)
