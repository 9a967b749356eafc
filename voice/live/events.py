"""What a live conversation tells its client, whoever that is: `voice.live` emits these, `voice.web` puts them on a wire.

Turn and reply numbers are those of `voice.turns.events`. A reply is told of from its release on; after
`ReplyDone` nothing more comes of it but perhaps a `ReplyCut`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from voice.engines import EngineError, IncompleteReason, Speech, ToolCall, Usage
from voice.engines.failover import Switch
from voice.turns.events import Phase


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    phase: Phase


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    turn: int
    item: str
    """The item that the utterance will be in the conversation, as in the events below."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    turn: int
    item: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class UtteranceCommitted:
    """The turn's sound is complete; its item is in the conversation, its words come with `FinalHeard`."""

    turn: int
    item: str


@dataclass(frozen=True, slots=True)
class PartialHeard:
    turn: int
    text: str
    """All of the turn so far; it may be revised."""


@dataclass(frozen=True, slots=True)
class FinalHeard:
    turn: int
    item: str
    text: str
    """"" when no words were heard: the item is gone from the conversation."""
    seconds: float
    """Of sound transcribed."""


@dataclass(frozen=True, slots=True)
class HearingFailed:
    turn: int
    item: str
    error: EngineError


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    reply: int
    item: str
    """The item that it will be in the conversation."""
    turn: int | None
    joined: bool = False
    """Whether it is to a typed line or a recording: a turn that is counted, and explained when it fails, elsewhere."""


@dataclass(frozen=True, slots=True)
class ReplyWrote:
    """A phrase of it, or of a reply in text a piece; together they are its transcript."""

    reply: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplySpoke:
    reply: int
    speech: Speech


@dataclass(frozen=True, slots=True)
class ReplyCalled:
    """The chat model wants a function called."""

    reply: int
    item: str
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ReplyHeld:
    reply: int


@dataclass(frozen=True, slots=True)
class ReplyResumed:
    reply: int


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """Nothing more comes of it; some may still be to be heard."""

    reply: int
    status: Literal["completed", "cancelled", "failed", "incomplete"]
    interrupted: bool = False
    """Cancelled by the user's voice, not by a request."""
    error: EngineError | None = None
    incomplete: IncompleteReason | None = None
    """Why, if the status is that; a filter's is an error too."""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class ReplyCut:
    """After `ReplyDone`: what is still to be heard of it is not wanted any more."""

    reply: int


@dataclass(frozen=True, slots=True)
class Noted:
    """An engine failed, and the one behind it answered."""

    switch: Switch


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """When what happened in a turn, in ms after the true end of speech as the voice detector places it.

    None: it did not happen. A reply prepared before the turn was over has its first token before `turn_over_ms`.
    """

    turn: int
    reply: int
    turn_over_ms: float | None = None
    final_transcript_ms: float | None = None
    chat_asked_ms: float | None = None
    first_token_ms: float | None = None
    first_phrase_ms: float | None = None
    first_audio_ms: float | None = None
    """From the voice."""
    released_ms: float | None = None
    """The first of it left for the client."""
    heard_ms: float | None = None
    """First sound at the user's, as the client reports it."""
    interrupted_ms: float | None = None
    wasted_replies: int = 0
    """Prepared in vain for this turn."""


@dataclass(frozen=True, slots=True)
class IdleAsked:
    """Nobody has spoken for long; the question is on its way as a reply."""


@dataclass(frozen=True, slots=True)
class FellAsleep: ...


LiveEvent: TypeAlias = (
    PhaseChanged
    | SpeechStarted
    | SpeechStopped
    | UtteranceCommitted
    | PartialHeard
    | FinalHeard
    | HearingFailed
    | ReplyStarted
    | ReplyWrote
    | ReplySpoke
    | ReplyCalled
    | ReplyHeld
    | ReplyResumed
    | ReplyDone
    | ReplyCut
    | Noted
    | TurnTimes
    | IdleAsked
    | FellAsleep
)
