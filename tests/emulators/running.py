"""`python -m tests.emulators` in a process of its own, so that what it does takes no time of the caller's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voice.settings import Settings

PROJECT = Path(__file__).parents[2]
LINES = 5
"""That it prints for `.env` when it serves."""


@contextmanager
def running_emulators(*options: str, **settings: str) -> Iterator[dict[str, str]]:
    """What to set to use them, as they print it. Their end is checked too.

    `settings`: as in the environment, for the local engines behind them.
    """
    command = [sys.executable, "-m", "tests.emulators", "--speech-port=0", "--chat-port=0", *options]
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stdout
        lines = [process.stdout.readline().strip() for _ in range(LINES)]
        assert all(lines), "The emulators did not start"
        yield dict(line.split("=", 1) for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def settings_for(lines: dict[str, str], **options: object) -> Settings:
    """The settings that these lines of `.env` make, whatever else is in this machine's environment."""
    values = {name.lower(): value for name, value in lines.items()}
    azure = {"stt_engine": "azure", "chat_engine": "azure", "tts_engine": "azure", "azure_auth": "key"}
    return Settings(**{**azure, "azure_speech_endpoint": "", "failover": "", **values, **options})  # type: ignore[arg-type]
