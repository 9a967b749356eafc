"""Live turns as OpenTelemetry spans. Importable only where its SDK and its OTLP exporter are installed.

No words of anybody's are in spans. All options are OpenTelemetry's own environment variables, as
OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME.
"""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer, set_span_in_context

from voice.live.events import TurnTimes
from voice.web.figures import Trace

STAGES = {
    "final transcript": (None, "final_transcript_ms"),
    "end of turn": (None, "turn_over_ms"),
    "first token": ("chat_asked_ms", "first_token_ms"),
    "first phrase": ("first_token_ms", "first_phrase_ms"),
    "first audio": ("first_phrase_ms", "first_audio_ms"),
    "playback": ("released_ms", "heard_ms"),
}
"""From when to when each stage is; None: from the end of speech."""


def send_turns() -> Trace:
    """Sends each turn to the endpoint of the environment, a few seconds late and many at once."""
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "kaiwa")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return trace_turns(provider.get_tracer("kaiwa"))


def trace_turns(tracer: Tracer) -> Trace:
    """A span for each turn, from the end of speech on, and in it one for each stage that happened."""

    def trace(times: TurnTimes, told_ns: int) -> None:
        told_ms = times.released_ms or times.first_token_ms or 0

        def moment(ms: float) -> int:
            return told_ns + round((ms - told_ms) * 1e6)

        spans: list[tuple[str, float, float]] = []
        for name, (since, until) in STAGES.items():
            begin, end = getattr(times, since) if since else 0.0, getattr(times, until)
            if begin is not None and end is not None:
                spans.append((name, begin, max(begin, end)))
        turn = tracer.start_span(
            "turn",
            start_time=moment(min([0.0, *(begin for _, begin, _ in spans)])),
            attributes={
                "kaiwa.turn": times.turn,
                "kaiwa.reply": times.reply,
                "kaiwa.wasted_replies": times.wasted_replies,
                "kaiwa.interrupted": times.interrupted_ms is not None,
            },
        )
        within = set_span_in_context(turn)
        for name, begin, end in spans:
            tracer.start_span(name, context=within, start_time=moment(begin)).end(moment(end))
        turn.end(moment(max([0.0, *(end for _, _, end in spans)])))

    return trace
