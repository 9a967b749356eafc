"""The chart of a run: for each utterance, what the time until the first sound of the reply goes to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import font_manager
from matplotlib import pyplot as plt

from bench.report import FIRST_PCM_AIMS, Results, describe_utterances
from bench.stages import STAGES, Turn
from bench.utterances import LANGUAGES, Utterance

# Distinct to the colour-blind too (Paul Tol's "bright" and "light" schemes), from listening to speaking.
_COLOURS = dict(zip(STAGES, ("#4477AA", "#EE8866", "#EEDD88", "#228833"), strict=True))
_LABELS = dict(
    zip(
        STAGES,
        ("recognise the speech", "read the prompt", "write the first phrase", "speak its first piece"),
        strict=True,
    )
)
_TITLE = "From the end of a recording to the first sound of the reply"
_INK, _PALE = "#222222", "#777777"
_JAPANESE_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Hiragino Sans",
    "Yu Gothic",
    "IPAexGothic",
    "IPAGothic",
    "TakaoGothic",
)
_LABEL_COLUMNS = 34


def draw_chart(results: Results, path: Path) -> None:
    """Write a PNG to `path`."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    japanese = [font for font in _JAPANESE_FONTS if font in installed][:1]
    by_language = {language: turns for language in LANGUAGES if (turns := results.turns_in(language))}
    rows = [len(_by_utterance(turns)) + 1 for turns in by_language.values()]
    with plt.rc_context(
        {
            "font.family": ["DejaVu Sans", *japanese],
            "font.size": 9,
            "text.color": _INK,
            "axes.edgecolor": _PALE,
        }
    ):
        height = 2.2 + 0.33 * sum(rows) + 0.5 * len(rows)
        figure, panels = plt.subplots(
            len(rows),
            1,
            figsize=(11.5, height),
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": rows},
            layout="constrained",
        )
        figure.get_layout_engine().set(rect=(0.01, 0.01, 0.98, 0.99 - 0.85 / height))
        for panel, (language, turns) in zip(panels[:, 0], by_language.items(), strict=True):
            _draw_language(panel, language, turns, can_write_japanese=bool(japanese))
        panels[-1, 0].set_xlabel("seconds from the recording's end")
        handles, _ = panels[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, [_LABELS[stage] for stage in STAGES], loc="outside lower center", ncols=4, frameon=False
        )
        figure.text(0.02, 1 - 0.38 / height, _TITLE, fontsize=15, weight="bold")
        figure.text(0.02, 1 - 0.48 / height, _subtitle(results), color=_PALE, va="top")
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _subtitle(results: Results) -> str:
    machine = results.machine
    busy = (
        f"\nThe machine was busy: other programs took {results.others_cores:.1f} of {machine.cores} cores"
        if results.busy
        else ""
    )
    return f"{'; '.join(results.engines)}. {machine.processor}, {machine.cores} cores, no GPU used.{busy}"


def _draw_language(panel: Any, language: str, turns: Sequence[Turn], *, can_write_japanese: bool) -> None:
    aim = FIRST_PCM_AIMS[language]
    rows = [
        ("median of each stage", turns),
        *(
            (_label(utterance, number, can_write_japanese), own)
            for number, (utterance, own) in enumerate(_by_utterance(turns).items(), 1)
        ),
    ]
    beside = panel.get_yaxis_transform()  # across: shares of the axis, down: rows
    for row, (_, own) in enumerate(rows):
        left = 0.0
        for stage in STAGES:
            seconds = median(turn.timing.stages[stage] for turn in own)
            panel.barh(
                row, seconds, 0.72, left, color=_COLOURS[stage], edgecolor="white", linewidth=0.6, label=stage
            )
            left += seconds
        first_pcm, whole = (
            median(turn.timing.moments[moment] for turn in own) for moment in ("first PCM", "whole reply")
        )
        panel.annotate(
            f"{first_pcm:.1f} s", (left, row), (4, 0), textcoords="offset points", va="center", weight="bold"
        )
        panel.annotate(f"{whole:.1f} s", (1.06, row), xycoords=beside, ha="right", va="center", color=_PALE)
    panel.annotate(
        "whole reply",
        (1.06, -0.9),
        xycoords=beside,
        ha="right",
        va="bottom",
        color=_PALE,
        annotation_clip=False,
    )
    panel.axvline(aim, color="#BB2222", linestyle="--", linewidth=1.3)
    panel.annotate(
        f"aim {aim:g} s",
        (aim, 1),
        (0, 3),
        ("data", "axes fraction"),
        "offset points",
        ha="center",
        color="#BB2222",
    )
    panel.axhline(0.5, color=_PALE, linewidth=0.6)
    panel.set_yticks(range(len(rows)), [label for label, _ in rows])
    panel.get_yticklabels()[0].set_weight("bold")
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_title(f"{LANGUAGES[language]}: {describe_utterances(turns)}", loc="left", fontsize=9.5, pad=16)
    panel.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(left=False, labelbottom=True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.margins(x=0.1)


def _by_utterance(turns: Sequence[Turn]) -> dict[Utterance, list[Turn]]:
    groups: dict[Utterance, list[Turn]] = {}
    for turn in turns:
        groups.setdefault(turn.utterance, []).append(turn)
    return groups


def _label(utterance: Utterance, number: int, can_write_japanese: bool) -> str:
    text = utterance.text if can_write_japanese or utterance.text.isascii() else f"utterance {number}"
    longest = _LABEL_COLUMNS if text.isascii() else _LABEL_COLUMNS // 2
    text = text if len(text) <= longest else text[:longest].rstrip() + "…"
    return f"{text}{' (synthetic)' if utterance.voice else ''}  {utterance.seconds:.1f} s"
