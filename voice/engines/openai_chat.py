"""Chat by the openai client's streaming chat completions: OpenAI, Azure OpenAI, or any server that speaks like them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from voice.engines import EngineError, Message, NotConfigured, Rejected, Unavailable

RETRY_AFTER_SECONDS = 0.2
"""A kept connection that the server has just closed, or a worker just gone, is served by the next attempt; what lasts
longer is not worth a user's waiting in silence."""


class OpenAIChat:
    """One model behind one base address. Lives in one event loop, as its kept connections do.

    A reply that reached `max_tokens` ends with "…". Reasoning (`reasoning_content`, a leading <think> block) is no
    part of a reply.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str = "",
        temperature: float = 0.5,
        max_tokens: int = 400,
        timeout_seconds: float = 20,
        label: str = "",
        prefix_cache: bool = False,
    ) -> None:
        """What to talk to, and how.

        `api_key`: "" where the server wants none. `model`: "" takes the first that the server lists.
        `timeout_seconds`: to the first token, and from one token to the next.
        `prefix_cache`: the server keeps what it has read of a prompt (llama.cpp), so `warm` may have it read ahead.
        """
        self.label = label or model or base_url
        self._key = api_key
        self._model = model
        self._timeout = timeout_seconds
        self._prefix_cache = prefix_cache
        self._options: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
        # A proxy of the environment is meant for the world outside, not for this machine.
        http = openai.DefaultAsyncHttpx2Client(timeout=None, trust_env=not _is_loopback(base_url))
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", timeout=None, max_retries=0, http_client=http
        )

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
                await self._list_models()
            else:
                await self._choose_model()

    async def close(self) -> None:
        await self._client.close()

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
        retried = False
        while True:
            options = dict(self._options)
            try:
                stream: openai.AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                    model=await self._choose_model(), messages=_as_params(prompt), stream=True, **options
                )
                return stream
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                if not self._adapt(options, exc):
                    raise
            except (openai.APIConnectionError, openai.InternalServerError) as exc:
                if retried or getattr(exc, "status_code", None) == 503:
                    raise
                retried = True
                await anyio.sleep(RETRY_AFTER_SECONDS)

    def _adapt(self, sent: dict[str, Any], refusal: openai.APIStatusError) -> bool:
        """Leave out, from now on, the option that the server does not support; False when it refuses something else.

        OpenAI's reasoning models want `max_completion_tokens`, and no temperature but their own.
        """
        reason = _reason(refusal)
        if not _UNSUPPORTED.search(f"{refusal.code} {reason}"):
            return False
        for option in sent:
            if refusal.param == option or re.search(rf"\b{option}\b", reason):
                value = self._options.pop(option, None)
                if option == "max_tokens" and value is not None:
                    self._options["max_completion_tokens"] = value
                return True
        return False

    async def _choose_model(self) -> str:
        if not self._model:
            names = await self._list_models()
            if not names:
                raise NotConfigured("chat_model_unnamed")
            self._model = names[0]
        return self._model

    async def _list_models(self) -> list[str]:
        try:
            return [model.id for model in (await self._client.models.list()).data or ()]
        except openai.NotFoundError:
            return []

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as exc:
            raise Unavailable("chat_timeout", seconds=f"{self._timeout:g}") from exc
        except openai.OpenAIError as exc:
            raise self._translate(exc) from exc
        except UnicodeEncodeError as exc:  # a key that no HTTP header can carry
            raise Rejected("chat_key_refused") from exc
        except ValueError as exc:  # events that are no JSON, or not even UTF-8
            raise Unavailable("chat_unreachable") from exc

    def _translate(self, exc: openai.OpenAIError) -> EngineError:
        if isinstance(exc, openai.ContentFilterFinishReasonError) or _is_filtered(exc):
            return Rejected("chat_filtered")
        if isinstance(exc, openai.APITimeoutError):
            return Unavailable("chat_timeout", seconds=f"{self._timeout:g}")
        if isinstance(exc, openai.APIStatusError):
            return self._translate_status(exc)
        return Unavailable("chat_unreachable")

    def _translate_status(self, exc: openai.APIStatusError) -> EngineError:
        status, reason = exc.status_code, _reason(exc)
        if status in (401, 403):
            return Rejected("chat_key_refused")
        if status == 429 and exc.code == "insufficient_quota":
            return Rejected("chat_quota")
        if status in (429, 503):
            return Unavailable("chat_quota")
        if status >= 500 or status == 408:
            return Unavailable("chat_unreachable")
        if status == 404 and re.search(r"model|deployment", f"{exc.code} {reason}", re.I):
            return Rejected("chat_model_missing", model=self._model)
        return Rejected("chat_refused", reason=self._without_secrets(reason))

    def _without_secrets(self, reason: str) -> str:
        if self._key:
            reason = reason.replace(self._key, "***")
        return _SECRET.sub("***", reason)[:160]


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
_SECRET = re.compile(r"\bsk-[\w*-]+|\bBearer \S+", re.I)


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


def _is_filtered(exc: openai.OpenAIError) -> bool:
    # Azure's code for a prompt; OpenAI's for the same.
    return isinstance(exc, openai.APIError) and exc.code in ("content_filter", "content_policy_violation")


def _reason(exc: openai.APIStatusError) -> str:
    """The server's own words in one line; servers say them in more ways than OpenAI's."""
    body: Any = exc.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail")
    if not isinstance(body, str) or body.lstrip().startswith("<"):
        body = f"{exc.status_code} {exc.response.reason_phrase}"
    return " ".join(body.split())


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
