"""What a turn by recording or by keyboard tells as it goes: `voice.session` emits these, the page and programs read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from voice.engines import EngineError, Speech
from voice.engines.failover import Switch
from voice.speaking import PhraseBegun, PhraseSent


@dataclass(frozen=True, slots=True)
class Began:
    """A turn begins; the one before it has ended. Only those who watch the session see it."""

    item: str
    """What its reply will be in the conversation, if anything comes of it."""


@dataclass(frozen=True, slots=True)
class Recognising:
    """The recording arrived; its words are being found."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the user said, by voice or by keyboard."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class ReplyGrew:
    text: str
    """The whole reply so far."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply is written to its end; what is left is its sound."""

    text: str


@dataclass(frozen=True, slots=True)
class Noted:
    """An engine failed, and the one behind it answered."""

    switch: Switch


@dataclass(frozen=True, slots=True)
class Spoke:
    """A piece of the reply's sound, in playing order."""

    speech: Speech


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn, or a part of it, could not be done; the conversation goes on."""

    error: EngineError


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is over; nothing more comes."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The turn was stopped; nothing more comes."""


TurnEvent: TypeAlias = (
    Recognising
    | Heard
    | ReplyGrew
    | Replied
    | PhraseSent
    | PhraseBegun
    | Spoke
    | Noted
    | Failed
    | Finished
    | Stopped
)
Emit: TypeAlias = Callable[[TurnEvent], None]
