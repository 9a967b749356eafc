"""Speech to text by Azure: continuous recognition of a stream that ends when the caller's audio ends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import azure.cognitiveservices.speech as sdk

from voice.audio import SPEECH_RATE, Pcm
from voice.engines import EngineError, Transcript, Unavailable
from voice.engines.azure_connection import SpeechResource, watching
from voice.engines.azure_pool import Pool
from voice.engines.azure_recogniser import END, FED, Event, Recogniser, Segment
from voice.engines.azure_voices import language_of_tag, locale_of
from voice.engines.kept import Kept

WITHOUT_SPACES = frozenset({"ja", "zh", "yue", "wuu", "th", "lo", "my", "km"})
LOST_WHILE_IDLE_SECONDS = 1.0
"""A connection that was lost while it idled is found out at once, and the turn begun again on a new one; where the
service itself cannot be reached the SDK tries for a second and more."""
PROPERTIES = {
    # Undocumented, and they work (measured with 1.53.0). Else a recording is sent at twice its speed after its first
    # five seconds, so that 30 s of it wait 12 s for their transcript; now 0.1 s.
    "SPEECH-TransmitLengthBeforThrottleMs": "2000000000",
    # Stopping in mid-turn waits so long for what the service may still say, 10 s of itself.
    "SPEECH-StopRecognitionTimeoutInSeconds": "1",
}


class AzureSpeechToText:
    """Lives in one event loop."""

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
        self.label = resource.name
        self.address = resource.address_of("stt")
        self._resource = resource
        self._languages = tuple(map(locale_of, auto_languages)) or (locale_of(language),)
        self._phrases = tuple(phrases)
        self._segmentation_silence_ms = segmentation_silence_ms
        self._timeout = timeout_seconds
        self._pool: Pool[tuple[str, ...], Recogniser] = Pool(self._make)

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        """Partials while the audio comes; the final one when it has ended.

        `language`: also a full tag, as "en-GB". `last`: of no use here, where a request names its languages at its
        beginning.

        Raises:
            Unavailable: the service cannot be reached, is too busy, or took too long.
            Rejected: the key, the identity or the request is refused.
            NotConfigured: the address or the key cannot be one.
            ValueError: the audio is not 16 kHz.
        """
        kind = (locale_of(language),) if language else self._languages
        understood = _Understood(language_of_tag(kind[0]) if len(kind) == 1 else None)
        async with aclosing(Kept(audio)) as kept:
            began = asyncio.get_running_loop().time()
            while True:
                try:
                    async with aclosing(self._recognise(kept.read(), kind)) as segments:
                        async for segment in segments:
                            yield understood.add(segment)
                    break
                except Unavailable as error:
                    soon = asyncio.get_running_loop().time() - began < LOST_WHILE_IDLE_SECONDS
                    if error.sentence != "speech_unreachable" or understood.anything or not soon:
                        raise
                    began = -math.inf
        yield understood.final()

    async def warm(self) -> None:
        """Recognise a moment of silence, which proves key, address and language. Raises what `transcribe` raises."""
        async for _ in self.transcribe(_silence(), None):
            pass

    async def close(self) -> None:
        await self._pool.close()

    async def _recognise(
        self, audio: AsyncIterator[Pcm], kind: tuple[str, ...]
    ) -> AsyncGenerator[Segment, None]:
        heard: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        alive = loop.time()
        with watching(self._timeout, alive):
            await self._resource.sign_in()
            recogniser = await self._pool.take(kind)
        feeding: asyncio.Task[None] | None = None
        ended = failed = False
        try:
            with watching(self._timeout, alive):
                await self._pool.run(
                    recogniser.start, lambda event: loop.call_soon_threadsafe(heard.put_nowait, event)
                )
            # Not before it has started: audio that ends before that is left lying for half a second.
            feeding = asyncio.create_task(_feed(recogniser, audio, heard))
            fed = False
            while (event := await self._next(heard, fed)) is not END:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Segment):
                    yield event
                fed = fed or event is FED
            ended = True
        except EngineError:
            failed = True
            raise
        finally:
            recogniser.leave()
            if failed:
                self._pool.fail(recogniser)
            elif ended:
                self._pool.recover(kind, recogniser)
            else:  # The caller left, and what the service still owes would come up in the next turn.
                self._pool.drop(recogniser)
            if feeding:
                feeding.cancel()
                await asyncio.wait([feeding])

    async def _next(self, heard: asyncio.Queue[Event], fed: bool) -> Event:
        if not fed:
            return await heard.get()
        with watching(self._timeout, asyncio.get_running_loop().time()):
            return await heard.get()

    def _make(self, languages: tuple[str, ...], lost: Callable[[], None]) -> Recogniser:
        properties: dict[sdk.PropertyId | str, str] = {**PROPERTIES}
        if len(languages) > 1:
            properties[sdk.PropertyId.SpeechServiceConnection_LanguageIdMode] = "Continuous"
        if self._segmentation_silence_ms is not None:
            properties[sdk.PropertyId.Speech_SegmentationSilenceTimeoutMs] = str(
                self._segmentation_silence_ms
            )
        config = self._resource.configure(properties)
        return Recogniser(config, languages, self._phrases, self._translate, lost)

    def _translate(self, code: sdk.CancellationErrorCode, details: str) -> EngineError:
        return self._resource.translate(code, details, self._timeout)


@dataclass
class _Understood:
    """The segments of one turn."""

    language: str | None
    finals: list[Segment] = field(default_factory=list)
    anything: bool = False

    def add(self, segment: Segment) -> Transcript:
        self.anything = True
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


async def _feed(recogniser: Recogniser, audio: AsyncIterator[Pcm], heard: asyncio.Queue[Event]) -> None:
    try:
        async for pcm in audio:
            if pcm.rate != SPEECH_RATE:
                raise ValueError(f"Expected {SPEECH_RATE} Hz, got {pcm.rate}")
            recogniser.feed(pcm.data)
    except Exception as exc:  # the caller's own, and it gets it back
        heard.put_nowait(exc)
    else:
        recogniser.end()
        heard.put_nowait(FED)


async def _silence() -> AsyncIterator[Pcm]:
    yield Pcm.silence(200, SPEECH_RATE)
