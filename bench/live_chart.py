"""The chart of a live benchmark: how long until the answer begins, the sequential way and live, beside the floors."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from bench.live_report import PREPARED_FLOOR_MS, SEQUENTIAL_FLOOR_MS, Results
from bench.report import QUIET
from bench.stages import Spread

_GREY, _BLUE, _GREEN, _PALE, _RED = "#BBBBBB", "#4477AA", "#228833", "#777777", "#BB2222"
_TITLE = "From the true end of speech to the answer"


def draw_live(results: Results, path: Path) -> None:
    """Write a PNG to `path`."""
    bars: list[tuple[str, Spread, float, str]] = [
        ("sequential\nfirst byte", Spread.of(results.sequential), SEQUENTIAL_FLOOR_MS, _GREY),
        ("Kaiwa live\nfirst byte", results.first_bytes, PREPARED_FLOOR_MS, _BLUE),
    ]
    if results.first_sounds:
        bars.append(("Kaiwa live\nsound in Chromium", results.first_sounds, PREPARED_FLOOR_MS, _GREEN))
    with plt.rc_context({"font.size": 10, "axes.edgecolor": _PALE}):
        figure, panel = plt.subplots(figsize=(9, 1.4 + 0.8 * len(bars)), layout="constrained")
        for row, (_, spread, floor_ms, colour) in enumerate(bars):
            panel.barh(row, spread.median, 0.6, color=colour)
            panel.plot([spread.median, spread.p90], [row, row], color="#222222", linewidth=1.5)
            panel.plot(
                [floor_ms, floor_ms], [row - 0.38, row + 0.38], color=_RED, linestyle="--", linewidth=1.5
            )
            panel.annotate(
                f"{spread.median:.0f} ms (p90 {spread.p90:.0f}; floor {floor_ms})",
                (max(spread.p90, floor_ms), row),
                (6, 0),
                textcoords="offset points",
                va="center",
                weight="bold",
            )
        panel.set_yticks(range(len(bars)), [label for label, *_ in bars])
        panel.invert_yaxis()
        panel.set_xlim(0, 1.45 * max(spread.p90 for _, spread, *_ in bars))
        panel.set_xlabel("ms; red: the sum of the services' own delays")
        panel.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(left=False)
        panel.spines[["top", "right", "left"]].set_visible(False)
        figure.suptitle(_TITLE, x=0.01, ha="left", fontsize=14, weight="bold")
        busy = (
            f"; other programs took {results.others_cores:.1f} of {results.machine.cores} cores"
            if results.others_cores > QUIET * results.machine.cores
            else ""
        )
        panel.set_title(
            f"{len(results.talk.turns) - 1} turns of people's speech, emulated Azure with published delays{busy}",
            loc="left",
            fontsize=9,
            color=_PALE,
        )
        figure.savefig(path, dpi=110)
        plt.close(figure)
