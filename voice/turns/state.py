"""What `voice.turns` knows of a conversation between two events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from voice.turns.events import Action, Phase, Rules
from voice.turns.interruptions import Weight
from voice.turns.voice_edges import VoiceEdges

Actions: TypeAlias = list[Action]
"""To which a function adds what is to be done."""

COVER_TOLERANCE_MS = 200
"""A partial transcript that ends so shortly before the speech has all its words: voice detectors hear a voice fade away
100 to 200 ms longer than recognisers do."""
UNTOLD_LAG_MS = 350
"""Where an engine does not tell which sound a partial is of: partials are some 300 ms behind the voice (Azure)."""


@dataclass(frozen=True, slots=True)
class Utterance:
    turn: int
    onset_ms: int
    """Where its speech begins."""
    told: bool = False
    """Whether it is known to be a turn; else it is being weighed, quietly."""
    manual: bool = False
    """Ends by `TalkReleased`, not by silence."""
    over_reply: bool = False
    """Whether a reply was heard as it began."""
    sustained: bool = False
    """Whether it is more than a cough, and for all that is known yet an interruption."""
    text: str = ""
    """Its words so far."""
    text_end_ms: int | None = None
    weight: Weight = Weight.NO_WORDS
    """Of `text`."""
    scored_ms: int | None = None
    """Where its speech had ended before the pause that was asked about last."""
    completeness: float | None = None
    """Probability that it is complete, by the sound up to there; None while nothing is known."""
    wasted: int = 0
    """Replies prepared for it in vain."""
    ended_ms: int = 0
    """Where its speech ended, once it is closed."""
    wants_reply: bool = False
    """Whether its end asks for a reply, once it is closed."""

    def is_covered(self, ended_ms: int, silence_ms: int) -> bool:
        """Whether `text` has all the words up to the end of speech, as far as can be known."""
        if self.text_end_ms is None:
            return silence_ms >= UNTOLD_LAG_MS
        return self.text_end_ms >= ended_ms - COVER_TOLERANCE_MS

    def completeness_at(self, ended_ms: int) -> float | None:
        """The hint about the pause after speech that ended there, if there is one."""
        return self.completeness if self.scored_ms == ended_ms else None


@dataclass(frozen=True, slots=True)
class Reply:
    number: int
    turn: int | None
    guess: str = ""
    """The words it was prepared on before they were final; "" when its words are in the conversation."""
    prepared: bool = True
    """Else it was asked for, and waits for the words it is to answer."""
    released: bool = False
    ready: bool = False
    held: bool = False
    answers: bool = True
    """Whether there is something that it answers, for all that is known yet."""
    heard: bool = False
    """Whether something of it could be heard."""


@dataclass(frozen=True, slots=True)
class State:
    rules: Rules = field(default_factory=Rules)
    voice: VoiceEdges = field(default_factory=VoiceEdges)
    """Where speech begins and ends. It stands still while nobody speaks."""
    taken_ms: int = 0
    """Up to there the sound belongs to turns."""
    open: Utterance | None = None
    """The one that goes on."""
    awaited: tuple[Utterance, ...] = ()
    """Closed ones, whose final transcripts are to come, oldest first."""
    reply: Reply | None = None
    """The current one. There is never another."""
    unanswered: int | None = None
    """The last turn that was kept, unless a reply to it was heard."""
    owed: bool = False
    """Whether a reply is due as soon as nobody speaks and all words are known."""
    spoken: str = ""
    """What was played of the last released reply."""
    echoes: bool = False
    """Whether replies are heard at the user's microphone: then sound alone does not hold one, only words end it."""
    asked_idle: bool = False
    """Whether nothing has happened since `IdlePassed`; aloud or not."""
    asleep: bool = False
    next_turn: int = 1
    next_reply: int = 1

    @property
    def phase(self) -> Phase:
        if self.open is not None and self.open.told:
            return Phase.HEARING
        if self.reply is not None and self.reply.heard:
            return Phase.SPEAKING
        if self.is_engaged:
            return Phase.THINKING
        return Phase.ASLEEP if self.asleep else Phase.LISTENING

    @property
    def is_engaged(self) -> bool:
        """Whether a reply is under way, or will be by what was said already."""
        return self.reply is not None or self.owed or any(heard.wants_reply for heard in self.awaited)

    @property
    def live_turns(self) -> frozenset[int]:
        """Those that anything to come may be about."""
        of_user = [heard.turn for heard in (*self.awaited, self.open) if heard is not None]
        answered = [self.unanswered, self.reply.turn if self.reply is not None else None]
        return frozenset(turn for turn in (*of_user, *answered) if turn is not None)

    def find(self, turn: int) -> Utterance | None:
        """The utterance of that turn, if it is open or its final transcript is to come."""
        if self.open is not None and self.open.turn == turn:
            return self.open
        return next((heard for heard in self.awaited if heard.turn == turn), None)

    def put(self, heard: Utterance) -> State:
        """The same with `heard` in place of what is known of its turn."""
        if self.open is not None and self.open.turn == heard.turn:
            return replace(self, open=heard)
        return replace(self, awaited=tuple(heard if it.turn == heard.turn else it for it in self.awaited))
