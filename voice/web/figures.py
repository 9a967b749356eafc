"""What happens on this server, in numbers that operators read: counters, gauges and histograms for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voice.engines import EngineError
from voice.engines.failover import Switch
from voice.live.events import HearingFailed, LiveEvent, Noted, ReplyDone, ReplyStarted, TurnTimes
from voice.session import Session
from voice.session_events import Began, Failed, Finished, Recognising, Stopped, TurnEvent
from voice.session_events import Noted as TurnNoted
from voice.web.failure_log import FailureLog

Trace: TypeAlias = Callable[[TurnTimes, int], None]
"""Takes what a live turn's times came to, and when its reply's first sound left, in ns since the epoch."""

SECONDS = (0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 10)
"""Closest where people begin to notice: they answer each other after 0.2 s, and wait gladly for one or two."""
STAGES = {
    "final_transcript": "the final transcript",
    "first_token": "the chat model's first token",
    "first_audio": "the voice's first sound",
    "released": "the first sound that left for the client",
    "heard": "the first sound at the user's, as the client reports it",
}


class Figures:
    """Of one server. Thread-safe."""

    def __init__(self, trace: Trace | None = None) -> None:
        """`trace`: told of each live turn once, when it is over."""
        self.trace = trace
        self._failure_log = FailureLog()
        self._registry = registry = CollectorRegistry()
        self.conversations = Gauge(
            "kaiwa_live_conversations", "Live conversations going on.", registry=registry
        )
        self.under_way = Gauge("kaiwa_turns_under_way", "Turns being answered.", registry=registry)
        self.turns = Counter(
            "kaiwa_turns",
            "Turns by how they came (live, recording, text) and how they ended.",
            ["door", "outcome"],
            registry=registry,
        )
        self.errors = Counter(
            "kaiwa_errors", "Failures by the key of the sentence shown.", ["sentence"], registry=registry
        )
        self.failovers = Counter(
            "kaiwa_failovers",
            "Answers by an engine that stood in for another, by why.",
            ["sentence"],
            registry=registry,
        )
        self.wasted = Counter(
            "kaiwa_wasted_replies", "Replies prepared before the turn was over, in vain.", registry=registry
        )
        self.interruptions = Counter(
            "kaiwa_interruptions", "Live replies that the user cut short by voice.", registry=registry
        )
        self.stages = {
            stage: Histogram(
                f"kaiwa_{stage}_seconds",
                f"Live turns: from the end of speech to {what}.",
                buckets=SECONDS,
                registry=registry,
            )
            for stage, what in STAGES.items()
        }

    @contextmanager
    def live_conversation(self) -> Iterator[LiveFigures]:
        """While a live conversation goes on; whoever holds it tells each of its events."""
        live = LiveFigures(self)
        with self.conversations.track_inprogress():
            try:
                yield live
            finally:
                live.end()

    def follow(self, session: Session) -> None:
        """Count the session's turns by recording and by keyboard, as long as it lives."""
        session.watch(TurnFigures(self))

    def count_error(self, error: EngineError, door: str) -> None:
        """And log it. `door`: as `turns` has it."""
        self.errors.labels(error.sentence).inc()
        self._failure_log.tell(error, door)

    def count_failover(self, switch: Switch) -> None:
        self.failovers.labels(switch.error.sentence).inc()

    def render(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


class TurnFigures:
    """Sees one session's turns; one at a time is under way."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._door = "text"
        self._failed = False

    def see_turn(self, event: Began | TurnEvent) -> None:
        match event:
            case Began():
                self._door, self._failed = "text", False
                self._figures.under_way.inc()
            case Recognising():
                self._door = "recording"
            case Failed():
                self._failed = True
                self._figures.count_error(event.error, self._door)
            case TurnNoted():
                self._figures.count_failover(event.switch)
            case Finished():
                self._count("failed" if self._failed else "completed")
            case Stopped():
                self._count("cancelled")

    def see_line(self, index: int) -> None: ...

    def _count(self, outcome: str) -> None:
        self._figures.under_way.dec()
        self._figures.turns.labels(self._door, outcome).inc()


class LiveFigures:
    """Of one live conversation."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._replying: set[int] = set()
        self._times: TurnTimes | None = None
        """Of the last reply; they come in several parts, each with all that came before."""
        self._told_ns = 0
        self._interrupted = -1
        """The last reply that was."""
        self._joined = -1
        """The last reply to a turn that is counted with the session's."""

    def observe(self, event: LiveEvent) -> None:
        figures = self._figures
        match event:
            case ReplyStarted(joined=True):
                self._joined = event.reply
            case ReplyStarted():
                self._replying.add(event.reply)
                figures.under_way.inc()
            case ReplyDone() if event.reply != self._joined:
                if event.reply in self._replying:
                    self._replying.remove(event.reply)
                    figures.under_way.dec()
                figures.turns.labels("live", "interrupted" if event.interrupted else event.status).inc()
                if event.interrupted:
                    self._count_interruption(event.reply)
                if event.error:
                    figures.count_error(event.error, "live")
            case HearingFailed():
                figures.turns.labels("live", "failed").inc()
                figures.count_error(event.error, "live")
            case Noted():
                figures.count_failover(event.switch)
            case TurnTimes():
                self._observe_times(event)

    def end(self) -> None:
        """Nothing more comes."""
        self._figures.under_way.dec(len(self._replying))
        self._replying.clear()
        self._tell_trace()

    def _observe_times(self, times: TurnTimes) -> None:
        before = self._times
        if before is None or before.reply != times.reply:
            self._tell_trace()
            self._told_ns = time.time_ns()
            wasted = before.wasted_replies if before and before.turn == times.turn else 0
            self._figures.wasted.inc(max(0, times.wasted_replies - wasted))
            before = TurnTimes(times.turn, times.reply)
        self._times = times
        for stage, histogram in self._figures.stages.items():
            ms = getattr(times, f"{stage}_ms")
            if ms is not None and getattr(before, f"{stage}_ms") is None:
                histogram.observe(max(0, ms) / 1000)
        if times.interrupted_ms is not None:
            self._count_interruption(times.reply)

    def _count_interruption(self, reply: int) -> None:
        # Told with the end of a reply that was still being written, else with its times, or with both.
        if reply != self._interrupted:
            self._interrupted = reply
            self._figures.interruptions.inc()

    def _tell_trace(self) -> None:
        if self._times and self._figures.trace:
            self._figures.trace(self._times, self._told_ns)
