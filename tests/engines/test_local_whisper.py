"""Whisper on this machine, with the real weights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cache
from pathlib import Path

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.wer import character_error_rate, word_error_rate
from voice.audio import SPEECH_RATE, Pcm
from voice.engines import NotConfigured, Transcript, Unavailable
from voice.engines.local_whisper import LONGEST_WINDOW_MS, LocalWhisper, cut_windows
from voice.engines.whisper_model import Model

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ENGLISH = "I would like to book a table for two tonight at seven."
JAPANESE = "昨日は友達と一緒に映画を見に行きました。"
ENGLISH_STORY = (
    "Last summer my family and I traveled to the north of the country by train. We stayed in a small village near a "
    "lake. Every morning we walked along the shore and watched the birds. My sister took many photographs of the "
    "mountains. In the evening we cooked dinner together and told each other stories. The owner of the house was a "
    "kind old man. He showed us a secret path through the forest. On the last day it rained, so we stayed inside and "
    "played cards."
)
JAPANESE_STORY = (
    "私は毎朝6時に起きて、近くの公園を散歩します。公園にはたくさんの木があって、春には桜がとても綺麗です。散歩の後で、"
    "家族と一緒に朝ご飯を食べます。それから電車に乗って会社へ行きます。昼休みには同僚と近くの食堂で定食を食べることが多いです。"
)


@pytest.fixture(scope="module")
def whisper(whisper_folder: Path) -> LocalWhisper:
    return LocalWhisper(whisper_folder)


@cache
def say(text: str) -> NDArray[np.float32]:
    """Speech at 16 kHz, by the local voice of the text's language."""
    if text.isascii():
        from hibari import Hibari

        return resample(Hibari()(text), 24_000)
    import pyopenjtalk

    labels = pyopenjtalk.make_label(pyopenjtalk.run_frontend(text, use_sudachi_kanji_yomi=False))
    spoken, rate = pyopenjtalk.synthesize(labels)
    return resample(spoken / 32768, rate)


def resample(sound: NDArray[np.floating], rate: int, to: int = SPEECH_RATE) -> NDArray[np.float32]:
    if rate > to:  # what the new rate cannot carry must not fold back
        kernel = np.sinc(np.arange(-32, 33) * to / rate) * np.hamming(65)
        sound = np.convolve(sound, kernel / kernel.sum(), "same")
    at = np.arange(0, len(sound), rate / to)
    resampled: NDArray[np.float32] = np.interp(at, np.arange(len(sound)), sound).astype(np.float32)
    return resampled


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * SPEECH_RATE), np.float32)


async def stream(sound: NDArray[np.float32]) -> AsyncIterator[Pcm]:
    for start in range(0, len(sound), 1600):
        yield Pcm.from_floats(sound[start : start + 1600], SPEECH_RATE)


async def hear(
    whisper: LocalWhisper, sound: NDArray[np.float32], language: str | None = None, last: str | None = None
) -> Transcript:
    async with aclosing(whisper.transcribe(stream(sound), language, last)) as transcripts:
        [transcript] = [transcript async for transcript in transcripts]
    assert transcript.final
    return transcript


@pytest.mark.parametrize("language", [None, "en", "en-GB", "xx", "transcribe"])
async def test_english_is_recognised_whether_or_not_its_language_is_known(
    whisper: LocalWhisper, language: str | None
) -> None:
    transcript = await hear(whisper, say(ENGLISH), language)
    assert word_error_rate(ENGLISH, transcript.text) <= 0.1
    assert transcript.language == "en"


@pytest.mark.parametrize("language", [None, "ja"])
async def test_japanese_is_recognised_whether_or_not_its_language_is_known(
    whisper: LocalWhisper, language: str | None
) -> None:
    transcript = await hear(whisper, say(JAPANESE), language)
    assert character_error_rate(JAPANESE, transcript.text) <= 0.1
    assert transcript.language == "ja"


@pytest.mark.parametrize(("word", "last", "understood"), [("はい", "ja", "はい"), ("Yes.", "en", "yes")])
async def test_a_word_is_taken_to_be_in_the_language_of_the_turn_before(
    whisper: LocalWhisper, word: str, last: str, understood: str
) -> None:
    sound = np.concatenate([silence(0.3), say(word), silence(0.7)])
    transcript = await hear(whisper, sound, last=last)
    assert understood in transcript.text.lower()
    assert transcript.language == last


async def test_a_sentence_tells_its_language_whatever_the_turn_before_was_in(whisper: LocalWhisper) -> None:
    transcript = await hear(whisper, say(ENGLISH), last="ja")
    assert word_error_rate(ENGLISH, transcript.text) <= 0.1
    assert transcript.language == "en"


@pytest.mark.parametrize(
    "defect", ["quiet", "clipped", "telephone", "noisy", "between long silences", "with a long pause"]
)
async def test_imperfect_recordings_are_recognised(whisper: LocalWhisper, defect: str) -> None:
    sound = say(ENGLISH) / np.abs(say(ENGLISH)).max()
    noise = np.random.default_rng(3).normal(size=len(sound)) * np.sqrt((sound**2).mean())
    sound = {
        "quiet": sound * 0.03,
        "clipped": np.clip(sound * 8, -1, 1),
        "telephone": resample(resample(sound, SPEECH_RATE, 8000), 8000),
        "noisy": (sound + 0.2 * noise).astype(np.float32),
        "between long silences": np.concatenate([silence(20), sound, silence(20)]),
        "with a long pause": np.concatenate([sound, silence(15), say("See you then.")]),
    }[defect]
    said = ENGLISH + (" See you then." if defect == "with a long pause" else "")
    assert word_error_rate(said, (await hear(whisper, sound)).text) <= 0.15


@pytest.mark.parametrize(
    ("said", "language"), [("はい", "ja"), ("ありがとう", "ja"), ("Yes.", "en"), ("No.", "en")]
)
@pytest.mark.parametrize("around", [0, 1.5])
async def test_a_single_word_is_recognised(
    whisper: LocalWhisper, said: str, language: str, around: float
) -> None:
    sound = np.concatenate([silence(around), say(said), silence(around)])
    # "はい" and "Hi" sound alike: without the language either is right.
    transcript = await hear(whisper, sound, language)
    assert character_error_rate(said, transcript.text) == 0


async def test_a_word_said_many_times_is_not_taken_for_noise(whisper: LocalWhisper) -> None:
    transcript = await hear(whisper, say("One two three four five six seven eight nine ten. " * 3), "en")
    assert transcript.text


@pytest.mark.parametrize("language", [None, "ja", "en"])
async def test_music_that_passes_for_speech_has_no_words(whisper: LocalWhisper, language: str | None) -> None:
    notes = np.repeat([262, 294, 330, 349, 392], SPEECH_RATE)
    at = np.arange(len(notes)) / SPEECH_RATE
    decay = np.tile(np.exp(-np.arange(SPEECH_RATE) / 5000), 5)
    melody = sum(0.15 / k * np.sin(2 * np.pi * k * notes * at) for k in range(1, 6)) * decay
    transcript = await hear(whisper, melody.astype(np.float32), language)
    assert transcript == Transcript("", final=True, language=language)


def test_the_model_itself_finds_no_words_in_noise(whisper_folder: Path) -> None:
    model = Model(whisper_folder, cpu_threads=2, at_once=1, beam_size=5, expected=())
    random = np.random.default_rng(5)
    for sound in (silence(3), 0.1 * random.normal(size=48_000), 0.01 * np.cumsum(random.normal(size=48_000))):
        for language in ("ja", "en"):
            assert model.hear(np.clip(sound, -1, 1).astype(np.float32), language).text == ""


@pytest.mark.parametrize("samples", [0, 1, 800, 3200])
async def test_next_to_nothing_is_no_failure(whisper: LocalWhisper, samples: int) -> None:
    transcript = await hear(whisper, say(ENGLISH)[8000 : 8000 + samples])
    assert len(transcript.text) < 20


async def test_a_long_english_recording_is_joined_with_spaces(whisper: LocalWhisper) -> None:
    transcript = await hear(whisper, say(ENGLISH_STORY * 2))
    assert word_error_rate(ENGLISH_STORY + " " + ENGLISH_STORY, transcript.text) <= 0.1


async def test_a_long_japanese_recording_is_joined_without_spaces(whisper: LocalWhisper) -> None:
    transcript = await hear(whisper, say(JAPANESE_STORY * 2))
    assert character_error_rate(JAPANESE_STORY * 2, transcript.text) <= 0.15
    assert " " not in transcript.text


def test_windows_are_neither_too_long_nor_a_rest_of_a_word() -> None:
    pcm = Pcm.from_floats(say(ENGLISH_STORY * 3), SPEECH_RATE)
    lengths = [window.length_ms for window in cut_windows(pcm)]
    assert max(lengths) <= LONGEST_WINDOW_MS
    assert min(lengths) >= LONGEST_WINDOW_MS // 4


async def test_times_are_those_of_the_recording(whisper: LocalWhisper) -> None:
    transcript = await hear(whisper, np.concatenate([silence(4), say(ENGLISH), silence(4)]))
    assert 3500 <= transcript.start_ms <= 4300
    assert 6500 <= transcript.end_ms <= 8000


async def test_four_users_at_once_hear_each_their_own_words(whisper_folder: Path) -> None:
    whisper = LocalWhisper(whisper_folder)
    heard: dict[str, str] = {}

    async def use(said: str) -> None:
        heard[said] = (await hear(whisper, say(said))).text

    said = [
        ENGLISH,
        "The weather is getting colder every day this week.",
        "My sister lives near the old station.",
    ]
    async with anyio.create_task_group() as users:
        for text in [*said, JAPANESE]:
            users.start_soon(use, text)
    await whisper.close()
    assert all(word_error_rate(text, heard[text]) <= 0.1 for text in said)
    assert character_error_rate(JAPANESE, heard[JAPANESE]) <= 0.1


async def test_who_cancels_leaves_at_once_and_the_next_is_served(whisper: LocalWhisper) -> None:
    await whisper.warm()
    recognition = asyncio.create_task(hear(whisper, say(ENGLISH_STORY)))
    await asyncio.sleep(0.3)
    recognition.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recognition
    assert word_error_rate(ENGLISH, (await hear(whisper, say(ENGLISH))).text) <= 0.1


async def test_taking_too_long_is_told_with_the_limit(whisper_folder: Path) -> None:
    whisper = LocalWhisper(whisper_folder, timeout_seconds=0.01)
    with pytest.raises(Unavailable) as caught:
        await hear(whisper, say(ENGLISH))
    assert caught.value.sentence == "recognition_timeout"
    assert caught.value.details == {"seconds": 0.01}
    await whisper.close()


async def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    whisper = LocalWhisper(tmp_path / "nowhere")
    with pytest.raises(NotConfigured) as caught:
        await whisper.warm()
    assert caught.value.details == {"folder": str(tmp_path / "nowhere")}


@pytest.mark.parametrize("broken", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
@pytest.mark.parametrize("how", ["missing", "truncated"])
async def test_a_broken_folder_is_told(whisper_folder: Path, tmp_path: Path, broken: str, how: str) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        if name != broken:
            (tmp_path / name).symlink_to(whisper_folder / name)
        elif how == "truncated":
            (tmp_path / name).write_bytes((whisper_folder / name).read_bytes()[:1000])
    with pytest.raises(NotConfigured):
        await LocalWhisper(tmp_path).warm()


async def test_a_closed_engine_is_unavailable(whisper_folder: Path) -> None:
    whisper = LocalWhisper(whisper_folder)
    await whisper.warm()
    await whisper.close()
    with pytest.raises(Unavailable):
        await hear(whisper, say(ENGLISH))
