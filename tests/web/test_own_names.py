"""By which names a server of this machine alone may be called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from voice import texts
from voice.web.own_names import OwnNames, is_loopback

pytestmark = pytest.mark.anyio

PORT = 7860
PROXY = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


async def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello")


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def make_app(origins: Sequence[str] = ()) -> Starlette:
    return Starlette(
        routes=[Route("/", answer), WebSocketRoute("/socket", greet)],
        middleware=[Middleware(OwnNames, origins=origins)],
    )


@asynccontextmanager
async def asking(origins: Sequence[str] = ()) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(origins))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
        yield client


@pytest.mark.parametrize("headers", [{}, PROXY, {"Origin": f"http://evil.example:{PORT}"}])
@pytest.mark.parametrize(
    "host", ["evil.example", "EVIL.example.", "127.0.0.1.evil.example", "localhost.evil.example"]
)
async def test_a_name_that_somebody_could_register_for_this_machine_is_refused(
    host: str, headers: dict[str, str]
) -> None:
    async with asking() as client:
        refused = await client.get(
            "/", headers={"Host": f"{host}:{PORT}", "Accept-Language": "en", **headers}
        )
    assert (refused.status_code, refused.text) == (403, texts.say("name_refused", "en"))


@pytest.mark.parametrize(
    "host",
    [
        f"localhost:{PORT}",
        f"127.0.0.1:{PORT}",
        f"[::1]:{PORT}",
        f"192.168.1.7:{PORT}",
        f"kaiwa.localhost:{PORT}",
        f"laptop:{PORT}",
        f"laptop.local:{PORT}",
        "kaiwa.example.com",
        "kaiwa.example.com:443",
        "someone-kaiwa.hf.space",
        "0123456789abcdef.gradio.live",
        "",
        "[",
        "kaiwa.example.com:port",
    ],
)
async def test_other_names_and_those_of_proxies_and_tunnels_are_answered(host: str) -> None:
    async with asking() as client:
        assert (await client.get("/", headers={"Host": host})).text == "Hello"


@pytest.mark.parametrize(
    "origins",
    [
        ["*"],
        [f"http://bastion.example:{PORT}"],
        ["https://BASTION.example/"],
        ["http://[", "bastion.example"],
    ],
)
async def test_a_name_that_was_allowed_is_answered(origins: list[str]) -> None:
    async with asking(origins) as client:
        assert (await client.get("/", headers={"Host": f"bastion.example:{PORT}"})).text == "Hello"


def test_a_websocket_is_refused_likewise() -> None:
    client = TestClient(make_app())
    with client.websocket_connect(f"ws://localhost:{PORT}/socket"):
        pass
    with (
        pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
        client.websocket_connect(f"ws://localhost:{PORT}/socket", headers={"Host": f"evil.example:{PORT}"}),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("kaiwa.example", False)],
)
def test_a_server_is_this_machines_alone_when_it_listens_on_loopback(host: str, alone: bool) -> None:
    assert is_loopback(host) == alone
