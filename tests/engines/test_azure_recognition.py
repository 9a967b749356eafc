"""Speech to text by the unmodified SDK against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import anyio
import anyio.to_thread
import pytest

from tests.emulators.azure_speech import (
    END,
    STALL,
    AzureSpeechServer,
    Final,
    Heard,
    Partial,
    Pause,
    hearing,
    in_turn,
    say_nothing_new,
)
from tests.engines.azure_engines import FAR_TOO_LONG, ears, endless, transcribe
from voice.audio import SPEECH_RATE, VOICE_RATE, Pcm
from voice.engines import Transcript

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[AzureSpeechServer]:
    with AzureSpeechServer() as server:
        yield server


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
