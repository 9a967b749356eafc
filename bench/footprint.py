"""What this process holds of the machine at a moment: to see that it gives back what it took."""

from __future__ import annotations

import gc
import os
import sys
from ctypes import CDLL
from dataclasses import dataclass

import psutil

MB = 1e6


@dataclass(frozen=True, slots=True)
class Footprint:
    memory_mb: float
    """Resident."""
    threads: int
    sockets: int


def measure_footprint() -> Footprint:
    """Of this process; not of its children."""
    process = psutil.Process(os.getpid())
    return Footprint(
        process.memory_info().rss / MB, process.num_threads(), len(process.net_connections(kind="inet"))
    )


def give_back_memory() -> None:
    """What is free already, so that what is resident is what is kept: glibc returns little of itself."""
    gc.collect()
    if sys.platform == "linux":
        CDLL(None).malloc_trim(0)
