"""What is listened to for speech."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from tests.speech import read_clips
from voice.audio import SPEECH_RATE, Pcm, join
from voice.listening import VoiceActivity
from voice.live.ear import CALM_FRAMES, Ear, Score
from voice.recordings import decode_recording
from voice.turns.events import Frame
from voice.turns.voice_edges import VoiceEdges

pytestmark = pytest.mark.anyio

PIECE_BYTES = 2 * SPEECH_RATE // 50


async def listen(pcm: Pcm, score: Score | None = None) -> list[Frame]:
    ear = Ear(600, score)
    ear.listens = True
    frames: list[Frame] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ear.listen, frames.append, lambda: None)
        for at in range(0, len(pcm.data), PIECE_BYTES):
            ear.hear(Pcm(pcm.data[at : at + PIECE_BYTES], SPEECH_RATE), 0.0)
            await anyio.lowlevel.checkpoint()
        while ear.is_behind:  # noqa: ASYNC110
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    return frames


def find_edges(frames: list[Frame]) -> list[int]:
    voice = VoiceEdges()
    edges: list[int] = []
    for frame in frames:
        after = voice.hear(frame, 0.5)
        if after.is_speech is not voice.is_speech:
            edges.append((after.began_ms or 0) if after.is_speech else after.ended_ms)
        voice = after
    return edges


async def test_speech_after_a_long_silence_begins_and_ends_where_the_model_alone_hears_it() -> None:
    silence = Pcm.silence(3000, SPEECH_RATE)
    clip = decode_recording(read_clips("en")[1].path, max_seconds=60)
    pcm = join([silence, clip, silence, clip, silence], SPEECH_RATE)
    edges = find_edges(await listen(pcm))
    assert len(edges) == 4
    by_model = find_edges(await listen(pcm, VoiceActivity().score))
    assert all(abs(edge - other) <= 100 for edge, other in zip(edges, by_model, strict=True))


async def test_silence_costs_no_inference_once_it_has_lasted() -> None:
    frames = await listen(Pcm.silence(2000, SPEECH_RATE))
    assert any(frame.probability > 0 for frame in frames[:CALM_FRAMES])
    assert not any(frame.probability for frame in frames[CALM_FRAMES:])
