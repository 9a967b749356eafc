"""A Realtime client that speaks a track in real time, and what it is told when."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from bench.live_track import Track
from voice.audio import VOICE_RATE

FRAME_MS = 20
LINGERING_SECONDS = 2.0
"""After the track, for what is still on its way."""
AUDIO = "response.output_audio.delta"


@dataclass(frozen=True, slots=True)
class Told:
    ms: float
    """When it came, on the track's clock."""
    event: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.event["type"])


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of one clip; in ms."""

    text: str
    answered_ms: float
    """From the true end of speech to the first byte of the reply's sound."""
    turn_over_ms: float
    """From the true end of speech until the client was told that the turn is over."""
    wait_over_ms: float
    """From the true end of speech to the end of the silence that ends a turn, as the server's voice detector hears it."""
    silenced_ms: float | None
    """From the onset of speech over a reply until the client was told to be silent; None where there was no reply."""


@dataclass(frozen=True, slots=True)
class Talk:
    turns: Sequence[Turn]
    unanswered: Sequence[str]
    answered_early: int
    """Replies that began while somebody spoke."""
    misheard: Sequence[str]
    late_frames_ms: float
    """The most that this client itself was late with a frame."""


async def hold_talk(address: str, track: Track, silence_ms: int = 500) -> tuple[Sequence[Told], float]:
    """Everything that the client is told while the track is spoken, and how late it was itself at the worst.

    `address`: http://.. of the app. `silence_ms`: of server VAD, the silence that ends a turn; 500 is the protocol's own.
    """
    url = f"ws://{urlsplit(address).netloc}/v1/realtime?model=kaiwa"
    told: list[Told] = []
    detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
    hearing = {"turn_detection": detection, "transcription": {"model": "kaiwa"}}
    session = {"type": "realtime", "audio": {"input": hearing}}
    async with connect(url, max_size=None, compression=None, ping_interval=None) as socket:
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        start = time.monotonic() + 0.1
        listening = asyncio.create_task(_listen(socket, start, told))
        try:
            late_ms = await _speak(socket, start, track)
            await asyncio.sleep(LINGERING_SECONDS)
        finally:
            listening.cancel()
            await asyncio.wait([listening])
    return told, late_ms


async def _speak(socket: ClientConnection, start: float, track: Track) -> float:
    """Each frame leaves when its last sample has been spoken."""
    size = 2 * VOICE_RATE * FRAME_MS // 1000
    late_ms = 0.0
    for number, at in enumerate(range(0, len(track.pcm.data), size), 1):
        audio = base64.b64encode(track.pcm.data[at : at + size]).decode()
        due = start + number * FRAME_MS / 1000
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late_ms = max(late_ms, 1000 * (time.monotonic() - due))
        await socket.send(f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}')
    return late_ms


async def _listen(socket: ClientConnection, start: float, told: list[Told]) -> None:
    async for message in socket:
        ms = 1000 * (time.monotonic() - start)
        event = json.loads(message)
        told.append(Told(ms, {**event, "delta": ""} if event["type"] == AUDIO else event))


def find_turns(track: Track, told: Sequence[Told], late_ms: float, silence_ms: int = 500) -> Talk:
    """What the client was told, clip by clip. `silence_ms`: as for `hold_talk`."""
    turns: list[Turn] = []
    unanswered: list[str] = []
    misheard: list[str] = []
    sounds = _first_sounds(told)
    early = sum(any(spoken.start_ms <= each.ms < spoken.end_ms for spoken in track.turns) for each in sounds)
    ends = [*(spoken.start_ms for spoken in track.turns[1:]), float("inf")]
    for number, (spoken, until_ms) in enumerate(zip(track.turns, ends, strict=True)):
        sound = _first(sounds, AUDIO, spoken.end_ms, until_ms)
        stopped = _first(told, "input_audio_buffer.speech_stopped", spoken.start_ms, until_ms)
        over = _first(told, "input_audio_buffer.committed", spoken.start_ms, until_ms)
        transcript = _first(
            told, "conversation.item.input_audio_transcription.completed", spoken.start_ms, until_ms
        )
        if sound is None or over is None or stopped is None:
            unanswered.append(spoken.text)
            continue
        if transcript is None or transcript.event["transcript"] != spoken.text:
            misheard.append(f"{spoken.text} -> {transcript.event['transcript'] if transcript else '-'}")
        started = _first(told, "input_audio_buffer.speech_started", spoken.start_ms, spoken.end_ms)
        turns.append(
            Turn(
                spoken.text,
                sound.ms - spoken.end_ms,
                over.ms - spoken.end_ms,
                stopped.event["audio_end_ms"] + silence_ms - spoken.end_ms,
                started.ms - spoken.start_ms if started and number else None,
            )
        )
    return Talk(turns, unanswered, early, misheard, late_ms)


def _first_sounds(told: Sequence[Told]) -> list[Told]:
    """The first of each reply."""
    firsts: dict[str, Told] = {}
    for each in told:
        if each.kind == AUDIO:
            firsts.setdefault(each.event["response_id"], each)
    return list(firsts.values())


def _first(told: Sequence[Told], kind: str, from_ms: float, until_ms: float) -> Told | None:
    return next((each for each in told if each.kind == kind and from_ms <= each.ms < until_ms), None)
