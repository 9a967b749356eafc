"""The app ends with status 0 at SIGINT and SIGTERM, whatever moment of whatever turn: by the SDKs, on emulated Azure."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from websockets.sync.client import connect

from tests.emulators.azure_script import Final, Hearing, Partial, RecognitionTurn, Saying, SynthesisTurn
from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import ChatServer, Stream
from tests.emulators.loopback import Pause
from tests.running import PROJECT, START_SECONDS, find_free_port
from voice.audio import Pcm, encode_wav

ENDS = int(os.environ.get("EXITS", "12"))
"""`make exits` has a hundred."""
AT_ONCE = 4
TURN_SECONDS = 3.0
"""A third of it to recognise, a third to write, a third to speak."""
ENDING_SECONDS = 60


async def hear_slowly(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
    for number in range(1, 11):
        yield Pause(TURN_SECONDS / 30)
        yield Partial("so " * number)
    yield Final("So it is.")


async def speak_slowly(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
    for _ in range(10):
        yield Pause(TURN_SECONDS / 60)
        yield bytes(4800)


WRITE_SLOWLY = Stream(
    *(
        step
        for word in ("Yes, ", "so ", "it ", "is. ", "I ", "think ", "that ", "too, ", "by ", "now.")
        for step in (Pause(TURN_SECONDS / 30), word)
    )
)


QUESTION = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Is it so?"}]}
ASK_ALOUD = ({"type": "conversation.item.create", "item": QUESTION}, {"type": "response.create"})
"""Of a live conversation."""


class Forker:
    """Apps of a process that forks them, see `tests.forking`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking"],
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._asking = threading.Lock()
        self._begun: list[Future[int]] = []
        self._ended: dict[int, Future[int]] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def start(self, log: Path, **settings: str) -> tuple[int, Future[int]]:
        """The new app's process id, and what will be its exit status."""
        assert self._process.stdin
        begun: Future[int] = Future()
        with self._asking:
            self._begun.append(begun)
            self._process.stdin.write(json.dumps({"log": str(log), "settings": settings}) + "\n")
            self._process.stdin.flush()
        pid = begun.result(START_SECONDS)
        return pid, self._ended[pid]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            pid, *status = map(int, line.split())
            if status:
                self._ended[pid].set_result(status[0])
            else:
                self._ended[pid] = Future()
                self._begun.pop(0).set_result(pid)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(ENDING_SECONDS)
        self._reader.join()


@contextmanager
def forker() -> Iterator[Forker]:
    with AzureSpeechServer(hear_slowly, speak_slowly) as speech, ChatServer(WRITE_SLOWLY) as chat:
        forker = Forker(
            {
                "AZURE_SPEECH_KEY": "key",
                "AZURE_SPEECH_HOST": speech.host,
                "OPENAI_ENDPOINT": chat.address,
                "OPENAI_KEY": "key",
                "ENGINE_TIMEOUT_SECONDS": "60",
            }
        )
        try:
            yield forker
        finally:
            forker.close()


@pytest.mark.slow
def test_every_end_with_turns_in_flight_is_a_clean_one(tmp_path: Path) -> None:
    recording = tmp_path / "recording.wav"
    recording.write_bytes(encode_wav(Pcm.silence(1000, 16_000)))
    with forker() as apps, ThreadPoolExecutor(AT_ONCE) as several:
        ends = [several.submit(end_in_a_turn, apps, tmp_path / str(n), recording, n) for n in range(ENDS)]
        troubles = [trouble for end in ends if (trouble := end.result())]
    assert not troubles, f"{len(troubles)} of {ENDS}\n" + "\n\n".join(troubles)


def end_in_a_turn(apps: Forker, folder: Path, recording: Path, number: int) -> str:
    """What was wrong with the end; "" when nothing was."""
    moment = random.Random(number)
    port = str(find_free_port())
    folder.mkdir()
    log = folder / "log"
    log.touch()
    pid, ended = apps.start(log, PORT=port, GRADIO_TEMP_DIR=str(folder / "gradio"))
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Ready after" not in log.read_text() and not ended.done() and time.monotonic() < deadline:
            time.sleep(0.05)
        with (
            connect(f"ws://127.0.0.1:{port}/api/chat", proxy=None) as writer,
            connect(f"ws://127.0.0.1:{port}/v1/realtime", proxy=None) as caller,
        ):
            writer.send("Is it so?")
            for event in ASK_ALOUD:
                caller.send(json.dumps(event))
            for _ in range(2):
                Client(f"http://127.0.0.1:{port}", verbose=False, analytics_enabled=False).submit(
                    handle_file(recording), api_name="/talk"
                )
            seconds = moment.uniform(0, TURN_SECONDS + 0.5)
            time.sleep(seconds)
            by = moment.choice([signal.SIGINT, signal.SIGTERM])
            os.kill(pid, by)
            status = ended.result(ENDING_SECONDS)
    finally:
        if not ended.done():
            os.kill(pid, signal.SIGKILL)
    said = log.read_text()
    if status or "Traceback" in said or "Ready after" not in said:
        return f"status {status} {seconds:.2f} s into a turn, by {by.name}\n{said}"
    return ""
