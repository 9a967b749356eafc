"""Who is let in to Azure Speech, connections that are kept, and how all ends: the unmodified SDK against the emulator."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from azure.cognitiveservices.speech import CancellationErrorCode
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from tests.emulators.azure_speech import (
    AzureSpeechServer,
    Drop,
    Heard,
    hearing,
    in_turn,
    say_nothing_new,
)
from tests.engines.azure_engines import FAR_TOO_LONG, ears, mouth, speak, transcribe
from voice.engines import NotConfigured, Rejected, Unavailable
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_pool import Pool
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.azure_synthesis import AzureTextToSpeech

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[AzureSpeechServer]:
    with AzureSpeechServer() as server:
        yield server


class Credential:
    """What `DefaultAzureCredential` looks like to the SDK."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        if self.failing:
            raise ClientAuthenticationError("no identity, secret=hunter2")
        return AccessToken("jwt", int(time.time()) + 3600)


async def test_the_key_goes_in_its_header(server: AzureSpeechServer) -> None:
    async with ears(server) as engine, mouth(server) as voice:
        await engine.warm()
        await voice.warm()
    assert {request.headers["Ocp-Apim-Subscription-Key"] for request in server.requests} == {"secret"}


async def test_an_identity_brings_its_token_for_both_services(server: AzureSpeechServer) -> None:
    resource = SpeechResource(endpoint=server.host, credential=Credential())
    recognition, synthesis = AzureSpeechToText(resource), AzureTextToSpeech(resource)
    assert (await transcribe(recognition))[-1].text == "Hello there."
    assert await speak(synthesis, "Hello.")
    await recognition.close()
    await synthesis.close()
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer jwt"}


async def test_an_identity_without_a_token_is_told_at_once() -> None:
    engine = AzureSpeechToText(
        SpeechResource(endpoint="ws://127.0.0.1:9", credential=Credential(failing=True))
    )
    with pytest.raises(Rejected, match="sign_in_failed") as failure:
        await engine.warm()
    assert "hunter2" not in str(failure.value)
    await engine.close()


@pytest.mark.parametrize("resource", [SpeechResource(), SpeechResource(key="k", host="not an address")])
async def test_what_cannot_be_a_resource_is_not_configured(resource: SpeechResource) -> None:
    engine = AzureSpeechToText(resource)
    with pytest.raises(NotConfigured, match="speech_not_configured"):
        await engine.warm()
    await engine.close()


@pytest.mark.parametrize(
    ("resource", "sentence", "details"),
    [
        (SpeechResource(key="k", region="japanwest"), "speech_key_unfit", {"region": "japanwest"}),
        (
            SpeechResource(key="k", endpoint="https://kaiwa.cognitiveservices.azure.com"),
            "speech_key_refused",
            {},
        ),
        (
            SpeechResource(endpoint="https://kaiwa.invalid", credential=Credential()),
            "speech_identity_refused",
            {},
        ),
    ],
)
def test_a_refusal_names_what_does_not_fit(
    resource: SpeechResource, sentence: str, details: dict[str, str]
) -> None:
    error = resource.translate(CancellationErrorCode.AuthenticationFailure, "401", 1)
    assert (type(error), error.sentence, error.details) == (Rejected, sentence, details)


def test_a_key_is_in_no_message() -> None:
    resource = SpeechResource(key="hunter2")
    assert "hunter2" not in repr(resource)
    for code in CancellationErrorCode:
        error = resource.translate(code, "Error details: the key hunter2 is bad", 1)
        assert "hunter2" not in str(error)


async def test_a_dropped_connection_that_comes_back_loses_no_words(server: AzureSpeechServer) -> None:
    server.recognise = in_turn(hearing(Heard(200), Drop), say_nothing_new)
    async with ears(server, timeout_seconds=10) as engine:
        assert (await transcribe(engine, ms=1000))[-1].text == "Hello there."
    assert len(server.recognitions[-1].audio) == 32_000


async def test_a_silence_is_looked_into_by_a_connection_of_our_own(server: AzureSpeechServer) -> None:
    await SpeechResource(host=server.host).reach("tts")
    server.pause_listening()
    await anyio.sleep(0.2)  # the emulator closes its socket a moment later
    with pytest.raises(Unavailable, match="speech_unreachable"):
        await SpeechResource(host=server.host).reach("tts")


async def test_a_host_that_there_is_not_cannot_be_reached() -> None:
    with pytest.raises(Unavailable, match="speech_unreachable"):
        await SpeechResource(endpoint="https://kaiwa.invalid").reach("stt")


@pytest.mark.parametrize("noticed_ms", [0, 2, 5, 10, 300])
async def test_connections_that_the_service_closed_while_they_idled_are_opened_anew(
    server: AzureSpeechServer, noticed_ms: int
) -> None:
    async with ears(server) as engine, mouth(server) as voice:
        for _ in range(3):
            assert (await transcribe(engine))[-1].text == "Hello there."
            assert await speak(voice, "Hello.")
            server.drop_connections()
            await anyio.sleep(noticed_ms / 1000)


async def test_those_who_talk_at_once_find_their_connections_kept_for_the_next_turn(
    server: AzureSpeechServer,
) -> None:
    async def everybody_talks() -> None:
        async with anyio.create_task_group() as people:
            for _ in range(14):
                people.start_soon(transcribe, engine)
        await anyio.sleep(0.5)  # they are put at rest in threads

    async with ears(server, timeout_seconds=FAR_TOO_LONG) as engine:
        await everybody_talks()
        opened = len(server.requests)
        await everybody_talks()
        assert len(server.requests) <= opened + 1  # one is always ready for somebody new


class Rested:
    """What a pool holds."""

    usable = True

    def __init__(self) -> None:
        self.released = threading.Event()

    def open(self) -> None: ...

    def stop(self) -> None: ...

    def release(self) -> None:
        self.released.set()


async def test_what_a_rush_left_is_given_back_when_nobody_talks_any_more() -> None:
    made: list[Rested] = []

    def make(_kind: str, _lost: object) -> Rested:
        made.append(Rested())
        return made[-1]

    pool: Pool[str, Rested] = Pool(make, idle_at_most=2, spare_seconds=0.2)
    for item in [await pool.take("") for _ in range(9)]:
        pool.put_back("", item)
    with anyio.fail_after(FAR_TOO_LONG):
        while sum(item.released.is_set() for item in made) < len(made) - 2:  # noqa: ASYNC110
            await anyio.sleep(0.05)
    await pool.close()
    assert all(item.released.is_set() for item in made)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """They take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
async def test_whoever_puts_back_at_the_same_moment_leaves_no_thread_behind() -> None:
    for _ in range(20):
        pool: Pool[str, Rested] = Pool(lambda _kind, _lost: Rested(), idle_at_most=1)
        items = [await pool.take("") for _ in range(12)]
        together = threading.Barrier(len(items))

        def put_back(
            item: Rested, pool: Pool[str, Rested] = pool, moment: threading.Barrier = together
        ) -> None:
            moment.wait()
            pool.put_back("", item)

        people = [threading.Thread(target=put_back, args=(item,)) for item in items]
        for person in people:
            person.start()
        for person in people:
            person.join()
        await pool.close()
    await anyio.sleep(0.1)  # a timer that was cancelled ends in a thread of its own
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


LEAVING = """
import asyncio, sys
from tests.emulators.azure_speech import *
from tests.engines.azure_engines import endless, stream
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.azure_synthesis import AzureTextToSpeech

async def hear(engine):
    async for transcript in engine.transcribe(endless(), "ja"):
        pass

async def say(engine, steps):
    async for piece in engine.speak(stream(*["Hello you."] * 1000), ""):
        await asyncio.sleep(0.001)

async def main(way):
    resource = SpeechResource(host=server.host, key="any")
    ears, mouth = AzureSpeechToText(resource), AzureTextToSpeech(resource)
    await ears.warm()
    await mouth.warm()
    turns = [asyncio.create_task(hear(ears)) for _ in range(3)]
    turns += [asyncio.create_task(say(mouth, ())) for _ in range(3)]
    await asyncio.sleep(0.5)
    if way == "exit":
        sys.exit(0)
    if way == "close":
        for turn in turns:
            turn.cancel()
        await asyncio.wait(turns)
        await ears.close()
        await mouth.close()

with AzureSpeechServer() as server:
    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_process_ends_in_peace_with_turns_in_flight() -> None:
    ways = ["return", "close", "exit"]
    processes = [
        subprocess.Popen([sys.executable, "-c", LEAVING, way], cwd=Path(__file__).parents[2]) for way in ways
    ]
    try:
        assert [process.wait(60) for process in processes] == [0] * len(ways)
    finally:
        for process in processes:
            process.kill()
            process.wait()
