"""Firefox, driven by WebDriver BiDi, which it speaks without a driver; Playwright does not drive the one of a distribution."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.browser.steps import PATIENCE_MS

EXECUTABLE = shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {
    # Nobody is asked for the microphone.
    "media.navigator.permission.disabled": True,
    # Sound only after a click.
    "media.autoplay.default": 5,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
LISTENING = re.compile(r"WebDriver BiDi listening on (\S+)")


class Firefox:
    """One tab."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket
        self.numbers = count(1)
        self.troubles: list[str] = []
        """What the console calls an error."""
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.tab = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> Any:
        """Raises: TimeoutError when Firefox, or the page, does not answer."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv(timeout=PATIENCE_MS / 1000))).get("id") != number:
            if answer["params"].get("level") == "error":
                self.troubles.append(answer["params"]["text"])
        assert answer["type"] == "success", answer
        return answer["result"]

    def visit(self, address: str, *scripts: str) -> None:
        """`scripts`: run before the page's own."""
        for script in scripts:
            self.ask("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}")
        self.ask("browsingContext.navigate", context=self.tab, url=address, wait="complete")
        self.troubles.clear()

    def evaluate(self, expression: str) -> Any:
        found = self.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression}) ?? null))()",
            target={"context": self.tab},
            awaitPromise=True,
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    def wait_for(self, expression: str) -> None:
        """Until it is true."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, (expression, self.evaluate("document.body.innerText"))
            time.sleep(0.05)

    def press(self, selector: str) -> None:
        """A click of the mouse."""
        [element] = self.ask(
            "browsingContext.locateNodes", context=self.tab, locator={"type": "css", "value": selector}
        )["nodes"]
        there = {"type": "element", "element": {"sharedId": element["sharedId"]}}
        moves = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": there},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": moves}
        self.ask("input.performActions", context=self.tab, actions=[mouse])


@contextmanager
def open_firefox(folder: Path, environment: dict[str, str]) -> Iterator[Firefox]:
    """`folder`: an empty one, for its profile and its log. `environment`: that of a sound card."""
    assert EXECUTABLE
    profile = folder / "profile"
    profile.mkdir()
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("\n".join(lines))
    log = folder / "firefox.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [EXECUTABLE, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        with connect(f"{_wait_until_listening(process, log)}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not (found := LISTENING.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return found[1]
