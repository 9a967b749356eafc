"""`python -m bench.soak`: turns without end on emulated Azure with random faults, to see what leaks and what hangs.

Several people talk at once, by the real SDKs. Every turn must end in an answer or in a sentence that the user can act on,
and memory, threads and sockets must not keep growing. With a chart, and the figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import anyio

from bench.footprint import Footprint, give_back_memory, measure_footprint
from tests.emulators.running import running_emulators, settings_for
from tests.speech import read_clips
from voice import texts
from voice.engines import EngineError, Engines
from voice.engines.choosing import choose
from voice.session import Limits, Preferences, Session
from voice.session_events import Failed, Replied, TurnEvent

CHART = Path(__file__).parent / "results" / "soak.png"
PEOPLE = 8
TURNS_EACH = 10
"""Then somebody else comes, with a conversation of their own."""
STOPPED = 0.1
"""How many turns are stopped by whoever asked, at a random moment."""
TIMEOUT_SECONDS = 3
"""`ENGINE_TIMEOUT_SECONDS`, short for the sake of more turns."""
SLACK_SECONDS = 4
"""That a sign of life may be late: recordings are decoded first, two at a time, and the machine may be busy."""
MARGINS = Footprint(memory_mb=20, threads=20, sockets=10)
"""How much more the last fifth of a run may hold than its second fifth: what allocators do, and chance."""


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    footprint: Footprint
    tasks: int
    turns: int


@dataclass
class Soak:
    """What became of the turns, and what the process held meanwhile."""

    answered: int = 0
    stopped: int = 0
    told: Counter[str] = field(default_factory=Counter)
    """Turns that failed or were not all spoken, by the sentence that said so."""
    troubles: list[str] = field(default_factory=list)
    longest_wait: float = 0
    """Seconds without a sign of life."""
    samples: list[Sample] = field(default_factory=list)

    @property
    def turns(self) -> int:
        return self.answered + self.stopped + self.told.total()

    def judge(self) -> list[str]:
        """What is wrong; nothing when all is well."""
        latest = TIMEOUT_SECONDS + SLACK_SECONDS
        late = [f"a turn was silent for {self.longest_wait:.1f} s"] if self.longest_wait > latest else []
        return [*self.troubles, *late, *find_growth([sample.footprint for sample in self.samples])]


def find_growth(footprints: Sequence[Footprint], margins: Footprint = MARGINS) -> list[str]:
    """What the last fifth has more of than the second, by more than its margin: medians, since turns come and go."""
    fifth = len(footprints) // 5
    growth = []
    for what, margin in asdict(margins).items():
        former, latter = (
            median(getattr(each, what) for each in footprints[part : part + fifth]) if fifth else 0
            for part in (fifth, len(footprints) - fifth)
        )
        if latter > former + margin:
            growth.append(f"{what} grew from {former:.0f} to {latter:.0f}")
    return growth


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, print, draw. The exit status is 0 when every turn ended well and nothing grew, else 1."""
    options = _read_options(argv)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    soak = Soak()
    emulated = ("--timings=none", f"--faults={options.faults}", f"--seed={options.seed}")
    with running_emulators(*emulated) as lines:
        engines = choose(settings_for(lines, engine_timeout_seconds=TIMEOUT_SECONDS))
        asyncio.run(_talk(engines, soak, options))
    _report(soak)
    options.chart.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "options": {**vars(options), "chart": options.chart.name},
        "answered": soak.answered,
        "stopped": soak.stopped,
        "told": soak.told,
        "longest_wait_seconds": soak.longest_wait,
        "wrong": soak.judge(),
        "samples": [asdict(sample) for sample in soak.samples],
    }
    options.chart.with_suffix(".json").write_text(json.dumps(figures), encoding="utf-8")
    from bench.soak_chart import draw_soak  # not earlier: matplotlib's memory is not Kaiwa's

    conditions = f"{options.people} people talk at once to emulated Azure, where {options.faults:.0%} of all that is asked goes wrong"
    draw_soak(soak, conditions, options.chart)
    print(f"Chart    {options.chart}")
    return 1 if soak.judge() else 0


def _read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"how many talk at once ({PEOPLE})")
    parser.add_argument(
        "--faults", type=float, default=0.1, help="how many turns of each service go wrong (0.1)"
    )
    parser.add_argument("--seed", type=int, default=1, help="for other faults (1)")
    parser.add_argument(
        "--chart", type=Path, default=CHART, help=f"where the PNG goes ({CHART.name}), the JSON beside it"
    )
    return parser.parse_args(argv)


async def _talk(engines: Engines, soak: Soak, options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, soak)
        with anyio.move_on_after(60 * options.minutes):
            async with anyio.create_task_group() as people:
                for number in range(options.people):
                    people.start_soon(_come_and_go, engines, soak, random.Random(chance.random() + number))
        tasks.cancel_scope.cancel()
    await engines.close()


async def _watch(soak: Soak) -> None:
    """A sample a second."""
    began = time.monotonic()
    while True:
        give_back_memory()
        now = time.monotonic() - began
        soak.samples.append(Sample(now, measure_footprint(), len(asyncio.all_tasks()), soak.turns))
        await anyio.sleep(1)


async def _come_and_go(engines: Engines, soak: Soak, chance: random.Random) -> None:
    """One person after the other, without end."""
    while True:
        language = chance.choice(["en", "ja"])
        session = Session(engines, Limits(30, 1000, 500), language)
        preferences = Preferences(chance.choice([language, None]))
        for _ in range(TURNS_EACH):
            if chance.random() < 0.7:
                turn = session.answer_recording(chance.choice(read_clips(language)).path, preferences)
            else:
                turn = session.answer_text("What is the time?", preferences)
            patience = chance.uniform(0, 1) if chance.random() < STOPPED else None
            async with aclosing(turn) as events:
                await _follow(events, soak, patience)


async def _follow(events: AsyncGenerator[TurnEvent, None], soak: Soak, patience: float | None) -> None:
    """Notes what becomes of a turn. `patience`: seconds until it is stopped, None for never."""
    failure: EngineError | None = None
    replied = False
    with anyio.move_on_after(patience) as waiting:
        alive = time.monotonic()
        async for event in events:
            now = time.monotonic()
            soak.longest_wait = max(soak.longest_wait, now - alive)
            alive = now
            replied = replied or isinstance(event, Replied)
            if isinstance(event, Failed):
                failure = failure or event.error
    if waiting.cancelled_caught:
        soak.stopped += 1
    elif failure:
        soak.told[failure.sentence] += 1
        try:
            sentences = [
                texts.say(failure.sentence, language, **failure.details) for language in ("en", "ja")
            ]
        except KeyError:
            sentences = []
        if not all(sentences) or failure.sentence == "turn_broke":
            soak.troubles.append(f"a turn ended in {failure.sentence}")
    elif replied:
        soak.answered += 1
    else:
        soak.troubles.append("a turn ended without an answer or a sentence")


def _report(soak: Soak) -> None:
    print(
        f"{soak.turns} turns: {soak.answered} answered, {soak.stopped} stopped, {soak.told.total()} told what failed"
    )
    for sentence, times in soak.told.most_common():
        print(f"{times:6}  {sentence}")
    print(f"Longest wait for a sign of life: {soak.longest_wait:.1f} s, with a limit of {TIMEOUT_SECONDS} s")
    footprints = [sample.footprint for sample in soak.samples]
    for what in asdict(MARGINS):
        values = [getattr(each, what) for each in footprints]
        print(
            f"{what:10}  {values[0]:.0f} at first, {median(values):.0f} median, {max(values):.0f} at most, {values[-1]:.0f} at last"
        )
    for wrong, times in Counter(soak.judge()).items():
        print(f"WRONG, {times} times: {wrong}")


if __name__ == "__main__":
    sys.exit(main())
