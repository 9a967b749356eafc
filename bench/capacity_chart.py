"""The chart of a capacity run: added delay, processor and memory over the number of conversations."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from bench.capacity import ADDED_AIM_MS, Results

_COLOURS = {"azure": "#4477AA", "scripted": "#228833"}
_LABELS = {"azure": "with the Azure SDK", "scripted": "without it"}
_PALE, _RED = "#777777", "#BB2222"


def draw_capacity(results: Results, path: Path) -> None:
    """Write a PNG to `path`."""
    with plt.rc_context({"font.size": 9, "axes.edgecolor": _PALE}):
        figure, (delay, cpu, memory) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
        for series in results.series:
            people = [step.people for step in series.steps]
            curves = (
                (delay, [max(0.0, step.added_ms(series.alone_ms)) for step in series.steps]),
                (cpu, [step.cpu for step in series.steps]),
                (memory, [step.memory_mb for step in series.steps]),
            )
            for panel, values in curves:
                panel.plot(
                    people,
                    values,
                    "o-",
                    color=_COLOURS[series.mode],
                    label=_LABELS[series.mode],
                    markersize=4,
                )
        delay.axhline(ADDED_AIM_MS, color=_RED, linestyle="--", linewidth=1.2)
        delay.set_yscale("symlog", linthresh=100)
        delay.set_title("added delay, p95, ms", loc="left")
        cpu.set_title("cores, the app's process", loc="left")
        memory.set_title("memory beyond the idle app, MB", loc="left")
        for panel in (delay, cpu, memory):
            panel.set_xlabel("live conversations at once")
            panel.set_ylim(bottom=0)
            panel.grid(color="#DDDDDD", linewidth=0.6)
            panel.spines[["top", "right"]].set_visible(False)
        delay.legend(frameon=False)
        machine = results.machine
        figure.suptitle(
            f"{machine.processor}, {machine.cores} cores, shared by the app, the emulated cloud and those who talk",
            x=0.01,
            ha="left",
            fontsize=10,
        )
        figure.savefig(path, dpi=100)
        plt.close(figure)
