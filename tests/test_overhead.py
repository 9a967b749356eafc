"""What Kaiwa adds to a cloud's delays, measured."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.machine import Machine
from bench.overhead import STAGES, Overhead, Overheads, Passing, find_overhead, write_report
from bench.stages import IncompleteTurnError

PROJECT = Path(__file__).parents[1]
WIRE = [
    Passing(1.02, "audio's end", ""),
    Passing(2.0, "final", "Is it late?"),
    Passing(2.01, "request", ""),
    Passing(2.4, "token", "Yes"),
    Passing(2.5, "token", ", it really is."),
    Passing(2.6, "token", " Good night."),
    Passing(2.612, "ssml", "Yes, it really is."),
    Passing(2.8, "sound", "Yes, it really is."),
    Passing(2.9, "ssml", "Good night."),
]
MOMENTS = {"transcript": 2.009, "first PCM": 2.805}


def test_each_stage_lies_between_what_the_services_did_and_what_kaiwa_made_of_it() -> None:
    overhead = find_overhead(MOMENTS, WIRE, "en", start=1.0)
    assert [round(getattr(overhead, stage)) for stage, *_ in STAGES] == [20, 10, 12, 5, 1805]


def test_a_turn_in_which_a_service_was_not_asked_is_not_measured() -> None:
    for what in ("audio's end", "final", "request", "token", "ssml", "sound"):
        with pytest.raises(IncompleteTurnError, match=what):
            find_overhead(MOMENTS, [each for each in WIRE if each.what != what], "en", start=1.0)


def test_the_report_tells_which_aims_are_met() -> None:
    turn = Overhead(20, 10, 12, 5, 1805)
    results = Overheads(Machine("A processor", 2, 8.0, "Linux"), 0.0, [turn, turn], [])
    report = "\n".join(write_report(results))
    assert report.count(" met") == 3
    assert "WARNING" not in report
    slow = replace(
        results, turns=[replace(turn, phrase_to_ssml=16)], others_cores=1.0, failures=["“Hello?”: no"]
    )
    report = "\n".join(write_report(slow))
    assert report.count("MISSED") == 1
    assert "WARNING" in report
    assert "“Hello?”: no" in report


@pytest.mark.slow
def test_the_overhead_is_measured_against_emulated_azure(tmp_path: Path) -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.turn",
            "--engines=azure",
            "--utterances=1",
            f"--chart={tmp_path / 'turn.png'}",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    figures = json.loads((tmp_path / "overhead.json").read_text(encoding="utf-8"))
    assert len(figures["turns"]) == 2
    assert len(figures["aims"]) == 3
    # The cloud's own delays are in them: 1,016 ms, 412 ms and 150 ms.
    assert all(turn["first_sound"] > 1578 for turn in figures["turns"])
