"""The openai client against a scripted server on loopback."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import anyio
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.chat import (
    AZURE_BUSY,
    AZURE_PROMPT_FILTER,
    Answer,
    ChatServer,
    Event,
    Step,
    Stream,
    delta,
)
from tests.emulators.loopback import STALL, Cut, Pause, Raw, Refuse, Silence
from voice.engines import (
    EngineError,
    Incomplete,
    IncompleteReason,
    Message,
    NotConfigured,
    Rejected,
    Unavailable,
    Usage,
    only_text,
)
from voice.engines.openai_account import Account, connect_openai
from voice.engines.openai_chat import REASONING_TOKENS, OpenAIChat, Thinking

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PROMPT = [Message("system", "Be brief."), Message("user", "Hi")]
KEY = "a-key-that-stays-secret"


@asynccontextmanager
async def chatting(
    server: ChatServer,
    account: Account | None = None,
    *,
    model: str = "emulated",
    timeout_seconds: float = 5,
    prefix_cache: bool = False,
) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat(
        account or connect_openai(server.url, KEY),
        model=model,
        temperature=0.5,
        max_tokens=50,
        timeout_seconds=timeout_seconds,
        prefix_cache=prefix_cache,
    )
    try:
        yield chat
    finally:
        await chat.close()


async def ask(*answers: Answer, timeout_seconds: float = 5) -> str:
    """The reply to the prompt of a server that gives these answers."""
    with ChatServer(*answers) as server:
        async with chatting(server, timeout_seconds=timeout_seconds) as chat:
            return "".join([piece async for piece in only_text(chat.reply(PROMPT))])


async def fail(*answers: Answer, timeout_seconds: float = 5) -> tuple[str, EngineError]:
    """What was said before the failure, and the failure."""
    said = ""
    with ChatServer(*answers) as server:
        async with chatting(server, timeout_seconds=timeout_seconds) as chat:
            try:
                async for piece in only_text(chat.reply(PROMPT)):
                    said += piece
            except EngineError as error:
                return said, error
    pytest.fail(f"No failure, but {said!r}")


async def test_pieces_come_as_the_server_sends_them() -> None:
    with ChatServer(Stream("Hel", "lo.", STALL)) as server:
        async with chatting(server) as chat, aclosing(only_text(chat.reply(PROMPT))) as reply:
            assert [await anext(reply), await anext(reply)] == ["Hel", "lo."]
        [exchange] = server.exchanges
    assert exchange.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert exchange.body["stream"] is True
    assert exchange.headers["authorization"] == f"Bearer {KEY}"


async def test_a_chunk_without_choices_is_skipped() -> None:
    assert await ask(Stream(AZURE_PROMPT_FILTER, "Hello")) == "Hello"


async def test_without_a_model_name_the_first_that_the_server_lists_is_taken() -> None:
    with ChatServer(models=("first", "second")) as server:
        async with chatting(server, model="") as chat:
            for _ in range(2):
                assert [piece async for piece in only_text(chat.reply(PROMPT))]
        assert [exchange.body["model"] for exchange in server.exchanges] == ["first", "first"]
        assert server.models_asked == 1


@pytest.mark.parametrize("models", [(), Refuse(404)])
async def test_without_a_model_name_a_server_that_lists_none_is_not_enough(
    models: tuple[str, ...] | Refuse,
) -> None:
    with ChatServer(models=models) as server:
        async with chatting(server, model="") as chat:
            with pytest.raises(NotConfigured, match="chat_model_unnamed"):
                await anext(chat.reply(PROMPT))


# Stopping


async def test_closing_the_reply_drops_the_connection() -> None:
    with ChatServer(Stream("Hel", STALL)) as server:
        async with chatting(server) as chat:
            async with aclosing(only_text(chat.reply(PROMPT))) as reply:
                await anext(reply)
            assert await server.exchanges[0].client_left()


@pytest.mark.parametrize("answer", [Silence(), Stream(STALL), Stream("Hel", STALL)])
async def test_cancelling_the_task_drops_the_connection(answer: Answer) -> None:
    with ChatServer(answer) as server:
        async with chatting(server) as chat, anyio.create_task_group() as tasks:

            async def listen() -> None:
                async with aclosing(only_text(chat.reply(PROMPT))) as reply:
                    async for _ in reply:
                        pass

            tasks.start_soon(listen)
            await server.was_asked()
            tasks.cancel_scope.cancel()
        assert await server.exchanges[0].client_left()


async def test_an_engine_can_be_used_again_after_a_reply_was_stopped() -> None:
    with ChatServer(Stream("Hel", STALL), Stream("Again.")) as server:
        async with chatting(server) as chat:
            async with aclosing(only_text(chat.reply(PROMPT))) as reply:
                await anext(reply)
            assert [piece async for piece in only_text(chat.reply(PROMPT))] == ["Again."]


# How a reply ends


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
async def test_a_reply_that_breaks_off_says_so_after_its_text(finish: str, reason: IncompleteReason) -> None:
    with ChatServer(Stream("And then", finish=finish)) as server:
        async with chatting(server) as chat, aclosing(chat.reply(PROMPT)) as reply:
            assert [piece async for piece in reply] == ["And then", Incomplete(reason), Usage(9, 3)]


async def test_a_reply_that_said_nothing_before_the_limit_stays_empty() -> None:
    assert await ask(Stream(delta(reasoning_content="Hm."), finish="length")) == ""


async def test_a_reply_that_is_filtered_before_its_first_word_is_rejected() -> None:
    said, error = await fail(Stream(finish="content_filter"))
    assert said == ""
    assert isinstance(error, Rejected)
    assert error.sentence == "chat_filtered"


BROKEN: list[tuple[Step, ...]] = [
    (Cut,),
    (Raw(b'data: {"choices": [{"del\n\n'),),
    (Raw(b"data: \xff\xfe\n\n"),),
    (Event({"error": {"message": "The server had an error", "type": "server_error", "code": None}}),),
]


@pytest.mark.parametrize("steps", BROKEN, ids=["cut", "no JSON", "no UTF-8", "error payload"])
async def test_a_stream_that_breaks_off_is_unavailable_after_what_was_said(steps: tuple[Step, ...]) -> None:
    said, error = await fail(Stream("Well,", *steps))
    assert said == "Well,"
    assert isinstance(error, Unavailable)
    assert error.sentence == "chat_unreachable"


async def test_a_stream_that_just_ends_was_cut() -> None:
    said, error = await fail(Stream("Well,", finish=None))
    assert (said, error.sentence) == ("Well,", "chat_unreachable")


@pytest.mark.parametrize(
    "payload", ["42", "null", "[]", "{}", '{"choices": 1}', '{"choices": [{}]}', '{"choices": [7]}']
)
async def test_chunks_of_another_shape_are_skipped(payload: str) -> None:
    assert await ask(Stream(Raw(f"data: {payload}\n\n".encode()), "Hello")) == "Hello"


# The watchdog


ALIVE: tuple[Step, ...] = (Pause(0.1), AZURE_PROMPT_FILTER, Raw(b": ping\n\n"))


@pytest.mark.parametrize("answer", [Silence(), Stream(STALL), Stream(*ALIVE * 100)])
async def test_a_reply_that_does_not_begin_times_out(answer: Answer) -> None:
    said, error = await fail(answer, timeout_seconds=0.5)
    assert said == ""
    assert isinstance(error, Unavailable)
    assert (error.sentence, error.details) == ("chat_timeout", {"seconds": 0.5})


async def test_a_reply_that_stalls_times_out_and_drops_the_connection() -> None:
    with ChatServer(Stream("Well,", STALL)) as server:
        async with chatting(server, timeout_seconds=0.5) as chat:
            with pytest.raises(Unavailable, match="chat_timeout"):
                assert [piece async for piece in only_text(chat.reply(PROMPT))]
        assert await server.exchanges[0].client_left()


async def test_reasoning_counts_as_a_sign_of_life_but_not_as_reply() -> None:
    hm: tuple[Step, ...] = (Pause(0.25), delta(reasoning_content="Hm. "))
    assert await ask(Stream(*hm * 7, "Yes."), timeout_seconds=1.5) == "Yes."


# Refusals


async def test_how_long_to_wait_is_told_where_the_server_says_so() -> None:
    _, error = await fail(AZURE_BUSY)
    assert error.details == {"seconds": 7}


async def test_a_missing_model_is_named() -> None:
    _, error = await fail(Refuse(404, code="model_not_found"))
    assert error.details == {"model": "emulated"}


async def test_a_refusals_reason_is_one_short_line_without_secrets() -> None:
    _, error = await fail(Refuse(400, f"Bad\nrequest by {KEY} and sk-proj-abc123, " + "and so on " * 100))
    reason = str(error.details["reason"])
    assert reason.startswith("Bad request by *** and ***, and so on")
    assert "\n" not in reason
    assert len(reason) <= 160


async def test_a_key_that_no_header_can_carry_is_refused() -> None:
    with ChatServer() as server:
        chat = OpenAIChat(connect_openai(server.url, "鍵"), model="emulated")
        with pytest.raises(Rejected, match="chat_key_refused"):
            await anext(chat.reply(PROMPT))
        await chat.close()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"])
async def test_a_server_that_is_not_there_is_unreachable(address: str) -> None:
    chat = OpenAIChat(connect_openai(address), model="any")
    for attempt in (chat.warm(), anext(chat.reply(PROMPT))):
        with pytest.raises(Unavailable, match="chat_unreachable"):
            await attempt
    await chat.close()


async def test_a_server_that_does_not_speak_tls_is_unreachable() -> None:
    with ChatServer() as server:
        chat = OpenAIChat(connect_openai(server.url.replace("http:", "https:")), model="any")
        with pytest.raises(Unavailable, match="chat_unreachable"):
            await anext(chat.reply(PROMPT))
        await chat.close()


# One more attempt, and options that a server does not know


async def test_a_server_error_before_the_reply_is_tried_once_more() -> None:
    assert await ask(Refuse(500), Stream("Hello")) == "Hello"


@pytest.mark.parametrize(
    "answer", [Refuse(429, headers={"retry-after": "1"}), Refuse(503), Stream("Well,", Cut)]
)
async def test_what_a_second_attempt_cannot_help_is_not_tried_again(answer: Answer) -> None:
    with ChatServer(answer) as server:
        async with chatting(server) as chat:
            with pytest.raises(EngineError):
                assert [piece async for piece in only_text(chat.reply(PROMPT))]
        assert len(server.exchanges) == 1


MAX_TOKENS_UNSUPPORTED = Refuse(
    400,
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    code="unsupported_parameter",
    param="max_tokens",
)
TEMPERATURE_UNSUPPORTED = Refuse(
    400,
    "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.",
    code="unsupported_value",
    param="temperature",
)


async def test_options_that_a_model_does_not_support_are_adapted_once_and_remembered() -> None:
    with ChatServer(MAX_TOKENS_UNSUPPORTED, TEMPERATURE_UNSUPPORTED, Stream("Hello")) as server:
        async with chatting(server) as chat:
            for _ in range(2):
                assert [piece async for piece in only_text(chat.reply(PROMPT))] == ["Hello"]
        assert len(server.exchanges) == 4
        last = server.exchanges[-1].body
    assert last["max_completion_tokens"] == 50 + REASONING_TOKENS
    assert last["reasoning_effort"] == "low"
    assert not {"max_tokens", "temperature"} & last.keys()


async def test_a_version_of_the_api_that_knows_no_reasoning_effort_is_not_asked_for_it() -> None:
    unknown = Refuse(400, "Unrecognized request argument supplied: reasoning_effort")
    with ChatServer(MAX_TOKENS_UNSUPPORTED, unknown, Stream("Hello")) as server:
        async with chatting(server) as chat:
            assert [piece async for piece in only_text(chat.reply(PROMPT))] == ["Hello"]
        last = server.exchanges[-1].body
    assert "reasoning_effort" not in last
    assert last["max_completion_tokens"] == 50 + REASONING_TOKENS


async def test_a_server_that_never_stops_refusing_options_is_given_up() -> None:
    _, error = await fail(
        replace(MAX_TOKENS_UNSUPPORTED, message="Unsupported: max_tokens max_completion_tokens")
    )
    assert error.sentence == "chat_refused"


# Warming


async def test_warming_spends_no_tokens_where_nothing_is_cached() -> None:
    with ChatServer() as server:
        async with chatting(server) as chat:
            await chat.warm(PROMPT)
        assert (server.models_asked, server.exchanges) == (1, [])


async def test_warming_lets_a_server_that_caches_prefixes_read_the_prompt() -> None:
    with ChatServer() as server:
        async with chatting(server, prefix_cache=True) as chat:
            await chat.warm(PROMPT)
        [exchange] = server.exchanges
    assert [message["content"] for message in exchange.body["messages"]] == ["Be brief.", "Hi"]
    assert exchange.body["max_tokens"] == 1


async def test_warming_tells_that_the_key_is_refused() -> None:
    with ChatServer(models=Refuse(401)) as server:
        async with chatting(server) as chat:
            with pytest.raises(Rejected, match="chat_key_refused"):
                await chat.warm()


# Thinking is not part of a reply


@pytest.mark.parametrize(
    ("written", "reply"),
    [
        ("<think>Hm.</think>\n\nYes.", "Yes."),
        ("\n<think>\nHm.\n</think>Yes.", "Yes."),
        ("<think></think>Yes.", "Yes."),
        ("<think>One.</think><think>Two.</think>Yes.", "Yes."),
        ("<think>Never ends", ""),
        ("<thin", "<thin"),
        ("<3 you", "<3 you"),
        ("Say <think> aloud.", "Say <think> aloud."),
        ("  Yes. ", "Yes. "),
    ],
)
@given(data=st.data())
def test_a_leading_think_block_is_dropped_wherever_it_is_cut(
    written: str, reply: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)))))
    pieces = [written[start:end] for start, end in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    thinking = Thinking()
    assert "".join([thinking.drop_from(piece) for piece in pieces]) + thinking.rest() == reply


@given(st.lists(st.text()))
def test_text_without_thoughts_comes_out_whole(pieces: list[str]) -> None:
    thinking = Thinking()
    out = "".join([thinking.drop_from(piece) for piece in pieces]) + thinking.rest()
    if not (whole := "".join(pieces).lstrip()).startswith("<think>"):
        assert out == whole


# Every error of the package is known

NOT_OF_CHAT = {
    "InvalidWebhookSignatureError",
    "SubjectTokenProviderError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
    "LengthFinishReasonError",  # of parsed completions only
    "AgentFilePreparationError",
    "AgentFileStagingError",
    "AgentOutputParseError",
    "AgentTurnResultError",
}
"""Raised by other parts of the package; should one come all the same, it is "chat_unreachable"."""

OF_CHAT = {
    "OpenAIError": "chat_unreachable",
    "APIError": "chat_unreachable",
    "APIConnectionError": "chat_unreachable",
    "APITimeoutError": "chat_timeout",
    "APIResponseValidationError": "chat_unreachable",
    "APIStatusError": "chat_refused",
    "BadRequestError": "chat_refused",
    "AuthenticationError": "chat_key_refused",
    "OAuthError": "chat_key_refused",
    "PermissionDeniedError": "chat_key_refused",
    "NotFoundError": "chat_refused",
    "ConflictError": "chat_refused",
    "UnprocessableEntityError": "chat_refused",
    "RateLimitError": "chat_quota",
    "InternalServerError": "chat_unreachable",
    "ContentFilterFinishReasonError": "chat_filtered",
}


def exceptions_of_openai() -> list[type[Exception]]:
    public = [getattr(openai, name) for name in {*openai.__all__, *dir(openai)} if not name.startswith("_")]
    kinds = [kind for kind in public if inspect.isclass(kind) and issubclass(kind, Exception)]
    return sorted(kinds, key=lambda kind: kind.__name__)


def build(kind: type[Exception]) -> Exception:
    """One of this kind, given what its constructor asks for."""
    request = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
    status = {"OAuthError": 401, "InternalServerError": 500}.get(
        kind.__name__, getattr(kind, "status_code", 418)
    )
    given = {
        "message": "unknown",
        "request": request,
        "response": httpx2.Response(status, request=request),
        "body": None,
    }
    wanted = inspect.signature(kind).parameters
    return (
        kind(**{name: value for name, value in given.items() if name in wanted})
        if wanted.keys() & given
        else kind()
    )


def test_every_error_of_the_openai_package_is_known() -> None:
    names = {kind.__name__ for kind in exceptions_of_openai()}
    assert names - NOT_OF_CHAT - OF_CHAT.keys() == set()


@pytest.mark.parametrize(
    "kind",
    [kind for kind in exceptions_of_openai() if kind.__name__ in OF_CHAT],
    ids=lambda kind: kind.__name__,
)
async def test_an_error_of_the_openai_package_is_translated(kind: type[Exception]) -> None:
    chat = OpenAIChat(connect_openai("http://127.0.0.1:1/v1"), model="any")
    with pytest.raises(EngineError, match=OF_CHAT[kind.__name__]), chat.translating_errors():
        raise build(kind)
    await chat.close()
