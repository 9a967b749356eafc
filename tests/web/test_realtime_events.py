"""Whatever a client sends, the conversation goes on; and each event names what was wrong with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import fake_engines
from voice.live import LiveLimits
from voice.session import Limits, Session
from voice.turns.events import Rules
from voice.web.realtime.audio import SLICE
from voice.web.realtime.events import CLIENT_EVENTS, Refused, ServerEvent, read_object
from voice.web.realtime.page import PAGE_EVENTS, PageTalk

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = [
    "item",
    "item_id",
    "previous_item_id",
    "session",
    "response",
    "response_id",
    "audio",
    "audio_end_ms",
    "content_index",
    "event_id",
    "ms",
    "mode",
    "patience",
    "pressed",
]
PARTS = [
    "type",
    "role",
    "content",
    "input",
    "output",
    "turn_detection",
    "tools",
    "metadata",
    "id",
    "call_id",
    "name",
]
NEARLY_RIGHT = st.fixed_dictionaries(
    {"type": st.sampled_from([*CLIENT_EVENTS, *PAGE_EVENTS])},
    optional={
        name: ANY_JSON | st.sampled_from(["", "root", "AAAA", "message", "server_vad"]) for name in NAMES
    }
    | {
        name: st.dictionaries(
            st.sampled_from(PARTS), ANY_JSON | st.sampled_from(["message", "user"]), max_size=5
        )
        for name in ("session", "item", "response")
    },
)


def open_talk(sent: list[ServerEvent]) -> PageTalk:
    """One that nobody runs."""
    session = Session(fake_engines(), Limits(recording_seconds=10, text_characters=100, history_tokens=500))
    return PageTalk(session, sent.append, Rules(), LiveLimits(), 60, lambda _: None)


def append(sound: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(sound).decode()})


def take_all(messages: Sequence[str | bytes]) -> list[ServerEvent]:
    """What a conversation answers."""
    sent: list[ServerEvent] = []

    async def take() -> None:
        talk = open_talk(sent)
        for message in messages:
            await talk.take(message)

    anyio.run(take)
    return sent


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(NEARLY_RIGHT, max_size=6))
def test_no_json_breaks_a_conversation(events: list[dict[str, Any]]) -> None:
    sent = take_all([json.dumps(event) for event in events])
    assert not [
        event for event in sent if event["type"] == "error" and event["error"]["code"] == "server_error"
    ]
    for event in sent:
        json.dumps(event, allow_nan=False)


@pytest.mark.anyio
async def test_a_long_append_leaves_time_for_everybody_else() -> None:
    sent: list[ServerEvent] = []
    talk = open_talk(sent)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        await talk.take(append(bytes(4 * 1024 * 1024)))
        tasks.cancel_scope.cancel()
    assert (talk.live.heard_ms, sent) == (4 * 1024 * 1024 // 48, [])
    assert turns > 4 * 1024 * 1024 // SLICE


@pytest.mark.anyio
@pytest.mark.parametrize("broken", [append(bytes(1024 * 1024))[:-4] + '?"}', append(bytes(16 * 1024 * 1024))])
async def test_of_an_append_that_is_refused_nothing_is_heard(broken: str) -> None:
    sent: list[ServerEvent] = []
    talk = open_talk(sent)
    await talk.take(broken)
    assert [event["type"] for event in sent] == ["error"]
    assert talk.live.heard_ms == 0
    assert talk.live.untaken_ms == 0
    await talk.take(append(bytes(960)))
    assert talk.live.heard_ms == 20


@settings(deadline=None)
@given(st.binary() | st.text())
def test_no_message_breaks_a_conversation(message: bytes | str) -> None:
    assert [event["type"] for event in take_all([message])] == ["error"]


@pytest.mark.parametrize(
    "message", ["", "null", '"text"', "{", "[]", b"\xff\xfe", '{"a": 1e999}', '{"a": Infinity}']
)
def test_what_is_no_json_object_is_refused(message: str | bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_object(message)
    assert refused.value.code == "invalid_json"


def test_half_a_surrogate_pair_becomes_a_question_mark_and_a_whole_one_stays() -> None:
    assert read_object('{"a": "\\ud83d", "b": "\\ud83d\\ude00"}') == {"a": "?", "b": "😀"}
