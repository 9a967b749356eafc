"""A cloud on this machine: the local engines behind the emulated protocols, with real recognition and real speech."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from starlette.applications import Starlette

from tests.emulators.azure_script import (
    BYTES_PER_MS,
    Final,
    Hearing,
    Recogniser,
    RecognitionTurn,
    Saying,
    SynthesisTurn,
    VoiceBox,
    Word,
)
from tests.emulators.chat import Decide, Exchange, Step, Writer
from tests.emulators.cloud import Cloud
from tests.emulators.loopback import Lifespan
from tests.emulators.timings import Timings, until
from tests.emulators.utterances import listen, pause_asked_for
from voice import texts
from voice.audio import SPEECH_RATE, Pcm
from voice.conversation import open_conversation
from voice.engines import ChatModel, Engines, Message, SpeechToText, TextToSpeech
from voice.engines.azure_voices import language_of_tag

T = TypeVar("T")

PADDING_MS = 300
"""Around what is loud, for the soft sounds at both ends."""


def bring_down_cloud(engines: Engines, timings: Timings) -> Cloud:
    """`timings`: no earlier than that, which only matters where this machine is faster than a cloud."""

    async def warm() -> None:
        await engines.speech_to_text.warm()
        await engines.text_to_speech.warm()

    return Cloud(
        hear_by(engines.speech_to_text, timings),
        answer_by(engines.chat),
        speak_by(engines.text_to_speech),
        living(engines.chat),
        warm,
    )


def hear_by(ears: SpeechToText, timings: Timings) -> Recogniser:
    """Each utterance as `ears` understand it, when it is over; there are no partials."""

    async def recognise(turn: RecognitionTurn) -> AsyncGenerator[Hearing, None]:
        language = language_of_tag(turn.languages[0]) if len(turn.languages) == 1 else None
        async with aclosing(listen(turn, pause_asked_for(turn))) as utterances:
            async for utterance in utterances:
                if not utterance.over:
                    continue
                start_ms = max(0, utterance.start_ms - PADDING_MS)
                data = bytes(
                    turn.audio[start_ms * BYTES_PER_MS : (utterance.end_ms + PADDING_MS) * BYTES_PER_MS]
                )
                async with aclosing(ears.transcribe(_only(Pcm(data, SPEECH_RATE)), language)) as transcripts:
                    heard = [transcript async for transcript in transcripts][-1]
                yield until(turn.arrived_at(utterance.end_ms) + timings.final_ms / 1000)
                tags = {language_of_tag(tag): tag for tag in reversed(turn.languages)}
                tag = tags.get(heard.language or "", turn.languages[0]) if len(tags) > 1 else ""
                status = "Success" if heard.text else "NoMatch"
                yield Final(heard.text, utterance.start_ms, utterance.end_ms, tag, status)

    return recognise


def answer_by(brain: ChatModel) -> Decide:
    def answer(exchange: Exchange) -> Writer:
        prompt = [Message(message["role"], message["content"]) for message in exchange.body["messages"]]

        async def write() -> AsyncGenerator[Step, None]:
            async with aclosing(brain.reply(prompt)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield piece

        return Writer(write)

    return answer


def living(brain: ChatModel) -> Lifespan:
    """`brain`'s life within the server that it answers in, since it lives in one event loop.

    It reads ahead how conversations begin, as it does for an app that has it of its own.
    """

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        try:
            for language in texts.INTERFACE:
                await brain.warm(open_conversation(texts.DEFAULT_PERSONA, language))
            yield
        finally:
            await brain.close()

    return live


def speak_by(voice: TextToSpeech) -> VoiceBox:
    """In the voice of the text's language; whichever was asked for is Azure's own."""

    async def speak(turn: SynthesisTurn) -> AsyncGenerator[Saying, None]:
        async with aclosing(voice.speak(_only(turn.text), "", turn.rate)) as sound:
            async for speech in sound:
                for word in speech.words:
                    yield Word(word.text, word.offset_ms)
                yield speech.pcm.data

    return speak


async def _only(item: T) -> AsyncIterator[T]:
    yield item
