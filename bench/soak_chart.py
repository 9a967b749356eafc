"""The chart of a soak: what the process held, and how its turns went on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from bench.soak import Soak

_BLUE, _ORANGE, _GREEN, _RED = "#4477AA", "#EE8866", "#228833", "#BB2222"
_PALE = "#777777"


def draw_soak(soak: Soak, conditions: str, path: Path) -> None:
    """Write a PNG to `path`. `conditions`: of the run, for people."""
    minutes = [sample.seconds / 60 for sample in soak.samples]
    held = [sample.footprint for sample in soak.samples]
    with plt.rc_context({"font.size": 9, "axes.edgecolor": _PALE}):
        figure, (memory, counts, turns) = plt.subplots(
            3, 1, figsize=(9, 6.4), sharex=True, layout="constrained"
        )
        _draw(memory, minutes, {"resident memory, MB": ([each.memory_mb for each in held], _BLUE)})
        _draw(
            counts,
            minutes,
            {
                "threads": ([each.threads for each in held], _ORANGE),
                "sockets": ([each.sockets for each in held], _GREEN),
                "tasks": ([sample.tasks for sample in soak.samples], _RED),
            },
        )
        _draw(turns, minutes, {"turns ended": ([sample.turns for sample in soak.samples], _BLUE)})
        turns.set_xlabel("minutes")
        failed = soak.told.total()
        outcome = (
            f"{soak.turns} turns: {soak.answered} answered, {failed} ended in a sentence that says what failed, "
            f"{soak.stopped} stopped by their user, {len(soak.troubles)} ended otherwise"
        )
        figure.suptitle(f"{outcome}\n{conditions}", x=0.01, ha="left", fontsize=10)
        figure.savefig(path, dpi=90)
        plt.close(figure)


def _draw(panel: plt.Axes, minutes: Sequence[float], curves: dict[str, tuple[Sequence[float], str]]) -> None:
    for label, (values, colour) in curves.items():
        panel.plot(minutes, values, color=colour, linewidth=1, label=label)
    panel.set_ylim(bottom=0)
    panel.grid(color="#DDDDDD", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, frameon=False, ncols=3)
