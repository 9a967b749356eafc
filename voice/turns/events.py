"""The words of `voice.turns`: what happens in a live conversation, and what is to be done about it.

A turn is all that the user says before the other side answers; its number also names its utterance and transcripts.
A reply has a number of its own, since several may be prepared for one turn. Moments in ms are of the sound received so
far (`Frame.at_ms`), which a client may send faster than real time; nothing here knows another clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Phase(Enum):
    LISTENING = "listening"
    """Nobody speaks."""
    HEARING = "hearing"
    """The user speaks, or pauses."""
    THINKING = "thinking"
    """The user's turn is over; of the reply nothing is heard yet."""
    SPEAKING = "speaking"
    """The reply is heard."""
    ASLEEP = "asleep"
    """Nobody spoke for long; the microphone is released."""


class Patience(Enum):
    """How long a pause may be, in people's words."""

    QUICK = "quick"
    BALANCED = "balanced"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class Rules:
    """How turns are taken. May be exchanged while the conversation goes on."""

    hands_free: bool = True
    """Whether voice activity begins and ends turns; else `TalkPressed`, `TalkReleased` and `Committed` do."""
    muted: bool = False
    """Whether the user keeps the microphone from being heard."""
    patience: Patience = Patience.BALANCED
    silence_ms: int | None = None
    """Silence that ends a turn, whatever was said; None to judge by what was said so far, and `patience`."""
    threshold: float = 0.5
    """Probability from which a frame begins speech."""
    prefix_ms: int = 300
    """Kept of the sound before speech began."""
    replies: bool = True
    """Whether the end of a turn asks for a reply."""
    interrupts: bool = True
    """Whether speech stops a reply."""
    weighs_interruptions: bool = True
    """Whether an interruption is first weighed (a cough, "uh-huh", the reply's own echo); else any speech stops the reply."""
    eager: bool = True
    """Whether replies are prepared at pauses, before the turn is over."""
    eager_replies: int = 3
    """How many may be prepared in vain for one turn."""
    scores_pauses: bool = False
    """Whether a model is asked, at a pause, if the turn sounds complete; where `silence_ms` is given nobody is."""


# What happens


@dataclass(frozen=True, slots=True)
class Frame:
    """The next piece of the user's sound was listened to."""

    at_ms: int
    """Its end."""
    probability: float
    """That somebody speaks in it."""
    length_ms: int = 32


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    turn: int
    text: str
    """All of the turn, as understood so far."""
    end_ms: int | None = None
    """Up to where the sound is accounted for; None when the engine does not tell."""


@dataclass(frozen=True, slots=True)
class PauseScored:
    """A hint that `ScorePause` asked for; it may come late, or never."""

    turn: int
    ended_ms: int
    """Which pause it is of: where speech had ended."""
    probability: float
    """That the turn is complete, by its sound."""


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    turn: int
    text: str
    """"" when no words were heard."""
    language: str | None = None


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    turn: int


@dataclass(frozen=True, slots=True)
class ReplyReady:
    """The first of it could be heard (or, of a reply in text or a call of a function, read) now."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """All of it was written and spoken; nothing more comes, though some is still to be heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """Nothing more comes; what came of it before may still be heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """These words of it are being played now: what is heard of them at the microphone is no interruption."""

    reply: int
    text: str
    """A phrase, told as its sound begins; together with those told before, all that was spoken so far."""


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """The last of a released reply that ended or failed was heard, if anything of it was. Told once for each, unless it was cut."""

    reply: int


@dataclass(frozen=True, slots=True)
class TalkPressed:
    """Push to talk: what is said from now on is the turn."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TalkReleased:
    at_ms: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The client says that the sound since the last turn is the turn (Realtime's `input_audio_buffer.commit`).

    No reply comes of it by itself.
    """

    at_ms: int
    from_ms: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """The client wants the sound that belongs to no turn yet forgotten."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class ReplyAsked:
    """A reply is wanted now to what was said (Realtime's `response.create`, a greeting)."""

    reply: int
    """Its number, of `State.next_reply`; a reply under way is cut first."""
    answers: bool = True
    """Else it is said of its own accord, as a greeting is: interrupted before it is heard, it is not owed."""


@dataclass(frozen=True, slots=True)
class ReplyJoined:
    """A reply that is made elsewhere begins, to a typed line or a recording: it is heard, held and cut like any other.

    It takes the place of all replies that were under way or owed. Turns whose words are awaited yet are answered after it.
    """

    reply: int
    """Its number, of `State.next_reply`."""
    is_known: bool = True
    """Whether it is known what it is to answer. Told again once it is, as after a recording was recognised; a reply that is
    interrupted before is not owed."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The reply is not wanted any more: the stop button, or Realtime's `response.cancel`."""


@dataclass(frozen=True, slots=True)
class RulesChanged:
    rules: Rules


@dataclass(frozen=True, slots=True)
class IdlePassed:
    """Nothing happened for `IDLE_SECONDS`: the first time it is asked whether somebody is there, the second time it sleeps.

    Who is muted, or presses to talk, is silent on purpose and is not asked.
    """


@dataclass(frozen=True, slots=True)
class Woken:
    """The user is back after having been asleep."""


Event: TypeAlias = (
    Frame
    | PartialTranscript
    | PauseScored
    | FinalTranscript
    | TranscriptFailed
    | ReplyReady
    | ReplyEnded
    | ReplyFailed
    | ReplyWords
    | PlaybackEnded
    | TalkPressed
    | TalkReleased
    | Committed
    | Cleared
    | ReplyAsked
    | ReplyJoined
    | Cancelled
    | RulesChanged
    | IdlePassed
    | Woken
)


# What is to be done, in this order


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """Begin to transcribe the user's sound, from `from_ms` on."""

    turn: int
    from_ms: int


@dataclass(frozen=True, slots=True)
class CloseUtterance:
    """No more sound belongs to it: its final transcript is wanted."""

    turn: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class DropUtterance:
    """It was nothing: no transcript of it is wanted."""

    turn: int


@dataclass(frozen=True, slots=True)
class TellSpeechStarted:
    """The user has begun to speak, and is not ignored."""

    turn: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class TellSpeechStopped:
    turn: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class ScorePause:
    """Find out whether the turn sounds complete, and tell it by `PauseScored`."""

    turn: int
    ended_ms: int
    """Where speech ended."""
    at_ms: int
    """Up to there its sound may be listened to."""


@dataclass(frozen=True, slots=True)
class KeepUtterance:
    """The final transcript: these words are the user's and enter the conversation."""

    turn: int
    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class PrepareReply:
    """Ask the chat model, and speak what it writes; nothing of it is heard before `ReleaseReply`."""

    reply: int
    turn: int | None
    """The turn it answers; None when it was asked for without one."""
    text: str
    """The turn's words as understood so far; "" when they, and all others, are in the conversation already."""


@dataclass(frozen=True, slots=True)
class DropReply:
    """It was prepared in vain; nobody heard of it."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """What there is of it, and all that comes, may be heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class HoldReply:
    """Be silent in the midst of it, ready to go on: somebody seems to interrupt."""

    reply: int


@dataclass(frozen=True, slots=True)
class ResumeReply:
    """Go on where it was held: it was no interruption."""

    reply: int


@dataclass(frozen=True, slots=True)
class CutReply:
    """End it now; what was heard of it is what the conversation remembers."""

    reply: int
    interrupted: bool
    """By the user's voice; else it was cancelled, or another reply was asked for."""


@dataclass(frozen=True, slots=True)
class AskWhetherThere:
    """Nobody has spoken for a while: ask, once."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nobody is there: release the microphone."""


Action: TypeAlias = (
    OpenUtterance
    | CloseUtterance
    | DropUtterance
    | TellSpeechStarted
    | TellSpeechStopped
    | ScorePause
    | KeepUtterance
    | PrepareReply
    | DropReply
    | ReleaseReply
    | HoldReply
    | ResumeReply
    | CutReply
    | AskWhetherThere
    | Sleep
)
