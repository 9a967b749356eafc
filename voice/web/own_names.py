"""By which names a server of this machine alone is called: a foreign one is a page's that wants to pass for its own.

Such a page stands at a name that its owner makes resolve to 127.0.0.1 a moment later (DNS rebinding). The browser then
takes the server for the page's own site, and the page could talk as whoever sits at this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from voice import texts

NOBODYS_TO_SELL = ("localhost", "local", "internal", "test", "home.arpa")
"""Endings of names that nobody can register (RFC 6761, 6762, 8375 and ICANN's resolution on .internal)."""


class OwnNames:
    """ASGI middleware for a server that listens on loopback alone and asks for no login: refuses a foreign name.

    Refused is a registrable name with the very port that the server listens on, unless that is a browser's usual one, which
    Host leaves out. Behind a proxy or a tunnel, Host has the port of that, mostly none; one that has the same is told to
    name its site in `origins`.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        """`origins`: sites that may use the server, as "http://demo.example:7860"; "*" for every site."""
        self._app = app
        self._any = "*" in origins
        sites = (_split(origin.rpartition("//")[2].rstrip("/")) for origin in origins)
        self._names = {site.hostname for site in sites if site is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or not self._is_foreign(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(4403, "name_refused")
        else:
            language = texts.pick_language(Headers(scope=scope).get("accept-language"))
            refusal = PlainTextResponse(texts.say("name_refused", language), 403)
            await refusal(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        called = _split(Headers(scope=scope).get("host", ""))
        if self._any or called is None or called.hostname in self._names:
            return False
        _, own_port = scope.get("server") or ("", None)
        return called.port == own_port is not None and _is_registrable(called.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a server that listens there is reached from its own machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _split(host: str) -> SplitResult | None:
    """None for what no browser sends."""
    try:
        called = urlsplit(f"//{host.strip().lower().rstrip('.')}")
        _ = called.port
    except ValueError:
        return None
    return called


def _is_registrable(name: str) -> bool:
    name = name.rstrip(".")
    try:
        ip_address(name)
    except ValueError:
        return "." in name and not name.endswith(tuple(f".{ending}" for ending in NOBODYS_TO_SELL))
    return False
