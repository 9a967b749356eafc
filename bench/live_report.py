"""What a live benchmark found, beside its floors and aims, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.live_browser import PageTalk
from bench.live_client import Talk
from bench.machine import Machine
from bench.report import QUIET, Aim
from bench.stages import Spread
from tests.emulators.timings import PUBLISHED

REPLY = (
    "That is a good question and I will gladly answer it. Most people find that it helps to take one small step after "
    "another. So begin with something easy, and do it every day at the same hour. Then it soon becomes a habit that "
    "needs no effort at all. And whenever you fail, just begin again."
)
"""To everything. Its first sentence has 12 tokens, as the floors assume; all of it 64, 15.1 s of speech."""
PREPARED_FLOOR_MS = 1000
"""Last partial 300, first token 412, eleven more 138, first sound 150: a reply prepared on the last partial transcript."""
FINAL_FLOOR_MS = PUBLISHED.final_ms
"""The final transcript, which says that the turn is over; what is prepared before is held until then."""
SEQUENTIAL_FLOOR_MS = 3874
"""Final transcript 1,016, all 64 tokens 412 + 788, first sound 150, and 15.1 s of speech made ten times as fast."""
MEDIAN_SLACK_MS, P90_SLACK_MS = 60, 150
SILENT_AIM_MS, DUCKED_AIM_MS, OVERHEAD_AIM_MS = 200, 60, 30


@dataclass(frozen=True, slots=True)
class Requests:
    """To the chat model."""

    made: int
    turns: int

    @property
    def wasted(self) -> int:
        """On eager replies that nobody heard."""
        return self.made - self.turns

    @classmethod
    def read(cls, trace: Path, turns: int) -> Requests:
        lines = map(json.loads, trace.read_text(encoding="utf-8").splitlines())
        return cls(sum(line["what"] == "request" for line in lines), turns)


@dataclass(frozen=True, slots=True)
class Results:
    machine: Machine
    others_cores: float
    """Cores that other programs kept busy meanwhile."""
    sequential: Sequence[float]
    """ms, turn by turn."""
    talk: Talk
    page: PageTalk | None
    at_once: Talk
    """With providers that take no time."""
    requests: Requests

    @property
    def unanswered(self) -> Sequence[str]:
        return [*self.talk.unanswered, *self.at_once.unanswered, *(self.page.unanswered if self.page else [])]

    @property
    def answered_early(self) -> int:
        return self.talk.answered_early + (self.page.answered_early if self.page else 0)

    @property
    def first_bytes(self) -> Spread:
        return Spread.of([turn.answered_ms for turn in self.talk.turns[1:]])

    @property
    def first_sounds(self) -> Spread | None:
        return Spread.of([turn.heard_ms for turn in self.page.turns[1:]]) if self.page else None

    def spreads(self) -> Iterator[tuple[str, Spread]]:
        """What was measured, in ms; the first turn of each run warms up."""
        yield "sequential: true end of speech to first byte", Spread.of(self.sequential)
        yield "live: true end of speech to first byte", self.first_bytes
        if self.first_sounds:
            yield "live: true end of speech to first sound, Chromium", self.first_sounds
        over = [turn.turn_over_ms for turn in self.talk.turns[1:]]
        yield "live: true end of speech to the end of the turn", Spread.of(over)
        if silenced := _known(turn.silenced_ms for turn in self.talk.turns):
            yield "interruption: onset until the client is told", Spread.of(silenced)
        if self.page and (ducked := _known(turn.ducked_ms for turn in self.page.turns)):
            yield "interruption: onset to ducked, Chromium", Spread.of(ducked)
        if self.page and (silent := _known(turn.silent_ms for turn in self.page.turns)):
            yield "interruption: onset to silence, Chromium", Spread.of(silent)
        at_once = self.at_once.turns[1:]
        yield (
            "no delays: end of the turn to first byte",
            Spread.of([it.answered_ms - it.turn_over_ms for it in at_once]),
        )
        yield (
            "no delays: end of the silence to first byte",
            Spread.of([it.answered_ms - it.wait_over_ms for it in at_once]),
        )

    def aims(self) -> list[Aim]:
        spreads = dict(self.spreads())

        def aim(what: str, limit: float, p90: bool = False) -> Aim:
            spread = spreads[what]
            return Aim(
                f"{what}, {'p90' if p90 else 'median'}", spread.p90 if p90 else spread.median, limit, "ms"
            )

        found = []
        for what in spreads:
            if what.startswith("live: true end of speech to first"):
                found.append(aim(what, PREPARED_FLOOR_MS + MEDIAN_SLACK_MS))
                found.append(aim(what, PREPARED_FLOOR_MS + P90_SLACK_MS, p90=True))
            elif "to ducked" in what:
                found.append(aim(what, DUCKED_AIM_MS))
            elif "to silence" in what:
                found.append(aim(what, SILENT_AIM_MS))
            elif "end of the turn to first byte" in what:
                found.append(aim(what, OVERHEAD_AIM_MS))
        return [*found, Aim("turns answered before they were over", self.answered_early, 0, "")]

    def as_json(self) -> dict[str, object]:
        spreads = {what: asdict(spread) for what, spread in self.spreads()}
        return {
            **asdict(self),
            "spreads": spreads,
            "aims": [{**asdict(it), "met": it.met} for it in self.aims()],
        }


def _known(values: Iterator[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def write_report(results: Results) -> Iterator[str]:
    """Line by line."""
    machine = results.machine
    yield f"Machine  {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB; {machine.system}"
    yield (
        f"Engines  Azure's SDKs against emulators: partial transcripts {PUBLISHED.partial_lag_ms:g} ms behind the voice, the"
        f" final one {PUBLISHED.final_ms:g}; first token {PUBLISHED.first_token_ms:g} ms, {PUBLISHED.tokens_per_second:g}"
        f" tokens/s, first sound {PUBLISHED.first_byte_ms:g} ms"
    )
    yield (
        f"Floors   {PREPARED_FLOOR_MS} ms for a reply prepared on the last partial transcript, {FINAL_FLOOR_MS:g} for one that"
        f" waits for the final one, {SEQUENTIAL_FLOOR_MS} sequentially"
    )
    if results.others_cores > QUIET * machine.cores:
        yield (
            f"WARNING  Other programs took {results.others_cores:.1f} of {machine.cores} cores: on an idle machine all times"
            " are shorter."
        )
    yield ""
    yield f"  {f'ms, {len(results.talk.turns) - 1} turns':<56}{'median':>8}{'p90':>8}"
    for what, spread in results.spreads():
        yield f"  {what:<56}{spread.median:8.0f}{spread.p90:8.0f}"
    yield ""
    requests = results.requests
    yield f"Requests to the chat model  {requests.made} for {requests.turns} turns: {requests.wasted} in vain"
    yield from (f"UNANSWERED  {text}" for text in results.unanswered)
    yield from (f"MISHEARD  {text}" for text in results.talk.misheard)
    if results.talk.late_frames_ms > 20:
        yield f"WARNING  The client itself was up to {results.talk.late_frames_ms:.0f} ms late with a frame."
    yield ""
    yield from map(str, results.aims())
