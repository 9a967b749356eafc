"""How many processors this process may really use."""

from __future__ import annotations

import os
from pathlib import Path


def count_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Processors, at least 1, with a container's share of them counted (cgroup v2: "max 100000" or "200000 100000").

    Native libraries count the machine's cores; in a container with a quota, as on Spaces, their threads would then
    wait for each other most of the time.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
        return max(1, min(cpus, round(int(allowed) / int(period))))
    except (OSError, ValueError):
        return cpus
