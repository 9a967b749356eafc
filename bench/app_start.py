"""`python app.py`, started anew: how long until it is ready, and how much memory it takes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from gradio_client import Client, handle_file

from bench.machine import PeakMemory, resident_gb

PROJECT = Path(__file__).parents[1]
READY = "Ready after"
"""What app.py logs (voice.web.serving) when its engines are warm."""
LONGEST_SECONDS = 180
END_SECONDS = 20


@dataclass(frozen=True, slots=True)
class AppStart:
    page_seconds: float
    """From the start of the process until the page's address is told."""
    ready_seconds: float
    """From the start of the process until the engines are warm and the page answers."""
    ready_gb: float
    """Resident memory of all its processes then."""
    peak_gb: float
    """The most there was, the turns included."""


def measure_app(options: Mapping[str, str], recordings: Sequence[Path]) -> AppStart:
    """Start the app with cached models, have it answer `recordings` through `/talk`, and end it.

    `options`: values of settings by their names.

    Raises:
        AppFailedError: it ended, or was not ready in time.
    """
    start = time.perf_counter()
    with running_app(options) as process, PeakMemory(process.pid) as peak:
        page_seconds, ready_seconds, address = await_ready(process, start)
        ready_gb = resident_gb(process.pid)
        client = Client(address, verbose=False)
        for recording in recordings:
            client.predict(recording=handle_file(str(recording)), api_name="/talk")
        client.close()
    return AppStart(page_seconds, ready_seconds, ready_gb, peak.gb)


class AppFailedError(Exception):
    """The app did not become ready; with its last lines."""


@contextmanager
def running_app(options: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """app.py in a process of its own, not yet ready. `options`: values of settings by their names."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {**options, "host": "127.0.0.1", "port": str(port), "share": "false", "log_level": "info"}
    environment = {name.upper(): value for name, value in options.items()}
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=PROJECT,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_ready(process: subprocess.Popen[str], start: float) -> tuple[float, float, str]:
    """Seconds until the page's address was told and until all was ready; and the address.

    Raises:
        AppFailedError: the app ended, or was not ready in time.
    """
    assert process.stdout
    patience = threading.Timer(LONGEST_SECONDS, process.kill)
    patience.start()
    lines: deque[str] = deque(maxlen=20)
    address, page_seconds = "", 0.0
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"https?://\S+", line):
                address, page_seconds = found[0], time.perf_counter() - start
            if READY in line:
                break
        else:
            raise AppFailedError("app.py did not become ready; its last lines:\n" + "".join(lines))
    finally:
        patience.cancel()
    with urlopen(address, timeout=30) as page:
        page.read()
    ready_seconds = time.perf_counter() - start
    # Whoever fills the pipe without a reader would wait for ever.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    return page_seconds, ready_seconds, address
