"""What load balancers and Prometheus ask for."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import httpx2
import pytest
from starlette.applications import Starlette

from tests.fakes import FakeChat, fake_engines
from voice.engines import Engines, Unavailable
from voice.web.figures import Figures
from voice.web.health import health_routes

pytestmark = pytest.mark.anyio

KEY = "0123456789abcdef"


@dataclass
class SlowChat(FakeChat):
    """Warms up when it is told to, and fails as often as it is told to."""

    go_on: anyio.Event = field(default_factory=anyio.Event)
    failures: int = 0

    async def warm(self, prompt: object = ()) -> None:
        await self.go_on.wait()
        if self.failures:
            self.failures -= 1
            raise Unavailable("chat_unreachable")


async def ask(
    path: str, engines: Engines | None = None, key: str = "", headers: dict[str, bytes] | None = None
) -> httpx2.Response:
    app = Starlette(routes=health_routes(engines or fake_engines(), Figures(), key))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://kaiwa") as client:
        answer: httpx2.Response = await client.get(path, headers=headers)
        return answer


async def test_the_server_is_ready_once_its_engines_are_warm() -> None:
    chat = SlowChat()
    engines = fake_engines(chat=chat)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(engines.warm)
        before = await ask("/healthz", engines)
        chat.go_on.set()
    after = await ask("/healthz", engines)
    assert (before.status_code, before.json()) == (503, {"status": "warming"})
    assert (after.status_code, after.json()) == (200, {"status": "ready"})


async def test_what_keeps_it_from_being_ready_is_told_by_the_key_of_its_sentence() -> None:
    chat = SlowChat(failures=1)
    chat.go_on.set()
    engines = fake_engines(chat=chat)
    await engines.warm()
    answer = await ask("/healthz", engines)
    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "reasons": ["chat_unreachable"]}


async def test_metrics_are_told_to_whoever_has_the_key() -> None:
    answer = await ask("/metrics", key=KEY, headers={"Authorization": f"Bearer {KEY}".encode()})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "kaiwa_live_conversations 0.0" in answer.text


@pytest.mark.parametrize("offered", [None, KEY, "Bearer ", "Bearer wrong", "Bearer schlüssel"])
async def test_metrics_are_told_to_nobody_else(offered: str | None) -> None:
    headers = {"Authorization": offered.encode()} if offered else None
    answer = await ask("/metrics", key=KEY, headers=headers)
    assert answer.status_code == 401
    assert "kaiwa" not in answer.text


async def test_without_a_key_for_them_there_are_no_metrics() -> None:
    assert (await ask("/metrics", headers={"Authorization": b"Bearer "})).status_code == 404
