"""The live panel in Chromium: somebody talks hands free, cuts in, loses the network, presses to talk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.panel_steps import (
    WATCH,
    LiveApp,
    heard,
    live_app,
    notice,
    panel,
    question,
    read_levels,
    say,
    spoken,
    start,
    talk,
    wait_for_mood,
)
from tests.browser.steps import PATIENCE_MS, replies, said, status, wait_for_phase, write
from voice import texts
from voice.audio import SPEECH_RATE, Pcm
from voice.engines import Unavailable

pytestmark = pytest.mark.slow

LONG = "This is the first sentence of a story. And this is the second sentence of it. The third one goes on a little. The fourth one ends it."
SILENCE_LEVEL = 0.003
"""Of the loudspeaker; the fake voice is at 0.14."""

BLOCK_SOCKETS = """
    window.WebSocket = class {
      static OPEN = 1;
      constructor() { setTimeout(() => this.onclose({ code: 1006, reason: "" })); }
      close() {}
    };
"""
BLOCK_LANE = """
    const get = fetch;
    window.fetch = async (url, options) =>
      String(url).includes("/lane") ? new Response("", { status: 404 }) : get(url, options);
"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def app() -> Iterator[LiveApp]:
    with live_app() as app:
        yield app


@pytest.fixture
def open_panel(visit: Visit, app: LiveApp) -> Open:
    """The page, watched from the inside, its panel ready to be pressed."""

    def open_panel(
        microphone: Pcm | None = None, address: str = "", script: str = "", **options: Any
    ) -> Page:
        page = visit(address or app.address, microphone=microphone, **options)
        page.add_init_script(WATCH + script)
        page.reload()
        wait_for_phase(page, "ready")
        expect(talk(page)).to_be_enabled(timeout=PATIENCE_MS)
        return page

    return open_panel


def words(key: str, language: str = "en", **blanks: str) -> str:
    return texts.words_of(language).panel[key].format(**blanks)


def test_two_turns_hands_free(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Which folder should I take?", "And who sent it?")
    app.will_answer("Take the blue one.", "That I do not know.")
    page = open_panel(say(question(1), 4.0, question(3)))

    start(page)

    wait_for_mood(page, "hearing")
    expect(heard(page)).to_contain_text("Which folder", timeout=PATIENCE_MS)
    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)
    expect(spoken(page)).to_have_text("That I do not know.", timeout=PATIENCE_MS)
    wait_for_mood(page, "listening")
    expect(said(page)).to_have_text(["Which folder should I take?", "And who sent it?"])
    expect(replies(page)).to_have_text(["Take the blue one.", "That I do not know."])
    assert "Take the blue one." in app.prompts()[1]
    assert max(level for _, level in read_levels(page)) > 0.1
    page.locator("#live .adjust").click()
    page.locator("#live summary").click()
    expect(page.locator("#live .waterfall svg")).to_be_visible()
    expect(page.locator("#live .turns rect")).to_have_count(2)


def test_who_cuts_in_is_heard_and_only_what_was_heard_is_remembered(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Tell me a story.", "Stop, what did you just say?", "Stop.")
    app.will_answer(LONG, "I had only begun.")
    page = open_panel(say(question(1), 3.5, question(3)))

    start(page)

    expect(spoken(page)).to_contain_text("This is", timeout=PATIENCE_MS)
    expect(replies(page)).to_have_count(2, timeout=PATIENCE_MS)
    expect(spoken(page)).to_have_text("I had only begun.", timeout=PATIENCE_MS)
    cut = replies(page).first.inner_text().split("\n")[0].rstrip()
    assert LONG.startswith(cut.rstrip("…"))
    assert 0 < len(cut) < len(LONG) * 0.8
    assert cut in app.prompts()[1]
    assert "The fourth one" not in app.prompts()[1]


def test_a_cough_does_not_stop_the_reply(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Tell me a story.")
    app.will_answer(LONG)
    page = open_panel(say(question(1), 3.0, cough()))

    start(page)

    expect(spoken(page)).to_have_text(LONG, timeout=PATIENCE_MS)
    wait_for_mood(page, "listening")
    expect(replies(page)).to_have_text([LONG])
    loud = [level for _, level in read_levels(page) if level > SILENCE_LEVEL]
    # A quarter of the volume, for a while, and then all of it again.
    assert [level for level in loud if level < 0.06]
    assert np.median(loud) > 0.1


def test_a_lost_socket_comes_back_and_nothing_is_said_twice(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Which folder should I take?", "And who sent it?")
    app.will_answer("Take the blue one, please.", "That I do not know.")
    page = open_panel(say(question(1), 5.0, question(3)))
    start(page)
    expect(spoken(page)).to_contain_text("Take the", timeout=PATIENCE_MS)

    page.evaluate("sockets.at(-1).close()")

    page.wait_for_function("sockets.length === 2 && sockets[1].readyState === 1", timeout=PATIENCE_MS)
    expect(panel(page)).to_have_attribute("data-status", "live")
    expect(spoken(page)).to_have_text("That I do not know.", timeout=PATIENCE_MS)
    expect(said(page)).to_have_count(2)
    expect(replies(page)).to_have_count(2)
    # The page tells what it played four times a second, so the last word shown may not be told any more.
    expect(replies(page).first).to_contain_text("Take")
    assert "Which folder" in app.prompts()[1]


def test_a_page_left_open_until_the_server_forgot_it_goes_live_all_the_same(
    open_panel: Open, app: LiveApp
) -> None:
    app.will_hear("Which folder should I take?")
    app.will_answer("Take the blue one.", "And the red one.")
    page = open_panel(say(4.0, question(1), 30.0))
    app.forget_everybody()
    start(page)
    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)
    expect(notice(page)).not_to_contain_text(words("ticket_unknown"))
    assert page.evaluate("sockets.map((socket) => socket.readyState)") == [3, 1]

    # Its typed lines belong to the same conversation, even if Gradio forgets again while the page is live.
    app.forget_everybody()
    write(page, "And then?")
    expect(replies(page).last).to_have_text("And the red one.", timeout=PATIENCE_MS)
    expect(said(page)).to_have_count(2)
    assert "Which folder" in app.prompts()[1]


def test_who_comes_back_while_a_reply_was_thought_of_is_answered(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Which folder should I take?")
    app.chat.script = [[60.0, "Too late."], "The blue one."]
    page = open_panel(say(question(1), 10.0))
    start(page)
    wait_for_mood(page, "thinking")

    page.evaluate("sockets.at(-1).close()")

    expect(spoken(page)).to_have_text("The blue one.", timeout=PATIENCE_MS)
    wait_for_mood(page, "listening")


def test_push_to_talk_by_the_space_bar(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Which folder should I take?")
    app.will_answer("Take the blue one.")
    page = open_panel(say(question(1), question(2), question(3), question(4)))
    page.locator("#live .adjust").click()
    page.get_by_label(words("push_to_talk")).check(force=True)
    start(page)
    expect(page.locator("#live .state")).to_have_text(words("state_waiting"))
    page.locator("body").click(position={"x": 3, "y": 3})

    page.keyboard.down("Space")
    wait_for_mood(page, "hearing")
    page.wait_for_timeout(1500)
    page.keyboard.up("Space")

    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)
    expect(said(page)).to_have_text(["Which folder should I take?"])
    page.locator("#message textarea").fill("a")
    page.locator("#message textarea").press("Space")
    expect(page.locator("#message textarea")).to_have_value("a ")


def test_a_typed_line_is_answered_through_the_panel_and_by_one_voice(open_panel: Open, app: LiveApp) -> None:
    app.will_answer(LONG)
    page = open_panel(say(1.0))
    start(page)

    write(page, "Tell me a story.")

    expect(spoken(page)).to_contain_text("This is the first", timeout=PATIENCE_MS)
    expect(page.locator("#reply audio")).to_have_count(1, timeout=PATIENCE_MS)
    expect(status(page)).to_have_attribute("data-phase", "answered")
    assert page.locator("#reply audio").evaluate("audio => audio.paused && audio.currentTime === 0")
    expect(spoken(page)).to_have_text(LONG, timeout=PATIENCE_MS)
    expect(said(page)).to_have_text(["Tell me a story."])


def test_a_cough_does_not_stop_the_reply_to_a_typed_line_but_words_do(open_panel: Open, app: LiveApp) -> None:
    story = f"{LONG} {LONG.replace('sentence', 'line')}"
    app.will_hear("Stop, what did you just say?", "Stop.")
    app.will_answer(story, "I had only begun.")
    page = open_panel(say(5.0, cough(), 2.5, question(3)))
    start(page)

    write(page, "Tell me a story.")

    expect(spoken(page)).to_contain_text("This is", timeout=PATIENCE_MS)
    wait_for_mood(page, "hearing")
    loud = [(at, level) for at, level in read_levels(page) if level > SILENCE_LEVEL]
    # Softer for the cough, and then as loud as before.
    assert [level for _, level in loud if level < 0.06]
    assert np.median([level for _, level in loud]) > 0.1
    expect(spoken(page)).to_have_text("I had only begun.", timeout=PATIENCE_MS)
    expect(replies(page)).to_have_count(2)
    cut = replies(page).first.inner_text().split("\n")[0].rstrip("… ")
    assert story.startswith(cut)
    assert 0 < len(cut) < len(story) * 0.9
    assert cut in app.prompts()[1]
    assert "line of it" not in app.prompts()[1]
    assert len(cut) * 0.05 == pytest.approx((loud[-1][0] - loud[0][0]) / 1000, abs=1.5)


def cough() -> Pcm:
    """200 ms of noise."""
    noise = np.random.default_rng(1).normal(0, 0.2, SPEECH_RATE // 5) * np.hanning(SPEECH_RATE // 5)
    return Pcm.from_floats(noise.astype(np.float32), SPEECH_RATE)


def test_the_reply_can_be_stopped_and_the_conversation_ended(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Tell me a story.")
    app.will_answer(LONG)
    page = open_panel(say(question(1)))
    start(page)
    expect(spoken(page)).to_contain_text("This is the first", timeout=PATIENCE_MS)

    page.locator("#live .hush").click()

    wait_for_mood(page, "listening")
    page.wait_for_timeout(300)
    assert max(level for _, level in read_levels(page)[-5:]) < SILENCE_LEVEL
    page.locator("#live .end").click()
    expect(panel(page)).to_have_attribute("data-status", "off")
    assert page.evaluate(
        "streams.every(stream => stream.getTracks().every(track => track.readyState === 'ended'))"
    )
    assert page.evaluate("sockets.at(-1).readyState") >= 2


def test_a_spoken_reply_that_going_live_silences_is_over(open_panel: Open, app: LiveApp) -> None:
    app.will_answer(LONG)
    page = open_panel(say(30.0))
    write(page, "Tell me a story.")
    page.wait_for_function("document.querySelector('#reply audio')?.currentTime > 0", timeout=PATIENCE_MS)
    expect(status(page)).to_have_attribute("data-phase", "speaking")

    start(page)

    expect(status(page)).to_have_attribute("data-phase", "answered", timeout=PATIENCE_MS)
    assert page.locator("#reply audio").evaluate("audio => audio.paused && !audio.ended")


def test_a_turn_that_was_not_understood_is_shown_until_the_next_one_is(
    open_panel: Open, app: LiveApp
) -> None:
    app.will_hear("", "And who sent it?")
    app.ears.script[0] = Unavailable("speech_unreachable")
    app.will_answer("That I do not know.")
    page = open_panel(say(question(1), 4.0, question(3), 60.0))
    start(page)

    expect(notice(page)).to_have_text(
        texts.words_of("en").sentences["speech_unreachable"], timeout=PATIENCE_MS
    )
    expect(page.locator("#live .heard.missed")).to_have_text("…")

    expect(spoken(page)).to_have_text("That I do not know.", timeout=PATIENCE_MS)
    expect(notice(page)).to_be_hidden()
    expect(page.locator("#live .heard.missed")).to_have_count(0)


def test_the_last_line_stays_in_sight_when_the_panel_grows(open_panel: Open, app: LiveApp) -> None:
    app.will_answer("\n\n".join(f"Line {number}." for number in range(60)))
    page = open_panel(viewport={"width": 1280, "height": 1000})
    write(page, "Tell me a story.")
    wait_for_phase(page, "speaking", "answered")
    below = """() => {
        const lines = document.querySelector("#transcript .bubble-wrap");
        return lines.scrollHeight - lines.scrollTop - lines.clientHeight;
    }"""
    page.wait_for_function(
        f"({below})() < 10 && document.querySelector('#transcript .bubble-wrap').scrollTop > 0"
    )
    room = "document.querySelector('#transcript .bubble-wrap').clientHeight"
    before = page.evaluate(room)

    page.locator("#live .adjust").click()

    page.wait_for_function(f"{room} < {before} && ({below})() < 10", timeout=PATIENCE_MS)


@pytest.mark.parametrize(
    ("error", "sentence", "locale"),
    [
        ("NotAllowedError", "microphone_denied", "en-US"),
        ("NotFoundError", "microphone_missing", "ja-JP"),
        ("NotReadableError", "microphone_taken", "en-US"),
    ],
)
def test_without_a_microphone_the_user_is_told_and_can_type(
    open_panel: Open, app: LiveApp, error: str, sentence: str, locale: str
) -> None:
    app.will_answer("Hello yourself.")
    refuse = f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{error}') }};"
    page = open_panel(script=refuse, locale=locale)

    talk(page).click()

    expect(notice(page)).to_have_text(words(sentence, locale[:2]))
    expect(panel(page)).to_have_attribute("data-status", "off")
    write(page, "Hello!")
    expect(replies(page)).to_have_text("Hello yourself.", timeout=PATIENCE_MS)


def test_on_a_page_without_tls_the_user_is_told_that_this_is_why(open_panel: Open) -> None:
    bare = """
        Object.defineProperty(window, "isSecureContext", { value: false });
        Object.defineProperty(navigator, "mediaDevices", { value: undefined });
        delete BaseAudioContext.prototype.audioWorklet;
    """
    page = open_panel(script=bare)

    talk(page).click()

    expect(notice(page)).to_have_text(words("microphone_insecure"))


def test_a_phone_call_takes_the_microphone_and_gives_it_back(open_panel: Open) -> None:
    page = open_panel(say(1.0))
    start(page)

    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('mute'))")

    expect(notice(page)).to_have_text(words("microphone_interrupted"))
    expect(page.locator("#live .state")).to_have_text(words("state_deaf"))
    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('unmute'))")
    expect(notice(page)).to_be_hidden()
    expect(page.locator("#live .state")).not_to_have_text(words("state_deaf"))
    assert page.evaluate("streams.map(stream => stream.getTracks()[0].readyState)") == ["ended", "live"]


def test_a_microphone_that_is_unplugged_is_replaced_by_another(open_panel: Open) -> None:
    page = open_panel(say(1.0))
    start(page)

    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('ended'))")

    expect(notice(page)).to_contain_text(words("microphone_replaced", name="").rstrip(" ."))
    expect(panel(page)).to_have_attribute("data-status", "live")
    assert page.evaluate("streams.length") == 2


def test_where_no_socket_passes_the_conversation_goes_over_plain_http(open_panel: Open, app: LiveApp) -> None:
    app.will_hear("Which folder should I take?")
    app.will_answer("Take the blue one.")
    page = open_panel(say(3.0, question(1)), script=BLOCK_SOCKETS)

    start(page)

    expect(notice(page)).to_have_text(words("connection_lane"))
    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)
    expect(said(page)).to_have_text(["Which folder should I take?"])


def test_where_nothing_passes_the_user_is_told_what_does(open_panel: Open) -> None:
    page = open_panel(say(1.0), script=BLOCK_SOCKETS + BLOCK_LANE)

    talk(page).click()

    expect(notice(page)).to_have_text(words("connection_blocked"), timeout=PATIENCE_MS)
    expect(panel(page)).to_have_attribute("data-status", "off")


def test_who_says_nothing_for_long_finds_the_microphone_released(open_panel: Open) -> None:
    with live_app(idle_seconds=1) as sleepy:
        page = open_panel(say(0.1), address=sleepy.address)
        start(page)

        expect(panel(page)).to_have_attribute("data-status", "asleep", timeout=PATIENCE_MS)

        assert page.evaluate("streams[0].getTracks()[0].readyState") == "ended"
        expect(talk(page)).to_have_attribute("aria-label", words("wake"))
        talk(page).click()
        expect(panel(page)).to_have_attribute("data-status", "live")
        page.close()


def test_every_button_has_a_name_and_can_be_reached_by_keyboard(open_panel: Open) -> None:
    page = open_panel(say(1.0), locale="ja-JP")
    talk(page).focus()
    page.keyboard.press("Enter")
    expect(panel(page)).to_have_attribute("data-status", "live", timeout=PATIENCE_MS)
    page.locator("#live .adjust").press("Enter")

    for button in page.locator("#live button:visible, #live select:visible, #live input").all():
        name = button.evaluate(
            "e => e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim()"
        )
        assert name, button
    expect(page.locator("#live [aria-live=polite]")).to_have_count(1)
