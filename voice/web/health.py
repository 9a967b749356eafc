"""For operators: `/healthz` tells whether the server can answer, `/metrics` what it does.

`/healthz` needs no key and tells no secret: 200 once every engine is warm, else 503 with `{"status": "warming"}` or
`{"status": "failed", "reasons": [...]}`, the reasons being keys of sentences of `voice.texts`. Whoever asks while an
engine has failed also has it tried again, a while after it failed.

`/metrics` is there only where a key is set for it: behind a proxy or a share link everybody comes from loopback, so an
address tells nothing of who asks.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from voice.engines import Engines
from voice.web.figures import Figures

Answer = Callable[[Request], Awaitable[Response]]


def health_routes(engines: Engines, figures: Figures, metrics_key: str = "") -> list[Route]:
    """`metrics_key`: what `/metrics` is asked for with, as bearer token; "" for no `/metrics`."""
    routes = [Route("/healthz", _tell_health(engines))]
    if metrics_key:
        routes.append(Route("/metrics", _tell_figures(figures, metrics_key)))
    return routes


def _tell_health(engines: Engines) -> Answer:
    async def answer(_: Request) -> Response:
        if engines.is_warm:
            return _tell({"status": "ready"}, 200)
        if not engines.failures:
            return _tell({"status": "warming"}, 503)
        reasons = [failure.sentence for failure in engines.failures]
        return _tell({"status": "failed", "reasons": reasons}, 503, BackgroundTask(engines.warm))

    return answer


def _tell_figures(figures: Figures, key: str) -> Answer:
    async def answer(request: Request) -> Response:
        offered = request.headers.get("authorization", "")
        if not hmac.compare_digest(offered.encode(), f"Bearer {key}".encode()):
            return PlainTextResponse("Wants the key.\n", 401, {"WWW-Authenticate": "Bearer"})
        return Response(figures.render(), media_type=CONTENT_TYPE_LATEST)

    return answer


def _tell(health: dict[str, object], status: int, task: BackgroundTask | None = None) -> Response:
    return JSONResponse(health, status, {"Cache-Control": "no-store"}, background=task)
