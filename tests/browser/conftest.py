"""Chromium, its fake microphone, and an app whose chat model follows a script."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.browser.steps import wait_for_phase
from tests.emulators.chat import Answer, ChatServer
from tests.running import running_app
from voice.audio import Pcm, encode_wav, join, resample
from voice.engines.local_whisper import LocalWhisper

MICROPHONE_RATE = 48_000
LEAD_IN_MS = 700
"""Silence at the microphone before somebody speaks."""

EXPECTED_TROUBLES = {"Waveform load error: MediaError"}
"""What Gradio's recorder says of a dropped file that is no sound."""

Listen = Callable[[Pcm, str], str]


class OpenBrowser(Protocol):
    def __call__(self, recording: Path | None, allows_microphone: bool = True) -> Browser: ...


class Visit(Protocol):
    """Opens the page in a context of its own, ready to be used."""

    def __call__(
        self,
        address: str,
        *,
        locale: str = "en-US",
        microphone: Pcm | None = None,
        allows_microphone: bool = True,
        **options: Any,
    ) -> Page:
        """`microphone`: what is said into it, in a browser of its own; so is one that does not allow it.

        `options`: of Playwright's `new_context`.
        """
        ...


@dataclass(frozen=True)
class ScriptedApp:
    """The real app, page, ears and voice, with an emulated chat server."""

    address: str
    chat: ChatServer

    def will_answer(self, *answers: Answer) -> None:
        """From now on; the last one again and again."""
        self.chat.answers[:] = answers
        self.chat.exchanges.clear()

    def prompts(self) -> list[str]:
        """What the chat server was asked since then: each whole prompt as one text, without the system prompt."""
        return [
            "\n".join(message["content"] for message in exchange.body["messages"][1:])
            for exchange in self.chat.exchanges
        ]


# Package, not session: Playwright's own event loop would be in the way of the asyncio tests elsewhere.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def open_browser(playwright: Playwright) -> OpenBrowser:
    """A Chromium whose microphone, once opened, plays the WAV file; a beep when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)

    def open_browser(recording: Path | None, allows_microphone: bool = True) -> Browser:
        answer = "" if allows_microphone else "=deny"
        arguments = ["--use-fake-device-for-media-stream", f"--use-fake-ui-for-media-stream{answer}"]
        if recording:
            arguments.append(f"--use-file-for-fake-audio-capture={recording}%noloop")
        return playwright.chromium.launch(executable_path=executable, args=arguments)

    return open_browser


@pytest.fixture(scope="package")
def browser(open_browser: OpenBrowser) -> Iterator[Browser]:
    browser = open_browser(None)
    yield browser
    browser.close()


@pytest.fixture
def visit(browser: Browser, open_browser: OpenBrowser, tmp_path: Path) -> Iterator[Visit]:
    """Afterwards no page may have asked anybody but its own server for anything, or have met an error."""
    troubles: list[str] = []

    def note_request(url: str) -> None:
        if urlsplit(url).scheme not in {"blob", "data"} and urlsplit(url).hostname != "127.0.0.1":
            troubles.append(f"asked for {url}")

    with ExitStack() as opened:

        def visit(
            address: str,
            *,
            locale: str = "en-US",
            microphone: Pcm | None = None,
            allows_microphone: bool = True,
            **options: Any,
        ) -> Page:
            used = browser
            if microphone or not allows_microphone:
                recording = _write_recording(microphone, tmp_path) if microphone else None
                used = open_browser(recording, allows_microphone)
                opened.callback(used.close)
            context = used.new_context(locale=locale, **options)
            opened.callback(context.close)
            page = context.new_page()
            page.on("request", lambda request: note_request(request.url))
            page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.goto(address)
            wait_for_phase(page, "ready")
            return page

        yield visit
    assert not set(troubles) - EXPECTED_TROUBLES


def _write_recording(spoken: Pcm, folder: Path) -> Path:
    lead_in = Pcm.silence(LEAD_IN_MS, MICROPHONE_RATE)
    file = folder / f"microphone-{len(list(folder.iterdir()))}.wav"
    file.write_bytes(encode_wav(join([lead_in, resample(spoken, MICROPHONE_RATE), lead_in], MICROPHONE_RATE)))
    return file


@pytest.fixture(scope="package")
def scripted(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedApp]:
    with (
        ChatServer() as chat,
        running_app(
            tmp_path_factory.mktemp("scripted"),
            models_folder,
            OPENAI_BASE_URL=chat.url,
            LOCAL_JAPANESE_VOICE="mei",
        ) as address,
    ):
        yield ScriptedApp(address, chat)


@pytest.fixture(scope="package")
def listen(whisper_folder: Path) -> Iterator[Listen]:
    """Whisper's ears for what the page plays: 16 kHz in, and its language; words out."""
    whisper = LocalWhisper(whisper_folder)

    async def once(pcm: Pcm) -> AsyncIterator[Pcm]:
        yield pcm

    async def transcribe(pcm: Pcm, language: str) -> str:
        async with aclosing(whisper.transcribe(once(pcm), language)) as transcripts:
            return [transcript.text async for transcript in transcripts][-1]

    # In a thread of its own, for in this one Playwright's event loop is running.
    with start_blocking_portal() as portal:
        yield lambda pcm, language: portal.call(transcribe, pcm, language)
        portal.call(whisper.close)
