"""Recordings of people speaking, with what they say. clips.tsv tells whose they are and under which licence."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Clip:
    path: Path
    language: str
    text: str


def read_clips(language: str) -> list[Clip]:
    """The recordings in "en" or "ja"."""
    with (_FOLDER / "clips.tsv").open(encoding="utf-8", newline="") as file:
        return [
            Clip(_FOLDER / row["file"], row["language"], row["text"])
            for row in csv.DictReader(file, delimiter="\t")
            if row["language"] == language
        ]


def find_clip(file: str) -> Clip:
    """As clips.tsv names it. Raises StopIteration when there is none."""
    path = _FOLDER / file
    return next(clip for clip in read_clips(path.parent.name) if clip.path == path)
