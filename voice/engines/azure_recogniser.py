"""The SDK's recogniser, made to serve turn after turn: its events, and the stream that it reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import azure.cognitiveservices.speech as sdk

from voice.audio import SPEECH_RATE
from voice.engines import EngineError
from voice.engines.azure_pool import cut_off
from voice.engines.azure_voices import language_of_tag

TICKS = 10_000
"""Azure's unit of time, 100 ns, in a millisecond."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said between two pauses, so far or (`final`) altogether."""

    text: str
    final: bool
    language: str | None
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Mark:
    name: str


FED = Mark("the caller's audio has ended")
END = Mark("the recognition has ended")
Event: TypeAlias = "Segment | Mark | BaseException"


class Recogniser:
    """An SDK recogniser that can be used again. Only `feed`, `end` and `leave` do not block."""

    def __init__(
        self,
        config: sdk.SpeechConfig,
        languages: Sequence[str],
        phrases: Sequence[str],
        translate: Callable[[sdk.CancellationErrorCode, str], EngineError],
        lost: Callable[[], None],
    ) -> None:
        self._failure: EngineError | None = None
        self._translate = translate
        self._lost = lost
        self._tell: Callable[[Event], object] | None = None
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
            self._recogniser.session_stopped: lambda _: self._say(END),
        }
        for signal, handler in self._signals.items():
            signal.connect(handler)
        self._connection = sdk.Connection.from_recognizer(self._recogniser)

    def open(self) -> None:
        """Connect ahead, without waiting for it."""
        self._connection.open(True)

    @property
    def usable(self) -> bool:
        """One whose connection broke, even at rest, refuses every later start (SPXERR 0x13)."""
        return self._failure is None

    def start(self, tell: Callable[[Event], object]) -> None:
        """A turn; `tell` is called from a thread of the SDK. Raises why it is not usable."""
        with self._busy:
            self._tell = tell
            if self._failure:
                raise self._failure
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
        """After the end of a turn, ready the next."""
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
            cut_off(self._signals, self._connection)
            self._signals.clear()
            del self._connection
            self._recogniser = None

    def _say(self, event: Event) -> None:
        if tell := self._tell:
            tell(event)

    def _on_partial(self, event: sdk.SpeechRecognitionEventArgs) -> None:
        self._say(self._segment(event.result, final=False))

    def _on_final(self, event: sdk.SpeechRecognitionEventArgs) -> None:
        # NoMatch is what silence, babble and noise come out as.
        if event.result.reason == sdk.ResultReason.RecognizedSpeech and event.result.text:
            self._say(self._segment(event.result, final=True))

    def _on_canceled(self, event: sdk.SpeechRecognitionCanceledEventArgs) -> None:
        details = event.cancellation_details
        if details.reason == sdk.CancellationReason.EndOfStream:
            return  # the session stops next
        # Of the first, since what follows from it is only that nothing works any more.
        self._failure = self._failure or self._translate(details.code, details.error_details)
        if self._tell:
            self._say(self._failure)
        else:
            self._lost()

    def _segment(self, result: sdk.SpeechRecognitionResult, final: bool) -> Segment:
        tag = sdk.AutoDetectSourceLanguageResult(result).language
        language = language_of_tag(tag) if tag and tag.lower() != "unknown" else None
        # The SDK counts on from turn to turn.
        start_ms = max(0, result.offset // TICKS - self._source.former_ms)
        return Segment(result.text, final, language, start_ms, start_ms + result.duration // TICKS)


def _language_config(languages: Sequence[str]) -> dict[str, Any]:
    if len(languages) == 1:
        return {"language": languages[0]}
    choice = sdk.languageconfig.AutoDetectSourceLanguageConfig(languages=list(languages))
    return {"auto_detect_source_language_config": choice}


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
        self._read_bytes = 0
        self.former_ms = 0
        """What was read in the turns before this one."""

    def begin(self) -> None:
        """The next turn."""
        with self._changed:
            self._data.clear()
            self.former_ms = self._read_bytes * 1000 // (2 * SPEECH_RATE)
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
            self._read_bytes += length
            return length

    def close(self) -> None:
        self.end(drop=True)
