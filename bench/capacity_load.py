"""`python -m bench.capacity_load ADDRESS[,ADDRESS..] N TURNS FRAME_MS`: N people who talk at once, each in real time.

Says when all are connected, and at the end what they met, as JSON. Frames are made ready beforehand, so that the people take little of the machine on which they are served.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from bench.live_client import AUDIO
from bench.live_track import CLIPS, Track, make_track
from voice.audio import VOICE_RATE

GAP_MS = 6000
"""After what somebody says: time for the reply, which begins a good second later and takes four, and a breath."""
STAGGER_MS = 8500
"""Over which their beginnings are spread, evenly: some as long as a turn, its reply and the breath."""
LINGERING_SECONDS = 2.0
NOT_ENDED = (b'"type": "error"', b'"status": "failed"')


@dataclass
class Person:
    socket: ClientConnection
    from_ms: int
    """When their track begins."""
    sounds: list[tuple[float, str, float]] = field(default_factory=list)
    """Each piece of a reply: when it came, whose it is, and how many ms of sound."""
    troubles: int = 0


async def talk(addresses: Sequence[str], people: int, track: Track, frame_ms: int) -> dict[str, object]:
    """Everybody says the track. Returns delays, gaps and troubles, as `read_people`."""
    urls = [f"ws://{urlsplit(address).netloc}/v1/realtime?model=kaiwa" for address in addresses]
    frames = _make_frames(track, frame_ms)
    callers: list[Person] = []
    listening: list[asyncio.Task[None]] = []
    for number in range(people):
        socket = await connect(
            urls[number % len(urls)], max_size=None, compression=None, ping_interval=None, open_timeout=60
        )
        callers.append(Person(socket, number * STAGGER_MS // people))
        listening.append(asyncio.create_task(_listen(callers[-1])))
    print("connected", flush=True)
    start = time.monotonic() + 0.2
    late_ms = await _speak(callers, frames, frame_ms, start)
    await asyncio.sleep(LINGERING_SECONDS)
    for task in listening:
        task.cancel()
    await asyncio.wait(listening)
    for person in callers:
        person.socket.transport.abort()
    return read_people(callers, track, start, late_ms)


def _make_frames(track: Track, frame_ms: int) -> list[bytes]:
    """WebSocket frames of the client's side, masked by zeros."""
    size = 2 * VOICE_RATE * frame_ms // 1000
    frames = []
    for at in range(0, len(track.pcm.data), size):
        audio = base64.b64encode(track.pcm.data[at : at + size])
        # Its length takes two bytes: up to 64 KiB, a second of sound.
        payload = b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'
        frames.append(struct.pack(">BBH4x", 0x81, 0x80 | 126, len(payload)) + payload)
    return frames


async def _speak(callers: Sequence[Person], frames: Sequence[bytes], frame_ms: int, start: float) -> float:
    """Everybody's frames, each at its time; the most that one was late, in ms."""
    by_phase = [
        [person for person in callers if person.from_ms % frame_ms == phase] for phase in range(frame_ms)
    ]
    last_ms = frame_ms * len(frames) + STAGGER_MS
    late_ms = 0.0
    for ms in range(last_ms):
        group = by_phase[ms % frame_ms]
        if not group:
            continue
        due = start + ms / 1000
        if (ahead := due - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        else:
            late_ms = max(late_ms, -1000 * ahead)
        for person in group:
            number = (ms - person.from_ms) // frame_ms - 1  # it leaves when its last sample was spoken
            if 0 <= number < len(frames):
                person.socket.transport.write(frames[number])
    return late_ms


async def _listen(person: Person) -> None:
    while True:
        message = await person.socket.recv(decode=False)
        at = time.monotonic()
        if AUDIO.encode() in message[:60]:
            event = json.loads(message)
            ms = len(event["delta"]) * 3 / 4 / 2 / VOICE_RATE * 1000
            person.sounds.append((at, event["response_id"], ms))
        elif any(trouble in message for trouble in NOT_ENDED):
            person.troubles += 1


def read_people(callers: Sequence[Person], track: Track, start: float, late_ms: float) -> dict[str, object]:
    """`delays`: ms from the true end of speech to the first byte of the reply, each turn but everybody's first.

    `gaps`: ms for which a listener had nothing to hear in mid-reply, each. `unanswered`: how many turns.
    """
    delays: list[float] = []
    gaps: list[float] = []
    unanswered = 0
    for person in callers:
        begin = start + person.from_ms / 1000
        firsts: dict[str, float] = {}
        for at, response, _ in person.sounds:
            firsts.setdefault(response, 1000 * (at - begin))
        gaps += find_gaps(person.sounds)
        ends = [*(spoken.start_ms for spoken in track.turns[1:]), float("inf")]
        for spoken, until_ms in list(zip(track.turns, ends, strict=True))[1:]:
            answered = [ms for ms in firsts.values() if spoken.end_ms <= ms < until_ms]
            unanswered += not answered
            delays += [ms - spoken.end_ms for ms in answered[:1]]
    troubles = sum(person.troubles for person in callers)
    return {
        "delays": delays,
        "gaps": gaps,
        "unanswered": unanswered,
        "troubles": troubles,
        "late_ms": late_ms,
    }


def find_gaps(sounds: Sequence[tuple[float, str, float]]) -> list[float]:
    """Milliseconds of each silence in mid-reply, if each reply is played from its first piece on. `sounds`: as a `Person`'s."""
    gaps: list[float] = []
    played: dict[str, float] = {}
    for at, response, ms in sounds:
        until = played.get(response, at)
        if at > until:
            gaps.append(1000 * (at - until))
        played[response] = max(at, until) + ms / 1000
    return gaps


if __name__ == "__main__":
    addresses, people, turns, frame_ms = sys.argv[1:]
    # All say the same, since the emulated recogniser cannot know who is speaking.
    track = make_track(int(turns), gaps_ms=(GAP_MS,), lead_in_ms=500, files=CLIPS[:1])
    print(json.dumps(asyncio.run(talk(addresses.split(","), int(people), track, int(frame_ms)))))
