"""The live panel's files and texts."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from voice import texts
from voice.turns.events import Patience
from voice.web.panel import FOLDER, FOREVER, SCRIPTS, VERSION, make_panel, script_route

CODE = "".join(path.read_text("utf-8") for path in [*SCRIPTS.values(), FOLDER / "template.html"])


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=[script_route()]))


def test_every_script_is_served_and_kept_until_it_changes(client: TestClient) -> None:
    for name in SCRIPTS:
        response = client.get(f"/kaiwa/{VERSION}/{name}")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/javascript")
        assert response.headers["cache-control"] == FOREVER


def test_a_script_asked_for_by_a_page_of_an_earlier_version_is_not_kept(client: TestClient) -> None:
    assert client.get("/kaiwa/earlier/panel.js").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["panel.css", "nothing.js", "..%2fpanel.py", "%2e%2e/panel.py", ""])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/kaiwa/{VERSION}/{name}").status_code == 404


def test_every_text_of_the_panel_is_shown_somewhere() -> None:
    made = tuple(re.findall(r"`(\w+_)\$\{", CODE))
    shown = set(re.findall(r'"(\w+)"', CODE))
    assert [key for key in texts.words_of("en").panel if key not in shown and not key.startswith(made)] == []


def test_every_text_that_the_panel_shows_is_there() -> None:
    named = set(re.findall(r'(?:say\(|data-(?:text|name)=)"(\w+)"', CODE))
    assert len(named) > 25
    assert named <= set(texts.words_of("en").panel)


def test_no_script_writes_markup() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", CODE)


def test_the_panel_starts_with_the_patience_that_the_server_was_given() -> None:
    assert make_panel(Patience.QUICK).props["patience"] == "quick"
    assert "props.patience" in SCRIPTS["panel.js"].read_text("utf-8")
