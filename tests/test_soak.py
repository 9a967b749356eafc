"""The soak itself: it draws, and it finds what grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.footprint import Footprint
from bench.soak import Soak, find_growth, main


def footprints(*threads: int) -> list[Footprint]:
    return [Footprint(memory_mb=100, threads=number, sockets=5) for number in threads]


def test_what_keeps_growing_is_found() -> None:
    growing = [Footprint(memory_mb=100 + second, threads=50, sockets=5) for second in range(100)]
    assert find_growth(growing) == ["memory_mb grew from 130 to 190"]


def test_what_goes_up_and_down_or_only_starts_is_not_growth() -> None:
    assert find_growth(footprints(*[2] * 20, *[50, 70] * 40)) == []


def test_a_run_too_short_to_tell_has_no_growth() -> None:
    assert find_growth(footprints(1, 100)) == []


def test_a_turn_that_hung_is_told() -> None:
    assert Soak(longest_wait=30).judge() == ["a turn was silent for 30.0 s"]


@pytest.mark.slow
def test_a_short_soak_ends_well_and_is_drawn(tmp_path: Path) -> None:
    chart = tmp_path / "soak.png"
    main(["--minutes", "0.1", "--people", "4", "--chart", str(chart)])  # too short to be judged
    assert chart.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(chart.with_suffix(".json").read_text())
    assert figures["answered"] > 0
    assert figures["samples"]
