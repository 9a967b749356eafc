"""The unmodified SDK against the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from azure.cognitiveservices.speech import CancellationErrorCode
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from tests.emulators.azure_speech import (
    END,
    STALL,
    AzureSpeechServer,
    Close,
    Drop,
    Final,
    Heard,
    Hearing,
    Partial,
    Pause,
    Recogniser,
    RecognitionTurn,
    Saying,
    SynthesisTurn,
    VoiceBox,
    hearing,
    hum,
    in_turn,
    say_nothing_new,
    saying,
)
from tests.emulators.azure_speech import Word as Boundary
from voice.audio import SPEECH_RATE, VOICE_RATE, Pcm
from voice.engines import EngineError, NotConfigured, Rejected, Speech, Transcript, Unavailable, Word
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.azure_synthesis import AzureTextToSpeech

pytestmark = pytest.mark.anyio

TIMEOUT = 2.5
FAR_TOO_LONG = 30


@pytest.fixture
def server() -> Iterator[AzureSpeechServer]:
    with AzureSpeechServer() as server:
        yield server


@asynccontextmanager
async def ears(server: AzureSpeechServer, **options: Any) -> AsyncIterator[AzureSpeechToText]:
    engine = AzureSpeechToText(
        SpeechResource(key="secret", host=server.host), **{"timeout_seconds": TIMEOUT, **options}
    )
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def mouth(server: AzureSpeechServer, **options: Any) -> AsyncIterator[AzureTextToSpeech]:
    engine = AzureTextToSpeech(
        SpeechResource(key="secret", host=server.host), **{"timeout_seconds": TIMEOUT, **options}
    )
    try:
        yield engine
    finally:
        await engine.close()


async def clip(ms: int = 500) -> AsyncIterator[Pcm]:
    for _ in range(ms // 20):
        yield Pcm.silence(20, SPEECH_RATE)


async def endless() -> AsyncIterator[Pcm]:
    while True:
        yield Pcm.silence(20, SPEECH_RATE)
        await anyio.sleep(0.02)


async def stream(*phrases: str) -> AsyncIterator[str]:
    for phrase in phrases:
        yield phrase


async def transcribe(
    engine: AzureSpeechToText, language: str | None = "ja", ms: int = 500
) -> list[Transcript]:
    with anyio.fail_after(FAR_TOO_LONG):
        async with aclosing(engine.transcribe(clip(ms), language)) as transcripts:
            return [transcript async for transcript in transcripts]


async def speak(
    engine: AzureTextToSpeech, *phrases: str, voice: str = "", speed: float = 1.0
) -> list[Speech]:
    with anyio.fail_after(FAR_TOO_LONG):
        async with aclosing(engine.speak(stream(*phrases), voice, speed)) as pieces:
            return [piece async for piece in pieces]


async def eventually(condition: Callable[[], bool]) -> None:
    assert await anyio.to_thread.run_sync(settled, condition)


# Speech to text


async def test_partials_come_before_the_audio_has_ended(server: AzureSpeechServer) -> None:
    server.recognise = hearing(Heard(100), Partial("今日"), END, Final("今日は。"))
    async with ears(server) as engine, aclosing(engine.transcribe(endless(), "ja")) as transcripts:
        with anyio.fail_after(FAR_TOO_LONG):
            assert await anext(transcripts) == Transcript("今日", False, "ja", 0, 500)


async def test_the_final_transcript_joins_what_pauses_separate(server: AzureSpeechServer) -> None:
    server.recognise = hearing(
        Heard(200), Final("Hello.", 100, 400), Partial("how", 600, 700), END, Final("How are you?", 600, 1200)
    )
    async with ears(server) as engine:
        *partials, final = await transcribe(engine, "en", 1500)
    assert final == Transcript("Hello. How are you?", True, "en", 100, 1200)
    assert [partial.text for partial in partials] == ["Hello.", "Hello. how", "Hello. How are you?"]


async def test_japanese_is_joined_without_spaces(server: AzureSpeechServer) -> None:
    server.recognise = hearing(END, Final("はい。"), Final("そうです。"))
    async with ears(server) as engine:
        assert (await transcribe(engine))[-1].text == "はい。そうです。"


async def test_every_sample_reaches_the_service_at_once(server: AzureSpeechServer) -> None:
    async with ears(server) as engine:
        await transcribe(engine, ms=40_000)
        await transcribe(engine, ms=1_000)
    assert [len(turn.audio) for turn in server.recognitions] == [32 * 40_000, 32 * 1_000]


async def test_a_connection_serves_turn_after_turn_with_times_of_its_own(server: AzureSpeechServer) -> None:
    server.recognise = hearing(END, Final("Yes.", 100, 300))
    async with ears(server) as engine:
        for _ in range(6):
            final = (await transcribe(engine, ms=1000))[-1]
            assert (final.start_ms, final.end_ms) == (100, 300)
    assert len(server.recognitions) == 6
    assert len(server.requests) < 6


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("ja", "ja-JP"), ("en", "en-US"), ("en-GB", "en-GB"), ("yue-CN", "yue-CN"), (None, "ja-JP")],
)
async def test_a_language_is_named_as_azure_names_it(
    server: AzureSpeechServer, asked: str | None, sent: str
) -> None:
    async with ears(server) as engine:
        await transcribe(engine, asked)
    assert server.recognitions[0].languages == (sent,)


async def test_the_language_is_identified_among_the_configured_ones(server: AzureSpeechServer) -> None:
    server.recognise = hearing(END, Final("Hello.", language="en-US"))
    async with ears(server, auto_languages=["ja", "en-US"]) as engine:
        assert (await transcribe(engine, None))[-1].language == "en"
    assert server.recognitions[0].languages == ("ja-JP", "en-US")


async def test_phrases_and_segmentation_are_passed_on(server: AzureSpeechServer) -> None:
    async with ears(server, phrases=["会話", "Kaiwa"], segmentation_silence_ms=250) as engine:
        await transcribe(engine)
    context = str(server.recognitions[0].context)
    assert "会話" in context
    assert "'segmentationSilenceTimeoutMs': 250" in context


@pytest.mark.parametrize("status", ["NoMatch", "InitialSilenceTimeout", "BabbleTimeout"])
async def test_no_speech_is_an_empty_transcript(server: AzureSpeechServer, status: str) -> None:
    server.recognise = hearing(END, Final("", status=status))
    async with ears(server) as engine:
        assert await transcribe(engine) == [Transcript("", True, "ja")]


async def test_no_audio_at_all_is_an_empty_transcript(server: AzureSpeechServer) -> None:
    server.recognise = hearing(END)
    async with ears(server) as engine:
        assert (await transcribe(engine, ms=0))[-1].text == ""


async def test_an_error_of_the_audio_is_the_callers_own(server: AzureSpeechServer) -> None:
    async def broken() -> AsyncIterator[Pcm]:
        yield Pcm.silence(20, SPEECH_RATE)
        raise OSError("unplugged")

    async def too_fast() -> AsyncIterator[Pcm]:
        yield Pcm.silence(20, VOICE_RATE)

    async with ears(server) as engine:
        for audio, error in ((broken(), OSError), (too_fast(), ValueError)):
            with pytest.raises(error), anyio.fail_after(FAR_TOO_LONG):
                async with aclosing(engine.transcribe(audio, "ja")) as transcripts:
                    assert [each async for each in transcripts]
        assert (await transcribe(engine))[-1].text == "Hello there."


async def test_leaving_in_the_middle_leaves_nothing_for_the_next_turn(server: AzureSpeechServer) -> None:
    server.recognise = in_turn(
        hearing(Heard(100), Partial("old"), Pause(0.3), Final("Old words."), STALL), say_nothing_new
    )
    async with ears(server) as engine:
        async with aclosing(engine.transcribe(endless(), "ja")) as transcripts:
            assert (await anext(transcripts)).text == "old"
        assert [each.text for each in await transcribe(engine)] == ["hello", "Hello there.", "Hello there."]


async def test_a_connection_that_broke_while_idle_is_not_used(server: AzureSpeechServer) -> None:
    async with ears(server) as engine:
        await transcribe(engine)
        server.drop_connections()
        await anyio.sleep(0.3)
        assert (await transcribe(engine))[-1].text == "Hello there."


# Text to speech


async def test_sound_is_given_while_the_service_is_still_at_it(server: AzureSpeechServer) -> None:
    server.speak = saying(bytes(4800), STALL)
    async with mouth(server) as engine, aclosing(engine.speak(stream("Hello."), "")) as pieces:
        with anyio.fail_after(FAR_TOO_LONG):
            assert await anext(pieces) == Speech(Pcm(bytes(4800), VOICE_RATE), "Hello.")


async def test_phrases_are_spoken_in_order_with_the_times_of_their_words(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        pieces = await speak(engine, "One two.", "Three.")
    assert [piece.phrase for piece in pieces] == sorted([piece.phrase for piece in pieces])
    words = {
        phrase: [w for p in pieces if p.phrase == phrase for w in p.words]
        for phrase in ("One two.", "Three.")
    }
    assert words == {"One two.": [Word("One", 0), Word("two.", 150)], "Three.": [Word("Three.", 0)]}
    assert sum(len(piece.pcm.data) for piece in pieces) == 48 * 50 * len("Onetwo.Three.")


async def test_each_language_is_spoken_by_its_voice_and_times_go_on(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        pieces = await speak(engine, 'Say "ありがとう" now.', voice="en-GB-RyanNeural")
    assert [(turn.voice, turn.text) for turn in server.syntheses] == [
        ("en-GB-RyanNeural", "Say"),
        ("ja-JP-NanamiNeural", '"ありがとう"'),
        ("en-GB-RyanNeural", "now."),
    ]
    assert [word.offset_ms for piece in pieces for word in piece.words] == [0, 150, 500]


async def test_a_chosen_default_voice_speed_and_style_are_asked_for(server: AzureSpeechServer) -> None:
    async with mouth(server, default_voices={"ja": "ja-JP-KeitaNeural"}, style="chat") as engine:
        await speak(engine, "こんにちは。", speed=1.5)
        assert engine.voices()[0].name == "ja-JP-KeitaNeural"
    [turn] = server.syntheses
    assert turn.voice == "ja-JP-KeitaNeural"
    assert 'rate="1.50"' in turn.ssml
    assert 'style="chat"' in turn.ssml


async def test_sound_cut_within_a_sample_comes_out_whole(server: AzureSpeechServer) -> None:
    server.speak = saying(bytes([1, 2, 3]), bytes([4, 5]), bytes([6]))
    async with mouth(server) as engine:
        pieces = await speak(engine, "Hello.")
    assert b"".join(piece.pcm.data for piece in pieces) == bytes([1, 2, 3, 4, 5, 6])


async def test_what_cannot_be_said_is_not_asked_for(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        assert await speak(engine, "…", " ", "？") == []
    assert server.syntheses == []


async def test_the_next_phrase_is_asked_for_before_the_former_is_taken(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine, aclosing(engine.speak(stream("One.", "Two."), "")) as pieces:
        await anext(pieces)
        await eventually(lambda: len(server.syntheses) == 2)


async def test_barging_in_keeps_the_connection_and_nothing_stale_is_heard(server: AzureSpeechServer) -> None:
    old = b"\x07\x00" * 2400
    server.speak = in_turn(*[saying(old, Pause(0.1), old, old, STALL), hum] * 10)
    async with mouth(server) as engine:
        for _ in range(10):
            async with aclosing(engine.speak(stream("Old."), "")) as pieces:
                await anext(pieces)
            heard = await speak(engine, "New.")
            assert old[:2] not in {piece.pcm.data[:2] for piece in heard}
            assert {piece.phrase for piece in heard} == {"New."}
        assert len(server.requests) < 10


async def test_an_error_of_the_writer_comes_after_the_sound_of_what_was_written(
    server: AzureSpeechServer,
) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "Well."
        raise Unavailable("chat_lost")

    async with mouth(server) as engine:
        heard = []

        async def listen() -> None:
            async for piece in engine.speak(broken(), ""):
                heard.append(piece.phrase)

        with pytest.raises(Unavailable, match="chat_lost"):
            await listen()
    assert set(heard) == {"Well."}


async def test_a_failure_before_the_first_sound_is_tried_once_more(server: AzureSpeechServer) -> None:
    server.speak = in_turn(saying(Drop), hum)
    async with mouth(server) as engine:
        pieces = await speak(engine, "Hello.")
    assert sum(len(piece.pcm.data) for piece in pieces) == 48 * 50 * len("Hello.")


async def test_the_voices_are_those_of_the_service(server: AzureSpeechServer) -> None:
    server.voices = [
        {
            "ShortName": name,
            "Locale": name[:5],
            "LocalName": local,
            "DisplayName": local,
            "Name": name,
            "Gender": "Female",
        }
        for name, local in (
            ("en-US-AvaNeural", "Ava"),
            ("ja-JP-NewNeural", "新"),
            ("sv-SE-SofieNeural", "Sofie"),
        )
    ]
    async with mouth(server) as engine:
        known = engine.voices()
        assert known[0].name == "ja-JP-NanamiNeural"
        await engine.warm()
        names = [voice.name for voice in engine.voices()]
    assert {"ja-JP-NewNeural", "en-US-AvaNeural", "ja-JP-NanamiNeural"} <= set(names)
    assert not {"sv-SE-SofieNeural", "ja-JP-AoiNeural"} & set(names)


async def test_the_known_voices_stay_when_the_service_lists_none(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        await engine.warm()
        assert {voice.language for voice in engine.voices()} >= {"ja", "en", "zh", "ko"}


# Signing in


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


def test_a_key_is_in_no_message() -> None:
    resource = SpeechResource(key="hunter2")
    assert "hunter2" not in repr(resource)
    for code in CancellationErrorCode:
        error = resource.translate(code, "Error details: the key hunter2 is bad", 1)
        assert "hunter2" not in str(error)


# Every fault of the reference's table


@dataclass(frozen=True)
class Fault:
    recognise: Recogniser = say_nothing_new
    speak: VoiceBox = hum
    handshake: int | Pause | None = None
    refused: bool = False
    hears: tuple[str, ...] = ("speech_unreachable",)
    says: tuple[str, ...] = ("speech_unreachable",)
    retryable: bool = True


def turn_fault(*steps: Close | type[Drop] | Pause, **expected: Any) -> Fault:
    return Fault(hearing(*steps), saying(*steps), **expected)


REFUSED_KEY: dict[str, Any] = {
    "hears": ("speech_key_refused",),
    "says": ("speech_key_refused",),
    "retryable": False,
}
TIMED_OUT: dict[str, Any] = {"hears": ("speech_timeout",), "says": ("speech_timeout",)}
FAULTS = {
    "401": Fault(handshake=401, **REFUSED_KEY),
    "403": Fault(handshake=403, **REFUSED_KEY),
    "429": Fault(handshake=429, hears=("speech_quota",), says=("speech_quota",)),
    "500": Fault(handshake=500),
    "503": Fault(handshake=503),
    # About once in ten times the SDK says nothing of it when it synthesises.
    "refused": Fault(refused=True, says=("speech_unreachable", "speech_timeout")),
    "tcp drop": turn_fault(Drop),
    "1011": turn_fault(Close(1011, "oops")),
    "1007": turn_fault(
        Close(1007, "bad"), hears=("speech_refused",), says=("speech_refused",), retryable=False
    ),
    "1000": turn_fault(Close(1000), **TIMED_OUT),
    "silence": turn_fault(STALL, **TIMED_OUT),
    "stalled handshake": Fault(handshake=STALL, **TIMED_OUT),
    "tcp drop after the first": Fault(
        hearing(Partial("he"), Drop), saying(bytes(4800), Drop), says=("voice_failed",)
    ),
    "1011 after the first": Fault(
        hearing(Partial("he"), Close(1011)), saying(bytes(4800), Close(1011)), says=("voice_failed",)
    ),
    "1000 after the first": Fault(
        hearing(Partial("he"), Close(1000)),
        saying(bytes(4800), Close(1000)),
        hears=("speech_timeout",),
        says=("voice_failed",),
    ),
    "stall after the first": Fault(
        hearing(Partial("he"), STALL),
        saying(bytes(4800), STALL),
        hears=("speech_timeout",),
        says=("voice_failed",),
    ),
    "errors of the service": Fault(
        hearing(Final("", status="Error")), hears=("speech_unreachable", "speech_quota"), says=()
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("service", ["hears", "says"])
def test_a_fault_is_told_and_the_next_turn_works(service: str, fault: Fault, warm: bool) -> None:
    expected: tuple[str, ...] = getattr(fault, service)
    if not expected:
        pytest.skip("not a fault of this service")

    async def meet() -> None:
        with AzureSpeechServer() as server:
            resource = SpeechResource(key="secret", host=server.host)
            engine = (AzureSpeechToText if service == "hears" else AzureTextToSpeech)(
                resource, timeout_seconds=TIMEOUT
            )

            async def turn() -> bool:
                if isinstance(engine, AzureSpeechToText):
                    return (await transcribe(engine))[-1].text == "Hello there."
                return bool(await speak(engine, "Hello."))

            if warm:
                assert await turn()
            if warm and fault.handshake:
                server.drop_connections()
            server.recognise, server.speak, server.handshake = fault.recognise, fault.speak, fault.handshake
            if fault.refused:
                server.pause_listening()
            with pytest.raises(EngineError) as failure:
                await turn()
            assert failure.value.sentence in expected
            assert failure.value.retryable == fault.retryable
            assert "secret" not in str(failure.value)
            server.recognise, server.speak, server.handshake = say_nothing_new, hum, None
            if fault.refused:
                server.resume_listening()
            assert await turn()
            with anyio.fail_after(FAR_TOO_LONG):
                await engine.close()

    before = len(os.listdir("/proc/self/task"))
    anyio.run(meet)
    assert settled(lambda: len(os.listdir("/proc/self/task")) <= max(before, SDK_THREADS))


SDK_THREADS = 4
"""Of the process's own, and what the SDK keeps for good once it was used."""


def settled(condition: Callable[[], bool]) -> bool:
    for _ in range(FAR_TOO_LONG * 10):
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
async def test_a_dropped_connection_that_comes_back_loses_no_words(server: AzureSpeechServer) -> None:
    server.recognise = in_turn(hearing(Heard(200), Drop), say_nothing_new)
    async with ears(server, timeout_seconds=10) as engine:
        assert (await transcribe(engine, ms=1000))[-1].text == "Hello there."
    assert len(server.recognitions[-1].audio) == 32_000


@pytest.mark.slow
async def test_a_slow_drip_is_a_sign_of_life(server: AzureSpeechServer) -> None:
    drip = [step for _ in range(4) for step in (Pause(1), bytes(960))]
    server.speak = saying(*drip)
    server.recognise = hearing(
        END, *[step for i in range(4) for step in (Pause(1), Partial("a" * (i + 1)))], Final("Aaaa.")
    )
    async with mouth(server) as voice, ears(server) as engine:
        assert (await transcribe(engine))[-1].text == "Aaaa."
        pieces = await speak(voice, "Slow.")
    assert sum(len(piece.pcm.data) for piece in pieces) == 4 * 960


@pytest.mark.slow
async def test_conversations_at_once_are_not_mixed(server: AzureSpeechServer) -> None:
    async def echo(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        yield END
        yield Pause(0.05)
        yield Final(f"Number {turn.audio[0]}.")

    async def answer(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
        number = int("".join(c for c in turn.text if c.isdigit()))
        yield Boundary(turn.text, 0)
        for _ in range(5):
            yield bytes([number, 0]) * 480
            yield Pause(0.01)

    server.recognise, server.speak = echo, answer

    async def converse(engine: AzureSpeechToText, voice: AzureTextToSpeech, number: int) -> None:
        async def audio() -> AsyncIterator[Pcm]:
            for _ in range(10):
                yield Pcm(bytes([number, 0]) * 320, SPEECH_RATE)
                await anyio.sleep(0.01)

        for _ in range(3):
            heard = [each async for each in engine.transcribe(audio(), "en")][-1].text
            assert heard == f"Number {number}."
            said = await speak(voice, heard)
            assert b"".join(piece.pcm.data for piece in said) == bytes([number, 0]) * 2400

    async with ears(server) as engine, mouth(server) as voice:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(converse, engine, voice, number + 1)


# Leaving

LEAVING = """
import asyncio, sys, threading
from contextlib import suppress
from tests.emulators.azure_speech import *
from tests.engines.test_azure_speech import endless, stream
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
    if way == "interrupt":
        print("ready", flush=True)
        await asyncio.sleep(60)
    if way == "exit":
        sys.exit(0)
    if way == "close":
        for turn in turns:
            turn.cancel()
        await asyncio.wait(turns)
        await ears.close()
        await mouth.close()

with AzureSpeechServer() as server, suppress(KeyboardInterrupt):
    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["return", "close", "exit", "interrupt"])
@pytest.mark.parametrize("attempt", range(5))
def test_a_process_ends_in_peace_with_turns_in_flight(way: str, attempt: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVING, way], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    try:
        if way == "interrupt":
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            process.send_signal(2)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
