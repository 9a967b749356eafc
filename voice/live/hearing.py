"""The user's side of a live conversation: utterances on their way to transcripts, and what is told of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio

from voice.conversation import make_item_id
from voice.engines import SHORT_SECONDS, EngineError
from voice.engines.failover import Switch
from voice.languages import language_of
from voice.live.ear import SAMPLES_A_MS, Ear
from voice.live.events import (
    FinalHeard,
    HearingFailed,
    LiveEvent,
    Noted,
    PartialHeard,
    SpeechStarted,
    SpeechStopped,
    UtteranceCommitted,
)
from voice.live.pauses import Pauses
from voice.live.record import Record
from voice.live.reply import Start
from voice.live.turn_clock import TurnClock
from voice.live.utterance import Utterance
from voice.session import Session
from voice.turns.events import (
    CloseUtterance,
    DropUtterance,
    Event,
    FinalTranscript,
    KeepUtterance,
    OpenUtterance,
    PartialTranscript,
    ScorePause,
    TellSpeechStarted,
    TellSpeechStopped,
    TranscriptFailed,
)

HearingAction: TypeAlias = (
    OpenUtterance
    | CloseUtterance
    | DropUtterance
    | TellSpeechStarted
    | TellSpeechStopped
    | ScorePause
    | KeepUtterance
)


@dataclass(slots=True)
class Said:
    """A turn of the user's."""

    utterance: Utterance
    item: str = field(default_factory=make_item_id)
    clock: TurnClock = field(default_factory=TurnClock)
    partial: str = ""
    from_ms: int = 0
    """Where its speech begins."""
    speech_ms: float = math.inf
    """How long it is, once it has ended."""
    told: bool = False
    """Whether the client knows that something is being said."""
    committed: bool = False
    """Whether its item is in the conversation."""
    notes: tuple[Switch, ...] = ()


class Hearing:
    def __init__(
        self,
        session: Session,
        ear: Ear,
        record: Record,
        emit: Callable[[LiveEvent], None],
        tell: Callable[[Event], None],
        start: Start,
    ) -> None:
        """`start`: begins a task that ends with the conversation."""
        self._session = session
        self._ear = ear
        self._record = record
        self._emit = emit
        self._tell = tell
        self._start = start
        self._pauses = Pauses(session.engines.end_of_turn, tell, start)
        self._said: dict[int, Said] = {}
        self._open: Utterance | None = None  # the one that still takes sound

    def find(self, turn: int | None) -> Said | None:
        return None if turn is None else self._said.get(turn)

    def feed(self) -> None:
        """Give the open utterance the sound that is its: when it ends by silence, no more than was listened to."""
        if self._open is not None:
            self._feed_until(self._ear.listened_ms if self._ear.is_behind else self._ear.taken_up_ms)

    def carry_out(self, action: HearingAction) -> None:
        match action:
            case OpenUtterance():
                self._open_utterance(action)
            case TellSpeechStarted(turn, at_ms):
                said = self._said[turn]
                said.from_ms = at_ms
                self._emit(SpeechStarted(turn, said.item, at_ms))
                self._show(turn, said)
            case TellSpeechStopped(turn, at_ms):
                said = self._said[turn]
                said.speech_ms = at_ms - said.from_ms
                said.clock.speech_ended = self._ear.arrived(at_ms)
                self._emit(SpeechStopped(turn, said.item, at_ms))
            case ScorePause(at_ms=at_ms):
                self._feed_until(at_ms)
                self._pauses.score(action)
            case CloseUtterance(turn, at_ms):
                self._close_utterance(turn, at_ms)
            case KeepUtterance():
                self._keep_utterance(action)
            case DropUtterance(turn):
                self._drop_utterance(turn)

    def understand(self, event: PartialTranscript) -> None:
        said = self._said.get(event.turn)
        if said is not None and said.partial != event.text:
            said.partial = event.text
            if said.told:
                self._emit(PartialHeard(event.turn, event.text))

    def mark_final(self, event: FinalTranscript) -> None:
        if said := self._said.get(event.turn):
            said.clock.final_transcript = anyio.current_time()

    def tell_failure(self, event: TranscriptFailed) -> None:
        """After the failure was dealt with: what is left of the turn is its error."""
        said = self._said.get(event.turn)
        if said is None or not said.told:
            return
        if said.committed:
            self._record.drop(said.item)
        error = said.utterance.error or EngineError("recognition_failed")
        self._emit(HearingFailed(event.turn, said.item, error))

    def forget_before(self, ms: int) -> None:
        """The sound up to there belongs to no turn to come."""
        self._ear.taken_ms = max(self._ear.taken_ms, ms)

    def forget_all_but(self, turns: Set[int]) -> None:
        """Nothing is told any more of the others."""
        for turn in self._said.keys() - turns:
            del self._said[turn]

    def leave(self, worded: Set[int]) -> bool:
        """The conversation ends: what has no words yet will have none.

        `worded`: turns of which the words so far are worth keeping. Returns whether some were kept.
        """
        kept = False
        for turn, said in self._said.items():
            if said.utterance.over:
                continue
            said.utterance.drop()
            if turn in worded and said.told and said.partial:
                self._record.keep_utterance(said.item, said.partial, said.notes)
                kept = True
            elif said.committed:
                self._record.drop(said.item)
        return kept

    def _open_utterance(self, action: OpenUtterance) -> None:
        turn = action.turn

        def note(switch: Switch) -> None:
            said.notes = (*said.notes, switch)
            self._emit(Noted(switch))

        self._open = Utterance(turn, max(action.from_ms, self._ear.kept_ms), self._tell, note)
        self._ear.awaits_end = True
        said = self._said[turn] = Said(self._open)
        self.feed()
        session = self._session
        self._start(
            self._open.run, session.engines.speech_to_text, session.preferences.language, session.spoken
        )

    def _feed_until(self, ms: int) -> None:
        if self._open is not None:
            pcm = self._ear.read(self._open.reached, ms * SAMPLES_A_MS)
            self._open.hear(pcm)
            self._pauses.hear(pcm)
            self._ear.given_ms = self._open.reached // SAMPLES_A_MS

    def _close_utterance(self, turn: int, at_ms: int) -> None:
        said = self._said[turn]
        self._feed_until(at_ms)
        self._open, self._ear.awaits_end = None, False
        self._pauses.forget()
        said.utterance.close()
        self.forget_before(at_ms)
        said.clock.turn_over = anyio.current_time()
        said.committed = True
        self._record.open_utterance(said.item)
        self._emit(UtteranceCommitted(turn, said.item))
        self._show(turn, said)

    def _keep_utterance(self, action: KeepUtterance) -> None:
        said, session = self._said[action.turn], self._session
        # In a word or two engines mistake the language; their script tells at least what they cannot be.
        is_short = session.spoken is not None and said.speech_ms < SHORT_SECONDS * 1000
        session.spoken = (
            session.preferences.language
            or (None if is_short else action.language)
            or language_of(action.text, session.spoken or session.language)
        )
        self._record.keep_utterance(said.item, action.text, said.notes)
        self._emit(FinalHeard(action.turn, said.item, action.text, said.utterance.seconds))

    def _drop_utterance(self, turn: int) -> None:
        said = self._said[turn]
        said.utterance.drop()
        if self._open is said.utterance:
            self._open, self._ear.awaits_end = None, False
            self._pauses.forget()
        if said.committed:
            self._record.drop(said.item)
            self._emit(FinalHeard(turn, said.item, "", said.utterance.seconds))

    def _show(self, turn: int, said: Said) -> None:
        """From now on its words are told."""
        if not said.told:
            said.told = True
            if said.partial:
                self._emit(PartialHeard(turn, said.partial))
