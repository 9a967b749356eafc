"""Fifty people talk on Azure at once, by the unmodified SDKs against the emulators."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from bench.footprint import Footprint, give_back_memory, measure_footprint
from tests.emulators.azure_script import (
    END,
    Final,
    Heard,
    Hearing,
    Partial,
    RecognitionTurn,
    Saying,
    SynthesisTurn,
)
from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import Answer, ChatServer, Exchange, Stream
from tests.emulators.loopback import Pause
from voice.audio import SPEECH_RATE, Pcm, encode_wav, join
from voice.engines import Engines
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.azure_synthesis import AzureTextToSpeech
from voice.engines.openai_account import connect_azure
from voice.engines.openai_chat import OpenAIChat
from voice.session import Limits, Preferences, Session
from voice.session_events import Failed, Spoke

PEOPLE = 50
TURNS = 2
FAR_TOO_LONG = 120
MEMORY_MARGIN_MB = 20
"""For what allocators keep; fifty recognisers and fifty voices take some 50 MB."""


class Crowd:
    """Lets nobody pass until all are there."""

    def __init__(self) -> None:
        self._here = 0
        self._came = asyncio.Condition()

    async def gather(self) -> None:
        async with self._came:
            self._here += 1
            self._came.notify_all()
            everybody = math.ceil(self._here / PEOPLE) * PEOPLE
            await self._came.wait_for(lambda: self._here >= everybody)

    async def hear_number(self, turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        """Every sample of a recording is its speaker's number."""
        yield Heard(100)
        number = int.from_bytes(turn.audio[:2], "little")
        yield Partial(f"I am {number}")
        yield END
        await self.gather()
        yield Final(f"I am {number}.")


def greet_number(exchange: Exchange) -> Answer:
    number = number_in(exchange.body["messages"][-1]["content"])
    return Stream("Welcome, ", Pause(0.05), f"number {number}. ", Pause(0.05), f"You are {number}.")


async def say_number(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
    """Every sample is the number in the text."""
    for _ in range(5):
        yield number_in(turn.text).to_bytes(2, "little") * 480
        yield Pause(0.01)


def number_in(text: str) -> int:
    return int("".join(filter(str.isdigit, text)))


@pytest.mark.slow
def test_fifty_at_once_are_not_mixed_and_leave_nothing_behind(tmp_path: Path) -> None:
    for number in range(1, PEOPLE + 1):
        wav = encode_wav(Pcm(number.to_bytes(2, "little") * SPEECH_RATE, SPEECH_RATE))
        (tmp_path / f"{number}.wav").write_bytes(wav)
    with AzureSpeechServer(Crowd().hear_number, say_number) as speech, ChatServer(greet_number) as chat:
        anyio.run(talk, speech, chat, tmp_path)  # what libraries keep for good, they take now
        forget_records(speech, chat)
        before = settle()
        anyio.run(talk, speech, chat, tmp_path)
        forget_records(speech, chat)
        after = settle(before)
    assert after.threads <= before.threads
    assert after.sockets <= before.sockets
    assert after.memory_mb < before.memory_mb + MEMORY_MARGIN_MB


def forget_records(speech: AzureSpeechServer, chat: ChatServer) -> None:
    for records in (speech.recognitions, speech.syntheses, speech.requests, chat.exchanges):
        records.clear()


async def talk(speech: AzureSpeechServer, chat: ChatServer, recordings: Path) -> None:
    resource = SpeechResource(key="secret", host=speech.host)
    engines = Engines(
        AzureSpeechToText(resource, timeout_seconds=30),
        OpenAIChat(connect_azure(chat.address, "secret", "v1"), model="gpt-4o", timeout_seconds=30),
        AzureTextToSpeech(resource, timeout_seconds=30),
    )
    limits = Limits(recording_seconds=30, text_characters=1000, history_tokens=1000)

    async def converse(number: int) -> None:
        session = Session(engines, limits)
        for _ in range(TURNS):
            spoken: list[Pcm] = []
            recording = recordings / f"{number}.wav"
            async with aclosing(session.answer_recording(recording, Preferences("en"))) as events:
                async for event in events:
                    assert not isinstance(event, Failed), event
                    if isinstance(event, Spoke):
                        spoken.append(event.speech.pcm)
            assert set(memoryview(join(spoken, 24_000).data).cast("h")) == {number}
        assert [(line.text, line.error) for line in session.lines] == [
            (f"I am {number}.", None),
            (f"Welcome, number {number}. You are {number}.", None),
        ] * TURNS

    with anyio.fail_after(FAR_TOO_LONG):
        async with anyio.create_task_group() as tasks:
            for number in range(1, PEOPLE + 1):
                tasks.start_soon(converse, number)
        await engines.close()


def settle(level: Footprint | None = None) -> Footprint:
    """What this process holds when its threads and sockets are down to `level`, or no longer change."""
    deadline = time.monotonic() + 15
    former = measure_footprint()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = measure_footprint()
        wanted = level or former
        if now.threads <= wanted.threads and now.sockets <= wanted.sockets:
            break
        former = now
    give_back_memory()
    return measure_footprint()
