"""A cloud without models: hears a scripted sentence, answers with a few more, hums them; as late as a real one does."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import accumulate, count, pairwise

import numpy as np

from tests.emulators.azure_script import (
    Final,
    Hearing,
    Partial,
    Recogniser,
    RecognitionTurn,
    Saying,
    SynthesisTurn,
    VoiceBox,
    Word,
)
from tests.emulators.chat import Decide, Exchange, Step, Writer
from tests.emulators.cloud import Cloud
from tests.emulators.timings import Timings, until
from tests.emulators.utterances import SEGMENTATION_MS, Loudness, Utterance, listen, pause_asked_for
from voice.audio import VOICE_RATE, Pcm
from voice.engines.azure_voices import language_of_tag
from voice.languages import language_of

SENTENCES = {
    "en": (
        "What shall I cook tonight?",
        "Please tell me something about the sea.",
        "How can I sleep better?",
    ),
    "ja": ("今夜は何を作ればいいですか。", "海について何か教えてください。", "どうすればよく眠れますか。"),
}
"""Heard in turn, whatever is said."""
REPLIES = {
    "en": "You said: “{said}” I am only an emulated model, so I cannot think about it. But I can count: one, two, three.",
    "ja": "「{said}」とおっしゃいましたね。私は模擬のモデルなので、考えることはできません。でも、数えることはできます。一、二、三。",
}

_PIECE = re.compile(r"\s*(?:[A-Za-z'’]{1,8}|\d{1,3}|[^\sA-Za-z\d]{1,2})|\s+$")
"""About a token."""
_TOKEN = re.compile(r"\s?[\w'’]+|\s?[^\w\s]")
_WORD = re.compile(r"\s*(?:[A-Za-z0-9'’-]+|[^\sA-Za-z0-9]{1,3})[.,:;!?。、！？…”’」]*")


def imagine_cloud(
    timings: Timings,
    sentences: Sequence[str] = (),
    clips: Sequence[Sequence[TimedWord]] = (),
    reply: str = "",
) -> Cloud:
    """`sentences`: those to hear, in turn; `clips` instead. `reply`: the one to everything."""
    return Cloud(
        hear_clips(clips, timings) if clips else hear_sentences(timings, sentences),
        recite(reply, timings) if reply else answer_politely(timings),
        hum_softly(timings),
    )


# Hearing


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of a known clip. Its text brings its space along, if its language has any."""

    text: str
    start_ms: int
    end_ms: int


def hear_clip(words: Sequence[TimedWord], timings: Timings, language: str = "") -> Recogniser:
    """`hear_clips` of one that is said again and again."""
    return hear_clips([words], timings, language)


def hear_clips(clips: Sequence[Sequence[TimedWord]], timings: Timings, language: str = "") -> Recogniser:
    """Understands clips whose words are known, one a turn: growing partials behind the voice, one final.

    Where a clip begins in the audio is told from its loudness; only the times between the words matter. When the audio
    ends before the clip does, the final has the words that were heard. `language`: what language identification says.
    """
    turns = count()

    async def recognise(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        words: Sequence[TimedWord] = ()
        texts: Sequence[str] = ()
        said = 0
        # No pause within the clip ends it.
        async with aclosing(listen(turn, pause_ms=10**9)) as utterances:
            async for utterance in utterances:
                if not words:
                    words = clips[next(turns) % len(clips)]
                    texts = _grow(word.text for word in words)
                shift = utterance.start_ms - words[0].start_ms
                while said < len(words) and words[said].end_ms + shift <= turn.heard_ms:
                    said += 1
                    end_ms = words[said - 1].end_ms + shift
                    yield until(turn.arrived_at(end_ms) + timings.partial_lag_ms / 1000)
                    yield Partial(texts[said - 1], utterance.start_ms, end_ms, language)
                quiet_ms = turn.heard_ms - utterance.end_ms
                if utterance.over or (said == len(words) and quiet_ms >= pause_asked_for(turn)):
                    yield _wait_for_final(turn, utterance, timings)
                    text = texts[said - 1] if said else ""
                    yield Final(text, utterance.start_ms, utterance.end_ms, language)
                    return

    return recognise


def time_words(text: str, pcm: Pcm) -> list[TimedWord]:
    """The words of a recording, each as long as its letters want, from where its voice begins to where it ends.

    `pcm`: 16 kHz. Raises ValueError when nobody speaks in it.
    """
    loudness = Loudness()
    loudness.add(bytearray(pcm.data))
    voice = loudness.find(0, pause_ms=10**9, ended=True)
    if voice is None:
        raise ValueError("Nobody speaks in this recording")
    words = _WORD.findall(text)
    ends = list(accumulate(map(word_ms, words)))
    ms = (voice.end_ms - voice.start_ms) / ends[-1]
    moments = [voice.start_ms, *(round(voice.start_ms + ms * end) for end in ends)]
    return [TimedWord(word, *span) for word, span in zip(words, pairwise(moments), strict=True)]


WORD_MS = 300
"""In which a word is spoken, or two or three characters of a script without spaces."""


def hear_sentences(timings: Timings, sentences: Sequence[str] = ()) -> Recogniser:
    """Takes each utterance for the next of `sentences`, or of `SENTENCES` in the client's languages by turns.

    Partials grow by a word every `WORD_MS`; the final is the whole sentence, however short the utterance was.
    """
    turns = count()

    def choose(turn: RecognitionTurn) -> tuple[str, str]:
        number = next(turns)
        asked_for = {language_of_tag(tag) for tag in turn.languages}
        spoken = [language for language in SENTENCES if language in asked_for] or ["en"]
        turn_of, language = divmod(number, len(spoken))
        choice = SENTENCES[spoken[language]]
        sentence = sentences[number % len(sentences)] if sentences else choice[turn_of % len(choice)]
        written = language_of(sentence, spoken[language])
        tags = [tag for tag in turn.languages if language_of_tag(tag) == written]
        return sentence, tags[0] if len(turn.languages) > 1 and tags else ""

    async def recognise(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        texts: Sequence[str] = ()
        said = 0
        async with aclosing(listen(turn, pause_asked_for(turn))) as utterances:
            async for utterance in utterances:
                if not texts:
                    sentence, language = choose(turn)
                    texts, said = _grow(_WORD.findall(sentence)), 0
                start_ms, end_ms = utterance.start_ms, utterance.end_ms
                while said < len(texts) - 1 and start_ms + (said + 1) * WORD_MS <= end_ms:
                    said += 1
                    at_ms = start_ms + said * WORD_MS
                    yield until(turn.arrived_at(at_ms) + timings.partial_lag_ms / 1000)
                    yield Partial(texts[said - 1], start_ms, at_ms, language)
                if utterance.over:
                    yield _wait_for_final(turn, utterance, timings)
                    yield Final(sentence, start_ms, end_ms, language)
                    texts = ()

    return recognise


def _wait_for_final(turn: RecognitionTurn, utterance: Utterance, timings: Timings) -> Hearing:
    # Assumed: a shorter pause to wait for makes the final earlier by as much.
    sooner_ms = min(SEGMENTATION_MS - pause_asked_for(turn), timings.final_ms)
    return until(turn.arrived_at(utterance.end_ms) + (timings.final_ms - sooner_ms) / 1000)


def _grow(words: Iterable[str]) -> list[str]:
    """The text after each word."""
    return [text.strip() for text in accumulate(words)]


# Answering


def answer_politely(timings: Timings) -> Decide:
    """A few sentences in the user's language, at a model's pace."""

    def answer(exchange: Exchange) -> Writer:
        said = str(exchange.body["messages"][-1]["content"])
        language = language_of(said, "en")
        reply = REPLIES.get(language, REPLIES["en"]).format(said=said)
        return Writer(lambda: write(_PIECE.findall(reply), timings))

    return answer


def recite(reply: str, timings: Timings) -> Decide:
    """Always the same, a word or mark a token."""
    return lambda _: Writer(lambda: write(_TOKEN.findall(reply), timings))


async def write(pieces: Iterable[str], timings: Timings) -> AsyncGenerator[Step, None]:
    """`pieces` as tokens."""
    begun = asyncio.get_running_loop().time()
    for number, piece in enumerate(pieces):
        yield until(begun + timings.first_token_ms / 1000 + number / timings.tokens_per_second)
        yield piece


# Speaking


def hum_softly(timings: Timings) -> VoiceBox:
    """Hums each word, as long as it takes to say it, with its boundary."""

    async def speak(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
        begun = asyncio.get_running_loop().time() + timings.first_byte_ms / 1000
        at_ms = 0
        for word in _WORD.findall(turn.text):
            ms = round(word_ms(word) / turn.rate)
            yield until(begun + at_ms / 1000 / timings.speech_realtime_factor)
            yield Word(word.strip(), at_ms)
            yield hum_for(ms)
            at_ms += ms

    return speak


def word_ms(word: str) -> int:
    """About how long it takes to say: 15 Latin letters a second, 7 of any other script."""
    return sum(65 if char.isascii() else 140 for char in word.strip())


def hum_for(ms: int) -> bytes:
    """A low tone that swells and fades, 24 kHz."""
    at = np.arange(VOICE_RATE * ms // 1000) / VOICE_RATE
    envelope = np.sin(math.pi * at * 1000 / ms) ** 0.5
    return Pcm.from_floats(0.06 * envelope * np.sin(2 * math.pi * 165 * at), VOICE_RATE).data
