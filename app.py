"""The command line: read the settings, choose the engines, build the page, serve it until told to end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from pydantic import ValidationError

from voice import texts
from voice.engines import EngineError, Engines
from voice.engines.choosing import choose
from voice.progress import showing_progress
from voice.settings import Settings, explain, read_settings

if TYPE_CHECKING:
    from voice.web.figures import Trace

log = logging.getLogger(__name__)


def main() -> int:
    """Run Kaiwa; the exit status is 2 for a wrong option, 1 when it cannot work, else 0."""
    # A container's first process gets no SIGTERM that it does not ask for, and fetching models takes a while.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run()
    except KeyboardInterrupt:
        return 130


def run() -> int:
    try:
        settings, check = read_settings()
    except ValidationError as error:
        print(*explain(error), sep="\n", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("voice").setLevel(settings.log_level.upper())
    if not check and (problem := find_port_problem(settings.host, settings.port)):
        print(problem, file=sys.stderr)
        return 1
    if check:  # a word shows as well as a sentence that the chat model is there
        settings = settings.model_copy(update={"chat_max_tokens": 1})
    try:
        with showing_progress(sys.stderr) as progress:
            engines = choose(settings, progress)
    except EngineError as error:
        print(texts.say(error.sentence, "en", **error.details), file=sys.stderr)
        return 1
    if check:
        from voice.check import check_engines, name_hosts

        return asyncio.run(check_engines(engines, name_hosts(settings)))
    return serve(settings, engines)


def serve(settings: Settings, engines: Engines) -> int:
    """Serve until SIGINT or SIGTERM."""
    # Gradio takes seconds to import; whoever mistyped an option need not wait for it.
    from voice.conversation import open_conversation
    from voice.session import Limits, Preferences
    from voice.turns.events import Patience, Rules
    from voice.web.chat_socket import chat_route
    from voice.web.door import Door
    from voice.web.ending import end
    from voice.web.figures import Figures
    from voice.web.health import health_routes
    from voice.web.page import build_page
    from voice.web.realtime import realtime_route
    from voice.web.realtime.lane import lane_routes
    from voice.web.realtime.reception import Bounds, Reception
    from voice.web.serving import launch
    from voice.web.tickets import Tickets

    # Gradio asks its own page once whether it is up, which no proxy can answer.
    os.environ["no_proxy"] = ",".join(filter(None, [os.environ.get("no_proxy"), "localhost", "127.0.0.1"]))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    limits = Limits(settings.max_recording_seconds, settings.max_text_characters, settings.history_tokens)
    language = None if settings.spoken_language == "auto" else settings.spoken_language
    preferences = Preferences(language=language, persona=settings.persona)
    figures = Figures(find_trace())
    tickets = Tickets()
    patience = Patience(settings.turn_patience)
    page = build_page(engines, limits, preferences, tickets, figures, patience)
    bounds = Bounds(
        settings.live_session_seconds,
        settings.live_sessions,
        settings.live_sessions_per_user,
        settings.idle_seconds,
    )
    rules = Rules(
        patience=patience,
        eager=settings.eager_replies,
        scores_pauses=engines.end_of_turn is not None,
    )
    reception = Reception(engines, limits, preferences, bounds, rules, settings.greeting, figures)
    keys, origins = settings.door
    door = Door(keys, origins, locked=bool(settings.logins))
    try:
        address = launch(
            page,
            engines,
            host=settings.host,
            port=settings.port,
            root_path=settings.root_path,
            share=settings.share,
            logins=settings.logins,
            origins=origins,
            routes=[
                chat_route(engines, limits, preferences, door, figures=figures),
                realtime_route(reception, door, tickets),
                *lane_routes(reception, door, tickets),
                *health_routes(engines, figures, settings.metrics_key.get_secret_value()),
            ],
            openings=[open_conversation(settings.persona, spoken) for spoken in order_openings(language)],
        )
    except OSError as error:
        print(explain_port(error, settings.host, settings.port), file=sys.stderr)
        return 1
    print(f"Kaiwa is on {address}", flush=True)
    ended.wait()
    end(page)
    logging.getLogger("voice").info("Kaiwa has ended")
    return 0


def find_trace() -> Trace | None:
    """What sends live turns to OpenTelemetry, where its environment names an endpoint and its packages are installed."""
    if not any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT") for name in ("", "TRACES_")):
        return None
    try:
        from voice.web.spans import send_turns
    except ImportError:
        log.warning(
            "No traces are sent: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        )
        return None
    return send_turns()


def order_openings(language: str | None) -> list[str]:
    """The languages that conversations may begin in, the likeliest first."""
    return sorted(texts.INTERFACE, key=lambda spoken: spoken != language)


def find_port_problem(host: str, port: int) -> str:
    """Why no server can listen there, "" when one can; looked at before models are fetched."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return explain_port(error, host, port)
    return ""


def explain_port(error: OSError, host: str, port: int) -> str:
    # Gradio raises an OSError of its own, without a number, for a port that is taken.
    if error.errno in {errno.EADDRINUSE, None}:
        return texts.say("port_taken", "en", port=port, another=port % 65535 + 1)
    return texts.say("address_unusable", "en", host=host, port=port, reason=error.strerror or str(error))


if __name__ == "__main__":
    sys.exit(main())
