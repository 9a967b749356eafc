"""What the README promises to programs, tried against the running app."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import PROJECT
from tests.speech import read_clips
from tests.wer import word_error_rate
from voice.recordings import decode_recording

README = PROJECT / "README.md"
LOCAL_ADDRESS = "http://127.0.0.1:7860"


@pytest.mark.slow
def test_the_example_for_programs_works(app: str, tmp_path: Path) -> None:
    example = read_example("From a program")
    assert LOCAL_ADDRESS in example

    finished = subprocess.run(
        [sys.executable, "-c", example.replace(LOCAL_ADDRESS, app)],
        check=False,
        cwd=PROJECT,
        env={**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert finished.returncode == 0, finished.stderr
    reply, sound, heard, second_reply, second_sound = finished.stdout.splitlines()[-5:]
    assert "Tokyo" in reply
    assert word_error_rate(read_clips("en")[5].text, heard) <= 0.2
    assert second_reply
    for file in (sound, second_sound):
        assert decode_recording(Path(file), max_seconds=120).seconds > 0.3


@pytest.mark.slow
def test_the_example_for_realtime_clients_works(app: str) -> None:
    example = read_example("The Realtime protocol")
    assert LOCAL_ADDRESS in example

    finished = subprocess.run(
        [sys.executable, "-c", example.replace(LOCAL_ADDRESS, app)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert finished.returncode == 0, finished.stderr
    *words, seconds, unit = finished.stdout.split()
    assert any("Tokyo" in word for word in words)
    assert float(seconds) > 0.3
    assert unit == "s"


def read_example(heading: str) -> str:
    """The Python block under a heading of the README."""
    text = README.read_text(encoding="utf-8")
    block = re.search(rf"^#+ {heading}\n.*?^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert block
    return block[1]


def test_every_file_that_the_readme_shows_is_there() -> None:
    readme = README.read_text("utf-8")
    links = re.findall(r'\]\((?!https?:)([^)#]+)\)|src="([^"]+)"', readme)
    assert links
    for pair in links:
        assert (README.parent / "".join(pair)).is_file()
