"""How far a download is, shown on a terminal as a bar and in a log as a line now and then."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

from tqdm import tqdm

Progress = Callable[[str, int, int], None]
"""Told a name, the bytes that are there, and the bytes there will be (0: unknown). Bytes may become fewer again."""

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def showing_progress(stream: TextIO) -> Iterator[Progress]:
    """A `Progress` that shows itself on `stream`."""
    if not stream.isatty():
        yield _lines(stream)
        return
    # Some terminals of containers claim to have no columns at all, and tqdm would believe them.
    size = shutil.get_terminal_size()
    bars: dict[str, tqdm[NoReturn]] = {}

    def show(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(
                desc=name,
                total=total or None,
                initial=done,
                unit="B",
                unit_scale=True,
                file=stream,
                ncols=size.columns - 1,
                nrows=size.lines,
            )
        bars[name].update(done - bars[name].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def _lines(stream: TextIO) -> Progress:
    began: dict[str, tuple[float, int]] = {}
    last: dict[str, float] = {}

    def show(name: str, done: int, total: int) -> None:
        now = time.monotonic()
        start, had = began.setdefault(name, (now, done))
        if now - last.get(name, -SECONDS_BETWEEN_LINES) < SECONDS_BETWEEN_LINES and done != total:
            return
        if done == total and last.get(name) == float("inf"):
            return
        last[name] = float("inf") if done == total else now
        rate = (done - had) / (now - start) / 1e6 if now > start else 0.0
        whole = f" of {total / 1e6:.0f}" if total else ""
        print(f"{name}: {done / 1e6:.0f}{whole} MB, {rate:.1f} MB/s", file=stream, flush=True)

    return show
