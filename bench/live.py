"""`python -m bench.live`: how long after somebody has stopped speaking the answer begins, hands free; and how soon it stops.

The app and emulated Azure, each in a process of its own, with the real SDKs between them and the delays that are published
of Azure; recordings of people at the microphone in real time, each interrupting the reply to the one before. In the same
run: the page in Chromium, the original's sequential way, and the app with a cloud that takes no time. With a chart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.app_start import AppFailedError, await_ready, running_app
from bench.live_client import Talk, find_turns, hold_talk
from bench.live_report import REPLY, Requests, Results, write_report
from bench.live_track import CLIPS, Track, make_track
from bench.machine import OthersWork, describe_machine
from tests.emulators.running import running_emulators

CHART = Path(__file__).parent / "results" / "live.png"
TURNS = 31
"""The first warms up, and is not counted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, draw. The exit status is 0 when all turns were answered, be the aims met or not."""
    options = _read_options(argv)
    try:
        results = _measure(options)
    except AppFailedError as error:
        print(error, file=sys.stderr)
        return 1
    print(*write_report(results), sep="\n")
    options.chart.parent.mkdir(parents=True, exist_ok=True)
    figures = options.chart.with_suffix(".json")
    figures.write_text(json.dumps(results.as_json(), ensure_ascii=False, indent=1), encoding="utf-8")
    from bench.live_chart import draw_live

    draw_live(results, options.chart)
    print(f"\nChart    {options.chart}\nFigures  {figures}")
    return 1 if results.unanswered else 0


def _read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument(
        "--turns", type=int, default=TURNS, metavar="N", help=f"one more than are counted ({TURNS})"
    )
    parser.add_argument("--no-browser", action="store_true", help="without Chromium")
    parser.add_argument("--chart", type=Path, default=CHART, help="where the PNG goes, the JSON beside it")
    options = parser.parse_args(argv)
    if options.turns < 2:
        parser.error("--turns: 2 at the least")
    return options


def _measure(options: argparse.Namespace) -> Results:
    track = make_track(options.turns)
    others = OthersWork()
    _tell("Sequentially …")
    with _cloud("published") as (lines, _):
        sequential = asyncio.run(_sequential(lines, max(2, options.turns // 2)))
    _tell("Live, a Realtime client …")
    with _app("published") as (address, trace):
        talk = _talk(address, track)
        requests = Requests.read(trace, len(track.turns))
    page = None
    if not options.no_browser:
        from bench.live_browser import find_page_turns, record_talk

        _tell("Live, the page in Chromium …")
        with _app("published") as (address, _):
            page = find_page_turns(track, record_talk(address, track))
    _tell("With a cloud that takes no time …")
    with _app("none") as (address, _):
        at_once = _talk(address, make_track(max(2, options.turns // 2)))
    return Results(describe_machine(), others.cores(), sequential, talk, page, at_once, requests)


def _talk(address: str, track: Track) -> Talk:
    told, late_ms = asyncio.run(hold_talk(address, track))
    return find_turns(track, told, late_ms)


async def _sequential(lines: dict[str, str], turns: int) -> Sequence[float]:
    from bench.live_sequential import measure_sequential

    return await measure_sequential(lines, turns)


@contextmanager
def _cloud(timings: str) -> Iterator[tuple[dict[str, str], Path]]:
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        clips = [f"--clip={file}" for file in CLIPS]
        options = [f"--timings={timings}", f"--trace={trace}", f"--says={REPLY}"]
        with running_emulators(*options, *clips) as lines:
            yield lines, trace


@contextmanager
def _app(timings: str) -> Iterator[tuple[str, Path]]:
    engines = {f"{kind}_engine": "azure" for kind in ("stt", "chat", "tts")}
    with _cloud(timings) as (lines, trace), running_app({**lines, **engines, "failover": ""}) as process:
        *_, address = await_ready(process, time.perf_counter())
        yield address, trace


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
