"""`python -m bench.capacity`: how many live conversations the app carries at once, with sound in real time both ways.

With the Azure SDK in the loop (app.py; emulated Azure with published delays in a process of its own) and without it
(`bench.capacity_server`). All of it, also the people who talk, shares the cores of one machine. With a chart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from bench.app_start import PROJECT, await_ready, running_app
from bench.live_client import FRAME_MS
from bench.live_track import CLIPS
from bench.machine import Machine, describe_machine, load
from tests.emulators.running import running_emulators

REPLY = "That is a good question and I will gladly answer it. Shall we begin right now?"
"""To everything, in 19 tokens and some four seconds: whoever talks listens about as long as they speak."""
CHART = Path(__file__).parent / "results" / "capacity.png"
TURNS = 5
ADDED_AIM_MS = 50
AIMS = {"azure": 100, "scripted": 300}
STEPS = {"azure": (1, 10, 25, 50, 75, 100), "scripted": (1, 25, 50, 100, 150, 200, 300)}
HOPELESS_MS = 1000
"""Of added delay: more people would add nothing to what is known."""
HEARD_GAP_MS = 20
"""Shorter ones a player's jitter buffer hides (60 ms, `playback-worklet.js`)."""


@dataclass(frozen=True, slots=True)
class Step:
    """`people` conversations at once."""

    people: int
    delays: Sequence[float]
    """ms from the true end of speech to the reply's first byte."""
    gaps: Sequence[float]
    """ms without sound in mid-reply."""
    unanswered: int
    troubles: int
    late_ms: float
    """The most that those who talk were late themselves."""
    cpu: float
    """Cores that the app's process kept busy."""
    others_cpu: float
    """Cores for those who talk, and for the emulated cloud."""
    memory_mb: float
    """Resident memory of the app's process, beyond what it had before the first conversation."""

    def added_ms(self, alone_ms: float, percent: float = 95) -> float:
        return float(np.percentile(self.delays, percent)) - alone_ms if self.delays else float("inf")

    @property
    def is_gapless(self) -> bool:
        return not any(gap > HEARD_GAP_MS for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class Series:
    mode: str
    steps: list[Step] = field(default_factory=list)

    @property
    def alone_ms(self) -> float:
        """The median delay of the fewest."""
        return median(self.steps[0].delays)

    def carries(self, step: Step) -> bool:
        is_whole = step.is_gapless and not step.unanswered and not step.troubles
        return is_whole and step.added_ms(self.alone_ms) < ADDED_AIM_MS

    @property
    def most(self) -> int:
        """The most conversations up to which all went well."""
        most = 0
        for step in self.steps:
            if not self.carries(step):
                break
            most = step.people
        return most


@dataclass(frozen=True, slots=True)
class Results:
    machine: Machine
    load_at_start: float
    frame_ms: int
    """Of sound that everybody sends at a time."""
    processes: int
    """Of the app."""
    series: list[Series]

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "most": {series.mode: series.most for series in self.series}}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--mode", choices=(*STEPS, "both"), default="both")
    parser.add_argument("--people", type=int, nargs="+", metavar="N", help="how many at once, step by step")
    parser.add_argument(
        "--frame-ms",
        type=int,
        default=FRAME_MS,
        metavar="MS",
        help=f"of sound in a message, as of the page ({FRAME_MS})",
    )
    parser.add_argument(
        "--processes", type=int, default=1, metavar="K", help="of the app, over which people spread (1)"
    )
    parser.add_argument("--turns", type=int, default=TURNS, metavar="N", help=f"each, and one more ({TURNS})")
    parser.add_argument("--chart", type=Path, default=CHART, help="where the PNG goes, the JSON beside it")
    options = parser.parse_args(argv)
    modes = list(STEPS) if options.mode == "both" else [options.mode]
    load_at_start = load()
    series = [
        _measure(mode, options.people or STEPS[mode], options.turns, options.frame_ms, options.processes)
        for mode in modes
    ]
    results = Results(describe_machine(), load_at_start, options.frame_ms, options.processes, series)
    print(*write_report(results), sep="\n")
    options.chart.parent.mkdir(parents=True, exist_ok=True)
    options.chart.with_suffix(".json").write_text(json.dumps(results.as_json(), indent=1), encoding="utf-8")
    from bench.capacity_chart import draw_capacity

    draw_capacity(results, options.chart)
    print(f"\nChart    {options.chart}")
    return 0


def _measure(mode: str, people: Sequence[int], turns: int, frame_ms: int, processes: int) -> Series:
    serving: dict[str, Callable[[int], AbstractContextManager[Apps]]] = {
        "azure": _serve_azure,
        "scripted": _serve_scripted,
    }
    series = Series(mode)
    with serving[mode](processes) as apps:
        before = apps.memory
        for count in people:
            series.steps.append(_take_step(apps, before, count, turns, frame_ms))
            step = series.steps[-1]
            print(
                f"{mode} {count:4}  p95 +{step.added_ms(series.alone_ms):.0f} ms, "
                f"cpu {step.cpu:.2f}, others {step.others_cpu:.2f}, late {step.late_ms:.0f} ms, unanswered {step.unanswered}",
                file=sys.stderr,
                flush=True,
            )
            if not series.carries(step) and step.added_ms(series.alone_ms) > HOPELESS_MS:
                break
    return series


def _take_step(apps: Apps, memory_before: int, people: int, turns: int, frame_ms: int) -> Step:
    talking = subprocess.Popen(
        [
            *(sys.executable, "-m", "bench.capacity_load", ",".join(apps.addresses)),
            *(str(people), str(turns), str(frame_ms)),
        ],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert talking.stdout
    talking.stdout.readline()  # everybody is connected
    start, busy, others_busy = time.perf_counter(), apps.busy, apps.others_busy
    memory, cpu, others_cpu = 0, 0.0, 0.0
    while psutil.Process(talking.pid).status() != psutil.STATUS_ZOMBIE:
        seconds = time.perf_counter() - start
        cpu, others_cpu = (apps.busy - busy) / seconds, (apps.others_busy - others_busy) / seconds
        memory = max(memory, apps.memory)
        time.sleep(0.5)
    output, _ = talking.communicate()
    beyond = (memory - memory_before) / 1e6
    return Step(people=people, cpu=cpu, others_cpu=others_cpu, memory_mb=beyond, **json.loads(output))


@dataclass(frozen=True, slots=True)
class Apps:
    """The app, in one or more processes."""

    addresses: Sequence[str]
    pids: Sequence[int]

    @property
    def memory(self) -> int:
        """Bytes, resident."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids)

    @property
    def busy(self) -> float:
        """Seconds of the processor that they have had."""
        return sum(_busy(psutil.Process(pid)) for pid in self.pids)

    @property
    def others_busy(self) -> float:
        """That those who talk have had, and the emulated cloud."""
        others = [process for process in psutil.Process().children() if process.pid not in self.pids]
        return sum(map(_busy, others))


def _busy(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


@contextmanager
def _serve_azure(processes: int) -> Iterator[Apps]:
    with ExitStack() as serving:
        trace = Path(serving.enter_context(tempfile.TemporaryDirectory())) / "trace"
        clips = [f"--clip={file}" for file in CLIPS[:1]]
        options = ("--timings=published", f"--says={REPLY}", *clips, f"--trace={trace}")
        lines = serving.enter_context(running_emulators(*options))
        engines = {f"{kind}_engine": "azure" for kind in ("stt", "chat", "tts")}
        many = {"live_sessions": "10000", "live_sessions_per_user": "10000"}
        apps = [serving.enter_context(running_app({**lines, **engines, **many})) for _ in range(processes)]
        addresses = [await_ready(process, time.perf_counter())[-1] for process in apps]
        yield Apps(addresses, [process.pid for process in apps])


@contextmanager
def _serve_scripted(processes: int) -> Iterator[Apps]:
    command = [sys.executable, "-m", "bench.capacity_server"]
    apps = [
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        addresses = [process.stdout.readline().strip() for process in apps if process.stdout]
        yield Apps(addresses, [process.pid for process in apps])
    finally:
        for process in apps:
            process.kill()
            process.communicate()


def write_report(results: Results) -> Iterator[str]:
    """Line by line."""
    machine = results.machine
    yield f"Machine  {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB; {machine.system}"
    yield f"Load     {results.load_at_start:.1f} at the start; emulators and those who talk share the cores; {results.frame_ms} ms of sound a message;"
    yield f"         {results.processes} process{'es' * (results.processes > 1)} of the app"
    names = {"azure": "With the Azure SDK", "scripted": "Without it, scripted engines"}
    for series in results.series:
        yield ""
        yield f"{names[series.mode]}: {series.most} at once (aim {AIMS[series.mode]}); alone {series.alone_ms:.0f} ms"
        yield f"  {'people':>6}{'added p50':>11}{'p95, ms':>9}{'gaps':>6}{'failed':>8}{'cores':>7}{'others':>8}{'ms CPU/s each':>15}{'MB each':>9}"
        for step in series.steps:
            gaps = sum(gap > HEARD_GAP_MS for gap in step.gaps)
            yield (
                f"  {step.people:6}{step.added_ms(series.alone_ms, 50):11.0f}{step.added_ms(series.alone_ms):9.0f}{gaps:6}"
                f"{step.unanswered + step.troubles:8}{step.cpu:7.2f}{step.others_cpu:8.2f}{1000 * step.cpu / step.people:15.1f}"
                f"{step.memory_mb / step.people:9.1f}"
            )


if __name__ == "__main__":
    sys.exit(main())
