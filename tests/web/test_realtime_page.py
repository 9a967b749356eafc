"""What the page's own script gets over `/v1/realtime`, by WebSocket and by plain HTTP, beyond what stock clients get."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.fakes import FakeChat, FakeSpeechToText, fake_engines
from tests.web.realtime import LIMITS, PATIENCE_SECONDS, read_speech, serving_routes
from voice.engines import Engines, Transcript, Unavailable
from voice.session import Preferences, Session
from voice.turns.events import Rules
from voice.web.door import Door
from voice.web.realtime import realtime_route
from voice.web.realtime.lane import lane_routes
from voice.web.realtime.reception import Bounds, Reception
from voice.web.tickets import Tickets

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PREFERENCES = Preferences()


@dataclass
class Page:
    """A server and a user's session on it."""

    host: str
    session: Session
    ticket: str


@asynccontextmanager
async def opening(
    engines: Engines | None = None, bounds: Bounds | None = None, greeting: str = ""
) -> AsyncIterator[Page]:
    engines = engines or fake_engines()
    tickets = Tickets()
    session = Session(engines, LIMITS)
    reception = Reception(engines, LIMITS, PREFERENCES, bounds or Bounds(), Rules(), greeting)
    door = Door(keys=["for programs only"])
    routes = [realtime_route(reception, door, tickets), *lane_routes(reception, door, tickets)]
    async with serving_routes(*routes) as host:
        yield Page(host, session, tickets.issue(session))


@dataclass
class Script:
    """The page's own."""

    receive: Callable[[], Awaitable[dict[str, Any]]]
    send: Callable[[dict[str, Any]], Awaitable[None]]
    events: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of that type, with these fields."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while True:
                event = await self.receive()
                self.events.append(event)
                if event["type"] == kind and fields.items() <= event.items():
                    return event

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.send({"type": kind, **fields})

    async def speak(self) -> None:
        data = read_speech().data
        for start in range(0, len(data), 4800):
            piece = base64.b64encode(data[start : start + 4800]).decode()
            await self.tell("input_audio_buffer.append", audio=piece)

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


@asynccontextmanager
async def by_socket(page: Page, ticket: str | None = None) -> AsyncIterator[Script]:
    names = [Subprotocol("realtime"), Subprotocol(f"kaiwa-ticket.{ticket or page.ticket}")]
    async with connect(
        f"ws://{page.host}/v1/realtime", subprotocols=names, max_size=None, max_queue=None, proxy=None
    ) as socket:
        assert socket.subprotocol == "realtime"

        async def receive() -> dict[str, Any]:
            event: dict[str, Any] = json.loads(await socket.recv())
            return event

        async def send(event: dict[str, Any]) -> None:
            await socket.send(json.dumps(event))

        yield Script(receive, send)


@asynccontextmanager
async def by_lane(page: Page) -> AsyncIterator[Script]:
    headers = {"Authorization": f"Bearer kaiwa-ticket.{page.ticket}"}
    address = f"http://{page.host}/v1/realtime/lane"
    async with (
        httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS) as client,
        client.stream("GET", address) as response,
    ):
        assert response.status_code == 200
        lines = response.aiter_lines()

        async def receive() -> dict[str, Any]:
            while not (line := await anext(lines)):
                pass
            event: dict[str, Any] = json.loads(line)
            return event

        opened = await receive()
        assert opened["type"] == "kaiwa.lane"

        async def send(event: dict[str, Any]) -> None:
            answer = await client.post(f"{address}/{opened['lane']}", content=json.dumps(event) + "\n")
            assert answer.status_code == 204

        yield Script(receive, send)


@pytest.mark.parametrize("way", [by_socket, by_lane])
async def test_a_spoken_turn_is_shown_as_it_goes(way: Any) -> None:
    ears = FakeSpeechToText(
        [[Transcript("What", final=False, end_ms=400), Transcript("What time?", final=True, language="en")]]
    )
    async with opening(fake_engines(ears)) as page, way(page) as script:
        await script.tell("kaiwa.mode", mode="hands_free", patience="quick")
        await script.speak()
        await script.until("kaiwa.phase", phase="speaking")
        await script.until("response.done")
        item = script.all("response.output_audio.delta")[0]["item_id"]
        await script.tell("kaiwa.played", item_id=item, ms=40, started=True, ended=False)
        metrics = await script.until("kaiwa.metrics")
        await script.tell("kaiwa.played", item_id=item, ms=1000, started=False, ended=True)
        await script.until("kaiwa.phase", phase="listening")
    assert script.all("session.created")[0] is script.events[0]
    assert script.all("kaiwa.limits")[0]["session_seconds"] == 1800
    captions = [(event["text"], event["final"]) for event in script.all("kaiwa.caption")]
    assert captions[-1] == ("What time?", True)
    assert ("What", False) in captions
    words = [word for event in script.all("kaiwa.words") for word in event["words"]]
    assert [word["text"] for word in words] == ["You", "said:", "What", "time?"]
    assert words[0]["at_ms"] == 0
    assert [word["at_ms"] for word in words] == sorted(word["at_ms"] for word in words)
    assert {event["item_id"] for event in script.all("kaiwa.words")} == {item}
    phases = [event["phase"] for event in script.all("kaiwa.phase")]
    assert [phase for phase in phases if phase != "listening"][:3] == ["hearing", "thinking", "speaking"]
    assert metrics["first_token_ms"] is not None
    shown: list[dict[str, Any]] = []
    for event in script.all("kaiwa.transcript"):
        shown[event["first"] :] = event["messages"]
    assert [message["content"] for message in shown] == ["What time?", "You said: What time?"]
    assert [line.text for line in page.session.lines] == ["What time?", "You said: What time?"]


async def test_push_to_talk_takes_what_is_said_while_the_button_is_down() -> None:
    ears = FakeSpeechToText()
    async with opening(fake_engines(ears)) as page, by_socket(page) as script:
        await script.tell("kaiwa.mode", mode="push_to_talk", patience="balanced")
        await script.tell("kaiwa.talk", pressed=True)
        await script.speak()
        await script.tell("kaiwa.talk", pressed=False)
        await script.until("response.done")
    assert sum(pcm.seconds for pcm in ears.heard) == pytest.approx(read_speech().seconds, abs=0.2)


@pytest.mark.parametrize("way", [by_socket, by_lane])
async def test_a_typed_line_is_answered_by_the_panel_too(way: Any) -> None:
    async with opening() as page, way(page) as script:
        await script.until("kaiwa.transcript")
        async for _ in page.session.answer_text("Hello", PREFERENCES):
            pass
        done = await script.until("response.done")
    assert done["response"]["status"] == "completed"
    assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: Hello"
    assert script.all("response.output_audio.delta")
    assert [word["text"] for event in script.all("kaiwa.words") for word in event["words"]][:2] == [
        "You",
        "said:",
    ]


async def test_a_live_turn_goes_on_from_what_was_typed_and_the_other_way_round() -> None:
    chat = FakeChat()
    async with opening(fake_engines(chat=chat)) as page, by_socket(page) as script:
        async for _ in page.session.answer_text("My name is Ann", PREFERENCES):
            pass
        done = await script.until("response.done")
        item = done["response"]["output"][0]["id"]
        await script.tell("kaiwa.played", item_id=item, ms=10_000, ended=True)
        await script.until("kaiwa.phase", phase="listening")
        await script.speak()
        await script.until("response.done")
        async for _ in page.session.answer_text("Who am I?", PREFERENCES):
            pass
    assert "My name is Ann" in [message.content for message in chat.prompts[1]]
    # Nothing was heard of the reply to it, so it is still to be answered.
    assert chat.prompts[2][-1].content == "Hello there.\nWho am I?"


async def test_a_conversation_goes_on_in_a_new_connection_and_the_old_one_ends() -> None:
    async with opening() as page, by_socket(page) as first:
        await first.speak()
        await first.until("response.done")
        async with by_socket(page) as second:
            transcript = await second.until("kaiwa.transcript")
            assert transcript["messages"][0]["content"] == "Hello there."
            with pytest.raises(ConnectionClosed) as closed:
                await first.until("nothing")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4409
            await second.speak()
            done = await second.until("response.done")
    assert done["response"]["status"] == "completed"


@pytest.mark.parametrize("way", [by_socket, by_lane])
async def test_a_question_lost_with_the_connection_is_answered_once_the_page_is_back(way: Any) -> None:
    chat = FakeChat([[60.0, "Never said."], "It is noon."])
    async with opening(fake_engines(chat=chat)) as page:
        async with way(page) as script:
            await script.speak()
            await script.until("kaiwa.caption", final=True)
        async with way(page) as script:
            await script.tell("kaiwa.return")
            done = await script.until("response.done")
    assert done["response"]["output"][0]["content"][0]["transcript"] == "It is noon."
    assert chat.prompts[1][-1].content == "Hello there."


@pytest.mark.parametrize(("cancels", "returns"), [(True, True), (False, False)])
async def test_a_question_given_up_by_the_user_is_not_answered_later(cancels: bool, returns: bool) -> None:
    chat = FakeChat([[60.0, "Never said."]])
    async with opening(fake_engines(chat=chat)) as page:
        async with by_socket(page) as script:
            await script.speak()
            await script.until("kaiwa.caption", final=True)
            if cancels:
                await script.until("response.created")
                await script.tell("response.cancel")
                await script.until("response.done")
        async with by_socket(page) as script:
            if returns:
                await script.tell("kaiwa.return")
            await script.tell("session.update", session={})
            await script.until("session.updated")
            assert not script.all("response.created")


async def test_a_reply_can_be_stopped_while_the_last_words_are_still_being_recognised() -> None:
    ears = FakeSpeechToText(delay=0.3)
    async with opening(fake_engines(ears)) as page, by_socket(page) as script:
        await script.speak()
        await script.until("kaiwa.phase", phase="thinking")
        await script.tell("response.cancel")
        await script.until("kaiwa.caption", final=True)
        await script.tell("session.update", session={})
        await script.until("session.updated")
        assert not script.all("response.created")
        assert not script.all("error")


async def test_it_greets_who_has_not_talked_yet() -> None:
    chat = FakeChat()
    async with opening(fake_engines(chat=chat), greeting="Hello! What shall we talk about?") as page:
        async with by_socket(page) as script:
            done = await script.until("response.done")
            item = done["response"]["output"][0]
            assert "What shall we talk about?" in item["content"][0]["transcript"]
            await script.tell("kaiwa.played", item_id=item["id"], ms=10_000, ended=True)
            await script.until("kaiwa.phase", phase="listening")
        async with by_socket(page) as script:
            await script.tell("session.update", session={})
            await script.until("session.updated")
            assert not script.all("response.created")
    assert not chat.prompts


async def test_after_a_silence_it_asks_once_and_then_rests_until_it_is_woken() -> None:
    async with opening(bounds=Bounds(idle_seconds=0.3)) as page, by_socket(page) as script:
        done = await script.until("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Are you still there?"
        await script.until("kaiwa.phase", phase="asleep")
        await script.tell("kaiwa.wake")
        await script.until("kaiwa.phase", phase="listening")


@pytest.mark.parametrize(("mode", "muted"), [("hands_free", True), ("push_to_talk", False)])
async def test_who_is_silent_on_purpose_is_not_asked_before_it_rests(mode: str, muted: bool) -> None:
    async with opening(bounds=Bounds(idle_seconds=0.3)) as page, by_socket(page) as script:
        await script.tell("kaiwa.mode", mode=mode, patience="balanced", muted=muted)
        notice = await script.until("kaiwa.notice")
        assert notice["level"] == "info"
        assert "resting" in notice["text"]
        await script.until("kaiwa.phase", phase="asleep")
        assert not script.all("response.created")


async def test_what_goes_wrong_is_said_in_the_users_language() -> None:
    chat = FakeChat([Unavailable("chat_said_nothing")])
    async with opening(fake_engines(chat=chat)) as page, by_socket(page) as script:
        page.session.language = "ja"
        await script.speak()
        notice = await script.until("kaiwa.notice")
    assert notice["level"] == "error"
    assert not notice["text"].isascii()


async def test_a_page_whose_time_is_up_is_told_so() -> None:
    async with opening(bounds=Bounds(session_seconds=0.5)) as page, by_socket(page) as script:
        notice = await script.until("kaiwa.notice")
        assert "1 minutes" in notice["text"]
        with pytest.raises(ConnectionClosed) as closed:
            await script.until("nothing")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4408


async def test_an_unknown_ticket_is_told_so_and_a_foreign_page_not_let_in() -> None:
    async with opening() as page:
        async with by_socket(page, ticket="made-up") as script:
            with pytest.raises(ConnectionClosed) as closed:
                await script.until("nothing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://{page.host}/v1/realtime",
                subprotocols=[Subprotocol("realtime"), Subprotocol(f"kaiwa-ticket.{page.ticket}")],
                additional_headers={"Origin": "https://evil.example"},
                proxy=None,
            )
        assert refused.value.response.status_code == 403


async def test_events_that_come_as_their_lane_ends_do_no_harm() -> None:
    ended = anyio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield b'{"type": "kaiwa.wake"}\n'
        await ended.wait()
        yield b'{"type": "kaiwa.wake"}\n'

    async with opening(bounds=Bounds(session_seconds=0.3)) as page, httpx.AsyncClient() as client:
        headers = {"Authorization": f"Bearer kaiwa-ticket.{page.ticket}"}
        address = f"http://{page.host}/v1/realtime/lane"
        answers: list[int] = []

        async def post(lane: str) -> None:
            answers.append(
                (await client.post(f"{address}/{lane}", content=events(), headers=headers)).status_code
            )

        async with (
            anyio.create_task_group() as tasks,
            client.stream("GET", address, headers=headers) as response,
        ):
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "kaiwa.lane":
                    tasks.start_soon(post, event["lane"])
            ended.set()
    assert event["type"] == "kaiwa.closed"
    assert answers == [204]


async def test_a_lane_wants_the_ticket_of_who_opened_it() -> None:
    async with opening() as page, httpx.AsyncClient() as stranger:
        address = f"http://{page.host}/v1/realtime/lane"
        assert (await stranger.get(address)).status_code == 401
        assert (await stranger.post(f"{address}/x", content="{}")).status_code == 401
        headers = {"Authorization": f"Bearer kaiwa-ticket.{page.ticket}"}
        assert (await stranger.post(f"{address}/x", content="{}", headers=headers)).status_code == 404
