"""One utterance on its way to its transcript, while it is still being said."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import aclosing, suppress

import anyio

from voice.audio import SPEECH_RATE, Pcm
from voice.engines import EngineError, SpeechToText
from voice.engines.failover import Switch, noting
from voice.turns.events import FinalTranscript, PartialTranscript, TranscriptFailed

log = logging.getLogger(__name__)


class Utterance:
    """What the user says in one turn. Whoever makes it runs `run`; the rest returns at once."""

    def __init__(
        self,
        turn: int,
        from_ms: int,
        tell: Callable[[PartialTranscript | FinalTranscript | TranscriptFailed], None],
        note: Callable[[Switch], None],
    ) -> None:
        """`from_ms`: where it begins in the user's sound. Nothing is told once it was dropped."""
        self.turn = turn
        self.reached = from_ms * SPEECH_RATE // 1000
        """How far it has the user's sound, in samples."""
        self.seconds = 0.0
        self.closed = False
        self.over = False
        """Whether its transcript came, or never will."""
        self.error: EngineError | None = None
        self._from_ms = from_ms
        self._tell = tell
        self._note = note
        self._scope = anyio.CancelScope()
        self._dropped = False
        self._ear, self._sound = anyio.create_memory_object_stream[Pcm](math.inf)

    def hear(self, pcm: Pcm) -> None:
        """The next of its sound, 16 kHz."""
        self.reached += len(pcm.data) // 2
        if pcm.data and not self.closed and self._ear.statistics().open_receive_streams:
            self.seconds += pcm.seconds
            self._ear.send_nowait(pcm)

    def close(self) -> None:
        """It has all its sound."""
        self.closed = True
        self._ear.close()

    def drop(self) -> None:
        """Nobody wants its transcript."""
        self._dropped = self.over = True
        self.close()
        self._scope.cancel()

    async def run(self, speech_to_text: SpeechToText, language: str | None, last: str | None = None) -> None:
        """Transcribe it. Failures are told, none is raised. `language`, `last`: as engines take them."""
        with self._scope, self._sound, noting(self._note):
            try:
                final = FinalTranscript(self.turn, "", None)
                async with aclosing(speech_to_text.transcribe(self._sound, language, last)) as transcripts:
                    async for transcript in transcripts:
                        if transcript.final:
                            final = FinalTranscript(self.turn, transcript.text.strip(), transcript.language)
                            continue
                        end_ms = self._from_ms + transcript.end_ms if transcript.end_ms else None
                        self._say(PartialTranscript(self.turn, transcript.text.strip(), end_ms))
                self._say(final)
            except EngineError as error:
                self._fail(error)
            except Exception:
                log.exception("An utterance broke")
                self._fail(EngineError("recognition_failed"))
            finally:
                self._forget_sound()

    def _forget_sound(self) -> None:
        """What the engine left: a closed stream would keep it."""
        with suppress(anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
            while True:
                self._sound.receive_nowait()

    def _fail(self, error: EngineError) -> None:
        self.error = error
        self._say(TranscriptFailed(self.turn))

    def _say(self, event: PartialTranscript | FinalTranscript | TranscriptFailed) -> None:
        self.over = self.over or not isinstance(event, PartialTranscript)
        if not self._dropped:
            self._tell(event)
