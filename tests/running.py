"""The app as its users run it: `python app.py` in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from voice.settings import Settings

PROJECT = Path(__file__).parents[1]
START_SECONDS = 240
"""Far more than a start takes, for a machine that is busy with other work."""


@contextmanager
def running_app(folder: Path, models: Path, **options: str) -> Iterator[str]:
    """The address of an app that is warm. Its end is checked too: it leaves no process and no file behind.

    `folder`: an empty one, for its log and Gradio's files. `options`: settings, as in the environment.
    """
    address = f"http://127.0.0.1:{options.setdefault('PORT', str(find_free_port()))}"
    log = folder / "app.log"
    cache = folder / "gradio"
    inherited = {
        name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields
    }
    with log.open("w") as output:
        # Not from the project's folder: a developer's own .env is none of the tests' business.
        app = subprocess.Popen(
            [sys.executable, PROJECT / "app.py"],
            cwd=folder,
            env={**inherited, "MODELS_DIR": str(models), "GRADIO_TEMP_DIR": str(cache), **options},
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_warm(app, log)
        family = psutil.Process(app.pid).children(recursive=True)
        yield address
        family += psutil.Process(app.pid).children(recursive=True)
        app.send_signal(signal.SIGTERM)
        assert app.wait(60) == 0, log.read_text()
        _, left_behind = psutil.wait_procs(family, timeout=10)
        assert not left_behind
        assert not [file for file in cache.rglob("*") if file.is_file()]
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        app.kill()
        app.wait()


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_warm(app: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Ready after" not in log.read_text():
        assert app.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
