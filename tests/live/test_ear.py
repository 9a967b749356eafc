"""What is listened to for speech."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.speech import read_clips
from voice.audio import SPEECH_RATE, Pcm, join
from voice.listening import FRAME_MS, FRAME_SAMPLES, VoiceActivity
from voice.live.ear import CALM_FRAMES, Ear, Score
from voice.live.pace import PIECE_MS, Loudness, Pace
from voice.recordings import decode_recording
from voice.turns.events import Frame
from voice.turns.voice_edges import VoiceEdges

pytestmark = pytest.mark.anyio

PIECE_BYTES = 2 * SPEECH_RATE // 50


MANY = Pace(few=0)


async def listen(pcm: Pcm, score: Score | None = None, pace: Pace | None = None) -> list[Frame]:
    ear = Ear(600, score, pace)
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


async def test_with_many_who_talk_the_voice_detector_hears_the_same() -> None:
    clip = decode_recording(read_clips("en")[1].path, max_seconds=60)
    pcm = join([Pcm.silence(500, SPEECH_RATE), clip, Pcm.silence(1000, SPEECH_RATE)], SPEECH_RATE)
    alone, among_many = await listen(pcm), await listen(pcm, pace=MANY)
    assert [frame.at_ms for frame in among_many] == [frame.at_ms for frame in alone][: len(among_many)]
    assert len(alone) - len(among_many) <= PIECE_MS // FRAME_MS
    assert find_edges(among_many) == find_edges(alone)


async def hear_pieces(pieces: Sequence[Pcm], pace: Pace, awaits_end: bool = False) -> list[int]:
    """After which of the pieces the engine is given what there is."""
    ear = Ear(600, lambda samples: np.zeros(len(samples) // FRAME_SAMPLES, np.float32), pace)
    ear.listens, ear.awaits_end = True, awaits_end
    given: list[int] = []
    number = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ear.listen, lambda _: None, lambda: given.append(number))
        await anyio.lowlevel.checkpoint()
        for number, piece in enumerate(pieces, 1):  # noqa: B007 - the task above reads it
            ear.hear(piece, 0.0)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    return sorted(set(given))


def tone(ms: int, level: float) -> list[Pcm]:
    """In pieces of 20 ms."""
    samples = level * np.sin(np.arange(SPEECH_RATE * ms // 1000) / 5)
    pcm = Pcm.from_floats(samples, SPEECH_RATE)
    return [Pcm(pcm.data[at : at + PIECE_BYTES], SPEECH_RATE) for at in range(0, len(pcm.data), PIECE_BYTES)]


async def test_while_few_talk_each_piece_is_taken_up_as_it_comes() -> None:
    assert await hear_pieces(tone(200, 0.3), Pace()) == list(range(1, 11))


async def test_with_many_who_talk_sound_is_taken_up_in_larger_pieces() -> None:
    assert await hear_pieces(tone(400, 0.3), MANY) == [1, 6, 11, 16]


async def test_with_many_who_talk_the_beginning_and_the_end_of_a_voice_still_count_at_once() -> None:
    room, voice = tone(240, 0.003), tone(240, 0.3)
    taken = await hear_pieces([*room, *voice, *room], MANY)
    assert {len(room) + 1, len(room) + len(voice) + 1} <= set(taken)


async def test_the_silence_that_ends_a_turn_is_counted_frame_by_frame_however_many_talk() -> None:
    taken = await hear_pieces(tone(400, 0.3), MANY, awaits_end=True)
    assert max(np.diff([0, *taken])) * 20 <= FRAME_MS + 20


@given(st.lists(st.sampled_from([0, 1, 30, 300, 3_000, 32_767, -32_768]), max_size=200))
def test_a_voice_that_falls_silent_is_noticed_with_the_first_quiet_piece(peaks: list[int]) -> None:
    loudness = Loudness()
    for peak in [*peaks, 20_000]:
        loudness.changes(Pcm.from_samples(np.full(320, peak, np.int16), SPEECH_RATE))
    assert loudness.changes(Pcm.silence(20, SPEECH_RATE))
