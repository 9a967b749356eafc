"""Whether what was said sounds complete: found out in the pauses of an utterance, and nothing waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from voice.audio import SPEECH_RATE, Pcm
from voice.engines import EndOfTurn
from voice.live.reply import Start
from voice.turns.events import PauseScored, ScorePause

log = logging.getLogger(__name__)


class Pauses:
    """Those of one conversation; of an utterance it keeps no more than the model looks at."""

    def __init__(self, model: EndOfTurn | None, tell: Callable[[PauseScored], None], start: Start) -> None:
        self._model = model
        self._tell = tell
        self._start = start
        self._sound = bytearray()
        self._scope: anyio.CancelScope | None = None
        """Of the model's work under way."""

    def hear(self, pcm: Pcm) -> None:
        """The utterance's next sound, 16 kHz."""
        if self._model is not None:
            self._sound += pcm.data
            del self._sound[: -2 * int(self._model.seconds * SPEECH_RATE)]

    def score(self, pause: ScorePause) -> None:
        """Begin to find out about this one. An earlier pause is of no interest any more."""
        self._stop()
        if self._model is not None:
            self._scope = anyio.CancelScope()
            self._start(self._score, self._model, pause, Pcm(bytes(self._sound), SPEECH_RATE), self._scope)

    def forget(self) -> None:
        """The utterance is over."""
        self._stop()
        self._sound.clear()

    def _stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
            self._scope = None

    async def _score(self, model: EndOfTurn, pause: ScorePause, sound: Pcm, scope: anyio.CancelScope) -> None:
        probability: float | None = None
        with scope:
            try:
                probability = await model.score(sound)
            except Exception:
                log.exception("A pause could not be scored")
        if probability is not None and not scope.cancel_called:
            self._tell(PauseScored(pause.turn, pause.ended_ms, probability))
