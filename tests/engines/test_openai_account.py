"""Signing in: the openai client's two kinds against the paths and headers of OpenAI and of Azure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.emulators.chat import AZURE_ROLE_MISSING, ChatServer, Stream
from tests.emulators.loopback import Refuse
from voice import texts
from voice.engines import EngineError, Message, Rejected, Unavailable, only_text
from voice.engines.openai_account import Account, connect_azure, connect_openai
from voice.engines.openai_chat import OpenAIChat

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PROMPT = [Message("user", "Hi")]
KEY = "a-key-that-stays-secret"
TOKEN = "a.token.of.entra"
VERSION = "2024-05-01-preview"


class Identity:
    """What azure-identity's token providers are to the engine."""

    def __init__(self, *tokens: str | Exception) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if isinstance(token, Exception):
            raise token
        return token


@asynccontextmanager
async def chatting(account: Account, model: str = "gpt-4o") -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat(account, model=model, timeout_seconds=5)
    try:
        yield chat
    finally:
        await chat.close()


async def ask(chat: OpenAIChat) -> str:
    return "".join([piece async for piece in only_text(chat.reply(PROMPT))])


async def test_azure_is_asked_by_deployment_version_and_key() -> None:
    with ChatServer(Stream("Hel", "lo."), azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address, KEY, VERSION)) as chat:
            assert await ask(chat) == "Hello."
        [exchange] = server.exchanges
    assert exchange.target == f"/openai/deployments/gpt-4o/chat/completions?api-version={VERSION}"
    assert exchange.headers["api-key"] == KEY
    assert "authorization" not in exchange.headers


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/openai/v1/", VERSION),
        ("/openai/v1", ""),
        ("/openai/v1/?api-version=preview", VERSION),
        ("/api/projects/ours", "v1"),
        ("", "v1"),
        ("/", "v1"),
        ("/openai", "v1"),
        ("/openai/v1/chat/completions?api-version=preview", VERSION),
        ("/openai/deployments/gpt-4o/chat/completions", "v1"),
    ],
)
async def test_azures_new_address_is_asked_like_openai(path: str, version: str) -> None:
    with ChatServer(azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address + path, KEY, version)) as chat:
            assert await ask(chat)
        [exchange] = server.exchanges
    assert exchange.target == "/openai/v1/chat/completions"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.body["model"] == "gpt-4o"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/openai",
        "/api/projects/ours",
        "/openai/deployments/gpt-4o/chat/completions?api-version=2023-05-15",
    ],
)
async def test_whatever_address_the_portal_shows_leads_to_the_resource(path: str) -> None:
    with ChatServer(azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address + path, KEY, VERSION)) as chat:
            assert await ask(chat)
        assert server.exchanges[0].target.endswith(f"/gpt-4o/chat/completions?api-version={VERSION}")


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("https://openai.example.com", "https://openai.example.com/openai/"),
        ("https://gateway.example.com/team/openai/", "https://gateway.example.com/team/openai/"),
        ("https://gateway.example.com/openai-team", "https://gateway.example.com/openai-team/openai/"),
        ("https://gateway.example.com/team", "https://gateway.example.com/team/openai/"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/"),
    ],
)
async def test_a_gateways_own_path_is_kept(endpoint: str, address: str) -> None:
    account = connect_azure(endpoint, KEY, VERSION)
    assert str(account.client.base_url) == address
    await account.close()


async def test_the_environments_own_key_of_azure_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "another")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "another")
    with ChatServer(azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address, KEY, VERSION)) as chat:
            assert await ask(chat)


# Without keys


@pytest.mark.parametrize("version", [VERSION, "v1"])
async def test_an_identity_signs_in_with_tokens_that_it_renews(version: str) -> None:
    with ChatServer(azure_keys=("first", "second")) as server:
        identity = Identity("first", "second")
        async with chatting(connect_azure(server.address, identity, version)) as chat:
            assert await ask(chat)
            assert await ask(chat)
        headers = [exchange.headers for exchange in server.exchanges]
    assert [each["authorization"] for each in headers] == ["Bearer first", "Bearer second"]
    assert not any("api-key" in each for each in headers)


@pytest.mark.parametrize("version", [VERSION, "v1"])
@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (OSError("no network"), "sign_in_failed"),
        (RuntimeError("DefaultAzureCredential failed to retrieve a token"), "sign_in_failed"),
        (Unavailable("chat_unreachable"), "chat_unreachable"),
        ("", "sign_in_failed"),
    ],
)
async def test_an_identity_that_fails_is_told_and_the_next_turn_works(
    failure: Exception | str, sentence: str, version: str
) -> None:
    with ChatServer(azure_keys=(TOKEN,)) as server:
        async with chatting(connect_azure(server.address, Identity(failure, TOKEN), version)) as chat:
            with pytest.raises(EngineError, match=sentence) as told:
                await ask(chat)
            assert await ask(chat)
    for language in texts.INTERFACE:
        assert texts.say(sentence, language, **told.value.details)


async def test_an_identity_without_the_role_is_told_to_get_it() -> None:
    with ChatServer(AZURE_ROLE_MISSING) as server:
        async with chatting(connect_azure(server.address, Identity(TOKEN), VERSION)) as chat:
            with pytest.raises(Rejected, match="chat_identity_refused") as told:
                await ask(chat)
    for language in texts.INTERFACE:
        assert "Cognitive Services OpenAI User" in texts.say(told.value.sentence, language)


# What Azure's front door refuses by itself


@pytest.mark.parametrize(
    ("key", "version", "model", "sentence"),
    [
        ("wrong", VERSION, "gpt-4o", "chat_key_refused"),
        ("", VERSION, "gpt-4o", "chat_key_refused"),
        ("wrong", "v1", "gpt-4o", "chat_key_refused"),
        (KEY, VERSION, "gpt-5", "chat_model_missing"),
        (KEY, "v1", "gpt-5", "chat_model_missing"),
        (KEY, "", "gpt-4o", "chat_refused"),
    ],
)
async def test_wrong_settings_of_azure_are_told_apart(
    key: str, version: str, model: str, sentence: str
) -> None:
    with ChatServer(azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address, key, version), model) as chat:
            with pytest.raises(Rejected, match=sentence):
                await ask(chat)


# Warming


@pytest.mark.parametrize("version", [VERSION, "v1"])
async def test_warming_azure_opens_the_connection_that_the_first_turn_takes(version: str) -> None:
    with ChatServer(azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address, KEY, version)) as chat:
            await chat.warm(PROMPT)
            assert (server.models_asked, server.exchanges) == (1, [])
            await ask(chat)
        assert len(server.connections) == 1


@pytest.mark.parametrize("version", [VERSION, "v1"])
async def test_warming_azure_tells_that_the_key_is_refused(version: str) -> None:
    with ChatServer(azure_keys=(KEY,)) as server:
        async with chatting(connect_azure(server.address, "wrong", version)) as chat:
            with pytest.raises(Rejected, match="chat_key_refused"):
                await chat.warm()


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_gateway_that_lists_no_models_is_warm_all_the_same(status: int) -> None:
    with ChatServer(models=Refuse(status)) as server:
        async with chatting(connect_azure(server.address, KEY, VERSION)) as chat:
            await chat.warm(PROMPT)
            assert await ask(chat)


def test_an_account_does_not_show_its_key() -> None:
    assert KEY not in repr(connect_openai("http://127.0.0.1:1/v1", KEY))
    assert KEY not in repr(connect_azure("http://127.0.0.1:1", KEY, VERSION))
