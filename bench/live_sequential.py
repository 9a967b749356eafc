"""The way of the system that Kaiwa replaces: recognise once, wait for the whole completion, wait for the whole synthesis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice

import azure.cognitiveservices.speech as sdk
from openai import AsyncAzureOpenAI

from bench.live_track import CLIPS, Spoken, Track, make_track
from voice.audio import SPEECH_RATE, Pcm, resample

FRAME_MS = 20
API_VERSION = "2024-05-01-preview"


async def measure_sequential(lines: Mapping[str, str], turns: int) -> Sequence[float]:
    """Milliseconds from the true end of speech to the first byte that could be played, turn by turn.

    `lines`: the emulators' settings. Connections are made and used once before what is counted.
    """
    speech = sdk.SpeechConfig(subscription=lines["AZURE_SPEECH_KEY"], host=lines["AZURE_SPEECH_HOST"])
    speech.speech_recognition_language = "en-US"
    speech.set_speech_synthesis_output_format(sdk.SpeechSynthesisOutputFormat.Raw24Khz16BitMonoPcm)
    synthesiser = sdk.SpeechSynthesizer(speech, audio_config=None)
    whole = make_track(len(CLIPS), gaps_ms=(2500,), lead_in_ms=300)
    tracks = [_cut(whole, number) for number in range(len(CLIPS))]
    taken: list[float] = []
    async with AsyncAzureOpenAI(
        azure_endpoint=lines["OPENAI_ENDPOINT"], api_key=lines["OPENAI_KEY"], api_version=API_VERSION
    ) as client:
        for track in islice(cycle(tracks), turns + 1):
            text, ended = await _recognise(speech, track)
            # Streamed and gathered: the emulator's answer in one piece has no timing.
            stream = await client.chat.completions.create(
                model=lines["OPENAI_DEPLOYMENT"], messages=[{"role": "user", "content": text}], stream=True
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            result = await asyncio.to_thread(_speak, synthesiser, "".join(pieces))
            assert result.reason == sdk.ResultReason.SynthesizingAudioCompleted
            taken.append(1000 * (time.monotonic() - ended))
    return taken[1:]


def _speak(synthesiser: sdk.SpeechSynthesizer, text: str) -> sdk.SpeechSynthesisResult:
    return synthesiser.speak_text_async(text).get()


def _cut(track: Track, number: int) -> Track:
    """One clip of the track, with the silence around it."""
    spoken = track.turns[number]
    begin_ms = track.turns[number - 1].end_ms + 2000 if number else 0
    end_ms = spoken.end_ms + 2000
    samples_a_ms = track.pcm.rate // 1000
    data = track.pcm.data[2 * samples_a_ms * begin_ms : 2 * samples_a_ms * end_ms]
    placed = Spoken(spoken.text, spoken.start_ms - begin_ms, spoken.end_ms - begin_ms)
    return Track(Pcm(data, track.pcm.rate), [placed])


async def _recognise(config: sdk.SpeechConfig, track: Track) -> tuple[str, float]:
    """The transcript, and when the speech truly ended on the monotonic clock."""
    stream = sdk.audio.PushAudioInputStream(sdk.audio.AudioStreamFormat(samples_per_second=SPEECH_RATE))
    recogniser = sdk.SpeechRecognizer(config, sdk.audio.AudioConfig(stream=stream))
    asked = recogniser.recognize_once_async()
    pcm = resample(track.pcm, SPEECH_RATE).data
    size = 2 * SPEECH_RATE * FRAME_MS // 1000
    start = time.monotonic()

    async def speak() -> None:
        for number, at in enumerate(range(0, len(pcm), size), 1):
            await asyncio.sleep(max(0.0, start + number * FRAME_MS / 1000 - time.monotonic()))
            stream.write(pcm[at : at + size])

    speaking = asyncio.create_task(speak())
    result = await asyncio.to_thread(asked.get)
    speaking.cancel()
    await asyncio.wait([speaking])
    stream.close()
    return result.text, start + track.turns[0].end_ms / 1000
