"""The live panel beside the talk itself: the screen's light, diagnostics, starts and ends that cross, how it looks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.panel_steps import (
    WATCH,
    LiveApp,
    live_app,
    panel,
    question,
    say,
    spoken,
    start,
    talk,
    wait_for_mood,
)
from tests.browser.steps import PATIENCE_MS, said, wait_for_phase, write
from voice import texts
from voice.audio import Pcm

pytestmark = pytest.mark.slow

WATCH_LIGHT = """
    window.lights = [];
    const ask = navigator.wakeLock.request.bind(navigator.wakeLock);
    navigator.wakeLock.request = async (type) => {
      const light = await ask(type);
      lights.push(light);
      return light;
    };
"""
WATCH_WIRE = """
    // What each socket said, and the ticket it came in with.
    window.wires = [];
    const Plain = WebSocket;
    window.WebSocket = class extends Plain {
      constructor(url, protocols) {
        super(url, protocols);
        window.ticket = protocols[1].split(".")[1];
        this.said = [];
        wires.push(this);
      }
      send(event) {
        this.said.push(JSON.parse(event));
        super.send(event);
      }
    };
"""
SLOW_MICROPHONE = """
    const soon = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    let asked = 0;
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      if (!asked++) await new Promise((done) => setTimeout(done, 1500));
      return soon(wanted);
    };
"""
HELD_MICROPHONE = """
    // The browser asks the user, from the second time on, until the test calls `answer`.
    const give = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.asked = 0;
    const answered = new Promise((done) => { window.answer = done; });
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      if (asked++) await answered;
      return give(wanted);
    };
"""
LIT = "lights.filter(({ released }) => !released).length"

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def app() -> Iterator[LiveApp]:
    with live_app() as app:
        yield app


@pytest.fixture(scope="module")
def sleepy_app() -> Iterator[LiveApp]:
    with live_app(idle_seconds=4) as app:
        yield app


@pytest.fixture
def open_panel(visit: Visit, app: LiveApp) -> Open:
    def open_panel(
        microphone: Pcm | None = None, address: str = "", script: str = "", **options: Any
    ) -> Page:
        page = visit(address or app.address, microphone=microphone, **options)
        page.add_init_script(WATCH + WATCH_WIRE + script)
        page.reload()
        wait_for_phase(page, "ready")
        expect(talk(page)).to_be_enabled(timeout=PATIENCE_MS)
        return page

    return open_panel


def test_the_screen_stays_on_while_somebody_talks(open_panel: Open) -> None:
    page = open_panel(script=WATCH_LIGHT)
    start(page)
    page.wait_for_function(f"{LIT} === 1", timeout=PATIENCE_MS)

    # The browser takes it back when the page is hidden.
    page.evaluate("lights[0].release()")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function(f"lights.length === 2 && {LIT} === 1", timeout=PATIENCE_MS)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    page.locator("#live .end").click()
    page.wait_for_function(f"{LIT} === 0", timeout=PATIENCE_MS)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(200)
    assert page.evaluate("lights.length") == 2


def test_the_screen_may_go_dark_when_the_talk_ended_before_the_browser_kept_it_on(open_panel: Open) -> None:
    slow = """
        const late = navigator.wakeLock.request;
        navigator.wakeLock.request = async (type) => {
          await new Promise((done) => setTimeout(done, 1000));
          return late(type);
        };
    """
    page = open_panel(script=WATCH_LIGHT + slow)
    start(page)
    page.locator("#live .end").click()

    page.wait_for_function(f"lights.length === 1 && {LIT} === 0", timeout=PATIENCE_MS)


def test_the_screen_stays_on_for_who_begins_again_before_the_browser_let_it_go_dark(open_panel: Open) -> None:
    slow = """
        const letGo = WakeLockSentinel.prototype.release;
        WakeLockSentinel.prototype.release = async function () {
          await new Promise((done) => setTimeout(done, 1000));
          return letGo.call(this);
        };
    """
    page = open_panel(script=WATCH_LIGHT + slow)
    start(page)
    page.wait_for_function(f"{LIT} === 1", timeout=PATIENCE_MS)
    page.locator("#live .end").click()
    start(page)

    page.wait_for_function("lights[0].released", timeout=PATIENCE_MS)
    page.wait_for_function(f"lights.length === 2 && {LIT} === 1", timeout=PATIENCE_MS)
    page.locator("#live .end").click()
    page.wait_for_function(f"{LIT} === 0", timeout=PATIENCE_MS)


def test_diagnostics_tell_how_it_is_and_no_secret(open_panel: Open, app: LiveApp) -> None:
    app.will_answer("Take the blue one.")
    page = open_panel(permissions=["microphone", "clipboard-read", "clipboard-write"])
    start(page)
    write(page, "Which folder should I take?")
    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)
    page.locator("#live .adjust").click()
    page.locator("#live summary").click()

    page.locator("#live .copy").click()

    expect(page.locator("#live .notice")).to_have_text(texts.words_of("en").panel["diagnostics_copied"])
    copied = page.evaluate("navigator.clipboard.readText()")
    report = json.loads(copied)
    assert (report["status"], report["transport"], report["mode"]) == ("live", "socket", "hands_free")
    assert report["audio"]["state"] == "running"
    assert report["microphone"] == [{"readyState": "live", "muted": False}]
    assert report["buffer"]["underruns"] == 0
    assert report["counts"]["frames"] > 0
    assert "connection open" in [entry["what"] for entry in report["log"]]
    device = page.evaluate("streams[0].getTracks()[0].label")
    for secret in (page.evaluate("ticket"), device, "folder", "blue"):
        assert secret
        assert secret not in copied


def test_who_ends_and_begins_again_before_the_microphone_is_there_is_in_one_conversation(
    open_panel: Open,
) -> None:
    page = open_panel(script=SLOW_MICROPHONE)
    talk(page).click()
    page.locator("#live .end").click()

    start(page)

    page.wait_for_function("streams.length === 2", timeout=PATIENCE_MS)
    page.wait_for_function(
        "streams.filter(stream => stream.getTracks()[0].readyState === 'live').length === 1",
        timeout=PATIENCE_MS,
    )
    expect(panel(page)).to_have_attribute("data-status", "live")
    assert page.evaluate("wires.length") == 1


def test_who_ends_a_lost_conversation_is_not_called_back(open_panel: Open) -> None:
    page = open_panel()
    start(page)

    page.evaluate("wires[0].close()")
    expect(panel(page)).to_have_attribute("data-status", "lost")
    page.locator("#live .end").click()

    page.wait_for_timeout(1500)
    expect(panel(page)).to_have_attribute("data-status", "off")
    assert page.evaluate("wires.filter(({ readyState }) => readyState < 2).length") == 0


def test_a_line_typed_while_the_connection_is_lost_is_answered_by_the_player(
    open_panel: Open, app: LiveApp
) -> None:
    app.will_answer("Take the blue one.")
    page = open_panel()
    start(page)
    page.evaluate("""
        window.WebSocket = class {
          static OPEN = 1;
          constructor() { setTimeout(() => this.onclose({ code: 1006, reason: "" })); }
          close() {}
        };
        wires[0].close();
    """)
    expect(panel(page)).to_have_attribute("data-status", "lost")

    write(page, "Which folder should I take?")

    page.wait_for_function("document.querySelector('#reply audio')?.currentTime > 0", timeout=PATIENCE_MS)
    expect(panel(page)).to_have_attribute("data-status", "lost")


def test_a_microphone_that_is_not_given_back_is_shown_as_gone(open_panel: Open) -> None:
    once = """
        const first = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        let given = false;
        navigator.mediaDevices.getUserMedia = async (wanted) => {
          if (given) throw new DOMException("", "NotReadableError");
          given = true;
          return first(wanted);
        };
    """
    page = open_panel(script=once)
    start(page)

    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('mute'))")
    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('unmute'))")

    expect(page.locator("#live .notice")).to_have_text(texts.words_of("en").panel["microphone_taken"])
    expect(page.locator("#live .state")).to_have_text(texts.words_of("en").panel["state_deaf"])
    assert page.evaluate("streams[0].getTracks()[0].readyState") == "ended"


def test_a_microphone_that_is_allowed_only_when_the_panel_sleeps_is_let_go(
    open_panel: Open, sleepy_app: LiveApp
) -> None:
    page = open_panel(address=sleepy_app.address, script=HELD_MICROPHONE)
    start(page)
    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('ended'))")
    page.wait_for_function("asked === 2", timeout=PATIENCE_MS)
    expect(panel(page)).to_have_attribute("data-status", "asleep", timeout=PATIENCE_MS)

    page.evaluate("answer()")

    page.wait_for_function("streams[1]?.getTracks()[0].readyState === 'ended'", timeout=PATIENCE_MS)
    expect(panel(page)).to_have_attribute("data-status", "asleep")


def test_two_clicks_wake_the_panel_once(open_panel: Open, sleepy_app: LiveApp) -> None:
    page = open_panel(address=sleepy_app.address, script=HELD_MICROPHONE)
    start(page)
    expect(panel(page)).to_have_attribute("data-status", "asleep", timeout=PATIENCE_MS)
    page.evaluate("wires[0].close()")
    page.wait_for_function("wires[0].readyState === 3", timeout=PATIENCE_MS)

    talk(page).click()
    talk(page).click()
    page.evaluate("answer()")

    page.wait_for_function("wires[1]?.readyState === 1", timeout=PATIENCE_MS)
    assert page.evaluate("[asked, streams.length, wires.length]") == [2, 2, 2]


def test_who_comes_back_says_so_and_tells_nothing_of_before(open_panel: Open, app: LiveApp) -> None:
    app.will_answer("This is the first sentence of a story. And this is the second sentence of it.")
    page = open_panel(say(60.0))
    start(page)
    write(page, "Tell me a story.")
    expect(spoken(page)).to_contain_text("This is", timeout=PATIENCE_MS)

    page.evaluate("wires[0].close()")
    page.wait_for_function("wires.at(-1).said.length > 20 && wires.length > 1", timeout=PATIENCE_MS)
    wait_for_mood(page, "listening")

    first, again = page.evaluate("[wires[0], wires.at(-1)].map(({ said }) => said.map(({ type }) => type))")
    assert first[0] == "kaiwa.mode"
    assert "kaiwa.return" not in first
    assert again[:2] == ["kaiwa.mode", "kaiwa.return"]
    assert again.count("kaiwa.mode") == again.count("kaiwa.return") == 1
    started = page.evaluate(
        "wires.flatMap(({ said }) => said).filter(({ started, ms }) => started && ms === 0).length"
    )
    assert started <= 1
    expect(said(page)).to_have_text(["Tell me a story."])


def test_who_presses_to_talk_is_listened_to_in_the_language_that_was_chosen(
    open_panel: Open, app: LiveApp
) -> None:
    app.will_hear("どのファイルですか。")
    app.will_answer("青いファイルです。")
    page = open_panel(say(question(1), question(2), question(3), question(4)))
    page.get_by_label(texts.words_of("en").page["language"]).click()
    page.get_by_role("option", name=texts.words_of("en").language_names["ja"]).click()
    page.locator("#live .adjust").click()
    page.get_by_label(texts.words_of("en").panel["push_to_talk"]).check(force=True)
    start(page)
    app.ears.languages.clear()

    page.locator("body").click(position={"x": 3, "y": 3})
    page.keyboard.down("Space")
    wait_for_mood(page, "hearing")
    page.wait_for_timeout(1000)
    page.keyboard.up("Space")

    expect(spoken(page)).to_have_text("青いファイルです。", timeout=PATIENCE_MS)
    assert app.ears.languages == ["ja"]


@pytest.mark.parametrize("viewport", [(1280, 860), (390, 844)])
def test_the_panel_keeps_its_height_and_is_not_covered(
    open_panel: Open, app: LiveApp, viewport: tuple[int, int]
) -> None:
    app.will_answer(" ".join(f"Now take the folder number {number}, please." for number in range(1, 9)))
    page = open_panel(viewport={"width": viewport[0], "height": viewport[1]})
    height = "document.querySelector('#live .live').offsetHeight"
    off = page.evaluate(height)

    start(page)
    assert page.evaluate(height) == off
    write(page, "Which folder should I take?")
    expect(spoken(page)).to_contain_text("number 5", timeout=PATIENCE_MS)
    assert page.evaluate(height) == off

    page.locator("#live .adjust").click()
    for choice in page.locator("#live .choices label, #live summary").all():
        choice.scroll_into_view_if_needed()
        assert choice.evaluate("""(element) => {
            const { x, y, width, height } = element.getBoundingClientRect();
            return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
        }""")
