"""Speech to text and text to speech on OpenAI-compatible servers: OpenAI, Azure's audio deployments, or one's own."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import openai
from openai import AsyncAPIResponse

from voice.audio import SPEECH_RATE, VOICE_RATE, Pcm, encode_wav, join, resample
from voice.engines import SHORT_SECONDS, Speech, Transcript, Unavailable, Voice
from voice.engines.openai_account import Account, try_twice
from voice.engines.openai_errors import SPEECH, reason_of, translating_errors
from voice.languages import split_by_language
from voice.recordings import UnusableRecording, decode_recording

if TYPE_CHECKING:
    from voice.listening import Segment

SHORTEST_SECONDS = 0.1
"""OpenAI refuses less ("audio_too_short"), and no word is in it."""
LONGEST_ANSWER_BYTES = 2**20
"""Two minutes of speech with every segment's data are 50 kB; more is no transcript."""
LONGEST_PHRASE_SECONDS = 120
"""Sound of one phrase. Models that lose the thread babble on without end."""

LANGUAGE_NAMES = {
    "english": "en",
    "japanese": "ja",
    "chinese": "zh",
    "mandarin": "zh",
    "cantonese": "yue",
    "korean": "ko",
    "french": "fr",
    "german": "de",
    "spanish": "es",
    "castilian": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "russian": "ru",
    "arabic": "ar",
    "hindi": "hi",
    "indonesian": "id",
    "thai": "th",
    "vietnamese": "vi",
}
"""OpenAI names the language found in words, other servers by its code (openai/whisper, `tokenizer.py`)."""

OPENAI_VOICES = ("alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")
"""Those that every model of OpenAI's has (platform.openai.com, text to speech)."""


class OpenAISpeechToText:
    """One model of an account. The recording is sent whole, when it is over; there are no partial transcripts."""

    def __init__(
        self,
        account: Account,
        *,
        model: str = "whisper-1",
        phrases: Sequence[str] = (),
        timeout_seconds: float = 20,
        label: str = "",
        find_speech: Callable[[Pcm], Sequence[Segment]] | None = None,
    ) -> None:
        """`phrases`: names and jargon to expect. `timeout_seconds`: from the end of the audio. Closes the account too.

        `find_speech`: where it finds none, nothing is sent; Whisper servers write "Thank you." to silence and noise.
        """
        self.label = label or model
        self._account = account
        self.address = account.address
        self._model = model
        self._phrases = phrases
        self._find_speech = find_speech
        self._timeout = timeout_seconds
        self._tells_language = True

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        """The final transcript alone. The language is the one given, else what the server found, if it says so.

        Raises:
            Unavailable: unreachable, overloaded, too slow, or the answer is no transcript.
            Rejected: the key, the quota, the model or the request itself was refused.
        """
        pcm = join([piece async for piece in audio], SPEECH_RATE)
        speech_ms = await self._measure_speech(pcm)
        if language is None and speech_ms < 1000 * SHORT_SECONDS:
            language = last
        if pcm.seconds < SHORTEST_SECONDS or not speech_ms:
            yield Transcript("", final=True, language=language)
            return
        wav = await anyio.to_thread.run_sync(encode_wav, pcm)
        with self._translating_errors(), anyio.fail_after(self._timeout):
            answer = await self._ask(wav, language)
        text = answer.get("text")
        if not isinstance(text, str):
            raise Unavailable("recognition_failed")
        found = language or _subtag(answer.get("language"))
        yield Transcript(text.strip(), final=True, language=found, end_ms=int(pcm.seconds * 1000))

    async def warm(self) -> None:
        """Open a connection. Raises what `transcribe` raises."""
        with self._translating_errors(), anyio.fail_after(self._timeout):
            await self._account.list_models()

    async def close(self) -> None:
        await self._account.close()

    async def _measure_speech(self, pcm: Pcm) -> float:
        """Its length in ms, as far as it can be told from silence."""
        if self._find_speech is None:
            return pcm.seconds * 1000
        segments = await anyio.to_thread.run_sync(self._find_speech, pcm)
        return sum(segment.length_ms for segment in segments)

    async def _ask(self, wav: bytes, language: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"response_format": "json"}
        if language:
            options["language"] = language
        elif self._tells_language:
            options["response_format"] = "verbose_json"
        if self._phrases:
            options["prompt"] = ", ".join(self._phrases)
        try:
            return await self._send(wav, options)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
            # gpt-4o-transcribe knows no verbose_json.
            unknown = options["response_format"] == "verbose_json" and (
                exc.param == "response_format" or re.search("response_format|verbose_json", reason_of(exc))
            )
            if not unknown:
                raise
            self._tells_language = False
            return await self._send(wav, {**options, "response_format": "json"})

    async def _send(self, wav: bytes, options: dict[str, Any]) -> dict[str, Any]:
        request = partial(
            self._account.client.audio.transcriptions.with_streaming_response.create,
            file=("speech.wav", wav, "audio/wav"),
            model=self._model,
            **options,
        )
        async with AsyncExitStack() as stack:
            response = await try_twice(lambda: stack.enter_async_context(request()))
            body = bytearray()
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > LONGEST_ANSWER_BYTES:
                    raise Unavailable("recognition_failed")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise Unavailable("recognition_failed") from exc
        return answer if isinstance(answer, dict) else {}

    def _translating_errors(self) -> AbstractContextManager[None]:
        return translating_errors(SPEECH, self._account, self._model, self._timeout)


class OpenAITextToSpeech:
    """One model of an account. Raw sound is passed on as it comes; what arrives as a file is decoded when it is whole."""

    def __init__(
        self,
        account: Account,
        *,
        model: str = "gpt-4o-mini-tts",
        voices: Sequence[Voice] = (),
        timeout_seconds: float = 20,
        label: str = "",
    ) -> None:
        """`voices`: on offer, as `name_voices` gives them; none: OpenAI's. Closes the account too.

        `timeout_seconds`: for a phrase, how far the server may stay behind the sound's own time.
        """
        self.label = label or model
        self._account = account
        self.address = account.address
        self._model = model
        self._voices = voices or name_voices(",".join(OPENAI_VOICES))
        self._timeout = timeout_seconds

    def voices(self) -> Sequence[Voice]:
        return self._voices

    async def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """A phrase comes in several pieces. What no voice on offer speaks is passed over.

        Raises:
            Unavailable: unreachable, overloaded, too slow, broken off, or what came is no sound.
            Rejected: the key, the quota, the model, the voice or the request itself was refused.
        """
        chosen = next((each for each in self._voices if each.name == voice), None)
        # Digits and the like are read in the language of what came before.
        before = (chosen.language if chosen else "") or "en"
        number = -1
        async for phrase in phrases:
            number += 1
            runs = split_by_language(phrase, before)
            before = runs[-1][0] if runs else before
            for speaker, text in self._cast(runs, chosen):
                async with aclosing(self._say(text, speaker, speed)) as sound:
                    async for pcm in sound:
                        yield Speech(pcm, phrase, number=number)

    async def warm(self) -> None:
        """Open a connection. Raises what `speak` raises."""
        with self._translating_errors(), anyio.fail_after(self._timeout):
            await self._account.list_models()

    async def close(self) -> None:
        await self._account.close()

    def _cast(self, runs: Sequence[tuple[str, str]], chosen: Voice | None) -> Iterator[tuple[str, str]]:
        """Who says what: voices' names with the text that each speaks, in order; neighbours of one voice together."""
        voices = [*([chosen] if chosen else []), *self._voices]
        parts = [
            (next((each.name for each in voices if each.language in {"", language}), None), text)
            for language, text in runs
        ]
        for speaker, group in groupby(parts, key=itemgetter(0)):
            text = "".join(text for _, text in group).strip()
            if speaker is not None and any(map(str.isalnum, text)):
                yield speaker, text

    async def _say(self, text: str, voice: str, speed: float) -> AsyncGenerator[Pcm, None]:
        patience = Patience(self._timeout)
        options: dict[str, Any] = {} if speed == 1 else {"speed": speed}
        request = partial(
            self._account.client.audio.speech.with_streaming_response.create,
            model=self._model,
            voice=voice,
            input=text,
            response_format="pcm",
            **options,
        )
        with self._translating_errors():
            async with AsyncExitStack() as stack:
                with patience.waiting():
                    response = await try_twice(lambda: stack.enter_async_context(request()))
                async with (
                    aclosing(_read(response, patience)) as chunks,
                    aclosing(as_pcm(chunks, response.headers.get("content-type", ""))) as sound,
                ):
                    async for pcm in sound:
                        yield pcm

    def _translating_errors(self) -> AbstractContextManager[None]:
        return translating_errors(SPEECH, self._account, self._model, self._timeout)


def name_voices(names: str) -> list[Voice]:
    """Voices by their names, separated by commas. "ja:jf_alpha" speaks Japanese only, "alloy" every language.

    The first of a language is its default. A voice of every language has "" for its language.
    """
    voices = []
    for item in filter(None, map(str.strip, names.split(","))):
        language, separator, name = item.partition(":")
        if not separator or not re.fullmatch("[a-z]{2,3}", language):
            language, name = "", item
        voices.append(Voice(name, f"{name} ({language})" if language else name, language))
    return voices


class Patience:
    """How long a server is still waited for: less by every wait, more by the sound that came."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Raises TimeoutError when it has come to its end."""
        start = anyio.current_time()
        with anyio.fail_after(max(0, self._left)):
            yield
        self._left -= anyio.current_time() - start

    def earn(self, seconds: float) -> None:
        self._left += seconds


async def _read(response: AsyncAPIResponse[Any], patience: Patience) -> AsyncGenerator[bytes, None]:
    """The body as it comes; ends with an error when it is longer than a phrase can be."""
    chunks = response.iter_bytes()
    room = LONGEST_PHRASE_SECONDS * VOICE_RATE * 2
    while True:
        with patience.waiting():
            chunk = await anext(chunks, b"")
        if not chunk:
            return
        patience.earn(len(chunk) / 2 / VOICE_RATE)
        room -= len(chunk)
        if room < 0:
            raise Unavailable("voice_failed")
        yield chunk


_FILE = re.compile(rb"RIFF|RF64|ID3|OggS|fLaC|\x1aE\xdf\xa3|....ftyp", re.DOTALL)
_PROSE = re.compile(rb"\s*(<!doctype|<html|<\?xml|\{\s*\")", re.I)
_FILE_TYPES = re.compile(r"audio/(x-)?(wave?|mpeg|mp3|aac|ogg|opus|flac|webm|mp4|m4a)|video/|application/ogg")
_PROSE_TYPES = re.compile(r"text/|application/(problem\+)?(json|xml)")
_HEAD_BYTES = 16


async def as_pcm(chunks: AsyncGenerator[bytes, None], content_type: str) -> AsyncGenerator[Pcm, None]:
    """The sound at 24 kHz, whatever the server made of "pcm"; prose and noise are not passed off as sound.

    Raises:
        Unavailable: it is no sound.
    """
    content_type = content_type.lower()
    declared = re.search(r"rate=(\d{4,6})\b", content_type)
    rate = int(declared[1]) if declared else VOICE_RATE
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    if len(head) < 2 or _PROSE_TYPES.match(content_type) or _PROSE.match(head):
        raise Unavailable("voice_failed")
    if _FILE.match(head) or _FILE_TYPES.match(content_type):
        file = head + b"".join([chunk async for chunk in chunks])
        yield await anyio.to_thread.run_sync(_decode, file, abandon_on_cancel=True)
    elif rate != VOICE_RATE:
        raw = head + b"".join([chunk async for chunk in chunks])
        yield await anyio.to_thread.run_sync(resample, Pcm(raw[: len(raw) // 2 * 2], rate), VOICE_RATE)
    else:
        while head:
            whole = len(head) // 2 * 2
            if whole:
                yield Pcm(head[:whole], rate)
            chunk = await anext(chunks, b"")
            head = head[whole:] + chunk if chunk else b""


def _decode(file: bytes) -> Pcm:
    try:
        return decode_recording(file, max_seconds=LONGEST_PHRASE_SECONDS, rate=VOICE_RATE)
    except UnusableRecording as exc:
        raise Unavailable("voice_failed") from exc


def _subtag(language: object) -> str | None:
    """Of "Japanese", "ja" and "ja-JP" it is "ja"; None when it is nothing of the kind."""
    if not isinstance(language, str):
        return None
    name = language.strip().lower()
    if code := LANGUAGE_NAMES.get(name):
        return code
    match = re.match(r"([a-z]{2,3})(?![a-z])", name)
    return match[1] if match else None
