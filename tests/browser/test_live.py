"""Live conversations with the app as its users run it: its own ears and voice, recordings of people at the microphone."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Listen, ScriptedApp, Visit
from tests.browser.panel_steps import heard, notice, panel, spoken, start, talk, wait_for_mood
from tests.browser.steps import PATIENCE_MS, read_clip, replies, said, wait_for_phase, wait_for_reply, write
from tests.browser.test_talk import kana_error_rate, speakable
from tests.emulators.chat import Stream
from tests.emulators.loopback import Pause
from tests.speech import Clip, read_clips
from tests.wer import word_error_rate
from voice import texts
from voice.audio import SPEECH_RATE, Pcm, encode_wav
from voice.recordings import decode_recording

pytestmark = pytest.mark.slow

STORY = (
    "Once upon a time there was a farmer who lived on a hill. "
    "Every morning he walked down to the river and counted his sheep. "
    "One day he found a small boat between the stones. "
    "It was old and painted blue, and nobody knew whose it was. "
    "He thought about it for a long time, and then he went home to ask his wife. "
    "In the end they rowed to the other side of the water together."
)
ROOM = """
    // A room around the microphone, in which recordings can be played; and a tape recorder at the loudspeaker.
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      const room = new AudioContext();
      const ears = new MediaStreamAudioDestinationNode(room, { channelCount: 1 });
      new MediaStreamAudioSourceNode(room, { mediaStream: stream }).connect(ears);
      window.utter = async (wav) => {
        const bytes = Uint8Array.from(atob(wav), (char) => char.charCodeAt(0));
        const source = new AudioBufferSourceNode(room, { buffer: await room.decodeAudioData(bytes.buffer) });
        source.connect(ears);
        source.start();
        return new Promise((done) => { source.onended = () => done(null); });
      };
      return ears.stream;
    };
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (target, ...others) {
      if (target instanceof AudioDestinationNode) {
        const tape = new MediaStreamAudioDestinationNode(this.context, { channelCount: 1 });
        connect.call(this, tape);
        window.loudspeaker = tape.stream;
      }
      return connect.call(this, target, ...others);
    };
    window.startTape = () => {
      window.tape = new MediaRecorder(loudspeaker);
      tape.start();
    };
    window.stopTape = () => new Promise((done) => {
      tape.ondataavailable = async ({ data }) => {
        const bytes = new Uint8Array(await data.arrayBuffer());
        done(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
      };
      tape.stop();
    });
"""


def open_panel(visit: Visit, address: str) -> Page:
    """The page in its room, the conversation begun."""
    page = visit(address, microphone=Pcm.silence(100, SPEECH_RATE))
    page.add_init_script(ROOM)
    page.reload()
    wait_for_phase(page, "ready")
    start(page)
    return page


def utter(page: Page, sound: Pcm) -> None:
    """Until it has been said."""
    page.evaluate("utter", base64.b64encode(encode_wav(sound)).decode())


def ask(page: Page, clip: Clip) -> None:
    page.evaluate("startTape()")
    utter(page, read_clip(clip))


def stop_tape(page: Page) -> Pcm:
    """What has come out of the loudspeaker since the last question, 16 kHz."""
    return decode_recording(base64.b64decode(page.evaluate("stopTape()")), max_seconds=120)


def wait_until_answered(page: Page) -> None:
    wait_for_mood(page, "speaking")
    wait_for_mood(page, "listening")


def test_turns_in_two_languages_are_understood_and_answered_aloud(
    visit: Visit, app: str, listen: Listen
) -> None:
    page = open_panel(visit, app)

    for number, clip in enumerate([read_clips("en")[1], read_clips("ja")[0]]):
        ask(page, clip)
        expect(said(page)).to_have_count(number + 1, timeout=PATIENCE_MS)
        wait_until_answered(page)
        reply = replies(page).nth(number).inner_text()
        sound = listen(stop_tape(page), clip.language)

        for understood in (said(page).nth(number), heard(page)):
            assert error_rate(clip.text, understood.inner_text(), clip.language) <= 0.3
        assert error_rate(speakable(reply, clip.language), sound, clip.language) <= 0.35
        expect(spoken(page)).not_to_be_empty()
    expect(replies(page)).to_have_count(2)


def error_rate(text: str, heard: str, language: str) -> float:
    return (kana_error_rate if language == "ja" else word_error_rate)(text, heard)


@pytest.mark.parametrize("is_typed", [False, True], ids=["spoken to", "typed"])
def test_neither_a_slam_nor_an_okay_stops_the_reply_but_words_do(
    visit: Visit, scripted: ScriptedApp, listen: Listen, is_typed: bool
) -> None:
    scripted.will_answer(Stream(STORY))
    page = open_panel(visit, scripted.address)
    if is_typed:
        page.evaluate("startTape()")
        write(page, "Tell me a story.")
    else:
        ask(page, read_clips("en")[1])
    expect(spoken(page)).to_contain_text("upon a time", timeout=PATIENCE_MS)
    utter(page, slam())
    expect(spoken(page)).to_contain_text("morning", timeout=PATIENCE_MS)
    utter(page, okay())
    expect(spoken(page)).to_contain_text("small", timeout=PATIENCE_MS)
    scripted.will_answer(Stream(Pause(5), "I had not ended."))
    utter(page, read_clip(read_clips("en")[4]))
    expect(replies(page).first).to_contain_text(texts.words_of("en").stopped_mark, timeout=PATIENCE_MS)
    sound = listen(stop_tape(page), "en")

    remembered = replies(page).first.inner_text().split("(")[0].strip(" …\n")
    assert STORY.startswith(remembered)
    assert "small" in remembered
    assert "other side" not in remembered
    assert word_error_rate(remembered, sound) <= 0.35
    expect(replies(page)).to_have_count(2, timeout=PATIENCE_MS)
    expect(said(page)).to_have_count(2)
    assert remembered in scripted.prompts()[-1]
    assert "other side" not in scripted.prompts()[-1]


def okay() -> Pcm:
    """What people say who listen; the clip goes on after a pause."""
    clip = read_clip(read_clips("en")[0])
    return Pcm(clip.data[: 2 * SPEECH_RATE * 14 // 10], SPEECH_RATE)


def slam() -> Pcm:
    """A door: 200 ms of noise that dies away."""
    samples = np.arange(SPEECH_RATE // 5)
    noise = np.random.default_rng(1).normal(0, 0.3, len(samples)) * np.exp(-samples / 800)
    return Pcm.from_floats(noise.astype(np.float32), SPEECH_RATE)


def test_after_the_server_dropped_the_socket_the_conversation_goes_on(
    visit: Visit, scripted: ScriptedApp
) -> None:
    scripted.will_answer(Stream("Take the blue folder, please."))
    page = visit(scripted.address, microphone=Pcm.silence(100, SPEECH_RATE))
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/v1/realtime", pass_on)
    page.add_init_script(ROOM)
    page.reload()
    wait_for_phase(page, "ready")
    start(page)
    ask(page, read_clips("en")[1])
    wait_until_answered(page)

    sockets[0].close(code=1012, reason="restarting")
    for _ in range(PATIENCE_MS // 50):
        if len(sockets) == 2:
            break
        page.wait_for_timeout(50)
    expect(panel(page)).to_have_attribute("data-status", "live", timeout=PATIENCE_MS)

    ask(page, read_clips("en")[3])
    expect(said(page)).to_have_count(2, timeout=PATIENCE_MS)
    wait_until_answered(page)
    assert len(sockets) == 2
    expect(replies(page)).to_have_text(["Take the blue folder, please."] * 2)
    assert "Take the blue folder" in scripted.prompts()[-1]


def test_what_is_said_while_the_space_bar_is_down_is_understood(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("Take the blue folder, please."))
    clip = read_clips("en")[1]
    page = open_panel(visit, scripted.address)
    page.locator("#live .adjust").click()
    page.get_by_label(texts.words_of("en").panel["push_to_talk"]).check(force=True)
    page.locator("body").click(position={"x": 3, "y": 3})

    utter(page, read_clip(read_clips("en")[3]))
    page.keyboard.down("Space")
    utter(page, read_clip(clip))
    page.keyboard.up("Space")

    expect(spoken(page)).to_have_text("Take the blue folder, please.", timeout=PATIENCE_MS)
    expect(said(page)).to_have_count(1)
    assert word_error_rate(clip.text, said(page).inner_text()) <= 0.3


def test_who_does_not_allow_the_microphone_is_told_and_can_type(visit: Visit, scripted: ScriptedApp) -> None:
    scripted.will_answer(Stream("Hello yourself."))
    page = visit(scripted.address, allows_microphone=False)

    talk(page).click()

    expect(notice(page)).to_have_text(texts.words_of("en").panel["microphone_denied"], timeout=PATIENCE_MS)
    expect(panel(page)).to_have_attribute("data-status", "off")
    write(page, "Hello!")
    assert wait_for_reply(page) == "Hello yourself."
