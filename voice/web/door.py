"""Who may come in: programs by a key, pages by where they come from."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

KEY_SUBPROTOCOLS = ("kaiwa-key.", "openai-insecure-api-key.")
"""What browsers, which cannot set headers, put before the key: `new WebSocket(url, ["kaiwa", "kaiwa-key.…"])`."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a connection ends."""

    code: int
    sentence: str
    details: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in."""

    keys: Sequence[str] = ()
    """Any of them opens; none needed when there are none."""
    origins: Sequence[str] = ()
    """Other sites whose pages may connect, as "https://demo.example"; "*" for every site."""
    locked: bool = False
    """Nobody comes in without a key, even if there are none: where the page itself wants a login."""

    def refusal(self, connection: HTTPConnection) -> Closing | None:
        if not self.knows_origin(connection):
            return Closing(4403, "origin_refused")
        if (self.keys or self.locked) and self.find_key(connection) is None:
            return Closing(4401, "api_key_refused")
        return None

    def knows_origin(self, connection: HTTPConnection) -> bool:
        """A page of this server, or of a listed site. Programs send no origin, browsers always do."""
        origin = connection.headers.get("origin")
        if origin is None or "*" in self.origins or origin.lower() in map(_normalise_origin, self.origins):
            return True
        # A proxy may put its own name for this server into Host. Scripts of a foreign page can set neither.
        own = (connection.headers.get("x-forwarded-host"), connection.headers.get("host"))
        return any(_same_host(origin, host) for host in own if host)

    def find_key(self, connection: HTTPConnection) -> str | None:
        """The key that the client came with; None if it has none that opens."""
        # Every pair is compared, in a time that tells nothing of either.
        matches = [
            key
            for offered in _offered_keys(connection)
            for key in self.keys
            if key and hmac.compare_digest(offered.encode(), key.encode())
        ]
        return next(iter(matches), None)


def _offered_keys(connection: HTTPConnection) -> list[str]:
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    return [
        *([credentials.strip()] if scheme.lower() == "bearer" else []),
        *connection.query_params.getlist("key"),
        *(
            offered.removeprefix(prefix)
            for offered in connection.scope.get("subprotocols", ())
            for prefix in KEY_SUBPROTOCOLS
            if offered.startswith(prefix)
        ),
    ]


def _normalise_origin(origin: str) -> str:
    return origin.strip().rstrip("/").lower()


def _same_host(origin: str, host: str) -> bool:
    # Names only: proxies often leave the port out of Host.
    try:
        site, own = urlsplit(origin), urlsplit(f"//{host.partition(',')[0].strip()}")
    except ValueError:
        return False
    return site.hostname is not None and site.hostname == own.hostname
