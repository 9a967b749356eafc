"""Text to speech by Azure: each phrase as it comes, its sound while the service is still at it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
import azure.cognitiveservices.speech as sdk

from voice.audio import VOICE_RATE, Pcm
from voice.engines import EngineError, Speech, Unavailable, Voice, Word
from voice.engines.azure_connection import SpeechResource, watching
from voice.engines.azure_pool import Pool, cut_off
from voice.engines.azure_voices import DEFAULT_VOICES, KNOWN_VOICES, OfferedVoice, offer
from voice.engines.ssml import make_ssml, speakable
from voice.languages import split_by_language

log = logging.getLogger(__name__)

TICKS = 10_000
"""Azure's unit of time, 100 ns, in a millisecond."""
PIECES_AHEAD = 64
"""Pieces of sound kept for a listener who is slow to take them, before the service is asked for more."""
STOPPING_SECONDS = 2
SILENT_SECONDS = 1
"""More than the first sound takes, even on a new connection of a usual day."""
PROPERTIES = {
    # Else a barge-in costs the connection, and the next phrase a handshake.
    "SpeechSynthesis_KeepConnectionAfterStopping": "true",
    # Of itself the SDK tries again after a broken connection and may then wait 40 s; here it is tried again, once.
    "SpeechSynthesis_MaxRetryTimes": "0",
}


class AzureTextToSpeech:
    """Lives in one event loop."""

    def __init__(
        self,
        resource: SpeechResource,
        *,
        default_voices: Mapping[str, str] | None = None,
        style: str = "",
        timeout_seconds: float = 10,
    ) -> None:
        """Whom to hear.

        `default_voices`: names by primary language subtag, in place of Kaiwa's own choice. `style`: a speaking style,
        as "chat", for the voices that have it; others ignore it. `timeout_seconds`: to the first sound of a phrase, and
        from one piece of it to the next.
        """
        self.label = resource.name
        self.address = resource.address_of("tts")
        self._resource = resource
        self._defaults = {**DEFAULT_VOICES, **(default_voices or {})}
        self._offered: Sequence[OfferedVoice] = KNOWN_VOICES
        self._style = style
        self._timeout = timeout_seconds
        self._pool: Pool[str, Synthesiser] = Pool(self._make)

    def voices(self) -> Sequence[Voice]:
        """The service's own once it has told them, else the known ones."""
        return offer(self._offered, self._defaults)

    async def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """The next phrase is asked for as soon as the sound of the former is complete, not when it is taken.

        Sound that was given is never given again.

        Raises:
            Unavailable: the service cannot be reached, is too busy, took too long, or failed in mid-phrase.
            Rejected: the key, the identity or the request is refused.
            NotConfigured: the address or the key cannot be one.
        """
        ahead: asyncio.Queue[Speech | _Over] = asyncio.Queue(PIECES_AHEAD)
        speaking = asyncio.create_task(self._speak_ahead(phrases, voice, speed, ahead))
        try:
            while isinstance(piece := await ahead.get(), Speech):
                yield piece
            if piece.error:
                raise piece.error
        finally:
            speaking.cancel()
            await asyncio.wait([speaking])

    async def warm(self) -> None:
        """Speak a word, which proves key, address and voice, and ask which voices there are. Raises what `speak` raises."""
        async with aclosing(self._say("はい", self._voice_of("ja", None), 1.0)) as pieces:
            async for _ in pieces:
                pass
        await self._list_voices()

    async def close(self) -> None:
        await self._pool.close()

    async def _speak_ahead(
        self, phrases: AsyncIterator[str], voice: str, speed: float, ahead: asyncio.Queue[Speech | _Over]
    ) -> None:
        try:
            chosen = next((each for each in self.voices() if each.name == voice), None)
            # Digits and the like are read in the language of what came before.
            before = chosen.language if chosen else "en"
            number = -1
            async for phrase in phrases:
                number += 1
                offset_ms = 0.0
                for language, text in split_by_language(phrase, before):
                    before = language
                    if not (said := speakable(text)):
                        continue
                    async with aclosing(self._say(said, self._voice_of(language, chosen), speed)) as pieces:
                        length_ms = 0.0
                        async for pcm, words in pieces:
                            moved = tuple(Word(w.text, w.offset_ms + round(offset_ms)) for w in words)
                            length_ms += pcm.seconds * 1000
                            await ahead.put(Speech(pcm, phrase, moved, number))
                        offset_ms += length_ms
        except Exception as exc:  # the engine's, or that of whoever writes the phrases
            await ahead.put(_Over(exc))
        else:
            await ahead.put(_Over())

    def _voice_of(self, language: str, chosen: Voice | None) -> str:
        """`chosen` if it speaks the language, else the language's default, else English's, which reads Latin script."""
        if chosen and chosen.language == language:
            return chosen.name
        return self._defaults.get(language) or self._defaults["en"]

    async def _say(
        self, text: str, voice: str, speed: float
    ) -> AsyncGenerator[tuple[Pcm, tuple[Word, ...]], None]:
        """`text`'s sound in pieces, each with the words that became known before it; the last may have no sound."""
        locale = "-".join(voice.split("-")[:2])
        ssml = make_ssml(text, voice, locale, min(max(speed, 0.5), 2.0), self._style)
        words: list[Word] = []
        rest = b""
        given = False
        began = asyncio.get_running_loop().time()
        for attempt in range(2):
            try:
                async with aclosing(self._synthesise(ssml, began)) as events:
                    async for event in events:
                        if isinstance(event, Word):
                            words.append(event)
                            continue
                        data = rest + event
                        whole = len(data) & ~1
                        rest = data[whole:]
                        if whole:
                            given = True
                            yield Pcm(data[:whole], VOICE_RATE), tuple(words)
                            words.clear()
                break
            except EngineError as error:
                if given:
                    raise Unavailable("voice_failed") from error
                # Connections that idled may be gone without either side's having noticed.
                if attempt or error.sentence != "speech_unreachable":
                    raise
                words.clear()
        if words and given:
            yield Pcm(b"", VOICE_RATE), tuple(words)

    async def _synthesise(self, ssml: str, alive: float) -> AsyncGenerator[bytes | Word, None]:
        """`alive`: from when on the loop's clock to wait for the first sign of life."""
        told: asyncio.Queue[_Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        began = alive
        with watching(self._timeout, alive):
            await self._resource.sign_in()
            synthesiser = await self._pool.take("")
        ended = failed = False
        try:
            with watching(self._timeout, alive):
                await self._pool.run(
                    synthesiser.start, ssml, lambda event: loop.call_soon_threadsafe(told.put_nowait, event)
                )
            while not ended:
                with watching(self._timeout, alive):
                    event = await self._next(told, first=alive == began)
                if not isinstance(event, _Over):
                    yield event
                    alive = loop.time()
                elif event.error:
                    raise event.error
                else:
                    ended = True
        except EngineError:
            failed = True
            raise
        finally:
            synthesiser.leave()
            if failed:
                self._pool.fail(synthesiser)
            elif ended:
                self._pool.put_back("", synthesiser)
            else:
                self._pool.recover("", synthesiser)

    async def _next(self, told: asyncio.Queue[_Event], first: bool) -> _Event:
        """The SDK says nothing of one in thirty connections that are refused (1.53.0), so a long silence is looked into."""
        if first:
            with anyio.move_on_after(SILENT_SECONDS):
                return await told.get()
            await self._resource.reach("tts")
        return await told.get()

    async def _list_voices(self) -> None:
        """The known ones stay where the service does not tell."""
        with suppress(EngineError), watching(self._timeout, asyncio.get_running_loop().time()):
            await self._resource.sign_in()
            offered = await self._pool.run(self._fetch_voices)
            if offered:
                self._offered = offered

    def _fetch_voices(self) -> Sequence[OfferedVoice]:
        synthesiser = sdk.SpeechSynthesizer(self._resource.configure({}), None)
        found = synthesiser.get_voices_async().get()
        if found.reason != sdk.ResultReason.VoicesListRetrieved:
            log.info("Azure does not list its voices, so the known ones are offered")
            return ()
        return [OfferedVoice(voice.short_name, voice.local_name) for voice in found.voices]

    def _make(self, _: str, lost: Callable[[], None]) -> Synthesiser:
        config = self._resource.configure({**PROPERTIES})
        config.set_speech_synthesis_output_format(sdk.SpeechSynthesisOutputFormat.Raw24Khz16BitMonoPcm)
        return Synthesiser(config, self._translate)

    def _translate(self, code: sdk.CancellationErrorCode, details: str) -> EngineError:
        return self._resource.translate(code, details, self._timeout)


@dataclass(frozen=True, slots=True)
class _Over:
    """The end, for a reason or in peace."""

    error: Exception | None = None


_Event: TypeAlias = "bytes | Word | _Over"


class Synthesiser:
    """An SDK synthesiser that can be used again. Only `leave` does not block."""

    usable = True
    """It connects anew by itself."""

    def __init__(
        self, config: sdk.SpeechConfig, translate: Callable[[sdk.CancellationErrorCode, str], EngineError]
    ) -> None:
        self._translate = translate
        self._tell: Callable[[_Event], object] | None = None
        self._over = threading.Event()
        self._synthesiser: Any = sdk.SpeechSynthesizer(config, None)
        self._signals = {
            self._synthesiser.synthesizing: self._on_sound,
            self._synthesiser.synthesis_word_boundary: self._on_word,
            self._synthesiser.synthesis_completed: lambda _: self._finish(_Over()),
            self._synthesiser.synthesis_canceled: self._on_canceled,
        }
        for signal, handler in self._signals.items():
            signal.connect(handler)
        self._connection = sdk.Connection.from_speech_synthesizer(self._synthesiser)

    def open(self) -> None:
        """Connect ahead, without waiting for it."""
        self._connection.open(True)

    def start(self, ssml: str, tell: Callable[[_Event], object]) -> None:
        """A request; `tell` is called from a thread of the SDK. Returns when the service is at it."""
        self._tell = tell
        self._over.clear()
        self._synthesiser.start_speaking_ssml_async(ssml).get()

    def leave(self) -> None:
        """Nobody listens to this request any more."""
        self._tell = None

    def stop(self) -> None:
        self._synthesiser.stop_speaking_async().get()
        # The SDK tells of the end after it has stopped, which the next request must not take for its own.
        if not self._over.wait(STOPPING_SECONDS):
            raise TimeoutError

    def release(self) -> None:
        self.leave()
        if self._synthesiser is None:
            return
        with suppress(RuntimeError):
            self._synthesiser.stop_speaking_async().get()
        cut_off(self._signals, self._connection)
        self._signals.clear()
        del self._connection
        self._synthesiser = None

    def _say(self, event: _Event) -> None:
        if tell := self._tell:
            tell(event)

    def _on_sound(self, event: sdk.SpeechSynthesisEventArgs) -> None:
        self._say(event.result.audio_data)

    def _on_word(self, event: sdk.SpeechSynthesisWordBoundaryEventArgs) -> None:
        if event.boundary_type == sdk.SpeechSynthesisBoundaryType.Word:
            self._say(Word(event.text, event.audio_offset // TICKS))

    def _on_canceled(self, event: sdk.SpeechSynthesisEventArgs) -> None:
        details = event.result.cancellation_details
        self._finish(_Over(self._translate(details.error_code, details.error_details)))

    def _finish(self, over: _Over) -> None:
        self._say(over)
        self._over.set()
