"""What is said to Kaiwa: recordings of people, and where they are too few, sentences spoken by its own voices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.speech import read_clips
from voice.audio import SPEECH_RATE, Pcm, encode_wav, join, resample
from voice.decoding import decode
from voice.engines import TextToSpeech

LANGUAGES = {"en": "English", "ja": "Japanese"}
MOST = 10
"""Utterances in each language."""

_SENTENCES = {
    "en": (),
    "ja": (
        "明日の天気はどうなりそうですか。",
        "日本で一番高い山は何ですか。",
        "簡単に作れる晩ご飯を教えてください。",
        "最近よく眠れないのですが、どうしたらいいですか。",
        "週末に家族と出かけるなら、どこがいいですか。",
        "コーヒーと紅茶では、どちらが体にいいですか。",
        "英語を毎日少しずつ勉強するには、何から始めればいいですか。",
    ),
}
"""Said where recordings of people are too few: the questions that one asks."""

NORMAL_SECONDS = 3.5
NORMAL_SENTENCES = {
    "en": "Could you please tell me what the weather will be like tomorrow?",
    "ja": "すみません、明日の東京の天気がどうなるか教えてもらえますか。",
}
"""Spoken in just `NORMAL_SECONDS`, to compare recognition whatever the length of the other utterances."""


@dataclass(frozen=True, slots=True)
class Utterance:
    path: Path
    language: str
    text: str
    seconds: float
    voice: str = ""
    """The voice of ours that speaks it; "" when a person does."""


async def gather_utterances(
    language: str, count: int, voice: TextToSpeech, folder: Path, max_seconds: int
) -> list[Utterance]:
    """`count` utterances, those of people first; what has to be spoken is written to `folder`.

    Raises:
        EngineError: the voice failed.
    """
    utterances = [
        Utterance(clip.path, language, clip.text, (await decode(clip.path, max_seconds)).seconds)
        for clip in read_clips(language)[:count]
    ]
    speakers = cycle([each.name for each in voice.voices() if each.language == language])
    for text, speaker in zip(_SENTENCES[language][: count - len(utterances)], speakers, strict=False):
        pcm = await speak(voice, text, speaker)
        path = folder / f"{language}-{len(utterances)}.wav"
        path.write_bytes(encode_wav(pcm))
        utterances.append(Utterance(path, language, text, pcm.seconds, speaker))
    return utterances


async def speak_normal(language: str, voice: TextToSpeech) -> Pcm:
    """A clip of `NORMAL_SECONDS` at 16 kHz.

    Raises:
        EngineError: the voice failed.
    """
    text = NORMAL_SENTENCES[language]
    unhurried = await speak(voice, text)
    pcm = resample(await speak(voice, text, speed=unhurried.seconds / NORMAL_SECONDS), SPEECH_RATE)
    wanted = round(NORMAL_SECONDS * SPEECH_RATE) * 2
    return Pcm(pcm.data[:wanted].ljust(wanted, b"\0"), SPEECH_RATE)


async def speak(voice: TextToSpeech, text: str, speaker: str = "", speed: float = 1.0) -> Pcm:
    """The sound of `text`, 24 kHz."""

    async def phrases() -> AsyncIterator[str]:
        yield text

    async with aclosing(voice.speak(phrases(), speaker, speed)) as sound:
        return join([speech.pcm async for speech in sound])


def alternate(languages: Sequence[Sequence[Utterance]]) -> list[Utterance]:
    """One of each language in turn, so that what else the machine does meets all of them alike."""
    longest = max(map(len, languages))
    return [
        utterances[index] for index in range(longest) for utterances in languages if index < len(utterances)
    ]
