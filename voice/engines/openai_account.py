"""Where a server that speaks OpenAI's protocol is, and how to sign in there: OpenAI, Azure OpenAI, anything compatible."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx2
import openai

from voice.engines import EngineError, Rejected

T = TypeVar("T")

TokenProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Gives a bearer token that is still valid for a while, as `azure.identity.aio.get_bearer_token_provider` does."""
Credential: TypeAlias = "str | TokenProvider"
"""A key, "" where the server wants none; or a token provider to do without keys."""

IDLE_SECONDS = 100
"""How long a connection waits for the next turn: people think and listen longer than httpx2's 5 s, and to connect anew
takes three round trips. Azure's load balancers drop one that was idle for 4 minutes (learn.microsoft.com)."""
CONNECTIONS = 1000
"""At once, as in the openai package."""
RETRY_AFTER_SECONDS = 0.2
"""A kept connection that the server has just closed, or a worker just gone, is served by the next attempt; what lasts
longer is not worth a user's waiting in silence."""

STREAM_OPTIONS_SINCE = "2024-09"
"""Azure's classic API before refuses `stream_options` (github.com/Azure/azure-rest-api-specs, data-plane/AzureOpenAI)."""

_AZURE_PATH = re.compile(r"/(?:openai|api/projects)(?=/|$)")
"""Where the part of an address begins that is not the resource's own: of Azure OpenAI, of a Foundry project."""


@dataclass(frozen=True)
class Account:
    """A client that is signed in. Lives in one event loop, as its kept connections do."""

    client: openai.AsyncOpenAI = field(repr=False)
    address: str
    key: str = field(default="", repr=False)
    """What must never be shown."""
    keyless: bool = False
    counts_streamed_tokens: bool = True
    """Whether `stream_options` may be sent; a server that does not know it refuses the whole request."""

    async def list_models(self) -> list[str]:
        """The names that the server lists, none where it does not list any. Spends no tokens.

        Raises:
            openai.OpenAIError: as for any other request.
        """
        try:
            return [model.id for model in (await self.client.models.list()).data or ()]
        except openai.APIStatusError as exc:
            if exc.status_code in (404, 405, 501):
                return []
            raise

    async def close(self) -> None:
        await self.client.close()


def connect_openai(base_url: str, credential: Credential = "") -> Account:
    """OpenAI itself, Azure's `/openai/v1/`, or any server that speaks like them. `base_url`: as far as `/v1`."""
    key, provider = _split(credential)
    client = openai.AsyncOpenAI(
        base_url=base_url,
        api_key=provider or key or "none",
        timeout=None,
        max_retries=0,
        http_client=_http_client(base_url),
    )
    return Account(client, base_url, key, keyless=provider is not None)


def connect_azure(endpoint: str, credential: Credential, api_version: str) -> Account:
    """A resource of Azure OpenAI; what engines call the model is the name of a deployment there.

    `endpoint`: as the portal shows it, "https://RESOURCE.openai.azure.com/", or the whole target URI of a deployment.
    `api_version`: of the classic API, as "2024-05-01-preview". "v1", or an `endpoint` that ends in /v1, means the new one.
    """
    url = urlsplit(endpoint)
    if url.path.rstrip("/").endswith("/v1"):
        return connect_openai(urlunsplit((url.scheme, url.netloc, url.path, "", "")), credential)
    path = _AZURE_PATH.split(url.path)[0].rstrip("/")
    resource = urlunsplit((url.scheme, url.netloc, path, "", ""))
    if api_version == "v1" or "/openai/v1/" in url.path:
        return connect_openai(f"{resource}/openai/v1/", credential)
    key, provider = _split(credential)
    client = openai.AsyncAzureOpenAI(
        azure_endpoint=resource,
        api_version=api_version,
        api_key=None if provider else key or "none",
        azure_ad_token_provider=provider,
        timeout=None,
        max_retries=0,
        http_client=_http_client(resource),
    )
    return Account(
        client,
        resource,
        key,
        provider is not None,
        counts_streamed_tokens=api_version >= STREAM_OPTIONS_SINCE,
    )


async def try_twice(request: Callable[[], Awaitable[T]]) -> T:
    """The answer to `request`, which is made once more when the first attempt met a broken connection or server.

    Raises:
        openai.OpenAIError: what the last attempt raised.
    """
    try:
        return await request()
    except (openai.APIConnectionError, openai.InternalServerError) as exc:
        if getattr(exc, "status_code", None) == 503:
            raise
    await anyio.sleep(RETRY_AFTER_SECONDS)
    return await request()


def _http_client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS
    )
    # A proxy of the environment is meant for the world outside, not for this machine.
    return openai.DefaultAsyncHttpx2Client(timeout=None, limits=limits, trust_env=not _is_loopback(url))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _split(credential: Credential) -> tuple[str, TokenProvider | None]:
    """The key and the token provider, of which there is one.

    The provider's failures are translated here: they reach the engine through the client, which does not know them.
    """
    if isinstance(credential, str):
        return credential, None

    async def get_token() -> str:
        try:
            token = await credential()
        except EngineError:
            raise
        except Exception as exc:
            raise Rejected("sign_in_failed") from exc
        if not token:
            raise Rejected("sign_in_failed")
        return token

    return "", get_token
