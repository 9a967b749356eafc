"""Whisper on this machine while somebody is still speaking, with the real weights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from itertools import cycle
from pathlib import Path

import anyio
import pytest

from tests.speech import read_clips
from tests.wer import word_error_rate
from voice.audio import SPEECH_RATE, Pcm, resample
from voice.decoding import decode
from voice.engines import Transcript
from voice.engines.local_whisper import LocalWhisper
from voice.engines.whisper_live import PAUSE_MS, LiveUtterance
from voice.listening import find_speech

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PIECE_MS = 20
ENOUGH_SECONDS = 60


@pytest.fixture
def whisper(whisper_folder: Path) -> LocalWhisper:
    return LocalWhisper(whisper_folder)


async def read_clip(number: int) -> tuple[str, Pcm]:
    """What is said in one of the English recordings, and its sound without the silence around it."""
    clip = read_clips("en")[number]
    pcm = resample(await decode(clip.path, 60), SPEECH_RATE)
    segments = find_speech(pcm)
    data = pcm.data[segments[0].start_ms * 32 : (segments[-1].end_ms - 300) * 32]
    return clip.text, Pcm(data, SPEECH_RATE)


def cut(pcm: Pcm) -> list[Pcm]:
    return [
        Pcm(pcm.data[at : at + 32 * PIECE_MS], SPEECH_RATE) for at in range(0, len(pcm.data), 32 * PIECE_MS)
    ]


class Microphone:
    """Hears the script in real time: a sound to its end, or a sound over and over until something has come."""

    def __init__(self, *script: Pcm | tuple[Pcm, Callable[[list[Transcript]], bool]]) -> None:
        self._script = script
        self.heard: list[Transcript] = []
        """By whoever listens at the other end."""

    async def record(self) -> AsyncIterator[Pcm]:
        for step in self._script:
            sound, has_come = step if isinstance(step, tuple) else (step, None)
            for piece in cycle(cut(sound)) if has_come else cut(sound):
                await asyncio.sleep(PIECE_MS / 1000)
                yield piece
                if has_come and has_come(self.heard):
                    break

    async def listen(self, whisper: LocalWhisper) -> list[Transcript]:
        with anyio.fail_after(ENOUGH_SECONDS):
            async with aclosing(whisper.transcribe(self.record(), "en")) as transcripts:
                async for transcript in transcripts:
                    self.heard.append(transcript)
        return self.heard


def silence(seconds: float) -> Pcm:
    return Pcm.silence(round(1000 * seconds), SPEECH_RATE)


async def test_at_a_pause_what_was_said_is_known_and_nothing_more_is_done_at_the_end(
    whisper: LocalWhisper,
) -> None:
    said, speech = await read_clip(4)

    def heard_to_the_end(heard: list[Transcript]) -> bool:
        return bool(heard) and word_error_rate(said, heard[-1].text) <= 0.2

    microphone = Microphone(speech, (silence(1), heard_to_the_end))
    listening = asyncio.create_task(microphone.listen(whisper))
    with anyio.fail_after(ENOUGH_SECONDS):
        while not heard_to_the_end(microphone.heard):  # noqa: ASYNC110  # the microphone is what waits for it
            await asyncio.sleep(PIECE_MS / 1000)
    await whisper.close()  # from here on it can recognise nothing
    *partials, final = await listening
    assert not any(partial.final for partial in partials)
    assert final.final
    assert (final.text, final.end_ms) == (partials[-1].text, partials[-1].end_ms)


async def test_what_is_said_after_a_pause_is_heard_too(whisper: LocalWhisper) -> None:
    first, speech = await read_clip(4)
    second, more_speech = await read_clip(1)
    microphone = Microphone(speech, (silence(1), bool), more_speech, silence(0.1))
    final = (await microphone.listen(whisper))[-1]
    assert final.final
    assert word_error_rate(f"{first} {second}", final.text) <= 0.25
    await whisper.close()


async def test_words_come_before_the_speaker_pauses(whisper: LocalWhisper) -> None:
    _, speech = await read_clip(4)
    without_pause = Pcm(speech.data[: 32 * 1700], SPEECH_RATE)
    heard = await Microphone((without_pause, bool)).listen(whisper)
    assert not heard[0].final
    assert heard[-1].final
    await whisper.close()


async def test_silence_is_not_looked_at(whisper: LocalWhisper) -> None:
    assert await Microphone(silence(0.5)).listen(whisper) == [Transcript("", final=True, language="en")]
    await whisper.close()


async def test_a_recording_that_is_there_at_once_is_recognised_once(whisper: LocalWhisper) -> None:
    first, speech = await read_clip(4)
    second, more_speech = await read_clip(1)

    async def play() -> AsyncIterator[Pcm]:
        for piece in [*cut(speech), *cut(silence(1)), *cut(more_speech)]:
            yield piece

    async with aclosing(whisper.transcribe(play(), "en")) as transcripts:
        [transcript] = [transcript async for transcript in transcripts]
    assert word_error_rate(f"{first} {second}", transcript.text) <= 0.25
    await whisper.close()


# When to look


async def looks(*sounds: Pcm, seconds_each: float = 0) -> list[int]:
    """After how many ms of sound each look came, when looks take so long and sound comes a little late."""
    utterance = LiveUtterance()
    at: list[int] = []

    async def come() -> AsyncIterator[Pcm]:
        for sound in sounds:
            for piece in cut(sound):
                await asyncio.sleep(0.006)
                yield piece

    async with aclosing(utterance.hear(come())) as moments:
        async for _ in moments:
            if utterance.is_worth_a_look():
                with utterance.looking():
                    await asyncio.sleep(seconds_each)
                at.append(len(utterance.pcm.data) // 32)
    return at


async def test_a_pause_is_looked_at_once() -> None:
    _, speech = await read_clip(4)
    length_ms = len(speech.data) // 32
    *_, last = await looks(speech, silence(1))
    assert last >= length_ms - 200 + PAUSE_MS / 2
    assert await looks(speech, silence(1)) == await looks(speech, silence(3))


async def test_slow_looks_are_left_to_the_pauses() -> None:
    _, speech = await read_clip(7)
    slow, quick = await looks(speech, seconds_each=0.8), await looks(speech)
    assert len(slow) < len(quick)
