"""The live panel's jitter buffer: chunks of a reply that come late, and what is heard of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.panel_steps import live_app
from voice.web.panel import VERSION

pytestmark = pytest.mark.slow

RATE = 48_000
BLOCK = 128
WORKLET = f"""
    // The worklet's own code, in a scope of its own kind whose clock is ours; and a line that brings chunks when it likes.
    window.sampleRate = {RATE};
    window.currentTime = 0;
    window.AudioWorkletProcessor = class {{ port = {{ postMessage() {{}} }}; }};
    window.registerProcessor = (_, type) => {{ window.Playback = type; }};
    window.play = (player, item, chunks) => {{
      const beganMs = 1000 * currentTime + chunks[0][0];
      let lastMs = 0;
      // None overtakes another.
      const coming = chunks.map(([atMs, lengthMs]) => [(lastMs = Math.max(lastMs, 1000 * currentTime + atMs)), lengthMs]);
      const block = new Float32Array({BLOCK});
      let startMs = null;
      let holes = 0;
      let silentMs = 0;
      let sounded = false;
      while (coming.length || player.items.length) {{
        while (coming.length && coming[0][0] <= 1000 * currentTime) {{
          const samples = new Float32Array(Math.round((coming.shift()[1] * sampleRate) / 1000)).fill(0.5);
          player.obey({{ type: "audio", item, samples }});
          if (!coming.length) player.obey({{ type: "end", item }});
        }}
        player.process([], [[block]]);
        const sounds = block[{BLOCK} - 1] === 0.5;
        if (sounds && startMs === null) startMs = 1000 * currentTime - beganMs;
        if (sounded && !sounds && player.items.length) holes++;
        if (startMs !== null && !sounds) silentMs += {1000 * BLOCK / RATE};
        sounded = sounds;
        currentTime += {BLOCK / RATE};
      }}
      return {{ startMs, holes, silentMs }};
    }};
"""

Chunks = Sequence[tuple[float, float]]
"""When each comes after the first, and how long it is; ms."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was heard of each reply: ms until its first sound, holes in it, and their length."""

    starts_ms: Sequence[float]
    holes: Sequence[int]
    silent_ms: Sequence[float]


Listen = Callable[[str], Line]


@pytest.fixture(scope="module")
def worklet(browser: Browser) -> Iterator[Page]:
    with live_app() as app:
        page = browser.new_page()
        page.add_init_script(WORKLET)
        page.goto(f"{app.address}/kaiwa/{VERSION}/pcm.js")
        page.evaluate("import(location.href.replace('pcm.js', 'playback-worklet.js'))")
        yield page
        page.close()


@pytest.fixture
def listen(worklet: Page) -> Listen:
    """To one session: `replies`, in JavaScript, gives the chunks of each."""

    def listen(replies: str) -> Line:
        heard: list[dict[str, Any]] = worklet.evaluate(f"""() => {{
            let seed = 1;
            const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
            const player = new Playback();
            return ({replies}).map((chunks, number) => play(player, `item-${{number}}`, chunks));
        }}""")
        return Line(
            [each["startMs"] for each in heard],
            [each["holes"] for each in heard],
            [each["silentMs"] for each in heard],
        )

    return listen


def test_on_a_good_line_a_reply_is_heard_as_soon_as_its_first_chunk_is_there(listen: Listen) -> None:
    fast = "Array.from({ length: 20 }, (_, at) => [8 * at, 60])"
    heard = listen(f"[{fast}, {fast}, [[0, 20], [15, 20], [30, 20], [44, 200]]]")

    assert max(heard.starts_ms) < 5
    assert heard.holes == [0, 0, 0]


@pytest.mark.parametrize("jitter_ms", [10, 60, 150, 200])
@pytest.mark.parametrize("chunk_ms", [20, 200])
def test_jitter_is_heard_twice_at_most(listen: Listen, jitter_ms: int, chunk_ms: int) -> None:
    count = 6000 // chunk_ms
    late = f"Array.from({{ length: {count} }}, (_, at) => [{chunk_ms} * at + {jitter_ms} * random(), {chunk_ms}])"
    for seed in range(1, 7):
        heard = listen(f"(seed = {1000 * seed}, Array.from({{ length: 8 }}, () => {late}))")

        assert sum(heard.holes) <= 2, (seed, heard)
        assert max(heard.starts_ms) <= 210


def test_a_pause_in_which_the_reply_is_still_written_delays_no_later_one(listen: Listen) -> None:
    writing = "[[0, 200], [5, 200], [1500, 200], [1510, 200]]"
    heard = listen(f"[{writing}, {writing}]")

    assert max(heard.starts_ms) < 5
    assert heard.holes == [1, 1]


def test_a_bad_moment_is_forgotten(listen: Listen) -> None:
    good = "[[0, 200], [5, 200]]"
    heard = listen(f"[[[0, 60], [130, 60]], ...Array.from({{ length: 10 }}, () => {good})]")

    assert heard.holes[0] == 1
    assert 0 < heard.silent_ms[0] < 150
    assert max(heard.starts_ms[-2:]) < 5
