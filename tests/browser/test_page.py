"""The page in everyday use and in trouble. The chat model follows a script; page, ears and voice are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ScriptedApp, Visit
from tests.browser.steps import (
    PATIENCE_MS,
    message_box,
    press_record,
    read_clip,
    replies,
    said,
    speak,
    status,
    wait_for_phase,
    wait_for_reply,
    wait_until_played,
    write,
)
from tests.emulators.chat import Stream
from tests.emulators.loopback import STALL, Refuse
from tests.speech import read_clips
from tests.test_recordings import encode
from tests.wer import word_error_rate
from voice import texts
from voice.audio import SPEECH_RATE, Pcm, resample

pytestmark = pytest.mark.slow

LOCALES = pytest.mark.parametrize(("locale", "language"), [("en-US", "en"), ("ja-JP", "ja")])
WATCH_PLAYING = """
window.sounds = [];
document.addEventListener("timeupdate", ({ target }) => {
  let sound = sounds.at(-1);
  if (sound?.address !== target.currentSrc)
    sounds.push(sound = { address: target.currentSrc, from: target.currentTime, duration: target.duration });
  sound.to = target.currentTime;
}, true);
"""
"""From where to where each sound is played, in seconds."""
GONE_SECONDS = 60
"""For a connection to be closed after its user has left; far more than it takes."""


@LOCALES
def test_labels_are_in_the_browsers_language(
    visit: Visit, scripted: ScriptedApp, locale: str, language: str
) -> None:
    page = visit(scripted.address, locale=locale)
    words = texts.words_of(language)

    expect(status(page)).to_contain_text(words.phases["ready"])
    expect(page.locator("#clear")).to_have_text(words.page["clear"])
    expect(message_box(page)).to_have_attribute("placeholder", words.page["type_here"])
    for label in ("record", "language", "voice", "speed", "persona"):
        expect(page.get_by_text(words.page[label], exact=True).first).to_be_visible()


def test_a_written_message_is_answered_in_text_and_sound(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("Nice to ", "meet you."))
    page = visit(scripted.address)

    write(page, "Hello!")

    assert wait_for_reply(page) == "Nice to meet you."
    expect(said(page)).to_have_text("Hello!")
    expect(message_box(page)).to_have_value("")


def test_stop_ends_the_work_and_keeps_what_was_written(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("One fish. ", "Two fish. ", STALL), Stream("Gladly."))
    page = visit(scripted.address)
    write(page, "Count all the fish.")
    expect(replies(page)).to_contain_text("Two fish.", timeout=PATIENCE_MS)

    page.locator("#stop").click()

    wait_for_phase(page, "stopped")
    assert scripted.chat.exchanges[0].disconnected.wait(GONE_SECONDS)
    expect(replies(page)).to_have_text(
        f"One fish. Two fish.\n({texts.words_of('en').stopped_mark})", use_inner_text=False
    )
    expect(page.locator("#stop")).not_to_be_visible()
    write(page, "Go on.")
    assert wait_for_reply(page, 2) == "Gladly."
    assert "Two fish." in scripted.prompts()[1]


def test_a_new_message_stops_the_reply_under_way(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("Well, ", STALL), Stream("Even better."))
    page = visit(scripted.address)
    write(page, "Tell me a long story.")
    expect(replies(page)).to_contain_text("Well,", timeout=PATIENCE_MS)

    write(page, "No, a short one.")

    assert wait_for_reply(page, 2) == "Even better."
    assert scripted.chat.exchanges[0].disconnected.wait(GONE_SECONDS)


def test_every_reply_is_heard_from_its_beginning(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(
        Stream("A first reply that is rather long."), Stream("A shorter one."), Stream("Bye.")
    )
    page = visit(scripted.address)
    page.evaluate(WATCH_PLAYING)

    for number, text in enumerate(["One.", "Two.", "Three."], 1):
        write(page, text)
        wait_for_reply(page, number)
        wait_until_played(page)

    sounds = page.evaluate("sounds")
    assert len(sounds) == 3
    for sound in sounds:
        assert sound["from"] < 0.5
        assert sound["to"] == pytest.approx(sound["duration"], abs=0.1)


def test_an_empty_message_leaves_the_reply_alone(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("A reply that takes a good while to be read aloud to its end."))
    page = visit(scripted.address)
    write(page, "Hello!")
    wait_for_reply(page)

    write(page, "  ")

    expect(page.get_by_text(texts.say("empty_text", "en"))).to_be_visible()
    wait_until_played(page)


def test_who_begins_to_record_silences_the_reply(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("A reply that takes a good while to be read aloud to its end."))
    page = visit(scripted.address)
    write(page, "Hello!")
    wait_for_reply(page)

    press_record(page)

    wait_for_phase(page, "listening")
    expect(page.locator("#reply audio")).to_have_count(0)


def test_each_turn_counts_its_own_seconds(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(
        Stream("A reply that takes a good while to be read aloud to its end."), Stream(STALL)
    )
    page = visit(scripted.address)
    write(page, "Hello!")
    wait_for_reply(page)
    expect(status(page).locator(".elapsed")).to_have_text(re.compile(r"^[2-9]\.\d s$"))

    write(page, "And now?")

    wait_for_phase(page, "thinking")
    expect(status(page).locator(".elapsed")).to_have_text(re.compile(r"^[01]\.\d s$"))


def test_closing_the_tab_ends_the_work(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("Once upon a time ", STALL))
    page = visit(scripted.address)
    write(page, "Tell me a long story.")
    expect(replies(page)).to_contain_text("Once upon a time", timeout=PATIENCE_MS)

    page.close()

    assert scripted.chat.exchanges[0].disconnected.wait(GONE_SECONDS)


def test_a_new_conversation_remembers_nothing(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("A secret is safe with me."))
    page = visit(scripted.address)
    write(page, "The password is swordfish.")
    wait_for_reply(page)
    assert "swordfish" in scripted.prompts()[-1]

    page.locator("#clear").click()

    expect(said(page)).to_have_count(0)
    expect(replies(page)).to_have_count(0)
    write(page, "What is the password?")
    wait_for_reply(page)
    assert "swordfish" not in scripted.prompts()[-1]


@LOCALES
def test_a_file_that_is_no_sound_is_told_and_the_conversation_goes_on(
    visit: Visit, scripted: ScriptedApp, tmp_path: Path, locale: str, language: str
) -> None:
    scripted.will_answer(Stream("Good morning."))
    page = visit(scripted.address, locale=locale)
    write(page, "Good morning!")
    wait_for_reply(page)
    letter = tmp_path / "letter.wav"
    letter.write_text("This is a letter, not a recording.")

    upload(page, letter)

    wait_for_phase(page, "problem")
    expect(status(page)).to_contain_text(texts.say("unreadable_audio", language))
    expect(said(page)).to_have_text(["Good morning!"])
    write(page, "Never mind.")
    wait_for_reply(page, 2)
    assert "Good morning!" in scripted.prompts()[-1]


@LOCALES
def test_silence_at_the_microphone_is_told(
    visit: Visit, scripted: ScriptedApp, locale: str, language: str
) -> None:
    page = visit(scripted.address, locale=locale, microphone=Pcm.silence(2000, SPEECH_RATE))

    speak(page, 2)

    wait_for_phase(page, "problem")
    expect(status(page)).to_contain_text(texts.say("nothing_heard", language))
    expect(said(page)).to_have_count(0)
    expect(page.locator("#recorder .record-button")).to_be_visible()


def test_a_message_that_is_too_long_stays_in_its_box(visit: Visit, scripted: ScriptedApp) -> None:
    page = visit(scripted.address)
    text = "blah " * 500

    write(page, text)

    expect(page.get_by_text(texts.say("text_too_long", "en", length=2499, limit=2000))).to_be_visible()
    expect(message_box(page)).to_have_value(text)
    expect(said(page)).to_have_count(0)


def test_a_chat_server_that_refuses_is_told_and_the_conversation_goes_on(
    visit: Visit, scripted: ScriptedApp
) -> None:
    scripted.will_answer(Refuse(401), Stream("Here I am."))
    page = visit(scripted.address)

    write(page, "Are you there?")

    wait_for_phase(page, "problem")
    expect(status(page)).to_contain_text(texts.say("chat_key_refused", "en"))
    expect(said(page)).to_have_text("Are you there?")
    write(page, "And now?")
    expect(said(page)).to_have_count(2)
    expect(replies(page).last).to_have_text("Here I am.", timeout=PATIENCE_MS)


def test_what_people_and_models_write_never_becomes_part_of_the_page(
    visit: Visit, scripted: ScriptedApp
) -> None:
    leak = f"{scripted.address}/leak"
    hostile = (
        f"Look: <img src='{leak}1.png' onerror='window.hacked = 1'> ![a picture]({leak}2.png) "
        f"<script>window.hacked = 1</script> <iframe src='{leak}3'></iframe> "
        "[press here](javascript:window.hacked=1) <b>bold</b>\n\n"
        f"![another][1]\n\n[1]: {leak}4.png\n\n<svg onload='window.hacked = 1'></svg>"
        f"<style>body {{ background: url({leak}5.png) }}</style> <form action='{leak}6'><button>Yes</button></form>"
    )
    scripted.will_answer(Stream(*(hostile[at : at + 3] for at in range(0, len(hostile), 3))))
    page = visit(scripted.address)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    write(page, hostile.replace("\n", " "))
    wait_for_reply(page)

    transcript = page.locator("#transcript")
    for lines in (said(page), replies(page)):
        expect(lines).to_contain_text("<script>window.hacked = 1</script>")
        expect(lines.locator("img, script, iframe, svg, style, form, button, b")).to_have_count(0)
    expect(transcript.locator("[href^=javascript]")).to_have_count(0)
    assert page.evaluate("window.hacked") is None
    assert not [url for url in asked if "leak" in url]


def test_stop_silences_the_reply(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("This is a long sentence that takes quite some time to be said aloud. " * 4))
    page = visit(scripted.address)
    write(page, "Hello!")
    reply = wait_for_reply(page)

    page.locator("#stop").click()

    wait_for_phase(page, "stopped")
    expect(page.locator("#reply audio")).to_have_count(0)
    expect(replies(page)).to_have_text(reply)


def test_a_voice_can_be_heard_before_it_is_chosen(visit: Visit, scripted: ScriptedApp) -> None:
    page = visit(scripted.address)

    page.locator("#hear-voice").click()

    page.wait_for_function("document.querySelector('#sample audio')?.currentTime > 0", timeout=PATIENCE_MS)


def test_on_a_phone_everything_needed_is_in_sight(visit: Visit, scripted: ScriptedApp) -> None:
    wide = f"{'longword' * 20}\n\n```\n{'code ' * 50}\n```\n\n{'|head' * 20}|\n{'|---' * 20}|\n{'|cell' * 20}|\n\n"
    scripted.will_answer(Stream(wide, "はい。"))
    size = {"width": 390, "height": 844}
    page = visit(scripted.address, locale="ja-JP", viewport=size, is_mobile=True, has_touch=True)
    check_sight(page, size)

    write(page, "こんにちは。")
    wait_for_reply(page)

    check_sight(page, size)
    page.locator("#recorder .record-button").tap()
    expect(page.locator("#recorder .stop-button")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("mp4", "aac")])
def test_a_recording_that_browsers_take_for_a_video_is_heard(
    visit: Visit, scripted: ScriptedApp, tmp_path: Path, container: str, codec: str
) -> None:
    clip = read_clips("en")[1]
    file = tmp_path / f"recording.{container}"
    file.write_bytes(encode(resample(read_clip(clip), 48_000), container, codec))
    scripted.will_answer(Stream("In the first one."))
    page = visit(scripted.address)

    upload(page, file)

    assert wait_for_reply(page) == "In the first one."
    assert word_error_rate(clip.text, said(page).inner_text()) <= 0.2


def check_sight(page: Page, size: dict[str, int]) -> None:
    """What one talks with is in the window, and nothing sticks out at its side."""
    for name in ("#transcript", "#recorder .record-button", "#message textarea"):
        expect(page.locator(name)).to_be_in_viewport(ratio=0.95)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def upload(page: Page, file: Path) -> None:
    page.locator("#recorder [data-testid=source-select] button").first.click()
    page.locator("#recorder input[type=file]").set_input_files(file)
