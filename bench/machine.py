"""What the benchmark runs on: the processor, how busy it is with other work, and memory."""

from __future__ import annotations

import os
import platform
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

GB = 1e9


@dataclass(frozen=True, slots=True)
class Machine:
    processor: str
    cores: int
    """Those that this process may use."""
    memory_gb: float
    system: str


def describe_machine() -> Machine:
    with suppress(OSError):
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return Machine(
        names[0] if names else platform.processor() or platform.machine(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(psutil.virtual_memory().total / GB, 1),
        f"{platform.system()}, Python {platform.python_version()}",
    )


def load() -> float:
    """Processes that wanted to run, on average over the last minute; this one's own among them."""
    return float(psutil.getloadavg()[0])


class OthersWork:
    """How much of the machine other programs take, from when this is made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._busy, self._own = _busy_seconds(), _tree_seconds()

    def cores(self) -> float:
        """Cores that they kept busy until now, on average."""
        others = (_busy_seconds() - self._busy) - (_tree_seconds() - self._own)
        return max(0.0, others / (time.perf_counter() - self._start))


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    idle_or_counted_twice = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(times) - sum(getattr(times, name, 0) for name in idle_or_counted_twice))


def _tree_seconds() -> float:
    seconds = 0.0
    for process in _tree(os.getpid()):
        with suppress(psutil.Error):
            times = process.cpu_times()
            ended = getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
            seconds += times.user + times.system + ended
    return seconds


def _tree(pid: int) -> list[psutil.Process]:
    """The process and all that it started, and they."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def resident_gb(pid: int) -> float:
    """Resident memory of a process and all its children. What they share is counted for each."""
    resident = 0
    for process in _tree(pid):
        with suppress(psutil.Error):
            resident += process.memory_info().rss
    return resident / GB


class PeakMemory:
    """The most resident memory that a process and its children have had within the block, looked at every 100 ms."""

    def __init__(self, pid: int) -> None:
        self.gb = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while True:
            self.gb = max(self.gb, resident_gb(self._pid))
            if self._over.wait(0.1):
                return
