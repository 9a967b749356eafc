from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wer import character_error_rate, word_error_rate
from voice.audio import SPEECH_RATE, VOICE_RATE, Pcm, join, resample
from voice.engines import Speech, Unavailable
from voice.engines.local_voices import LocalVoices
from voice.engines.local_whisper import LocalWhisper

pytestmark = pytest.mark.anyio

ENGLISH = [
    "The weather is lovely today, so let's go for a walk in the park.",
    "The meeting starts in the afternoon on the twelfth of May.",
    "I would like two cups of coffee and a slice of cake, please.",
    "Could you tell me how to get to the nearest station?",
    "My brother bought a new bicycle last week and rides it to school.",
    "Machine learning models need a lot of data to work well.",
]
JAPANESE = [
    "今日は天気が良いので、公園を散歩しました。",
    "会議は5月12日の午後3時45分に始まります。",
    "東京から大阪まで、新幹線で約2時間半かかります。",
    "すみません、もう一度ゆっくり話していただけますか？",
    "電車が遅れているため、到着は10分ほど遅くなります。",
    "2024年に3本の映画を見ました。",
]


@pytest.fixture(scope="module")
def quick_voices() -> LocalVoices:
    """Hibari and mei, which need no weights and hardly any time."""
    return LocalVoices(None)


async def stream(phrases: Iterable[str]) -> AsyncIterator[str]:
    for phrase in phrases:
        yield phrase


async def speak(
    voices: LocalVoices, phrases: Iterable[str], voice: str = "", speed: float = 1.0
) -> list[Speech]:
    async with aclosing(voices.speak(stream(phrases), voice, speed)) as pieces:
        return [piece async for piece in pieces]


def sound(pieces: Iterable[Speech]) -> Pcm:
    return join(piece.pcm for piece in pieces)


async def hear(whisper: LocalWhisper, pcm: Pcm, language: str | None) -> str:
    async def audio() -> AsyncIterator[Pcm]:
        yield resample(pcm, SPEECH_RATE)

    async with aclosing(whisper.transcribe(audio(), language)) as transcripts:
        return [transcript async for transcript in transcripts][-1].text


def loudness(pcm: Pcm) -> float:
    """Of the speech in it, in dB of full scale: frames of 20 ms that are at most 25 dB below the loudest one."""
    frames = pcm.floats[: len(pcm.floats) // 480 * 480].reshape(-1, 480)
    power = (frames**2).mean(axis=1)
    return float(10 * np.log10(power[power > power.max() * 10**-2.5].mean()))


def loudest_silence_ms(pcm: Pcm) -> float:
    """How long the longest stretch of digital silence is."""
    runs = (len(list(run)) for silent, run in itertools.groupby(pcm.samples == 0) if silent)
    return 1000 * max(runs, default=0) / pcm.rate


async def test_each_language_has_its_default_voice_first_and_mei_is_attributed(
    quick_voices: LocalVoices,
) -> None:
    voices = quick_voices.voices()
    assert [(voice.name, voice.language) for voice in voices] == [("hibari/heart", "en"), ("mei", "ja")]
    assert "Nagoya Institute of Technology" in voices[1].attribution
    assert "CC BY 3.0" in voices[1].attribution


async def test_the_japanese_default_can_be_chosen(tmp_path: Path) -> None:
    def japanese(voices: LocalVoices) -> list[str]:
        return [voice.name for voice in voices.voices() if voice.language == "ja"]

    forced_mei, forced_kokoro = LocalVoices(tmp_path, "mei"), LocalVoices(tmp_path, "kokoro")
    assert japanese(forced_mei)[0] == "mei"
    assert japanese(forced_kokoro)[0].startswith("kokoro/")
    assert sorted(japanese(forced_mei)) == sorted(japanese(forced_kokoro))
    assert forced_mei.label != forced_kokoro.label


async def test_broken_kokoro_weights_leave_japanese_to_mei(tmp_path: Path) -> None:
    voices = LocalVoices(tmp_path)
    await voices.warm()
    assert voices.voices()[1].name == "mei"
    with pytest.raises(Unavailable) as failure:
        await speak(voices, ["はい。"], "kokoro/jf_alpha")
    assert failure.value.sentence == "voice_failed"


async def test_every_phrase_is_spoken_in_order_as_24_khz(quick_voices: LocalVoices) -> None:
    phrases = ["Hello there.", "こんにちは。", "こんにちは。", "Good bye."]
    pieces = await speak(quick_voices, phrases)
    begun = list(dict.fromkeys((piece.number, piece.phrase) for piece in pieces))
    assert begun == list(enumerate(phrases))
    assert {piece.pcm.rate for piece in pieces} == {VOICE_RATE}


async def test_a_phrase_of_two_languages_comes_in_a_piece_of_each(quick_voices: LocalVoices) -> None:
    pieces = await speak(quick_voices, ["「Nice to meet you」は、はじめましてという意味です。"])
    alone = [
        await speak(quick_voices, [text]) for text in ("Nice to meet you", "は、はじめましてという意味です。")
    ]
    assert len(pieces) == 2
    for piece, expected in zip(pieces, alone, strict=True):
        assert piece.pcm.seconds == pytest.approx(sound(expected).seconds, rel=0.25)


async def test_a_language_without_a_voice_is_passed_over(quick_voices: LocalVoices) -> None:
    pieces = await speak(quick_voices, ["안녕하세요.", "Hello."])
    assert [(piece.number, piece.phrase) for piece in pieces] == [(1, "Hello.")]


async def test_another_language_in_latin_script_is_read_by_the_english_voice(
    quick_voices: LocalVoices,
) -> None:
    assert await speak(quick_voices, ["Bonjour, comment ça va ?"], "mei")


@pytest.mark.parametrize("text", ["", " ", "...", "。", "😀🎉", "\x00\x1b", "\ud800", "—", "\u200d"])
async def test_nothing_to_say_gives_no_sound(quick_voices: LocalVoices, text: str) -> None:
    assert await speak(quick_voices, [text]) == []


@pytest.mark.parametrize(
    "text",
    [
        "<speak><break time='9s'/>Hi</speak>",
        "[a](/b/)",
        "9" * 60,
        "\ud800Hi\x00 there",
        "%s %n {0}",
        "w" * 90,
    ],
)
async def test_odd_text_is_spoken_without_failing(quick_voices: LocalVoices, text: str) -> None:
    for voice in ("hibari/heart", "mei"):
        assert sound(await speak(quick_voices, [text, text + "です。"], voice)).seconds < 120


async def test_starts_at_once_and_pauses_between_phrases(quick_voices: LocalVoices) -> None:
    for phrases in (["Hello.", "How are you?"], ["こんにちは。", "お元気ですか？"]):
        spoken = sound(await speak(quick_voices, phrases))
        assert np.abs(spoken.floats[: VOICE_RATE // 10]).max() > 0.005
        assert 250 < loudest_silence_ms(spoken) < 450


async def test_speed_stretches_the_sound(quick_voices: LocalVoices) -> None:
    for phrase in ("How are you today, my friend?", "今日は良い天気ですね。"):
        slow, normal, fast = [
            sound(await speak(quick_voices, [phrase], speed=speed)).seconds for speed in (0.5, 1.0, 2.0)
        ]
        assert slow > 1.5 * normal > 2.2 * fast


async def test_a_voice_that_takes_too_long_is_given_up() -> None:
    voices = LocalVoices(None, timeout_seconds=0.001)
    with pytest.raises(Unavailable) as failure:
        await speak(voices, ["This takes longer than a millisecond."])
    assert failure.value.sentence == "voice_timeout"


async def test_speech_that_is_left_behind_does_not_stop_the_next(quick_voices: LocalVoices) -> None:
    with anyio.move_on_after(0.01):
        await speak(quick_voices, ["これはとても長い話です。" * 5])
    assert await speak(quick_voices, ["はい。"])


async def test_several_conversations_are_spoken_side_by_side(quick_voices: LocalVoices) -> None:
    spoken: dict[int, list[Speech]] = {}

    async def converse(number: int) -> None:
        spoken[number] = await speak(quick_voices, [f"Number {number}.", f"{number}番です。"])

    async with anyio.create_task_group() as conversations:
        for number in range(4):
            conversations.start_soon(converse, number)
    assert all(
        spoken[n][0].phrase == f"Number {n}." and spoken[n][-1].phrase == f"{n}番です。" for n in range(4)
    )


@pytest.mark.slow
@given(text=st.text(max_size=60))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_text_breaks_the_voices(quick_voices: LocalVoices, text: str) -> None:
    for voice in ("hibari/heart", "mei"):
        anyio.run(speak, quick_voices, [text, f"あ{text}い"], voice)


@pytest.mark.slow
async def test_a_phrase_of_2000_characters_comes_in_pieces(quick_voices: LocalVoices) -> None:
    for phrase in (("A rather long story, " * 100)[:2000], ("とても長い話です、" * 250)[:2000]):
        pieces = await speak(quick_voices, [phrase])
        assert len(pieces) >= 10
        assert max(piece.pcm.seconds for piece in pieces) < 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("voice", "sentences"),
    [
        ("hibari/heart", ENGLISH),
        ("mei", JAPANESE),
        ("kokoro/jf_alpha", JAPANESE),
        ("kokoro/jm_kumo", JAPANESE),
    ],
)
async def test_whisper_hears_what_was_to_be_said(
    voice: str, sentences: list[str], kokoro_folder: Path, whisper_folder: Path
) -> None:
    voices, whisper = LocalVoices(kokoro_folder, "kokoro"), LocalWhisper(whisper_folder)
    language, rate = ("en", word_error_rate) if sentences is ENGLISH else ("ja", character_error_rate)
    errors = [
        rate(sentence, await hear(whisper, sound(await speak(voices, [sentence], voice)), language))
        for sentence in sentences
    ]
    await whisper.close()
    assert np.mean(errors) <= 0.2, errors


@pytest.mark.slow
async def test_a_mixed_reply_is_heard_in_both_languages(kokoro_folder: Path, whisper_folder: Path) -> None:
    voices, whisper = LocalVoices(kokoro_folder, "kokoro"), LocalWhisper(whisper_folder)
    english, japanese = "Good morning, did you sleep well?", "おはようございます、よく眠れましたか？"
    pieces = await speak(voices, [english, japanese], "kokoro/jm_kumo")
    heard = {
        phrase: await hear(whisper, sound(piece for piece in pieces if piece.phrase == phrase), None)
        for phrase in (english, japanese)
    }
    await whisper.close()
    assert word_error_rate(english, heard[english]) <= 0.3, heard
    assert character_error_rate(japanese, heard[japanese]) <= 0.4, heard


@pytest.mark.slow
async def test_all_voices_are_equally_loud_and_none_clips(kokoro_folder: Path) -> None:
    voices = LocalVoices(kokoro_folder, "kokoro")
    for voice in voices.voices():
        sentences = ENGLISH if voice.language == "en" else JAPANESE
        pcm = sound(await speak(voices, sentences[:3], voice.name))
        assert loudness(pcm) == pytest.approx(-20, abs=1.5), voice.name
        assert (np.abs(pcm.samples.astype(int)) >= 32767).sum() < 20, voice.name


@pytest.mark.slow
async def test_warming_up_measures_whether_kokoro_keeps_up(kokoro_folder: Path) -> None:
    voices = LocalVoices(kokoro_folder)
    assert voices.label == "hibari, mei"
    await voices.warm()
    default = next(voice for voice in voices.voices() if voice.language == "ja")
    assert default.name.split("/")[0] == voices.label.split(", ")[1].lower()


@pytest.mark.slow
async def test_leaving_kokoro_frees_it_for_the_next(kokoro_folder: Path) -> None:
    voices = LocalVoices(kokoro_folder, "kokoro")
    await voices.warm()
    with anyio.move_on_after(0.3):
        await speak(voices, ["これはとても長い話で、" * 20])
    assert await speak(voices, ["はい。"])
