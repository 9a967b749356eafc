"""`/api/chat` under a real uvicorn, asked by the websockets client; and by a client of the original in Chromium."""

from __future__ import annotations

import asyncio
import io
import shutil
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.fakes import FakeChat, FakeTextToSpeech, fake_engines
from voice import texts
from voice.audio import VOICE_RATE, Pcm
from voice.engines import (
    PLAIN_REPLY,
    Engines,
    Message,
    ReplyOptions,
    ReplyPiece,
    Speech,
    Unavailable,
)
from voice.session import Limits, Preferences
from voice.web.chat_socket import Bounds, chat_route
from voice.web.door import Door

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIMITS = Limits(recording_seconds=10, text_characters=100, history_tokens=500)
KEY = "0123456789abcdef"
HERE = Path(__file__).parent


@asynccontextmanager
async def serving(engines: Engines | None = None, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Host and port of a server, which leaves no task behind. `options`: of `chat_route`."""
    before = asyncio.all_tasks()
    route = chat_route(engines or fake_engines(), LIMITS, Preferences(persona="Be kind."), **options)
    pages = [
        Route("/", lambda _: FileResponse(HERE / "original_client.html")),
        Route("/original_client.js", lambda _: FileResponse(HERE / "original_client.js")),
    ]
    config = uvicorn.Config(
        Starlette(routes=[route, *pages]), host="127.0.0.1", port=port, log_level="critical", lifespan="off"
    )
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        await until(lambda: server.started)
        try:
            host, number = server.servers[0].sockets[0].getsockname()
            yield f"{host}:{number}"
        finally:
            server.should_exit = True
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=5)
    assert not [task for task in left if not task.done()]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def client(host: str, query: str = "", language: str = "en", **options: Any) -> connect:
    """A client whose messages may be long."""
    headers = {"Accept-Language": language, **options.pop("headers", {})}
    return connect(
        f"ws://{host}/api/chat{query}",
        additional_headers=headers,
        max_size=None,
        compression=None,
        proxy=None,
        **options,
    )


async def ask(socket: ClientConnection, line: str) -> tuple[str, bytes]:
    await socket.send(line)
    return await hear(socket)


async def hear(socket: ClientConnection) -> tuple[str, bytes]:
    reply, sound = await socket.recv(), await socket.recv()
    assert isinstance(reply, str)
    assert isinstance(sound, bytes)
    return reply, sound


async def read_all(socket: ClientConnection) -> tuple[list[str | bytes], int, str]:
    """What comes until the server closes, the code and the reason."""
    messages: list[str | bytes] = []
    with suppress(ConnectionClosed):
        while True:
            messages.append(await socket.recv())
    return messages, socket.close_code or 0, socket.close_reason or ""


@dataclass
class PatientChat(FakeChat):
    """Answers when it is told to."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        await self.go_on.wait()
        async for piece in super().reply(prompt, options):
            yield piece


def said(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages[1:]]


async def test_a_line_is_answered_in_text_and_then_in_sound() -> None:
    async with serving() as host, client(host) as socket:
        reply, sound = await ask(socket, "Hello")
    assert reply == "You said: Hello"
    with wave.open(io.BytesIO(sound)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 24_000)
        assert wav.getnframes() / 24_000 == pytest.approx(0.05 * len(reply), abs=0.02)


async def test_each_connection_remembers_its_own_words_and_a_new_one_none() -> None:
    chat = FakeChat()
    async with serving(fake_engines(chat=chat)) as host:
        async with client(host) as ann, client(host) as bob:
            await ask(ann, "I am Ann")
            await ask(bob, "I am Bob")
            await ask(ann, "Who am I?")
        async with client(host) as ann:
            await ask(ann, "And now?")
    assert said(chat.prompts[2]) == ["I am Ann", "You said: I am Ann", "Who am I?"]
    assert said(chat.prompts[3]) == ["And now?"]


@pytest.mark.parametrize(
    ("line", "language", "sentence"),
    [("", "en", "empty_text"), (" \n　", "ja-JP,ja;q=0.9", "empty_text"), ("a" * 101, "en", "text_too_long")],
)
async def test_a_line_that_cannot_be_answered_is_warned_of_and_the_connection_stays(
    line: str, language: str, sentence: str
) -> None:
    async with serving() as host, client(host, language=language) as socket:
        await socket.send(line)
        warning = await socket.recv()
        assert warning == texts.say(sentence, language[:2], length=101, limit=100)
        assert (await ask(socket, "Hello"))[0] == "You said: Hello"


async def test_a_voice_that_fails_is_told_after_the_reply_and_the_next_turn_works() -> None:
    voice = FakeTextToSpeech(error=Unavailable("voice_failed"), spoken=["something before"])
    async with serving(fake_engines(text_to_speech=voice)) as host, client(host) as socket:
        await socket.send("Hello")
        assert [await socket.recv(), await socket.recv()] == [
            "You said: Hello",
            texts.say("voice_failed", "en"),
        ]
        voice.error = None
        await ask(socket, "Again")


async def test_a_model_that_fails_is_told_and_the_conversation_goes_on() -> None:
    chat = FakeChat([Unavailable("chat_unreachable"), ["Half a ", Unavailable("chat_unreachable")]])
    failure = texts.say("chat_unreachable", "en")
    async with serving(fake_engines(chat=chat)) as host, client(host) as socket:
        await socket.send("One")
        assert await socket.recv() == failure
        await socket.send("Two")
        assert [await socket.recv(), await socket.recv()] == ["Half a ", failure]
        assert isinstance(await socket.recv(), bytes)
        assert (await ask(socket, "Three"))[0] == "You said: Three"


async def test_half_a_surrogate_pair_in_a_reply_does_not_end_the_connection() -> None:
    async with serving(fake_engines(chat=FakeChat(["Oh \ud83d!"]))) as host, client(host) as socket:
        assert (await ask(socket, "Hello"))[0] == "Oh ?!"
        await ask(socket, "Again")


async def test_lines_sent_at_once_are_answered_in_order() -> None:
    chat = FakeChat(delay=0.002)
    async with serving(fake_engines(chat=chat)) as host, client(host) as socket:
        for line in ("one", "two", "three"):
            await socket.send(line)
        replies = [(await hear(socket))[0] for _ in range(3)]
    assert replies == ["You said: one", "You said: two", "You said: three"]
    assert said(chat.prompts[2]) == ["one", "You said: one", "two", "You said: two", "three"]


async def test_more_lines_than_may_wait_are_refused_at_once() -> None:
    chat = PatientChat()
    async with serving(fake_engines(chat=chat), bounds=Bounds(waiting=2)) as host, client(host) as socket:
        await socket.send("one")
        await anyio.sleep(0.1)  # for it to be under way, so that exactly two more may wait
        for line in ("two", "three", "four", "five"):
            await socket.send(line)
        refusal = texts.say("too_many_waiting", "en", limit=2)
        assert [await socket.recv(), await socket.recv()] == [refusal, refusal]
        chat.go_on.set()
        assert [(await hear(socket))[0][-3:] for _ in range(3)] == ["one", "two", "ree"]


async def test_a_client_in_a_hurry_is_told_to_wait_and_in_the_end_shut_out() -> None:
    bounds = Bounds(messages_per_minute=2, refusals=3)
    async with serving(bounds=bounds) as host, client(host) as socket:
        await ask(socket, "one")
        await ask(socket, "two")
        for _ in range(4):
            await socket.send("more")
        messages, code, reason = await read_all(socket)
    assert messages == [texts.say("too_many_messages", "en", limit=2)] * 5
    assert (code, reason) == (4429, "too_many_messages")


async def test_one_address_has_only_so_many_connections_at_once() -> None:
    async with serving(bounds=Bounds(connections=2)) as host:
        async with client(host) as one, client(host) as two:
            async with client(host) as three:
                assert await read_all(three) == (
                    [texts.say("too_many_connections", "en", limit=2)],
                    4429,
                    "too_many_connections",
                )
            await ask(one, "Hello")
            await ask(two, "Hello")
        async with client(host) as one, client(host) as two:
            await ask(one, "Hello")
            await ask(two, "Hello")


class TestKeys:
    @pytest.mark.parametrize(
        "options",
        [
            {"headers": {"Authorization": f"Bearer {KEY}"}},
            {"headers": {"Authorization": f"bearer  {KEY} "}},
            {"query": f"?key={KEY}"},
            {"subprotocols": ["kaiwa", f"kaiwa-key.{KEY}"]},
        ],
    )
    async def test_a_key_lets_in(self, options: dict[str, Any]) -> None:
        door = Door(keys=["another", KEY])
        async with serving(door=door) as host, client(host, **options) as socket:
            await ask(socket, "Hello")
            assert socket.subprotocol in {None, "kaiwa"}

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"query": "?key="},
            {"query": f"?key={KEY}x"},
            {"query": "?key=%FF%00"},
            {"headers": {"Authorization": "Bearer"}},
            {"headers": {"Authorization": f"Basic {KEY}"}},
            {"headers": {"Authorization": "Bearer clé"}},
            {"subprotocols": ["kaiwa", "kaiwa-key.no"]},
            {"subprotocols": [KEY]},
        ],
    )
    async def test_without_the_right_one_the_client_is_told_why_and_nothing_is_answered(
        self, options: dict[str, Any]
    ) -> None:
        chat = FakeChat()
        async with (
            serving(fake_engines(chat=chat), door=Door(keys=["", KEY])) as host,
            client(host, language="ja", **options) as socket,
        ):
            told = await read_all(socket)
        assert told == ([texts.say("api_key_refused", "ja")], 4401, "api_key_refused")
        assert chat.prompts == []

    async def test_where_the_page_wants_a_login_nobody_comes_in_without_a_key(self) -> None:
        async with serving(door=Door(locked=True)) as host, client(host, query="?key=") as socket:
            assert (await read_all(socket))[1] == 4401


class TestOrigins:
    @pytest.mark.parametrize(
        ("origin", "options"),
        [
            ("http://{host}", {}),
            ("http://127.0.0.1", {}),
            ("https://talk.example", {"headers": {"X-Forwarded-Host": "talk.example:8443, inner"}}),
            ("https://Demo.example", {}),
        ],
    )
    async def test_pages_of_this_server_and_listed_ones_may_connect(
        self, origin: str, options: dict[str, Any]
    ) -> None:
        async with (
            serving(door=Door(origins=["https://demo.example/"])) as host,
            client(host, origin=origin.format(host=host), **options) as socket,
        ):
            await ask(socket, "Hello")

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "https://demo.example.evil",
            "http://demo.example",
            "null",
            "",
            "http://[",
            "//",
        ],
    )
    async def test_pages_of_other_sites_may_not(self, origin: str) -> None:
        async with (
            serving(door=Door(origins=["https://demo.example"])) as host,
            client(host, origin=origin, headers={"X-Forwarded-Host": ""}) as socket,
        ):
            assert await read_all(socket) == (
                [texts.say("origin_refused", "en")],
                4403,
                "origin_refused",
            )

    async def test_every_site_may_connect_where_that_is_said(self) -> None:
        async with (
            serving(door=Door(origins=["*"])) as host,
            client(host, origin="https://anywhere.example") as socket,
        ):
            await ask(socket, "Hello")


async def test_a_binary_message_is_warned_of_and_the_connection_stays() -> None:
    async with serving() as host, client(host) as socket:
        await socket.send(b"RIFF")
        assert await socket.recv() == texts.say("only_text", "en")
        await ask(socket, "Hello")


@pytest.mark.parametrize("message", ["a" * 2000, b"a" * 2000])
async def test_a_message_beyond_every_measure_ends_the_connection(message: str | bytes) -> None:
    async with serving() as host, client(host) as socket:
        await socket.send(message)
        messages, code, reason = await read_all(socket)
    assert messages == [texts.say("message_too_large", "en", limit=100)]
    assert (code, reason) == (4413, "message_too_large")


async def test_text_that_is_no_utf8_ends_the_connection_by_the_protocols_own_code() -> None:
    async with serving() as host:
        async with client(host) as socket:
            socket.transport.write(frame(0x81, b"\xed\xa0\x80"))
            assert (await read_all(socket))[1] == 1007
        async with client(host) as socket:
            await ask(socket, "Hello")


async def test_a_silent_connection_is_closed_after_a_while() -> None:
    async with serving(bounds=Bounds(idle_seconds=0.2)) as host, client(host) as socket:
        told = await read_all(socket)
    assert told == ([texts.say("idle_too_long", "en")], 4408, "idle_too_long")


@pytest.mark.parametrize("politely", [True, False])
async def test_when_the_client_leaves_its_turn_ends(politely: bool) -> None:
    chat = FakeChat([["Once upon ", 3600.0]])
    async with serving(fake_engines(chat=chat)) as host:
        async with client(host) as socket:
            await socket.send("A story")
            await until(lambda: chat.running > 0)
            if not politely:
                socket.transport.abort()
        await until(lambda: chat.running == 0)


async def test_when_the_server_ends_so_do_its_connections_and_their_turns() -> None:
    chat = FakeChat([["Once upon ", 3600.0]])
    async with serving(fake_engines(chat=chat)) as host:
        socket = await client(host)
        await socket.send("A story")
        await until(lambda: chat.running > 0)
    assert chat.running == 0
    assert (await read_all(socket))[1] == 1012


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_not_answered_on_and_on() -> None:
    class Endless(FakeTextToSpeech):
        async def speak(
            self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
        ) -> AsyncGenerator[Speech, None]:
            async for phrase in phrases:
                yield Speech(
                    Pcm(bytes(20_000_000), VOICE_RATE), phrase
                )  # more than the system's own buffers hold

    chat = FakeChat()
    engines = fake_engines(chat=chat, text_to_speech=Endless())
    async with (
        serving(engines, bounds=Bounds(waiting=20)) as host,
        client(host) as reading,
        client(host, max_queue=1) as deaf,
    ):
        for _ in range(20):
            await deaf.send("deaf")
        for _ in range(20):
            await ask(reading, "reading")
        asked = [said(prompt)[-1] for prompt in chat.prompts]
        assert asked.count("reading") == 20
        assert asked.count("deaf") <= 3
        deaf.transport.abort()


def frame(first_byte: int, payload: bytes) -> bytes:
    """As a client sends it, masked with zeros. `payload`: up to 125 bytes."""
    return bytes([first_byte, 0x80 | len(payload), 0, 0, 0, 0]) + payload


hostile = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300),
    st.text(st.characters(codec="utf-8"), min_size=1400, max_size=1500),
    st.builds(frame, st.integers(0, 255), st.binary(max_size=125)).map(bytearray),
    st.binary(min_size=1, max_size=40).map(bytearray),
)
"""Text and binary messages; as a `bytearray` what is put on the wire as it is, broken frames among them."""


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(hostile, min_size=1, max_size=6), min_size=1, max_size=3))
async def test_whatever_one_client_sends_another_is_answered(
    connections: list[list[str | bytes | bytearray]],
) -> None:
    chat = FakeChat()
    async with serving(fake_engines(chat=chat)) as host:
        for messages in connections:
            socket = await client(host)
            for message in messages:
                if isinstance(message, bytearray):
                    socket.transport.write(bytes(message))
                else:
                    try:
                        await socket.send(message)
                    except ConnectionClosed:
                        break
        async with client(host) as other:
            await ask(other, "Hello")
    assert chat.running == 0


SCRIPTED_RECOGNITION = """
window.SpeechRecognition = window.webkitSpeechRecognition = class {
  start() {
    const said = window.nextWords;
    setTimeout(() => this.onresult({ results: [[{ transcript: said, confidence: 0.9 }]] }), 10);
  }
};
"""
"""In the place of the browser's recognition, which needs a service of its maker's."""


@pytest.mark.slow
async def test_the_originals_client_talks_hears_and_comes_back_after_a_drop() -> None:
    from playwright.async_api import async_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    chat = FakeChat()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=["--autoplay-policy=no-user-gesture-required"]
        )
        context = await browser.new_context(locale="ja-JP")
        await context.add_init_script(SCRIPTED_RECOGNITION)
        page = await context.new_page()
        lines = page.locator("#transcript li")

        async def talk(words: str) -> None:
            await page.evaluate("words => { window.nextWords = words; }", words)
            await page.click("#speak")

        async with serving(fake_engines(chat=chat)) as host:
            await page.goto(f"http://{host}/")
            await page.locator("#connection", has_text="connected").wait_for()
            await talk("こんにちは")
            await lines.nth(1).wait_for()
            assert await lines.all_text_contents() == ["こんにちは", "You said: こんにちは"]
            await page.wait_for_function("document.getElementById('reply').ended")
            duration = await page.evaluate("document.getElementById('reply').duration")
            assert duration == pytest.approx(0.05 * len("You said: こんにちは"), abs=0.05)
            await talk("  ")
            await lines.nth(3).wait_for()
            assert (await lines.all_text_contents())[3] == texts.say("empty_text", "ja")
        await page.locator("#connection", has_text="reconnecting").wait_for()
        async with serving(fake_engines(chat=chat), port=int(host.partition(":")[2])):
            await page.locator("#connection", has_text="connected").wait_for()
            await talk("ただいま")
            await lines.nth(5).wait_for()
            assert (await lines.all_text_contents())[5] == "You said: ただいま"
            await browser.close()
    assert "こんにちは" not in said(chat.prompts[-1])
