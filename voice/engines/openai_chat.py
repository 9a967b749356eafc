"""Chat by the openai client's streaming chat completions: OpenAI, Azure OpenAI, or any server that speaks like them."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import openai
from openai.types.chat import ChatCompletionChunk

from voice.engines import (
    PLAIN_REPLY,
    Incomplete,
    IncompleteReason,
    Message,
    NotConfigured,
    Rejected,
    ReplyOptions,
    ReplyPiece,
    Unavailable,
    Usage,
)
from voice.engines.openai_account import Account, try_twice
from voice.engines.openai_errors import CHAT, reason_of, translating_errors
from voice.engines.openai_tools import Calls, as_params, offer_tools

log = logging.getLogger(__name__)

REASONING_TOKENS = 2000
"""Room to think before the reply, for models whose limit counts both; with `reasoning_effort` low few take half of it."""


BREAKS: Mapping[str, IncompleteReason] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of a reply that is none to its end."""


class OpenAIChat:
    """One model of an account. Lives in one event loop, as its kept connections do.

    Reasoning (`reasoning_content`, a leading <think> block) is no
    part of a reply.
    """

    def __init__(
        self,
        account: Account,
        *,
        model: str = "",
        temperature: float = 0.5,
        max_tokens: int = 400,
        timeout_seconds: float = 20,
        label: str = "",
        prefix_cache: bool = False,
    ) -> None:
        """Which model, and how. The engine closes the account with itself.

        `model`: on Azure the deployment; "" takes the first that the server lists.
        `timeout_seconds`: to the first token, and from one token to the next.
        `prefix_cache`: the server keeps what it has read of a prompt (llama.cpp), so `warm` may have it read ahead.
        """
        self._label = label
        self._account = account
        self.address = account.address
        self._client = account.client
        self._model = model
        self._timeout = timeout_seconds
        self._prefix_cache = prefix_cache
        self._options: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
        if account.counts_streamed_tokens:
            self._options["stream_options"] = {"include_usage": True}
        self._takes_tools = True

    @property
    def label(self) -> str:
        """The model, once it is known; before, where the server is."""
        return self._label or self._model or self._account.address

    async def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        """Pieces as the server sends them. Of a server that takes no tools, a reply without them.

        Raises:
            Unavailable: unreachable, overloaded, too slow, or the stream broke off.
            Rejected: the key, the quota, the model, the content or the request itself was refused.
            NotConfigured: no model was named, and the server names none.
        """
        thinking = Thinking()
        said = False
        finish = usage = None
        calls = Calls()
        async with aclosing(self._tokens(prompt, options)) as tokens:
            async for token in tokens:
                finish = token.finish or finish
                usage = token.usage or usage
                calls.add(token.calls)
                if text := thinking.drop_from(token.text):
                    said = True
                    yield text
        if rest := thinking.rest():
            said = True
            yield rest
        if finish is None:
            raise Unavailable("chat_unreachable")
        if finish == "content_filter" and not said:
            raise Rejected("chat_filtered")
        if reason := BREAKS.get(finish):
            yield Incomplete(reason)
        for call in calls.whole():
            yield call
        if usage:
            yield usage

    async def warm(self, prompt: Sequence[Message] = ()) -> None:
        """Open a connection; where the server caches prefixes, have it read `prompt`. Raises what `reply` raises."""
        with self.translating_errors(), anyio.fail_after(self._timeout):
            if prompt and self._prefix_cache:
                await self._client.chat.completions.create(
                    model=await self._choose_model(),
                    messages=as_params(prompt),
                    max_tokens=1,
                    extra_body={"cache_prompt": True},
                )
            elif self._model:
                await self._account.list_models()
            else:
                await self._choose_model()

    async def close(self) -> None:
        await self._account.close()

    async def _tokens(self, prompt: Sequence[Message], wanted: ReplyOptions) -> AsyncGenerator[Token, None]:
        # Comments, usage and empty chunks keep a connection alive, not a turn: they do not move the deadline.
        with self.translating_errors():
            deadline = anyio.current_time() + self._timeout
            with _until(deadline):
                stream = await self._open(prompt, wanted)
            async with stream:
                while True:
                    try:
                        with _until(deadline):
                            chunk = await anext(stream)
                    except StopAsyncIteration:
                        return
                    if token := Token.of(chunk):
                        if not token.empty:
                            deadline = anyio.current_time() + self._timeout
                        yield token

    async def _open(
        self, prompt: Sequence[Message], wanted: ReplyOptions
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        while True:
            options = self._options_for(wanted)
            try:
                return await try_twice(partial(self._create, prompt, options))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                if not self._adapt(options, exc):
                    raise

    async def _create(
        self, prompt: Sequence[Message], options: dict[str, Any]
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        stream: openai.AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
            model=await self._choose_model(), messages=as_params(prompt), stream=True, **options
        )
        return stream

    def _options_for(self, wanted: ReplyOptions) -> dict[str, Any]:
        options = dict(self._options)
        if wanted.max_tokens is not None:
            if "max_tokens" in options:
                options["max_tokens"] = wanted.max_tokens
            elif "max_completion_tokens" in options:
                options["max_completion_tokens"] = wanted.max_tokens + REASONING_TOKENS
        return {**options, **offer_tools(wanted)} if self._takes_tools else options

    def _adapt(self, sent: dict[str, Any], refusal: openai.APIStatusError) -> bool:
        """Leave out, from now on, the option that the server does not support; False when it refuses something else.

        OpenAI's reasoning models (o1 to o4, gpt-5) want `max_completion_tokens`, and no temperature but their own.
        """
        reason = reason_of(refusal)
        if not _UNSUPPORTED.search(f"{refusal.code} {reason}"):
            return False
        if "tools" in sent and (_TOOLS.search(reason) or refusal.param in ("tools", "tool_choice")):
            log.warning("%s takes no tools: %s", self.label, reason)
            self._takes_tools = False
            return True
        for option in sent:
            if refusal.param == option or re.search(rf"\b{option}\b", reason):
                value = self._options.pop(option, None)
                if option == "max_tokens" and value is not None:
                    self._options["max_completion_tokens"] = value + REASONING_TOKENS
                    self._options["reasoning_effort"] = "low"
                return True
        return False

    async def _choose_model(self) -> str:
        if not self._model:
            names = await self._account.list_models()
            if not names:
                raise NotConfigured("chat_model_unnamed")
            self._model = names[0]
        return self._model

    def translating_errors(self) -> AbstractContextManager[None]:
        return translating_errors(CHAT, self._account, self._model, self._timeout)


@dataclass(frozen=True, slots=True)
class Token:
    """What one chunk says."""

    text: str
    finish: str | None
    empty: bool
    """Neither text nor reasoning nor calls, as the chunk that carries only a role."""
    calls: object = None
    """Pieces of calls, for `Calls.add`."""
    usage: Usage | None = None

    @classmethod
    def of(cls, chunk: object) -> Token | None:
        """None for a chunk with neither choices nor usage, as the one that Azure sends first.

        The client builds chunks without checking them, so any part may be absent or of another type.
        """
        choices = getattr(chunk, "choices", None)
        usage = usage_of(chunk)
        if not choices or not isinstance(choices, list):
            return cls("", None, empty=True, usage=usage) if usage else None
        delta = getattr(choices[0], "delta", None)
        text = getattr(delta, "content", None)
        text = text if isinstance(text, str) else ""
        reasoning = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        calls = getattr(delta, "tool_calls", None)
        empty = not text and not reasoning and not calls
        return cls(text, getattr(choices[0], "finish_reason", None), empty, calls, usage)


def usage_of(chunk: object) -> Usage | None:
    """None where the chunk does not tell it."""
    usage = getattr(chunk, "usage", None)
    read, written = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    return Usage(read, written, cached if isinstance(cached, int) else 0)


class Thinking:
    """Drops <think> blocks, and blank space, from the beginning of a text that comes in pieces cut anywhere."""

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._over = False

    def drop_from(self, piece: str) -> str:
        """What of the text so far is certain to be reply, and was not given before."""
        if self._over:
            return piece
        self._held += piece
        while True:
            if self._inside:
                _, closed, after = self._held.partition(self._CLOSE)
                if not closed:
                    self._held = self._held[-len(self._CLOSE) :]
                    return ""
                self._inside, self._held = False, after
            self._held = self._held.lstrip()
            if self._held != self._OPEN and self._OPEN.startswith(self._held):
                return ""
            if not self._held.startswith(self._OPEN):
                self._over = True
                return self.rest()
            self._inside, self._held = True, self._held.removeprefix(self._OPEN)

    def rest(self) -> str:
        """At the end of the text: what was held back as the possible beginning of a block."""
        held, self._held = self._held, ""
        return "" if self._inside else held


_UNSUPPORTED = re.compile(r"unsupported|not support|unrecogni[sz]ed|unknown|not permitted|requires? --", re.I)
"""The last is llama.cpp's and vLLM's about tools: "requires --jinja flag", "requires --enable-auto-tool-choice"."""
_TOOLS = re.compile(r"\btools?\b|\btool_choice\b", re.I)


@contextmanager
def _until(deadline: float) -> Iterator[None]:
    """Raises TimeoutError at `deadline` on the event loop's clock."""
    with anyio.fail_after(max(0, deadline - anyio.current_time())):
        yield
