"""Where turns begin and end in recordings of people, by the real voice detector."""

from __future__ import annotations

import asyncio

import anyio
import numpy as np
import pytest

from tests.fakes import FakeSpeechToText, fake_engines
from tests.live.talk import LIMITS
from tests.speech import Clip, read_clips
from voice.audio import VOICE_RATE, Pcm, join, resample
from voice.decoding import decode
from voice.listening import find_speech
from voice.live import LiveLimits, LiveSession
from voice.live.events import FinalHeard, LiveEvent, ReplyDone, SpeechStarted, SpeechStopped
from voice.session import Session
from voice.turns.events import Rules

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PIECE = VOICE_RATE * 20 // 1000
CLIPS = [*read_clips("en")[1:3], *read_clips("ja")[:2]]


async def listen(pieces: list[Pcm], ears: FakeSpeechToText) -> list[LiveEvent]:
    """What is told of the sound, until a turn is answered or nothing comes for long."""
    told: list[LiveEvent] = []
    answered = anyio.Event()

    def note(event: LiveEvent) -> None:
        told.append(event)
        if isinstance(event, ReplyDone):
            answered.set()

    session = Session(fake_engines(ears), LIMITS)
    live = LiveSession(session, note, Rules(silence_ms=800), LiveLimits(idle_seconds=0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live.run)
        for piece in pieces:
            live.hear(piece)
            await asyncio.sleep(0)
        with anyio.move_on_after(20):
            await answered.wait()
        tasks.cancel_scope.cancel()
    return told


def cut(pcm: Pcm, samples: int) -> list[Pcm]:
    return [Pcm(pcm.data[at : at + 2 * samples], pcm.rate) for at in range(0, len(pcm.data), 2 * samples)]


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.path.stem + clip.language)
async def test_a_recorded_sentence_is_one_turn_from_its_beginning_to_its_end(
    clip: Clip, at_once: bool
) -> None:
    speech = await decode(clip.path, 60)
    where = find_speech(speech)
    silence = Pcm.silence(1500, VOICE_RATE)
    sound = join([silence, resample(speech, VOICE_RATE), silence])
    ears = FakeSpeechToText()
    told = await listen([sound] if at_once else cut(sound, PIECE), ears)
    assert [event.text for event in told if isinstance(event, FinalHeard)] == ["Hello there."]
    [started] = [event for event in told if isinstance(event, SpeechStarted)]
    [stopped] = [event for event in told if isinstance(event, SpeechStopped)]
    # `find_speech` pads by 400 ms.
    assert started.at_ms == pytest.approx(1500 + where[0].start_ms + 400, abs=450)
    assert stopped.at_ms == pytest.approx(1500 + where[-1].end_ms - 400, abs=450)
    heard = join(ears.heard, 16_000)
    assert heard.seconds * 1000 == pytest.approx(stopped.at_ms - started.at_ms + 300 + 800, abs=100)


async def test_noise_and_hum_are_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, 6 * VOICE_RATE)
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(6 * VOICE_RATE) / VOICE_RATE)
    speech = await decode(CLIPS[0].path, 60)
    silence = Pcm.silence(1500, VOICE_RATE)
    sound = join([Pcm.from_floats(noise + hum, VOICE_RATE), silence, resample(speech, VOICE_RATE), silence])
    told = await listen([sound], FakeSpeechToText())
    [started] = [event for event in told if isinstance(event, SpeechStarted)]
    assert started.at_ms > 6000
