"""The openai client's audio calls against a scripted server on loopback, and against a server made by others."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import av
import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.audio import Answer, AudioServer, Body, Said, Step
from tests.emulators.loopback import STALL, Cut, Pause, Refuse, Silence
from tests.speech import read_clips
from tests.wer import word_error_rate
from voice import texts
from voice.audio import SPEECH_RATE, VOICE_RATE, Pcm, encode_wav, join, resample
from voice.engines import EngineError, Rejected, Speech, Transcript, Unavailable, Voice
from voice.engines.openai_account import Account, connect_azure, connect_openai
from voice.engines.openai_audio import OpenAISpeechToText, OpenAITextToSpeech, as_pcm, name_voices
from voice.listening import find_speech
from voice.recordings import decode_recording

T = TypeVar("T")

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KEY = "a-key-that-stays-secret"
RECORDING = Pcm.silence(500, SPEECH_RATE)
TONE = Pcm.from_floats(0.5 * np.sin(np.arange(VOICE_RATE) * 2 * np.pi * 440 / VOICE_RATE), VOICE_RATE)


async def one_by_one(*items: T) -> AsyncGenerator[T, None]:
    for item in items:
        yield item


@asynccontextmanager
async def hearing(
    server: AudioServer, account: Account | None = None, **options: Any
) -> AsyncIterator[OpenAISpeechToText]:
    engine = OpenAISpeechToText(
        account or connect_openai(server.url, KEY), **{"timeout_seconds": 5, **options}
    )
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def speaking(
    server: AudioServer, account: Account | None = None, **options: Any
) -> AsyncIterator[OpenAITextToSpeech]:
    engine = OpenAITextToSpeech(
        account or connect_openai(server.url, KEY), **{"timeout_seconds": 5, **options}
    )
    try:
        yield engine
    finally:
        await engine.close()


async def hear(
    engine: OpenAISpeechToText, language: str | None = None, pcm: Pcm = RECORDING, last: str | None = None
) -> Transcript:
    [transcript] = [each async for each in engine.transcribe(one_by_one(pcm), language, last)]
    return transcript


async def say(engine: OpenAITextToSpeech, *phrases: str, voice: str = "", speed: float = 1.0) -> list[Speech]:
    return [
        speech async for speech in engine.speak(one_by_one(*(phrases or ("Hello.",))), voice, speed=speed)
    ]


async def sound_of(*answers: Answer, **options: Any) -> Pcm:
    with AudioServer(*answers) as server:
        async with speaking(server, **options) as engine:
            return join([speech.pcm for speech in await say(engine)])


# Speech to text: what is sent, what comes back


async def test_a_recording_is_sent_whole_as_wav() -> None:
    with AudioServer(Said("Hello there. ")) as server:
        async with hearing(server, model="whisper-1", phrases=["Kaiwa", "会話"]) as engine:
            pieces = one_by_one(TONE_16K[0], TONE_16K[1])
            [transcript] = [each async for each in engine.transcribe(pieces, "en")]
        [exchange] = server.exchanges
    assert transcript == Transcript("Hello there.", final=True, language="en", end_ms=1000)
    assert exchange.fields == {
        "model": "whisper-1",
        "language": "en",
        "prompt": "Kaiwa, 会話",
        "response_format": "json",
    }
    assert exchange.file == encode_wav(join(TONE_16K, SPEECH_RATE))
    assert exchange.headers["authorization"] == f"Bearer {KEY}"


TONE_16K = [Pcm(TONE.data[:16_000], SPEECH_RATE), Pcm(TONE.data[16_000:32_000], SPEECH_RATE)]


@pytest.mark.parametrize(
    ("told", "language"),
    [("japanese", "ja"), ("English", "en"), ("ja", "ja"), ("fr-FR", "fr"), ("klingon", None), ("", None)],
)
async def test_the_language_is_asked_for_when_it_is_not_given(told: str, language: str | None) -> None:
    with AudioServer(Said("…", told)) as server:
        async with hearing(server) as engine:
            assert (await hear(engine)).language == language
        assert server.exchanges[0].fields["response_format"] == "verbose_json"


@pytest.mark.parametrize(
    "refusal",
    [
        Refuse(400, "response_format 'verbose_json' is not compatible with model", param="response_format"),
        Refuse(422, body={"detail": "Input should be json or text: response_format"}),
        Refuse(400, body={"detail": {"error": {"message": "Unsupported response_format: verbose_json"}}}),
    ],
)
async def test_a_model_that_does_not_tell_the_language_is_asked_for_the_text_alone(refusal: Refuse) -> None:
    with AudioServer(refusal, Said("Hello.")) as server:
        async with hearing(server) as engine:
            for _ in range(2):
                transcript = await hear(engine)
                assert (transcript.text, transcript.language) == ("Hello.", None)
        formats = [exchange.fields["response_format"] for exchange in server.exchanges]
    assert formats == ["verbose_json", "json", "json"]


@pytest.mark.parametrize("ms", [0, 90])
async def test_a_recording_too_short_for_a_word_is_not_sent(ms: int) -> None:
    with AudioServer(Said("Never.")) as server:
        async with hearing(server) as engine:
            assert (await hear(engine, pcm=Pcm.silence(ms, SPEECH_RATE))).text == ""
        assert server.exchanges == []


@pytest.mark.parametrize(
    ("language", "ms", "asked"), [(None, 900, "ja"), (None, 2000, None), ("en", 900, "en")]
)
async def test_a_word_is_asked_for_in_the_language_of_the_turn_before(
    language: str | None, ms: int, asked: str | None
) -> None:
    with AudioServer(Said("はい")) as server:
        async with hearing(server) as engine:
            await hear(engine, language, Pcm.silence(ms, SPEECH_RATE), last="ja")
        [exchange] = server.exchanges
    assert exchange.fields.get("language") == asked


async def test_a_recording_in_which_nobody_speaks_is_not_sent() -> None:
    with AudioServer(Said("Thank you for watching.")) as server:
        async with hearing(server, find_speech=find_speech) as engine:
            noise = np.random.default_rng(5).normal(scale=0.02, size=2 * SPEECH_RATE)
            silent = await hear(engine, "en", Pcm.from_floats(noise, SPEECH_RATE))
            speech = decode_recording(read_clips("en")[0].path, max_seconds=60)
            spoken = await hear(engine, "en", resample(speech, SPEECH_RATE))
        assert len(server.exchanges) == 1
    assert silent == Transcript("", final=True, language="en")
    assert spoken.text == "Thank you for watching."


@pytest.mark.parametrize(
    "body",
    [
        Body(b"<html>Welcome</html>", content_type="text/html"),
        Body(b"", content_type="application/json"),
        Body(b'{"text": "He', content_type="application/json"),
        Body(b'{"text": 7}', content_type="application/json"),
        Body(b"[]", content_type="application/json"),
        Body(b"\xff\xfe", content_type="application/json"),
        Body(b"[" * 100_000, content_type="application/json"),
        Body(*[b'{"text": "' + b"a" * 2**16] * 17, content_type="application/json"),
    ],
    ids=["html", "empty", "cut", "number", "list", "no UTF-8", "deep", "huge"],
)
async def test_an_answer_that_is_no_transcript_is_a_failure(body: Body) -> None:
    with AudioServer(body, Said("Hello.")) as server:
        async with hearing(server) as engine:
            with pytest.raises(Unavailable, match="recognition_failed"):
                await hear(engine)
            assert (await hear(engine)).text == "Hello."


# Text to speech: what is sent, what comes back


async def test_sound_is_passed_on_while_it_still_comes() -> None:
    half = TONE.data[:24_000]
    with AudioServer(Body(half, STALL)) as server:
        async with (
            speaking(server, model="tts-1") as engine,
            aclosing(engine.speak(one_by_one("Hello."), "coral", 1.5)) as sound,
        ):
            heard = b""
            while len(heard) < len(half):
                speech = await anext(sound)
                heard += speech.pcm.data
        [exchange] = server.exchanges
    assert (heard, speech.phrase, speech.pcm.rate) == (half, "Hello.", VOICE_RATE)
    assert exchange.fields == {
        "model": "tts-1",
        "voice": "coral",
        "input": "Hello.",
        "response_format": "pcm",
        "speed": 1.5,
    }


async def test_phrases_are_spoken_one_after_the_other() -> None:
    first, second = TONE.data[:1000], TONE.data[1000:3000]
    with AudioServer(Body(first), Body(second)) as server:
        async with speaking(server) as engine:
            speeches = await say(engine, "One.", "…", "One.")
        said = [exchange.fields["input"] for exchange in server.exchanges]
    assert said == ["One.", "One."]
    spoken = {
        number: b"".join(speech.pcm.data for speech in speeches if speech.number == number)
        for number in (0, 2)
    }
    assert spoken == {0: first, 2: second}


@given(st.lists(st.integers(0, 401)))
def test_samples_cut_between_their_bytes_come_out_whole(cuts: list[int]) -> None:
    data = TONE.data[:401]
    ends = [*sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]

    async def read() -> list[Pcm]:
        return [pcm async for pcm in as_pcm(one_by_one(*chunks), "audio/pcm")]

    assert join(anyio.run(read)).data == data[:400]


@given(st.binary(max_size=400), st.sampled_from(["audio/pcm", "audio/wav", "audio/mpeg", "text/html", ""]))
def test_whatever_a_server_sends_is_sound_or_a_failure(body: bytes, content_type: str) -> None:
    async def read() -> list[Pcm]:
        return [pcm async for pcm in as_pcm(one_by_one(body), content_type)]

    with suppress(Unavailable):
        assert all(pcm.rate == VOICE_RATE for pcm in anyio.run(read))


async def test_half_a_sample_at_the_end_is_left_out() -> None:
    assert (await sound_of(Body(TONE.data[:1001]))).data == TONE.data[:1000]


VOICES = name_voices("ja:yuki, en:amy, ja:ken, alloy")


def test_voices_are_named_by_a_setting() -> None:
    assert [
        Voice("yuki", "yuki (ja)", "ja"),
        Voice("amy", "amy (en)", "en"),
        Voice("ken", "ken (ja)", "ja"),
        Voice("alloy", "alloy", ""),
    ] == VOICES
    assert name_voices(" , ") == []
    assert [voice.name for voice in name_voices("af_sky+af_bella,Piper:x,speaches:a:b")] == [
        "af_sky+af_bella",
        "Piper:x",
        "speaches:a:b",
    ]


async def test_openais_voices_are_there_without_a_setting() -> None:
    with AudioServer(Body(TONE.data)) as server:
        async with speaking(server) as engine:
            assert engine.voices()[0] == Voice("alloy", "alloy", "")
            await say(engine, "彼は“How are you?”と言った。")
        assert [exchange.fields["input"] for exchange in server.exchanges] == ["彼は“How are you?”と言った。"]


@pytest.mark.parametrize(
    ("voice", "cast"),
    [
        ("", [("yuki", "こんにちは。"), ("amy", "Nice to meet you.")]),
        ("ken", [("ken", "こんにちは。"), ("amy", "Nice to meet you.")]),
        ("alloy", [("alloy", "こんにちは。Nice to meet you.")]),
        ("unheard-of", [("yuki", "こんにちは。"), ("amy", "Nice to meet you.")]),
    ],
)
async def test_each_language_is_spoken_by_its_voice(voice: str, cast: list[tuple[str, str]]) -> None:
    with AudioServer(Body(TONE.data)) as server:
        async with speaking(server, voices=VOICES) as engine:
            await say(engine, "こんにちは。Nice to meet you.", voice=voice)
        said = [(exchange.fields["voice"], exchange.fields["input"]) for exchange in server.exchanges]
    assert said == cast


async def test_what_no_voice_speaks_is_passed_over() -> None:
    with AudioServer(Body(TONE.data)) as server:
        async with speaking(server, voices=name_voices("ja:yuki")) as engine:
            assert await say(engine, "Hello there, how are you?") == []
        assert server.exchanges == []


# Servers that do not send raw 24 kHz


def encode(codec: str, container: str) -> bytes:
    """The tone as a file."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=VOICE_RATE)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(TONE.samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = VOICE_RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    return file.getvalue()


def streamed_wav(size: int) -> bytes:
    """A WAV file whose header was written before its length was known."""
    wav = encode_wav(TONE)
    return wav[:4] + size.to_bytes(4, "little") + wav[8:40] + size.to_bytes(4, "little") + wav[44:]


def stereo_wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((2, 2, 48_000, 0, "NONE", ""))
        wav.writeframes(np.repeat(TONE.samples, 4).tobytes())
    return file.getvalue()


def pitch_of(pcm: Pcm) -> float:
    """Hz that dominates."""
    spectrum = np.abs(np.fft.rfft(pcm.floats))
    return float(np.argmax(spectrum) * pcm.rate / len(pcm.samples))


@pytest.mark.parametrize(
    "body",
    [
        Body(encode_wav(TONE), content_type="audio/wav"),
        Body(encode_wav(TONE), content_type="audio/pcm"),
        Body(*(bytes([byte]) for byte in encode_wav(TONE)[:50]), encode_wav(TONE)[50:]),
        Body(streamed_wav(0), content_type="audio/wav"),
        Body(streamed_wav(0xFFFFFFFF), content_type="audio/x-wav"),
        Body(stereo_wav(), content_type="application/octet-stream"),
        Body(encode("mp3", "mp3"), content_type="audio/mpeg"),
        Body(encode("flac", "flac"), content_type="application/octet-stream"),
        Body(encode("libopus", "ogg"), content_type="audio/ogg"),
        Body(TONE.data + TONE.data, content_type="audio/pcm;rate=48000;channels=1"),
        Body(TONE.data, content_type="application/octet-stream"),
        Body(TONE.data, content_type="audio/L16; rate=24000"),
    ],
    ids=lambda body: f"{body.content_type} {body.steps[0][:4]}",
)
async def test_other_formats_are_played_as_the_sound_they_hold(body: Body) -> None:
    pcm = await sound_of(body)
    expected = 880 if "48000" in body.content_type else 440
    assert pcm.rate == VOICE_RATE
    assert pcm.seconds == pytest.approx(1, abs=0.1)
    assert pitch_of(pcm) == pytest.approx(expected, abs=5)


async def test_a_truncated_wav_gives_what_is_there() -> None:
    wav = encode_wav(TONE)
    pcm = await sound_of(Body(wav[: len(wav) // 2], content_type="audio/wav"))
    assert pcm.seconds == pytest.approx(0.5, abs=0.01)


NO_SOUND = [
    Body(b""),
    Body(b"", content_type="audio/wav"),
    Body(b"\0"),
    Body(encode_wav(TONE)[:44], content_type="audio/wav"),
    Body(encode_wav(TONE)[:20], content_type="audio/wav"),
    Body(b"RIFF" + b"\xff" * 1000),
    Body(b"<html><body>Welcome to nginx!</body></html>", content_type="text/html"),
    Body(b"<!DOCTYPE html><title>Sign in</title>", content_type="audio/pcm"),
    Body(b'{"error": {"message": "out of memory"}}', content_type="application/json"),
    Body(b'{"detail": "no such voice"}', content_type="application/octet-stream"),
    Body(TONE.data, content_type="audio/mpeg"),
    Body(*[bytes(2**20)] * 6),
    Body(b"RIFF", *[bytes(2**20)] * 6),
]


@pytest.mark.parametrize("body", NO_SOUND, ids=range(len(NO_SOUND)))
async def test_what_is_no_sound_is_not_played_as_noise(body: Body) -> None:
    with AudioServer(body, Body(TONE.data)) as server:
        async with speaking(server) as engine:
            with pytest.raises(Unavailable, match="voice_failed"):
                await say(engine)
            assert await say(engine)


# Stopping, and the watchdog


@pytest.mark.parametrize("answer", [Silence(), Body(STALL), Body(TONE.data, STALL)])
async def test_cancelling_the_voice_drops_the_connection(answer: Answer) -> None:
    with AudioServer(answer, Body(TONE.data)) as server:
        async with speaking(server) as engine:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(say, engine)
                await server.was_asked()
                tasks.cancel_scope.cancel()
            assert await server.exchanges[0].client_left()
            assert await say(engine)


async def test_closing_the_voice_drops_the_connection() -> None:
    with AudioServer(Body(TONE.data, STALL)) as server:
        async with speaking(server) as engine:
            async with aclosing(engine.speak(one_by_one("Hello."), "")) as sound:
                await anext(sound)
            assert await server.exchanges[0].client_left()


@pytest.mark.parametrize("answer", [Silence(), Body(STALL, content_type="application/json")])
async def test_cancelling_the_recognition_drops_the_connection(answer: Answer) -> None:
    with AudioServer(answer, Said("Again.")) as server:
        async with hearing(server) as engine:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hear, engine)
                await server.was_asked()
                tasks.cancel_scope.cancel()
            assert await server.exchanges[0].client_left()
            assert (await hear(engine)).text == "Again."


DRIP: tuple[Step, ...] = (b"\0\0", Pause(0.05))


@pytest.mark.parametrize("answer", [Silence(), Body(STALL), Body(TONE.data[:4800], STALL), Body(*DRIP * 200)])
async def test_a_voice_that_falls_behind_times_out_and_drops_the_connection(answer: Answer) -> None:
    with AudioServer(answer, Body(TONE.data)) as server:
        async with speaking(server, timeout_seconds=0.5) as engine:
            with pytest.raises(Unavailable, match="speech_timeout") as failure:
                await say(engine)
            assert failure.value.details == {"seconds": 0.5}
            assert await server.exchanges[0].client_left()
            assert await say(engine)


async def test_a_voice_that_keeps_up_with_its_own_sound_does_not_time_out() -> None:
    second: tuple[Step, ...] = (TONE.data, Pause(0.3))
    pcm = await sound_of(Body(*second * 6), timeout_seconds=1)
    assert pcm.seconds == 6


@pytest.mark.parametrize("answer", [Silence(), Body(b'{"text":', STALL, content_type="application/json")])
async def test_a_recognition_that_stalls_times_out_and_drops_the_connection(answer: Answer) -> None:
    with AudioServer(answer, Said("Again.")) as server:
        async with hearing(server, timeout_seconds=0.5) as engine:
            with pytest.raises(Unavailable, match="speech_timeout"):
                await hear(engine)
            assert await server.exchanges[0].client_left()
            assert (await hear(engine)).text == "Again."


# Refusals: told so that a user can act, in both languages; the next turn works

FAULTS: list[tuple[Answer, type[EngineError], str]] = [
    (Refuse(401, "Incorrect API key"), Rejected, "speech_key_refused"),
    (Refuse(403), Rejected, "speech_key_refused"),
    (Refuse(429), Unavailable, "speech_quota"),
    (Refuse(429, headers={"retry-after": "7"}), Unavailable, "speech_busy"),
    (Refuse(429, code="insufficient_quota"), Rejected, "speech_quota"),
    (Refuse(503), Unavailable, "speech_quota"),
    (Refuse(404, "The model `x` does not exist", code="model_not_found"), Rejected, "speech_model_missing"),
    (Refuse(404, body={"detail": "Model 'x' is not installed locally."}), Rejected, "speech_model_missing"),
    (Refuse(404, body={"detail": "Not Found"}), Rejected, "speech_refused"),
    (Refuse(400, "no such voice"), Rejected, "speech_refused"),
    (Refuse(400, code="content_policy_violation"), Rejected, "speech_filtered"),
    (Refuse(413, body="<html>Too large</html>"), Rejected, "speech_refused"),
]
BROKEN: list[tuple[Answer, type[EngineError], str]] = [
    (Refuse(500), Unavailable, "speech_unreachable"),
    (Refuse(502, body="<html>Bad gateway</html>"), Unavailable, "speech_unreachable"),
]


def assert_told_in_both_languages(error: EngineError) -> None:
    for language in texts.INTERFACE:
        sentence = texts.say(error.sentence, language, **error.details)
        assert KEY not in sentence
        assert "{" not in sentence


@pytest.mark.parametrize(("fault", "kind", "sentence"), FAULTS + BROKEN)
async def test_a_fault_of_the_voice_is_told_and_the_next_turn_works(
    fault: Answer, kind: type[EngineError], sentence: str
) -> None:
    faults = [fault, fault] if (fault, kind, sentence) in BROKEN else [fault]
    with AudioServer(*faults, Body(TONE.data)) as server:
        async with speaking(server) as engine:
            with pytest.raises(EngineError, match=sentence) as failure:
                await say(engine)
            assert await say(engine)
    assert type(failure.value) is kind
    assert_told_in_both_languages(failure.value)


@pytest.mark.parametrize(("fault", "kind", "sentence"), FAULTS + BROKEN)
async def test_a_fault_of_the_recognition_is_told_and_the_next_turn_works(
    fault: Answer, kind: type[EngineError], sentence: str
) -> None:
    faults = [fault, fault] if (fault, kind, sentence) in BROKEN else [fault]
    with AudioServer(*faults, Said("Again.")) as server:
        async with hearing(server) as engine:
            with pytest.raises(EngineError, match=sentence) as failure:
                await hear(engine)
            assert (await hear(engine)).text == "Again."
    assert type(failure.value) is kind
    assert_told_in_both_languages(failure.value)


@pytest.mark.parametrize("body", [Body(TONE.data, Cut), Body(TONE.data[:100], content_length=48_000)])
async def test_sound_that_breaks_off_is_played_and_then_told(body: Body) -> None:
    with AudioServer(body, Body(TONE.data)) as server:
        async with speaking(server) as engine:
            heard: list[Pcm] = []

            async def listen() -> None:
                async for speech in engine.speak(one_by_one("Hello."), ""):
                    heard.append(speech.pcm)

            with pytest.raises(Unavailable, match="speech_unreachable"):
                await listen()
            assert heard
            assert TONE.data.startswith(join(heard).data)
            assert await say(engine)


async def test_a_server_error_is_tried_once_more() -> None:
    with AudioServer(Refuse(500), Said("Hello.")) as server:
        async with hearing(server) as engine:
            assert (await hear(engine)).text == "Hello."
    assert (await sound_of(Refuse(500), Body(TONE.data))).data == TONE.data


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    account = connect_openai("http://127.0.0.1:1/v1")
    hears, speaks = OpenAISpeechToText(account), OpenAITextToSpeech(account)
    for attempt in (hears.warm(), speaks.warm(), hear(hears), say(speaks)):
        with pytest.raises(Unavailable, match="speech_unreachable"):
            await attempt
    await hears.close()


# Warming, and Azure


@pytest.mark.parametrize("models", [("emulated",), Refuse(404), Refuse(405)])
async def test_warming_asks_for_no_sound(models: tuple[str, ...] | Refuse) -> None:
    with AudioServer(Body(TONE.data), models=models) as server:
        async with speaking(server) as speaks, hearing(server) as hears:
            await speaks.warm()
            await hears.warm()
        assert (server.models_asked, server.exchanges) == (2, [])


async def test_warming_tells_that_the_key_is_refused() -> None:
    with AudioServer(Body(TONE.data), models=Refuse(401)) as server:
        async with speaking(server) as speaks, hearing(server) as hears:
            for attempt in (speaks.warm(), hears.warm()):
                with pytest.raises(Rejected, match="speech_key_refused"):
                    await attempt


async def test_azures_deployments_are_found_by_the_models_name() -> None:
    with AudioServer(Said("Hello."), Body(TONE.data)) as server:
        account = connect_azure(server.address, KEY, "2024-05-01-preview")
        async with hearing(server, account, model="my-whisper") as engine:
            assert (await hear(engine)).text == "Hello."
        account = connect_azure(server.address, KEY, "2024-05-01-preview")
        async with speaking(server, account, model="my-tts") as speaks:
            await say(speaks)
        heard, said = server.exchanges
    version = "api-version=2024-05-01-preview"
    assert heard.target == f"/openai/deployments/my-whisper/audio/transcriptions?{version}"
    assert said.target == f"/openai/deployments/my-tts/audio/speech?{version}"
    assert heard.headers["api-key"] == said.headers["api-key"] == KEY


# A server made by others


FASTER_WHISPER_SERVER = "faster-whisper-server==0.0.3"
"""MIT. Installed for these tests alone and without what it asks for: all of that is here but uvloop and httptools, which
uvicorn, and so every other test, would then run on instead of what users run on."""


@pytest.fixture(scope="module")
def whisper_server(whisper_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """faster-whisper-server from PyPI, on the weights of this machine's own engine."""
    packages = tmp_path_factory.mktemp("packages")
    install = [
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        sys.executable,
        "--target",
        str(packages),
    ]
    if subprocess.run([sys.executable, "-m", "uv", *install, FASTER_WHISPER_SERVER], check=False).returncode:
        pytest.skip("faster-whisper-server cannot be installed")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    command = [sys.executable, "-m", "faster_whisper_server", str(whisper_folder)]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", port],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(packages)},
    )
    try:
        for _ in range(600):
            assert server.poll() is None
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False)
                break
            except httpx2.TransportError:
                anyio.run(anyio.sleep, 0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
@pytest.mark.parametrize("language", [None, "en"])
async def test_a_server_made_by_others_recognises_people(whisper_server: str, language: str | None) -> None:
    engine = OpenAISpeechToText(connect_openai(whisper_server), timeout_seconds=60)
    await engine.warm()
    clip = read_clips("en")[0]
    transcript = await hear(engine, language, decode_recording(clip.path, max_seconds=30))
    await engine.close()
    assert transcript.language == "en"
    assert word_error_rate(clip.text, transcript.text) <= 0.2
