"""Speech to text by Azure: continuous recognition of a stream that ends when the caller's audio ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import azure.cognitiveservices.speech as sdk

from voice.audio import SPEECH_RATE, Pcm
from voice.engines import EngineError, Transcript, Unavailable
from voice.engines.azure_connection import Pool, SpeechResource, watching
from voice.engines.azure_voices import language_of_tag, locale_of

WITHOUT_SPACES = frozenset({"ja", "zh", "yue", "wuu", "th", "lo", "my", "km"})
TICKS = 10_000
"""Azure's unit of time, 100 ns, in a millisecond."""
PROPERTIES = {
    # Undocumented, and they work (measured with 1.53.0). Else a recording is sent at twice its speed after its first
    # five seconds, so that 30 s of it wait 12 s for their transcript; now 0.1 s.
    "SPEECH-TransmitLengthBeforThrottleMs": "2000000000",
    # Stopping in mid-turn waits so long for what the service may still say, 10 s of itself.
    "SPEECH-StopRecognitionTimeoutInSeconds": "1",
}


class AzureSpeechToText:
    """Lives in one event loop."""

    label = "Azure"

    def __init__(
        self,
        resource: SpeechResource,
        *,
        language: str = "ja-JP",
        auto_languages: Sequence[str] = (),
        phrases: Sequence[str] = (),
        segmentation_silence_ms: int | None = None,
        timeout_seconds: float = 10,
    ) -> None:
        """What to listen for.

        `language`: a BCP-47 tag of Azure's, for when none is asked for. `auto_languages`: those to tell apart then
        instead, ten at most. `phrases`: names and jargon to expect. `segmentation_silence_ms`: the pause that ends a
        phrase, 100 to 5000; None is Azure's own. `timeout_seconds`: from the end of the audio, or from the last
        partial transcript after it, to the next.
        """
        self._resource = resource
        self._languages = tuple(map(locale_of, auto_languages)) or (locale_of(language),)
        self._phrases = tuple(phrases)
        self._segmentation_silence_ms = segmentation_silence_ms
        self._timeout = timeout_seconds
        self._pool: Pool[tuple[str, ...], Recogniser] = Pool(self._make)

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """Partials while the audio comes; the final one when it has ended.

        `language`: also a full tag, as "en-GB".

        Raises:
            Unavailable: the service cannot be reached, is too busy, or took too long.
            Rejected: the key, the identity or the request is refused.
            NotConfigured: the address or the key cannot be one.
            ValueError: the audio is not 16 kHz.
        """
        kind = (locale_of(language),) if language else self._languages
        heard: asyncio.Queue[_Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        understood = _Understood(language_of_tag(kind[0]) if len(kind) == 1 else None)
        healthy = False
        with watching(self._timeout):
            await self._resource.sign_in()
            recogniser = await self._pool.take(kind)
        feeding = asyncio.create_task(_feed(recogniser, audio, heard))
        try:
            with watching(self._timeout):
                await self._pool.run(
                    recogniser.start, lambda event: loop.call_soon_threadsafe(heard.put_nowait, event)
                )
            fed = False
            while (event := await self._next(heard, fed)) is not _END:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Segment):
                    yield understood.add(event)
                fed = fed or event is _FED
            healthy = True
        except (GeneratorExit, asyncio.CancelledError):
            healthy = True
            raise
        finally:
            feeding.cancel()
            recogniser.leave()
            if healthy:
                self._pool.recover(kind, recogniser)
            else:
                self._pool.drop(recogniser)
            await asyncio.wait([feeding])
        yield understood.final()

    async def warm(self) -> None:
        """Recognise a moment of silence, which proves key, address and language. Raises what `transcribe` raises."""
        async for _ in self.transcribe(_silence(), None):
            pass

    async def close(self) -> None:
        await self._pool.close()

    async def _next(self, heard: asyncio.Queue[_Event], fed: bool) -> _Event:
        if not fed:
            return await heard.get()
        with watching(self._timeout):
            return await heard.get()

    def _watched(self) -> _Watched:
        return _Watched(self._timeout)

    def _make(self, languages: tuple[str, ...]) -> Recogniser:
        properties: dict[sdk.PropertyId | str, str] = {**PROPERTIES}
        if len(languages) > 1:
            properties[sdk.PropertyId.SpeechServiceConnection_LanguageIdMode] = "Continuous"
        if self._segmentation_silence_ms is not None:
            properties[sdk.PropertyId.Speech_SegmentationSilenceTimeoutMs] = str(self._segmentation_silence_ms)
        config = self._resource.configure(properties)
        return Recogniser(config, languages, self._phrases, self._translate)

    def _translate(self, code: sdk.CancellationErrorCode, details: str) -> EngineError:
        return self._resource.translate(code, details, self._timeout)


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said between two pauses, so far or (`final`) altogether."""

    text: str
    final: bool
    language: str | None
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class _Mark:
    name: str


_FED = _Mark("the caller's audio has ended")
_END = _Mark("the recognition has ended")
_Event: TypeAlias = "Segment | _Mark | BaseException"


@dataclass
class _Understood:
    """The segments of one turn."""

    language: str | None
    finals: list[Segment] = field(default_factory=list)

    def add(self, segment: Segment) -> Transcript:
        transcript = self._transcript([*self.finals, segment], final=False)
        if segment.final:
            self.finals.append(segment)
        return transcript

    def final(self) -> Transcript:
        return self._transcript(self.finals, final=True)

    def _transcript(self, segments: Sequence[Segment], final: bool) -> Transcript:
        if not segments:
            return Transcript("", final, self.language)
        language = segments[0].language or self.language
        text = ("" if language in WITHOUT_SPACES else " ").join(segment.text for segment in segments)
        return Transcript(text, final, language, segments[0].start_ms, segments[-1].end_ms)


async def _feed(recogniser: Recogniser, audio: AsyncIterator[Pcm], heard: asyncio.Queue[_Event]) -> None:
    try:
        async for pcm in audio:
            if pcm.rate != SPEECH_RATE:
                raise ValueError(f"Expected {SPEECH_RATE} Hz, got {pcm.rate}")
            recogniser.feed(pcm.data)
    except Exception as exc:  # the caller's own, and it gets it back
        heard.put_nowait(exc)
    else:
        recogniser.end()
        heard.put_nowait(_FED)


async def _silence() -> AsyncIterator[Pcm]:
    yield Pcm.silence(200, SPEECH_RATE)


class Recogniser:
    """An SDK recogniser that can be used again. Only `feed`, `end` and `leave` do not block."""

    def __init__(
        self,
        config: sdk.SpeechConfig,
        languages: Sequence[str],
        phrases: Sequence[str],
        translate: Callable[[sdk.CancellationErrorCode, str], EngineError],
    ) -> None:
        self._translate = translate
        self._tell: Callable[[_Event], object] | None = None
        self._busy = threading.Lock()
        self._source = _Source()
        # Kept, since its end would be the end of the callback that the SDK reads by, and of the process with it.
        self._stream = sdk.audio.PullAudioInputStream(
            self._source, sdk.audio.AudioStreamFormat(samples_per_second=SPEECH_RATE)
        )
        self._recogniser: Any = sdk.SpeechRecognizer(
            config, sdk.audio.AudioConfig(stream=self._stream), **_language_config(languages)
        )
        if phrases:
            expected = sdk.PhraseListGrammar.from_recognizer(self._recogniser)
            for phrase in phrases:
                expected.addPhrase(phrase)
        self._signals = {
            self._recogniser.recognizing: self._on_partial,
            self._recogniser.recognized: self._on_final,
            self._recogniser.canceled: self._on_canceled,
            self._recogniser.session_stopped: lambda _: self._say(_END),
        }
        for signal, handler in self._signals.items():
            signal.connect(handler)
        self._connection = sdk.Connection.from_recognizer(self._recogniser)
        self._connection.open(True)

    def start(self, tell: Callable[[_Event], object]) -> None:
        """A turn; `tell` is called from a thread of the SDK."""
        with self._busy:
            self._tell = tell
            self._recogniser.start_continuous_recognition_async().get()

    def feed(self, data: bytes) -> None:
        self._source.feed(data)

    def end(self) -> None:
        """There is no more audio in this turn."""
        self._source.end()

    def leave(self) -> None:
        """Nobody listens to this turn any more."""
        self._tell = None
        self._source.end(drop=True)

    def stop(self) -> None:
        with self._busy:
            self._recogniser.stop_continuous_recognition_async().get()
            self._source.begin()

    def release(self) -> None:
        self.leave()
        with self._busy:
            if self._recogniser is None:
                return
            with suppress(RuntimeError):  # of one that never ran, or broke
                self._recogniser.stop_continuous_recognition_async().get()
            for signal in self._signals:
                signal.disconnect_all()
            with suppress(RuntimeError):
                self._connection.close()
            self._signals.clear()
            del self._connection
            self._recogniser = None

    def _say(self, event: _Event) -> None:
        if tell := self._tell:
            tell(event)

    def _on_partial(self, event: sdk.SpeechRecognitionEventArgs) -> None:
        self._say(_segment(event.result, final=False))

    def _on_final(self, event: sdk.SpeechRecognitionEventArgs) -> None:
        # NoMatch is what silence, babble and noise come out as.
        if event.result.reason == sdk.ResultReason.RecognizedSpeech and event.result.text:
            self._say(_segment(event.result, final=True))

    def _on_canceled(self, event: sdk.SpeechRecognitionCanceledEventArgs) -> None:
        details = event.cancellation_details
        if details.reason == sdk.CancellationReason.EndOfStream:
            self._say(_END)
        else:
            self._say(self._translate(details.code, details.error_details))


def _language_config(languages: Sequence[str]) -> dict[str, Any]:
    if len(languages) == 1:
        return {"language": languages[0]}
    choice = sdk.languageconfig.AutoDetectSourceLanguageConfig(languages=list(languages))
    return {"auto_detect_source_language_config": choice}


def _segment(result: sdk.SpeechRecognitionResult, final: bool) -> Segment:
    tag = sdk.AutoDetectSourceLanguageResult(result).language
    language = language_of_tag(tag) if tag and tag.lower() != "unknown" else None
    start, end = result.offset, result.offset + result.duration
    return Segment(result.text, final, language, start // TICKS, end // TICKS)


class _Source(sdk.audio.PullAudioInputStreamCallback):  # type: ignore[misc]
    """Audio that the SDK reads in a thread of its own.

    A pull stream, since a push stream that was closed stays closed, and one that was not keeps, when the recognition
    is stopped, what had not been sent yet, and gives it to the next turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._data = bytearray()
        self._ended = False

    def begin(self) -> None:
        with self._changed:
            self._data.clear()
            self._ended = False

    def feed(self, data: bytes) -> None:
        with self._changed:
            if not self._ended:
                self._data += data
                self._changed.notify_all()

    def end(self, drop: bool = False) -> None:
        with self._changed:
            if drop:
                self._data.clear()
            self._ended = True
            self._changed.notify_all()

    def read(self, buffer: memoryview) -> int:
        """Fills `buffer` as far as there is audio, and waits for some; 0 bytes are the end of the turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._data or self._ended)
            length = min(len(buffer), len(self._data))
            buffer[:length] = self._data[:length]
            del self._data[:length]
            return length

    def close(self) -> None:
        self.end(drop=True)
