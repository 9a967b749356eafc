"""Two who use the page at once: neither ever sees or hears anything of the other."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Listen, ScriptedApp, Visit
from tests.browser.steps import (
    PATIENCE_MS,
    fetch_sound,
    press_record,
    press_stop_recording,
    read_clip,
    replies,
    said,
    wait_for_reply,
    write,
)
from tests.emulators.chat import Stream
from tests.emulators.loopback import Pause
from tests.speech import read_clips
from tests.wer import word_error_rate

pytestmark = pytest.mark.slow


def test_two_who_speak_at_once_are_not_mixed(visit: Visit, app: str, listen: Listen) -> None:
    clips = read_clips("en")[4:6]
    spoken = [read_clip(clip) for clip in clips]
    pages = [visit(app, microphone=pcm) for pcm in spoken]

    for page in pages:
        press_record(page)
    pages[-1].wait_for_timeout(1000 * (max(pcm.seconds for pcm in spoken) + 2))
    for page in pages:
        press_stop_recording(page)

    for page, clip in zip(pages, clips, strict=True):
        reply = wait_for_reply(page)
        assert word_error_rate(clip.text, said(page).inner_text()) <= 0.2
        assert word_error_rate(reply, listen(fetch_sound(page), "en")) <= 0.3
        expect(said(page)).to_have_count(1)
        expect(replies(page)).to_have_count(1)


def test_two_who_write_at_once_are_not_mixed(visit: Visit, scripted: ScriptedApp, listen: Listen) -> None:
    answers = ["The ocean is very deep and cold.", "A farmer keeps chickens and three cows."]
    # The pause lets both replies be under way at the same time.
    scripted.will_answer(
        *(
            Stream(*answer.partition(" and")[:1], Pause(2), *answer.partition(" and")[1:])
            for answer in answers
        )
    )
    # Two contexts of one browser, as two people on one machine.
    pages = {name: visit(scripted.address) for name in ("Momoko", "Sebastian")}

    for name, page in pages.items():
        write(page, f"My name is {name}.")
    first = [wait_for_reply(page) for page in pages.values()]
    sounds = [listen(fetch_sound(page), "en") for page in pages.values()]
    for name, page in pages.items():
        write(page, f"Say again, {name}?")
    for page in pages.values():
        expect(replies(page)).to_have_count(2, timeout=PATIENCE_MS)
        wait_for_reply(page, 2)

    assert sorted(first) == sorted(answers)
    for reply, sound in zip(first, sounds, strict=True):
        assert word_error_rate(reply, sound) <= 0.3
    for name, other, reply, stranger in (
        ("Momoko", "Sebastian", *first),
        ("Sebastian", "Momoko", *reversed(first)),
    ):
        words = "\n".join(pages[name].locator("#transcript").all_inner_texts())
        assert name in words
        assert other not in words
        prompts = [prompt for prompt in scripted.prompts() if name in prompt]
        assert len(prompts) == 2
        assert reply in prompts[1]
        assert not any(other in prompt or stranger in prompt for prompt in prompts)
