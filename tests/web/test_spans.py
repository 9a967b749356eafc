"""Turns as spans, by OpenTelemetry's own SDK."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.web.test_figures import TIMES
from voice.live.events import TurnTimes
from voice.web.spans import trace_turns

TOLD_NS = 1_800_000_000_000_000_000


def trace(times: TurnTimes) -> dict[str, ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_turns(provider.get_tracer("test"))(times, TOLD_NS)
    return {span.name: span for span in exporter.get_finished_spans()}


def lengths_ms(spans: dict[str, ReadableSpan]) -> dict[str, int]:
    return {
        name: round(((span.end_time or 0) - (span.start_time or 0)) / 1e6) for name, span in spans.items()
    }


def test_a_turn_is_a_span_with_one_for_each_of_its_stages() -> None:
    spans = trace(replace(TIMES, heard_ms=1010))
    assert lengths_ms(spans) == {
        "turn": 1010,
        "final transcript": 520,
        "end of turn": 500,
        "first token": 400,
        "first phrase": 100,
        "first audio": 150,
        "playback": 50,
    }
    turn = spans.pop("turn")
    assert {span.parent and span.parent.span_id for span in spans.values()} == {turn.context.span_id}
    assert turn.start_time == TOLD_NS - 960_000_000
    assert dict(turn.attributes or {}) == {
        "kaiwa.turn": 1,
        "kaiwa.reply": 1,
        "kaiwa.wasted_replies": 1,
        "kaiwa.interrupted": False,
    }


def test_stages_that_did_not_happen_have_no_span() -> None:
    assert lengths_ms(trace(TurnTimes(turn=1, reply=1, turn_over_ms=500))) == {
        "turn": 500,
        "end of turn": 500,
    }


def test_a_reply_prepared_before_the_end_of_speech_lies_within_its_turn() -> None:
    spans = trace(replace(TIMES, chat_asked_ms=-200, first_token_ms=-50))
    assert spans["turn"].start_time == spans["first token"].start_time
