"""The live panel's own signal processing, run in Chromium as the page runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.panel_steps import LiveApp, live_app
from voice.web.panel import VERSION

pytestmark = pytest.mark.slow

Run = Callable[[str], Any]

SOUNDS = """
    const tone = (rate, hertz, seconds, level = 0.5) =>
      Float32Array.from({ length: rate * seconds }, (_, at) => level * Math.sin((2 * Math.PI * hertz * at) / rate));
    const loudness = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    const noise = (rate, seconds, level) => Float32Array.from({ length: rate * seconds }, () => level * (2 * Math.random() - 1));
    const blocks = (samples) => Array.from({ length: Math.floor(samples.length / 128) }, (_, at) => samples.subarray(128 * at, 128 * at + 128));
"""


@pytest.fixture(scope="module")
def app() -> Iterator[LiveApp]:
    with live_app() as app:
        yield app


@pytest.fixture
def run(app: LiveApp, browser: Browser) -> Iterator[Run]:
    """Run the body of an async function that may import the panel's modules by `load(name)`."""
    page = browser.new_page()
    page.goto(f"{app.address}/kaiwa/{VERSION}/pcm.js")
    load = f"const load = (name) => import(`{app.address}/kaiwa/{VERSION}/${{name}}.js`);"
    yield lambda body: page.evaluate(f"async () => {{ {load} {SOUNDS} {body} }}")
    page.close()


@pytest.mark.parametrize(
    ("source", "target"), [(48000, 24000), (44100, 24000), (16000, 24000), (24000, 44100), (24000, 48000)]
)
def test_a_voice_survives_a_change_of_rate_and_nothing_folds_back(run: Run, source: int, target: int) -> None:
    found = run(f"""
        const {{ Resampler }} = await load("resampler");
        const convert = (samples) => {{
          const resampler = new Resampler({source}, {target});
          const output = new Float32Array(resampler.room(samples.length) + 200);
          let written = 0;
          const piece = new Float32Array(resampler.room(128));
          for (const block of blocks(samples)) {{
            const count = resampler.process(block, piece);
            output.set(piece.subarray(0, count), written);
            written += count;
          }}
          return output.subarray(0, written);
        }};
        const voice = convert(tone({source}, 1000, 1));
        const expected = tone({target}, 1000, 1);
        let worst = 0;
        for (let at = 500; at < voice.length - 500; at++) worst = Math.max(worst, Math.abs(voice[at] - expected[at]));
        const shrill = convert(tone({source}, 0.47 * {source}, 1));
        return {{ length: voice.length, worst, shrill: loudness(shrill.subarray(500, shrill.length - 500)) }};
    """)
    assert found["length"] == pytest.approx(target, abs=target * 0.01)
    assert found["worst"] < 0.001
    if source > 1.1 * target:
        assert found["shrill"] < 0.0005


def test_speech_at_the_microphone_is_noticed_within_a_blink_and_noise_is_not(run: Run) -> None:
    found = run("""
        const { OnsetDetector } = await load("onset");
        const rate = 48000;
        const detector = new OnsetDetector(rate);
        const hear = (samples) => {
          const changes = [];
          blocks(samples).forEach((block, at) => {
            const change = detector.feed(block);
            if (change) changes.push([change, (1000 * 128 * (at + 1)) / rate]);
          });
          return changes;
        };
        const room = hear(noise(rate, 3, 0.002));
        const click = hear(Float32Array.from({ length: rate / 2 }, (_, at) => (at < 200 ? 0.5 : 0)));
        const voice = hear(tone(rate, 220, 0.5, 0.05));
        const after = hear(noise(rate, 1, 0.002));
        return { room, click, voice, after };
    """)
    assert found["room"] == []
    assert found["click"] == []
    [(change, at_ms)] = found["voice"]
    assert change == "onset"
    assert at_ms < 40
    assert [change for change, _ in found["after"]] == ["quiet"]


def test_a_reply_that_is_held_goes_on_where_it_was(run: Run, app: LiveApp) -> None:
    found = run(f"""
        const rate = 48000;
        const context = new OfflineAudioContext(1, 2 * rate, rate);
        await context.audioWorklet.addModule("{app.address}/kaiwa/{VERSION}/playback-worklet.js");
        const node = new AudioWorkletNode(context, "kaiwa-playback", {{ numberOfInputs: 0, outputChannelCount: [1] }});
        node.connect(context.destination);
        // Each sample tells where it stands in the reply.
        const samples = Float32Array.from({{ length: rate }}, (_, at) => 0.1 + (0.8 * at) / rate);
        node.port.postMessage({{ type: "audio", item: "a", samples }});
        node.port.postMessage({{ type: "end", item: "a" }});
        const reports = [];
        node.port.onmessage = ({{ data }}) => reports.push(data);
        const at = async (seconds, type) => {{
          await context.suspend(seconds);
          node.port.postMessage({{ type }});
          await new Promise((done) => setTimeout(done, 50));
          await context.resume();
        }};
        const steps = Promise.all([at(0.4, "hold"), at(0.8, "resume")]);
        await new Promise((done) => setTimeout(done, 100)); // for the messages to arrive
        const sound = (await context.startRendering()).getChannelData(0);
        await steps;
        await new Promise((done) => setTimeout(done, 50));
        const place = (seconds) => (sound[Math.round(seconds * rate)] - 0.1) / 0.8;
        return {{ before: place(0.39), held: sound[Math.round(0.6 * rate)], after: place(0.85),
                  ended: reports.filter(({{ ended }}) => ended).map(({{ samples }}) => samples / rate) }};
    """)
    assert found["before"] == pytest.approx(0.39, abs=0.01)
    assert found["held"] == 0
    # What was under the two fades, some 8 ms each, was heard too.
    assert found["after"] == pytest.approx(0.45, abs=0.02)
    assert found["ended"] == [pytest.approx(1.0)]


def test_a_reply_that_is_held_before_it_begins_waits_and_no_other_does(run: Run, app: LiveApp) -> None:
    found = run(f"""
        const {{ Playback }} = await load("playback");
        const {{ encodeBase64 }} = await load("pcm");
        const audio = encodeBase64(Int16Array.from({{ length: 24000 }}, () => 8000).buffer);
        const play = async (item) => {{
          const context = new OfflineAudioContext(1, 48000, 48000);
          await context.audioWorklet.addModule("{app.address}/kaiwa/{VERSION}/playback-worklet.js");
          const playback = new Playback(context, {{ played() {{}}, cut() {{}} }});
          playback.hold("held");
          playback.add(item, audio);
          const resumed = context.suspend(0.5).then(async () => {{
            playback.resume();
            await new Promise((done) => setTimeout(done, 50));
            await context.resume();
          }});
          await new Promise((done) => setTimeout(done, 100)); // for the messages to arrive
          const sound = (await context.startRendering()).getChannelData(0);
          await resumed;
          return [sound[0.4 * 48000], sound[0.8 * 48000]];
        }};
        return {{ held: await play("held"), other: await play("other") }};
    """)
    loud = pytest.approx(8000 / 32768, abs=0.02)
    assert found == {"held": [0, loud], "other": [loud, loud]}


def test_a_reply_that_is_cut_and_then_told_to_be_over_is_cut_once_where_it_was_heard(
    run: Run, app: LiveApp
) -> None:
    cuts = run(f"""
        const {{ Playback }} = await load("playback");
        const {{ encodeBase64 }} = await load("pcm");
        const context = new OfflineAudioContext(1, 48000, 48000);
        await context.audioWorklet.addModule("{app.address}/kaiwa/{VERSION}/playback-worklet.js");
        const cuts = [];
        const playback = new Playback(context, {{ played() {{}}, cut: (items) => cuts.push(...items) }});
        playback.add("reply", encodeBase64(Int16Array.from({{ length: 24000 }}, () => 8000).buffer));
        const cut = context.suspend(0.5).then(async () => {{
          // As when speech_started, output_audio.done and response.done come in one burst.
          playback.clear();
          playback.end("reply");
          playback.clear();
          await new Promise((done) => setTimeout(done, 50));
          await context.resume();
        }});
        await new Promise((done) => setTimeout(done, 100)); // for the messages to arrive
        await context.startRendering();
        await cut;
        await new Promise((done) => setTimeout(done, 50));
        return cuts;
    """)
    assert [cut["item"] for cut in cuts] == ["reply"]
    assert 400 < cuts[0]["ms"] < 520


def test_words_are_joined_as_their_language_writes_them(run: Run) -> None:
    found = run("""
        const { joinWords } = await load("captions");
        const join = (words) => words.reduce(joinWords, "");
        return [join(["Hello", "there.", "How", "are", "you", "?"]), join(["今日は", "いい", "天気", "です。", "Hello", "さん"]),
                join(["Hello ", "there. ", "Bye"])];
    """)
    assert found == ["Hello there. How are you?", "今日はいい天気です。Helloさん", "Hello there. Bye"]
