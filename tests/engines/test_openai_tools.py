"""Tools, calls and token counts, by the openai client against a scripted server on loopback."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from tests.emulators.chat import Answer, ChatServer, Stream, chunk, delta
from tests.emulators.loopback import Refuse
from voice.engines import (
    PLAIN_REPLY,
    EngineError,
    Message,
    ReplyOptions,
    ReplyPiece,
    Tool,
    ToolCall,
    Unavailable,
    Usage,
)
from voice.engines.openai_account import Account, connect_azure, connect_openai
from voice.engines.openai_chat import REASONING_TOKENS, OpenAIChat
from voice.engines.openai_tools import ID_CHARACTERS, as_params

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PROMPT = [Message("system", "Be brief."), Message("user", "What is the weather in Kyoto?")]
SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
WEATHER = Tool("weather", "Today's weather in a city.", SCHEMA)
CLOCK = Tool("clock", "What time it is.", "")
BOTH = ReplyOptions(tools=(WEATHER, CLOCK))
KYOTO = '{"city": "京都"}'
USAGE = Usage(9, 3)


def piece_of_call(
    index: int | None = 0, call_id: str | None = None, name: str | None = None, arguments: str | None = None
) -> Any:
    piece: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    if index is not None:
        piece["index"] = index
    if call_id is not None:
        piece |= {"id": call_id, "type": "function"}
    return delta(tool_calls=[piece])


def call(call_id: str = "call_1", name: str = "weather", arguments: str = KYOTO) -> Any:
    return piece_of_call(0, call_id, name, arguments)


async def ask(
    server: ChatServer,
    prompt: list[Message] = PROMPT,
    options: ReplyOptions = PLAIN_REPLY,
    account: Account | None = None,
    times: int = 1,
) -> list[ReplyPiece]:
    """What the last of so many replies is made of."""
    account = account or connect_openai(server.url, "key")
    chat = OpenAIChat(account, model="gpt-4o", max_tokens=50, timeout_seconds=5)
    pieces: list[ReplyPiece] = []
    try:
        for _ in range(times):
            async with aclosing(chat.reply(prompt, options)) as reply:
                pieces = [piece async for piece in reply]
    finally:
        await chat.close()
    return pieces


async def calls_of(*answers: Answer) -> list[ToolCall]:
    with ChatServer(*answers) as server:
        return [piece for piece in await ask(server, options=BOTH) if isinstance(piece, ToolCall)]


# What is offered


async def test_tools_are_offered_in_the_form_of_chat_completions() -> None:
    with ChatServer() as server:
        await ask(server, options=BOTH)
        [exchange] = server.exchanges
    weather, clock = exchange.body["tools"]
    assert weather["type"] == "function"
    assert weather["function"] == {
        "name": "weather",
        "description": "Today's weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
    assert clock["function"]["parameters"] == {"type": "object", "properties": {}}
    assert "tool_choice" not in exchange.body


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
async def test_which_tool_is_to_be_called_can_be_chosen(choice: str, sent: object) -> None:
    with ChatServer() as server:
        await ask(server, options=ReplyOptions(tools=(WEATHER,), tool_choice=choice))
        [exchange] = server.exchanges
    assert exchange.body["tool_choice"] == sent


async def test_without_tools_no_choice_among_them_is_sent() -> None:
    with ChatServer() as server:
        await ask(server, options=ReplyOptions(tool_choice="none"))
        [exchange] = server.exchanges
    assert not {"tools", "tool_choice"} & set(exchange.body)


async def test_a_reply_may_have_a_limit_of_its_own() -> None:
    with ChatServer() as server:
        await ask(server, options=ReplyOptions(max_tokens=7))
        [exchange] = server.exchanges
    assert exchange.body["max_tokens"] == 7


async def test_a_limit_of_its_own_leaves_a_reasoning_model_room_to_think() -> None:
    refusal = Refuse(400, "Unsupported parameter: 'max_tokens'", "unsupported_parameter")
    with ChatServer(refusal, Stream("Hello")) as server:
        await ask(server, options=ReplyOptions(max_tokens=7), times=2)
        bodies = [exchange.body for exchange in server.exchanges]
    assert [body.get("max_completion_tokens") for body in bodies] == [None, *[7 + REASONING_TOKENS] * 2]


@pytest.mark.parametrize(
    "refusal",
    [
        Refuse(400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        Refuse(400, "tools param requires --jinja flag"),
        Refuse(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    ],
)
async def test_a_server_that_takes_no_tools_replies_without_them(refusal: Refuse) -> None:
    with ChatServer(refusal, Stream("I do not know.")) as server:
        assert "I do not know." in await ask(server, options=BOTH, times=2)
        offered = ["tools" in exchange.body for exchange in server.exchanges]
    assert offered == [True, False, False]


# What is called


async def test_calls_that_come_in_pieces_are_joined_and_come_whole_at_the_end() -> None:
    server_says = Stream(
        "One moment.",
        piece_of_call(0, "call_a", "weather", ""),
        piece_of_call(0, arguments='{"ci'),
        piece_of_call(1, "call_b", "clock", ""),
        piece_of_call(0, arguments='ty": "京都"}'),
        finish="tool_calls",
    )
    with ChatServer(server_says) as server:
        assert await ask(server, options=BOTH) == [
            "One moment.",
            ToolCall("call_a", "weather", KYOTO),
            ToolCall("call_b", "clock", "{}"),
            USAGE,
        ]


async def test_calls_that_a_server_all_numbers_0_are_told_apart_by_their_ids() -> None:
    found = await calls_of(Stream(call("a"), call("b", "clock", "{}"), finish="stop"))
    assert [(one.id, one.name) for one in found] == [("a", "weather"), ("b", "clock")]


async def test_a_call_without_number_or_id_is_a_call_too() -> None:
    [found] = await calls_of(Stream(piece_of_call(None, None, "weather", KYOTO)))
    assert found.name == "weather"
    assert 0 < len(found.id) <= ID_CHARACTERS


async def test_an_id_too_long_for_clients_is_replaced() -> None:
    [found] = await calls_of(Stream(call("call_" + 60 * "x")))
    assert 0 < len(found.id) <= ID_CHARACTERS


async def test_a_call_cut_off_by_the_limit_is_not_made() -> None:
    assert not await calls_of(Stream(call(arguments='{"city": "Kyo'), finish="length"))


async def test_a_call_is_not_made_when_the_connection_breaks_off() -> None:
    with (
        ChatServer(Stream(call(), finish=None)) as server,
        pytest.raises(Unavailable, match="chat_unreachable"),
    ):
        await ask(server, options=BOTH)


@pytest.mark.parametrize(
    "odd",
    [
        [None],
        [{}],
        [{"index": 0}],
        [{"index": 0, "function": None}],
        {"a": 1},
        "x",
        [{"function": {"name": 1}}],
    ],
)
async def test_pieces_of_calls_that_make_no_sense_are_passed_over(odd: object) -> None:
    with ChatServer(Stream(delta(tool_calls=odd), "Hello.")) as server:
        assert await ask(server, options=BOTH) == ["Hello.", USAGE]


# What the prompt tells of calls


def test_a_call_is_followed_by_its_answer_at_once() -> None:
    prompt = [
        Message("user", "Weather?"),
        Message("assistant", "", (ToolCall("a", "weather", KYOTO),)),
        Message("user", "Are you there?"),
        Message("tool", "Rain.", call_id="a"),
    ]
    assert as_params(prompt) == [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": KYOTO}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Rain."},
        {"role": "user", "content": "Are you there?"},
    ]


def test_a_call_without_an_answer_and_an_answer_without_a_call_are_left_out() -> None:
    prompt = [
        Message("assistant", "Let me see.", (ToolCall("a", "weather", KYOTO),)),
        Message("assistant", "", (ToolCall("b", "clock", "{}"),)),
        Message("tool", "Rain.", call_id="c"),
        Message("user", "Well?"),
    ]
    assert as_params(prompt) == [
        {"role": "assistant", "content": "Let me see."},
        {"role": "user", "content": "Well?"},
    ]


# What it took


async def test_tokens_are_counted_with_those_that_the_server_knew_already() -> None:
    counted = {
        "prompt_tokens": 80,
        "completion_tokens": 5,
        "total_tokens": 85,
        "prompt_tokens_details": {"cached_tokens": 64},
    }
    with ChatServer(Stream("Hello.", delta("stop"), chunk([], usage=counted), finish=None)) as server:
        assert await ask(server) == ["Hello.", Usage(80, 5, 64)]
        [exchange] = server.exchanges
    assert exchange.body["stream_options"] == {"include_usage": True}


async def test_a_server_that_does_not_count_is_asked_to_only_once() -> None:
    refusal = Refuse(400, "Unknown parameter: 'stream_options'.", "unknown_parameter")
    with ChatServer(refusal, Stream("Hello.")) as server:
        await ask(server, times=2)
        asked = ["stream_options" in exchange.body for exchange in server.exchanges]
    assert asked == [True, False, False]


@pytest.mark.parametrize(("version", "counts"), [("2024-05-01-preview", False), ("2024-10-21", True)])
async def test_azure_is_asked_to_count_from_the_version_on_that_can(version: str, counts: bool) -> None:
    with ChatServer() as server:
        address = server.url.removesuffix("/v1")
        await ask(server, account=connect_azure(address, "key", version))
        [exchange] = server.exchanges
    assert ("stream_options" in exchange.body) is counts


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "9"}, 7])
async def test_a_count_that_makes_no_sense_is_passed_over(usage: object) -> None:
    with ChatServer(Stream("Hello.", delta("stop"), chunk([], usage=usage), finish=None)) as server:
        assert await ask(server) == ["Hello."]


async def test_what_is_no_refusal_of_tools_is_told_as_before() -> None:
    with (
        ChatServer(Refuse(400, "The prompt is too long.")) as server,
        pytest.raises(EngineError, match="chat_refused"),
    ):
        await ask(server, options=BOTH)
