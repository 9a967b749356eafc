"""The clouds that others are tested against, and that anybody may try Kaiwa on."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from starlette.applications import Starlette

from tests.emulators.azure_script import (
    BYTES_PER_MS,
    Final,
    Heard,
    Hearing,
    Partial,
    RecognitionTurn,
    SynthesisTurn,
)
from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import ChatServer, Exchange, Step, Writer
from tests.emulators.loopback import Pause
from tests.emulators.plausible import (
    TimedWord,
    answer_politely,
    hear_clip,
    hear_clips,
    hear_sentences,
    hum_softly,
    time_words,
)
from tests.emulators.random_faults import HEARING, RandomFaults
from tests.emulators.running import running_emulators, settings_for
from tests.emulators.timings import NONE, PUBLISHED
from tests.emulators.utterances import Loudness
from tests.speech import read_clips
from tests.virtual_time import VirtualTimeLoop
from voice.audio import SPEECH_RATE, Pcm, join, resample
from voice.engines import EngineError, Engines, Message, Speech, Unavailable
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.choosing import choose
from voice.engines.openai_account import connect_azure
from voice.engines.openai_chat import OpenAIChat

pytestmark = pytest.mark.anyio

T = TypeVar("T")
ENGINE_TIMEOUT = 60
"""Far more than a turn takes, for a machine that is busy with other work."""


def tone(ms: int) -> bytes:
    return bytes(
        b for i in range(16 * ms) for b in round(5000 * math.sin(i / 8)).to_bytes(2, "little", signed=True)
    )


def silence(ms: int) -> bytes:
    return bytes(BYTES_PER_MS * ms)


def on_virtual_time(work: Callable[[], Any]) -> Any:
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


def hear(
    recognise: Callable[[RecognitionTurn], AsyncGenerator[Hearing, None]],
    audio: bytes,
    frame_ms: int = 100,
    languages: tuple[str, ...] = ("en-US",),
) -> list[tuple[int, Partial]]:
    """What is said when `audio` comes in real time, and when, in ms."""
    said: list[tuple[int, Partial]] = []

    async def work() -> None:
        turn = RecognitionTurn("1", languages, {})
        loop = asyncio.get_running_loop()

        async def feed() -> None:
            for start in range(0, len(audio), frame_ms * BYTES_PER_MS):
                await asyncio.sleep(frame_ms / 1000)
                await turn.grow(audio[start : start + frame_ms * BYTES_PER_MS])
            await turn.grow(b"")

        feeding = asyncio.create_task(feed())
        async with aclosing(recognise(turn)) as steps:
            async for step in steps:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                elif isinstance(step, Heard):
                    await turn.hear(step.ms)
                elif isinstance(step, Partial):
                    said.append((round(loop.time() * 1000), step))
        await feeding

    on_virtual_time(work)
    return said


WORDS = [TimedWord("One", 0, 200), TimedWord(" two", 200, 400), TimedWord(" three.", 400, 1000)]
CLIP = tone(1000)


def test_a_clip_is_heard_word_by_word_behind_the_voice_and_finally_after_its_true_end() -> None:
    said = hear(hear_clip(WORDS, PUBLISHED), silence(400) + CLIP + silence(3000))
    assert [(at, step.text) for at, step in said] == [
        (600 + 300, "One"),
        (800 + 300, "One two"),
        (1400 + 300, "One two three."),
        (1400 + 1016, "One two three."),
    ]
    assert isinstance(said[-1][1], Final)
    assert (said[-1][1].start_ms, said[-1][1].end_ms) == (400, 1400)


def test_the_final_comes_no_earlier_when_the_audio_is_ended_at_once() -> None:
    [*_, (at, final)] = hear(hear_clip(WORDS, PUBLISHED), silence(400) + CLIP)
    assert (at, final.text) == (1400 + 1016, "One two three.")


def test_a_clip_that_is_cut_short_is_heard_as_far_as_it_came() -> None:
    [*_, (_, final)] = hear(hear_clip(WORDS, PUBLISHED), CLIP[: BYTES_PER_MS * 500])
    assert isinstance(final, Final)
    assert final.text == "One two"


def test_a_pause_within_a_known_clip_does_not_end_it() -> None:
    words = [TimedWord("Well,", 0, 1000), TimedWord(" yes.", 2000, 3000)]
    said = hear(hear_clip(words, PUBLISHED), CLIP + silence(1000) + CLIP + silence(2000))
    assert [step.text for _, step in said] == ["Well,", "Well, yes.", "Well, yes."]


def test_clips_are_heard_in_turn() -> None:
    recognise = hear_clips([WORDS, [TimedWord("Four.", 0, 1000)]], PUBLISHED)
    assert hear(recognise, CLIP)[-1][1].text == "One two three."
    assert hear(recognise, CLIP)[-1][1].text == "Four."


def test_the_words_of_a_recording_fill_the_time_in_which_somebody_speaks() -> None:
    words = time_words("One, sixteen.", Pcm(silence(400) + CLIP + silence(400), SPEECH_RATE))
    assert [word.text for word in words] == ["One,", " sixteen."]
    assert (words[0].start_ms, words[-1].end_ms) == (400, 1400)
    assert words[0].end_ms < 900


def test_without_timings_everything_is_heard_at_once() -> None:
    said = hear(hear_clip(WORDS, NONE), CLIP)
    assert [at for at, _ in said] == [200, 400, 1000, 1000]


def test_nobody_is_heard_in_silence() -> None:
    assert hear(hear_sentences(PUBLISHED), silence(3000)) == []
    assert hear(hear_clip(WORDS, PUBLISHED), silence(3000)) == []


def test_each_utterance_is_a_sentence_whose_partials_grow() -> None:
    said = hear(
        hear_sentences(PUBLISHED, ["Is it late?", "雨ですか。"]),
        tone(2000) + silence(1500) + tone(1000) + silence(1500),
        languages=("ja-JP", "en-US"),
    )
    finals = [(at, step.text, step.language) for at, step in said if isinstance(step, Final)]
    assert finals == [(2000 + 1016, "Is it late?", "en-US"), (4500 + 1016, "雨ですか。", "ja-JP")]
    assert [step.text for _, step in said][:3] == ["Is", "Is it", "Is it late?"]


def test_a_sentence_is_heard_in_the_language_that_is_listened_for() -> None:
    [*_, (_, final)] = hear(hear_sentences(NONE), CLIP, languages=("ja-JP",))
    assert final.text.endswith("か。")


def test_sentences_are_heard_in_all_languages_that_are_listened_for_by_turns() -> None:
    said = hear(hear_sentences(NONE), (tone(1000) + silence(1500)) * 4, languages=("ja-JP", "en-US", "fr-FR"))
    finals = [step for _, step in said if isinstance(step, Final)]
    assert [final.language for final in finals] == ["en-US", "ja-JP"] * 2
    assert len({final.text for final in finals}) == 4


@pytest.mark.parametrize("before_ms", [0, 300, 1000])
@pytest.mark.parametrize("room", [0, 20], ids=["digital silence", "a quiet room"])
def test_the_end_of_the_voice_is_found_whatever_is_around_it(before_ms: int, room: int) -> None:
    noise = random.Random(1)
    sound = bytearray(silence(before_ms) + tone(800) + silence(700))
    for at in range(0, len(sound), 2):
        sample = int.from_bytes(sound[at : at + 2], "little", signed=True) + noise.randint(-room, room)
        sound[at : at + 2] = sample.to_bytes(2, "little", signed=True)
    loudness = Loudness()
    loudness.add(sound)
    utterance = loudness.find(0, 500, ended=False)
    assert utterance is not None
    assert utterance.over
    assert abs(utterance.start_ms - before_ms) <= 20
    assert abs(utterance.end_ms - before_ms - 800) <= 20


def test_a_click_is_no_voice() -> None:
    loudness = Loudness()
    loudness.add(bytearray(silence(500) + tone(30) + silence(500)))
    assert loudness.find(0, 500, ended=True) is None


def test_tokens_and_sound_come_at_the_pace_of_the_cloud() -> None:
    async def work() -> tuple[list[float], list[float], float]:
        loop = asyncio.get_running_loop()

        async def clock(
            steps: AsyncGenerator[Any, None], kind: type
        ) -> AsyncGenerator[tuple[float, Any], None]:
            begun = loop.time()
            async with aclosing(steps):
                async for step in steps:
                    if isinstance(step, Pause):
                        await asyncio.sleep(step.seconds)
                    elif isinstance(step, kind):
                        yield loop.time() - begun, step

        exchange = Exchange({"messages": [{"role": "user", "content": "Hi."}]}, {})
        answer = answer_politely(PUBLISHED)(exchange)
        assert isinstance(answer, Writer)
        tokens = [at async for at, _ in clock(answer.write(), str)]
        ssml = "<speak xmlns='http://www.w3.org/2001/10/synthesis'><voice name='a'>One two three.</voice></speak>"
        sound = [each async for each in clock(hum_softly(PUBLISHED)(SynthesisTurn("1", ssml, {})), bytes)]
        seconds = sum(len(data) for _, data in sound[:-1]) / 48_000
        return tokens, [at for at, _ in sound], seconds

    tokens, sound, seconds = on_virtual_time(work)
    assert tokens[0] == pytest.approx(0.412)
    assert tokens[80] - tokens[0] == pytest.approx(1) if len(tokens) > 80 else True
    assert (tokens[-1] - tokens[0]) / (len(tokens) - 1) == pytest.approx(1 / 80)
    assert sound[0] == pytest.approx(0.150)
    assert sound[-1] - sound[0] == pytest.approx(seconds / 10)


def test_faults_are_the_same_for_the_same_seed_and_none_without_probability() -> None:
    def meet(seed: int, probability: float) -> list[tuple[str, int]]:
        faults = RandomFaults(probability, random.Random(seed))
        for _ in range(50):
            faults.handshake()
        return sorted(faults.met.items())

    assert meet(1, 0.5) == meet(1, 0.5) != meet(2, 0.5)
    assert meet(1, 0) == []
    assert sum(times for _, times in meet(1, 1)) == 50


def test_faults_take_the_place_of_what_hears() -> None:
    faults = RandomFaults(1, random.Random(4))
    heard = hear(faults.hearing(hear_sentences(NONE)), CLIP)
    [name] = faults.met
    assert name.removeprefix("hearing: ") in HEARING
    assert "What shall I cook tonight?" not in [step.text for _, step in heard]


class ScriptError(Exception):
    pass


async def test_a_mistake_in_what_hears_is_told_at_the_end() -> None:
    async def recognise(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        yield Heard(10)
        raise ScriptError

    async def hear_it() -> None:
        with AzureSpeechServer(recognise) as server:
            engine = AzureSpeechToText(
                SpeechResource(key="any", host=server.host), timeout_seconds=ENGINE_TIMEOUT
            )
            try:
                await engine.warm()
            except EngineError:
                assert server.failures
            finally:
                await engine.close()

    with pytest.raises(ScriptError):
        await hear_it()


async def test_a_mistake_in_what_answers_is_told_at_the_end() -> None:
    async def write() -> AsyncGenerator[Step, None]:
        yield "Hel"
        raise ScriptError

    async def ask() -> None:
        with ChatServer(Writer(write)) as server:
            engine = OpenAIChat(connect_azure(server.address, "any", "v1"), model="gpt-4o")
            try:
                async with aclosing(engine.reply([Message("user", "Hi.")])) as pieces:
                    async for _ in pieces:
                        pass
            except EngineError:
                assert server.failures
            finally:
                await engine.close()

    with pytest.raises(ScriptError):
        await ask()


def test_a_port_that_is_taken_is_told() -> None:
    with AzureSpeechServer() as server, pytest.raises(OSError, match="address"):
        AzureSpeechServer(port=int(server.host.rpartition(":")[2])).__enter__()
    with ChatServer() as chat, pytest.raises(OSError, match="started"):
        ChatServer(port=int(chat.address.rpartition(":")[2])).__enter__()


def test_an_engine_that_cannot_start_behind_the_protocol_is_told() -> None:
    @asynccontextmanager
    async def fail(_: Starlette) -> AsyncIterator[None]:
        raise Unavailable("chat_gone")
        yield

    with pytest.raises(Unavailable, match="chat_gone"):
        ChatServer(lifespan=fail).__enter__()


async def take_a_turn(engines: Engines, recording: Path) -> tuple[str, str, list[Speech]]:
    """What was heard, the reply, and its sound."""
    from voice.decoding import decode

    async def only(item: T) -> AsyncGenerator[T, None]:
        yield item

    with anyio.fail_after(ENGINE_TIMEOUT * 3):
        assert await engines.warm() == []
        pcm = await decode(recording, 60)
        async with aclosing(engines.speech_to_text.transcribe(only(pcm), None)) as transcripts:
            heard = [transcript async for transcript in transcripts]
        async with aclosing(engines.chat.reply([Message("user", heard[-1].text)])) as pieces:
            reply = "".join([piece async for piece in pieces if isinstance(piece, str)])
        async with aclosing(engines.text_to_speech.speak(only(reply), "")) as sound:
            spoken = [speech async for speech in sound]
    return heard[-1].text, reply, spoken


@pytest.mark.slow
async def test_anybody_can_try_a_turn_on_azure_without_azure() -> None:
    clip = read_clips("en")[1]
    with running_emulators("--hears", "Is it late?") as lines:
        engines = choose(settings_for(lines))
        try:
            heard, reply, spoken = await take_a_turn(engines, clip.path)
        finally:
            await engines.close()
        stranger = choose(settings_for({**lines, "AZURE_SPEECH_KEY": "wrong", "OPENAI_KEY": "wrong"}))
        try:
            refused = {failure.sentence for failure in await stranger.warm()}
        finally:
            await stranger.close()
    assert heard == "Is it late?"
    assert heard in reply
    assert any(word.text.startswith("emulated") for speech in spoken for word in speech.words)
    assert join(speech.pcm for speech in spoken).seconds > 1
    assert refused == {"speech_key_refused", "chat_key_refused"}


@pytest.mark.slow
async def test_the_engines_of_this_machine_can_play_azure(
    small_chat_model: Path, models_folder: Path
) -> None:
    clip = read_clips("en")[1]
    models = {
        "LOCAL_CHAT_MODEL": str(small_chat_model),
        "MODELS_DIR": str(models_folder),
        "LOCAL_JAPANESE_VOICE": "mei",
        "CHAT_MAX_TOKENS": "16",
        "ENGINE_TIMEOUT_SECONDS": str(ENGINE_TIMEOUT),
    }
    with running_emulators("--local", **models) as lines:
        engines = choose(settings_for(lines, engine_timeout_seconds=ENGINE_TIMEOUT))
        try:
            heard, reply, spoken = await take_a_turn(engines, clip.path)
            sound = resample(join(speech.pcm for speech in spoken), 16_000)
        finally:
            await engines.close()
    assert "Which folder" in heard
    assert reply
    assert sound.seconds > 0.3
