"""The page with scripted engines behind the real `/v1/realtime`, and what a user does with the live panel."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import gradio as gr
from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import PATIENCE_MS, read_clip
from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech, fake_engines
from tests.speech import read_clips
from voice.audio import SPEECH_RATE, Pcm, join
from voice.engines import Transcript
from voice.session import Limits, Preferences
from voice.turns.events import Rules
from voice.web.chat_socket import chat_route
from voice.web.door import Door
from voice.web.figures import Figures
from voice.web.page import build_page
from voice.web.realtime import realtime_route
from voice.web.realtime.lane import lane_routes
from voice.web.realtime.reception import Bounds, Reception
from voice.web.serving import launch
from voice.web.tickets import Tickets

WATCH = """
    // What comes out of the loudspeaker, every 20 ms; and handles on what the page uses.
    window.levels = [];
    window.sockets = [];
    window.streams = [];
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (target, ...others) {
      if (target instanceof AudioDestinationNode) {
        const analyser = new AnalyserNode(this.context, { fftSize: 1024 });
        const samples = new Float32Array(1024);
        connect.call(this, analyser);
        setInterval(() => {
          analyser.getFloatTimeDomainData(samples);
          levels.push([performance.now(), Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / 1024)]);
        }, 20);
      }
      return connect.call(this, target, ...others);
    };
    const Socket = WebSocket;
    window.WebSocket = class extends Socket {
      constructor(...given) { super(...given); sockets.push(this); }
    };
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      streams.push(stream);
      return stream;
    };
"""
"""To be run before the page's own scripts."""


@dataclass
class LiveApp:
    """Kaiwa in this process, its engines scripted."""

    address: str
    ears: FakeSpeechToText
    chat: FakeChat
    voice: FakeTextToSpeech
    page: gr.Blocks

    def forget_everybody(self) -> None:
        """As Gradio does, in time, with what a page left open has in its state."""
        sessions = self.page.app.state_holder
        for name in list(sessions.session_data):
            sessions.delete_state(name)
        gc.collect()

    def will_hear(self, *texts: str) -> None:
        """One a turn, each understood word by word."""
        self.ears.script = [_understand(text) for text in texts]

    def will_answer(self, *texts: str) -> None:
        self.chat.script = list(texts)
        self.chat.prompts.clear()

    def prompts(self) -> list[str]:
        """What the chat model was asked since then, without the system prompt."""
        return ["\n".join(message.content for message in prompt[1:]) for prompt in self.chat.prompts]


@contextmanager
def live_app(idle_seconds: float = 0, root_path: str = "") -> Iterator[LiveApp]:
    ears, chat, voice = FakeSpeechToText(), FakeChat(), FakeTextToSpeech()
    engines = fake_engines(ears, chat, voice)
    limits, preferences = (
        Limits(recording_seconds=30, text_characters=200, history_tokens=1000),
        Preferences(),
    )
    tickets, figures = Tickets(), Figures()
    page = build_page(engines, limits, preferences, tickets, figures)
    # Every reply is asked for once, so that the script is used up turn by turn.
    rules = Rules(eager=False)
    reception = Reception(
        engines, limits, preferences, Bounds(idle_seconds=idle_seconds), rules, figures=figures
    )
    address = launch(
        page,
        engines,
        root_path=root_path,
        routes=[
            chat_route(engines, limits),
            realtime_route(reception, Door(), tickets),
            *lane_routes(reception, Door(), tickets),
        ],
    )
    try:
        yield LiveApp(address.rstrip("/"), ears, chat, voice, page)
    finally:
        page.close(verbose=False)


def _understand(text: str) -> Sequence[Transcript]:
    words = text.split()
    partials = [
        Transcript(" ".join(words[:count]), final=False, language="en", end_ms=250 * count)
        for count in range(1, len(words))
    ]
    return [*partials, Transcript(text, final=True, language="en")]


def say(*parts: Pcm | float) -> Pcm:
    """Sound and pauses in seconds, one after the other; 16 kHz."""
    return join(
        [part if isinstance(part, Pcm) else Pcm.silence(round(1000 * part), SPEECH_RATE) for part in parts],
        SPEECH_RATE,
    )


def question(number: int = 1) -> Pcm:
    """Somebody speaks, for two or three seconds."""
    return read_clip(read_clips("en")[number])


def panel(page: Page) -> Locator:
    return page.locator("#live .live")


def talk(page: Page) -> Locator:
    return page.locator("#live .talk")


def start(page: Page) -> None:
    expect(talk(page)).to_be_enabled()
    talk(page).click()
    expect(panel(page)).to_have_attribute("data-status", "live", timeout=PATIENCE_MS)


def wait_for_mood(page: Page, mood: str) -> None:
    expect(panel(page)).to_have_attribute("data-mood", mood, timeout=PATIENCE_MS)


def spoken(page: Page) -> Locator:
    """The caption of what is being said to the user."""
    return page.locator("#live .spoken")


def heard(page: Page) -> Locator:
    """The caption of what the user says."""
    return page.locator("#live .heard")


def notice(page: Page) -> Locator:
    return page.locator("#live .notice")


def read_levels(page: Page) -> list[tuple[float, float]]:
    """Of the loudspeaker: times in ms, and loudness from 0 to 1."""
    return [(at, level) for at, level in page.evaluate("levels")]
