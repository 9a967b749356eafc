"""Chat by the openai client's streaming chat completions: OpenAI, Azure OpenAI, or any server that speaks like them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import anyio
import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from voice.engines import Message, NotConfigured, Rejected, Unavailable
from voice.engines.openai_account import Account, try_twice
from voice.engines.openai_errors import CHAT, reason_of, translating_errors

REASONING_TOKENS = 2000
"""Room to think before the reply, for models whose limit counts both; with `reasoning_effort` low few take half of it."""


class OpenAIChat:
    """One model of an account. Lives in one event loop, as its kept connections do.

    A reply that reached `max_tokens` ends with "…". Reasoning (`reasoning_content`, a leading <think> block) is no
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
        self._client = account.client
        self._model = model
        self._timeout = timeout_seconds
        self._prefix_cache = prefix_cache
        self._options: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}

    @property
    def label(self) -> str:
        """The model, once it is known; before, where the server is."""
        return self._label or self._model or self._account.address

    async def reply(self, prompt: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Pieces as the server sends them.

        Raises:
            Unavailable: unreachable, overloaded, too slow, or the stream broke off.
            Rejected: the key, the quota, the model, the content or the request itself was refused.
            NotConfigured: no model was named, and the server names none.
        """
        thinking = Thinking()
        said = False
        finish = None
        async with aclosing(self._tokens(prompt)) as tokens:
            async for token in tokens:
                finish = token.finish or finish
                if text := thinking.drop_from(token.text):
                    said = True
                    yield text
        if rest := thinking.rest():
            said = True
            yield rest
        if finish is None:
            raise Unavailable("chat_unreachable")
        if finish == "content_filter":
            raise Rejected("chat_filtered")
        if finish == "length" and said:
            yield "…"

    async def warm(self, prompt: Sequence[Message] = ()) -> None:
        """Open a connection; where the server caches prefixes, have it read `prompt`. Raises what `reply` raises."""
        with self.translating_errors(), anyio.fail_after(self._timeout):
            if prompt and self._prefix_cache:
                await self._client.chat.completions.create(
                    model=await self._choose_model(),
                    messages=_as_params(prompt),
                    max_tokens=1,
                    extra_body={"cache_prompt": True},
                )
            elif self._model:
                await self._account.list_models()
            else:
                await self._choose_model()

    async def close(self) -> None:
        await self._account.close()

    async def _tokens(self, prompt: Sequence[Message]) -> AsyncGenerator[Token, None]:
        # Comments, usage and empty chunks keep a connection alive, not a turn: they do not move the deadline.
        with self.translating_errors():
            deadline = anyio.current_time() + self._timeout
            with _until(deadline):
                stream = await self._open(prompt)
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

    async def _open(self, prompt: Sequence[Message]) -> openai.AsyncStream[ChatCompletionChunk]:
        while True:
            options = dict(self._options)
            try:
                return await try_twice(partial(self._create, prompt, options))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                if not self._adapt(options, exc):
                    raise

    async def _create(
        self, prompt: Sequence[Message], options: dict[str, Any]
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        stream: openai.AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
            model=await self._choose_model(), messages=_as_params(prompt), stream=True, **options
        )
        return stream

    def _adapt(self, sent: dict[str, Any], refusal: openai.APIStatusError) -> bool:
        """Leave out, from now on, the option that the server does not support; False when it refuses something else.

        OpenAI's reasoning models (o1 to o4, gpt-5) want `max_completion_tokens`, and no temperature but their own.
        """
        reason = reason_of(refusal)
        if not _UNSUPPORTED.search(f"{refusal.code} {reason}"):
            return False
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
    """Neither text nor reasoning, as the chunk that carries only a role."""

    @classmethod
    def of(cls, chunk: object) -> Token | None:
        """None for a chunk without choices: Azure sends one first, and usage comes in one.

        The client builds chunks without checking them, so any part may be absent or of another type.
        """
        choices = getattr(chunk, "choices", None)
        if not choices or not isinstance(choices, list):
            return None
        delta = getattr(choices[0], "delta", None)
        text = getattr(delta, "content", None)
        text = text if isinstance(text, str) else ""
        reasoning = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        return cls(text, getattr(choices[0], "finish_reason", None), not text and not reasoning)


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


_UNSUPPORTED = re.compile(r"unsupported|not support|unrecogni[sz]ed|unknown|not permitted", re.I)


@contextmanager
def _until(deadline: float) -> Iterator[None]:
    """Raises TimeoutError at `deadline` on the event loop's clock."""
    with anyio.fail_after(max(0, deadline - anyio.current_time())):
        yield


def _as_params(prompt: Sequence[Message]) -> list[ChatCompletionMessageParam]:
    return [
        cast(ChatCompletionMessageParam, {"role": message.role, "content": message.content})
        for message in prompt
    ]
