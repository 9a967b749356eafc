"""What was measured, in words and figures, each beside its aim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.app_start import AppStart
from bench.machine import Machine
from bench.stages import MOMENTS, STAGES, Spread, Turn
from bench.utterances import LANGUAGES, NORMAL_SECONDS

FIRST_PCM_AIMS = {"en": 2.5, "ja": 3.5}
"""Seconds from the recording's end to the first PCM of the spoken reply: 2 cores, no GPU, warm."""
TRANSCRIPT_AIM = 0.5
"""Seconds to the transcript of `NORMAL_SECONDS`."""
MEMORY_AIM_GB = 3.2
READY_AIM = 10.0
"""Seconds from start to ready, models cached."""
QUIET = 0.1
"""Share of the cores that other programs may take before the figures are called pessimistic."""


@dataclass(frozen=True, slots=True)
class Alone:
    """An engine with the machine to itself: no chat model writing, nothing else of Kaiwa at work."""

    normal_transcripts: list[float]
    """Seconds to the transcript of a clip of `NORMAL_SECONDS`."""
    voice_factors: list[float]
    """Seconds of work of the default voice for a second of sound."""


@dataclass(frozen=True, slots=True)
class Results:
    machine: Machine
    load_at_start: float
    load_at_end: float
    others_cores: float
    """Cores that other programs kept busy during the turns."""
    engines: list[str]
    turns: list[Turn]
    failures: list[str]
    """Turns that are missing above, with what was the matter."""
    alone: dict[str, Alone]
    """By language."""
    app: AppStart
    bench_peak_gb: float
    """The most resident memory of the benchmark's own processes, which carry the same engines, during the turns."""

    @property
    def busy(self) -> bool:
        return self.others_cores > QUIET * self.machine.cores

    def turns_in(self, language: str) -> list[Turn]:
        return [turn for turn in self.turns if turn.utterance.language == language]


@dataclass(frozen=True, slots=True)
class Aim:
    what: str
    measured: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        return self.measured <= self.limit

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return f"{self.what:<52} {self.measured:6.2f} {self.unit:<2}   aim {self.limit:g} {self.unit:<2}   {verdict}"


def compare_with_aims(results: Results) -> list[Aim]:
    aims = []
    for language, name in LANGUAGES.items():
        if alone := results.alone.get(language):
            transcript = median(alone.normal_transcripts)
            aims.append(
                Aim(f"transcript of {NORMAL_SECONDS} s, {name}, median", transcript, TRANSCRIPT_AIM, "s")
            )
    for language, name in LANGUAGES.items():
        if turns := results.turns_in(language):
            first_pcm = median(turn.timing.moments["first PCM"] for turn in turns)
            aims.append(
                Aim(f"recording's end to first PCM, {name}, median", first_pcm, FIRST_PCM_AIMS[language], "s")
            )
    peak = max(results.app.peak_gb, results.bench_peak_gb)
    return [
        *aims,
        Aim("resident memory, all processes, peak", peak, MEMORY_AIM_GB, "GB"),
        Aim("start of app.py to ready, models cached", results.app.ready_seconds, READY_AIM, "s"),
    ]


def describe_utterances(turns: Sequence[Turn]) -> str:
    """Who speaks, and how long."""
    utterances = {turn.utterance for turn in turns}
    seconds = [utterance.seconds for utterance in utterances]
    ours = sum(1 for utterance in utterances if utterance.voice)
    by = f"{len(utterances) - ours} by people" + (
        f", {ours} SYNTHETIC, by Kaiwa's own voices" if ours else ""
    )
    return f"{len(utterances)} utterances ({by}), {min(seconds):.1f}-{max(seconds):.1f} s, median {median(seconds):.1f} s"


def write_report(results: Results) -> Iterator[str]:
    """Line by line."""
    machine = results.machine
    yield f"Machine  {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB; {machine.system}"
    yield (
        f"Load     {results.load_at_start:.1f} at the start, {results.load_at_end:.1f} at the end; during the turns"
        f" other programs took {results.others_cores:.1f} of {machine.cores} cores"
    )
    yield f"Engines  {'; '.join(results.engines)}"
    if results.busy:
        yield "WARNING  The machine is busy with other work: on an idle one all times are shorter. Compare ratios only."
    for language in LANGUAGES:
        if turns := results.turns_in(language):
            yield from _write_language(language, turns, results.alone.get(language))
    yield from (f"FAILED   {failure}" for failure in results.failures)
    app = results.app
    yield ""
    yield f"Start    page after {app.page_seconds:.1f} s, ready after {app.ready_seconds:.1f} s"
    yield (
        f"Memory   app.py {app.ready_gb:.2f} GB when ready, {app.peak_gb:.2f} GB at most (one turn in each language);"
        f" this benchmark {results.bench_peak_gb:.2f} GB at most ({len(results.turns)} turns)"
    )
    yield ""
    yield from map(str, compare_with_aims(results))


def _write_language(language: str, turns: Sequence[Turn], alone: Alone | None) -> Iterator[str]:
    yield ""
    yield f"{LANGUAGES[language]}: {describe_utterances(turns)}; {len(turns)} turns"
    yield f"  {'seconds from the end':<24}{'median':>7}{'p90':>7}      {'of which':<18}{'median':>7}{'p90':>7}"
    for place, moment in enumerate(MOMENTS):
        line = f"  {moment:<24}{_spread(turns, lambda turn, moment=moment: turn.timing.moments[moment])}"  # type: ignore[misc]
        if place < len(STAGES):
            stage = STAGES[place]
            line += f"      {stage:<18}{_spread(turns, lambda turn, stage=stage: turn.timing.stages[stage])}"  # type: ignore[misc]
        yield line
    yield f"  {'first phrase, characters':<24}{_spread(turns, lambda turn: len(turn.timing.first_phrase), 0)}"
    yield f"  {'reply, seconds of sound':<24}{_spread(turns, lambda turn: turn.timing.sound_seconds, 1)}"
    yield f"  {'tokens a second':<24}{_spread(turns, lambda turn: turn.timing.tokens_per_second, 1)}"
    yield "  seconds of work for a second of sound:"
    yield f"  {'recognition':<24}{_spread(turns, lambda turn: turn.recognition_factor)}"
    yield f"  {'voice, in the turn':<24}{_spread(turns, lambda turn: turn.timing.voice_factor)}"
    if alone:
        yield f"  {'voice, alone':<24}{median(alone.voice_factors):7.2f}"


def _spread(turns: Sequence[Turn], measure: Callable[[Turn], Any], digits: int = 2) -> str:
    spread = Spread.of([measure(turn) for turn in turns])
    return f"{spread.median:7.{digits}f}{spread.p90:7.{digits}f}"
