"""Whatever happens in whatever order: one reply at a time, nothing of dead ones, and every turn ends."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from voice.turns import State, start, step
from voice.turns import events as t

WORDS = st.sampled_from(
    [
        "",
        "うん",
        "uh-huh",
        "待って",
        "the weather is",
        "hello",
        "Hello.",
        "hello there",
        "今日は",
        "お願いします",
    ]
)
NUMBERS = st.integers(0, 12)
RULES = st.builds(
    t.Rules,
    hands_free=st.sampled_from([True, True, True, False]),
    muted=st.booleans(),
    patience=st.sampled_from(t.Patience),
    silence_ms=st.sampled_from([None, None, 200, 500]),
    replies=st.sampled_from([True, True, True, False]),
    interrupts=st.sampled_from([True, True, True, False]),
    weighs_interruptions=st.sampled_from([True, True, False]),
    eager=st.booleans(),
    eager_replies=st.integers(0, 3),
    scores_pauses=st.booleans(),
)


class Conversation(RuleBasedStateMachine):
    """Any events at all, while all that is promised to `voice.turns` is kept in the end."""

    @initialize(rules=RULES)
    def begin(self, rules: t.Rules) -> None:
        self.state: State = start(rules)
        self.now = 0
        self.opened: int | None = None
        self.is_told = False
        self.turns = 0
        self.closed: set[int] = set()
        """Turns whose transcript is still to come."""
        self.joined: int | None = None
        """The reply that is made elsewhere and was not released yet."""
        self.asked: int | None = None
        """The reply that was asked for and not prepared yet."""
        self.prepared: int | None = None
        self.released: int | None = None
        self.is_held = False
        self.replies = 0
        self.scored: set[tuple[int, int]] = set()
        """The pauses that were asked about."""
        self.owed: set[int | None] = set()
        """Turns that ended and must be answered."""
        self.answered: set[int | None] = set()
        """Turns that the released reply answers, while it was not heard."""

    # The engines, and whoever else may tell something

    @rule(probability=st.sampled_from([0.0, 0.0, 0.3, 0.95, 0.95]), count=st.integers(1, 40))
    def hear(self, probability: float, count: int) -> None:
        for _ in range(count):
            self.now += 32
            self.tell(t.Frame(self.now, probability))

    @precondition(lambda self: self.state.rules.hands_free)
    @rule(text=WORDS, is_heard=st.booleans(), later=st.sampled_from([0, 0, 10, 60]))
    def take_a_turn(self, text: str, is_heard: bool, later: int) -> None:
        """What hardly comes about by chance: a whole turn, up to its reply's beginning."""
        self.hear(0.95, 25)
        if self.opened is not None:
            self.tell(t.PartialTranscript(self.opened, text, self.now))
        self.hear(0.0, 50)
        for turn in self.live_turns:
            self.tell(t.FinalTranscript(turn, text or "hello"))
        if is_heard:
            self.tell(t.ReplyReady(self.replies))
        if later:
            self.hear(0.0, later)

    @precondition(lambda self: self.released is not None)
    @rule(count=st.sampled_from([4, 8, 15, 30]), text=WORDS, pause=st.sampled_from([0, 8, 16, 30]))
    def speak_over_the_reply(self, count: int, text: str, pause: int) -> None:
        self.hear(0.95, count)
        if text and self.opened is not None:
            self.tell(t.PartialTranscript(self.opened, text, self.now))
        if pause:
            self.hear(0.0, pause)

    @rule(turn=NUMBERS, text=WORDS)
    def tell_late_output(self, turn: int, text: str) -> None:
        for event in (
            t.PartialTranscript(turn, text),
            t.FinalTranscript(turn, text),
            t.TranscriptFailed(turn),
        ):
            if turn not in self.closed and turn != self.opened:
                self.tell(event)

    @precondition(lambda self: self.opened is not None or self.closed)
    @rule(data=st.data(), text=WORDS, lag_ms=st.sampled_from([None, 0, 300]))
    def understand(self, data: st.DataObject, text: str, lag_ms: int | None) -> None:
        end_ms = None if lag_ms is None else self.now - lag_ms
        self.tell(t.PartialTranscript(data.draw(st.sampled_from(self.live_turns)), text, end_ms))

    @precondition(lambda self: self.scored)
    @rule(data=st.data(), probability=st.floats(0, 1))
    def score(self, data: st.DataObject, probability: float) -> None:
        turn, ended_ms = data.draw(st.sampled_from(sorted(self.scored)))
        self.tell(t.PauseScored(turn, ended_ms, probability))

    @precondition(lambda self: self.opened is not None or self.closed)
    @rule(data=st.data(), text=WORDS, fails=st.sampled_from([False, False, False, True]))
    def transcribe(self, data: st.DataObject, text: str, fails: bool) -> None:
        turn = data.draw(st.sampled_from(self.live_turns))
        self.tell(t.TranscriptFailed(turn) if fails else t.FinalTranscript(turn, text, "en"))

    @rule(
        kind=st.sampled_from([t.ReplyReady, t.ReplyEnded, t.ReplyFailed, t.PlaybackEnded]),
        back=st.sampled_from([0, 0, 0, 1, 2, -3]),
    )
    def follow_reply(self, kind: Any, back: int) -> None:
        self.tell(kind(self.replies - back))

    @rule(text=WORDS)
    def speak(self, text: str) -> None:
        self.tell(t.ReplyWords(self.replies, text))

    @rule(
        event=st.sampled_from([t.TalkPressed, t.TalkReleased, t.Cleared, t.Committed]),
        ms=st.integers(0, 1000),
    )
    def press(self, event: Any, ms: int) -> None:
        self.tell(t.Committed(self.now, max(0, self.now - ms)) if event is t.Committed else event(self.now))

    @rule(event=st.sampled_from([t.Cancelled(), t.IdlePassed(), t.Woken()]))
    def say_so(self, event: t.Event) -> None:
        self.tell(event)

    @rule(rules=RULES)
    def change_rules(self, rules: t.Rules) -> None:
        self.tell(t.RulesChanged(rules))

    @rule(is_stale=st.sampled_from([False, False, True]), answers=st.booleans())
    def ask(self, is_stale: bool, answers: bool) -> None:
        self.tell(t.ReplyAsked(self.state.next_reply - is_stale, answers))

    @rule(is_late=st.sampled_from([False, False, False, True]), is_known=st.booleans())
    def type_a_line(self, is_late: bool, is_known: bool) -> None:
        """Its reply is made elsewhere."""
        self.tell(t.ReplyJoined(self.state.next_reply - is_late, is_known))

    # What is done about it

    @property
    def live_turns(self) -> list[int]:
        return sorted(self.closed | ({self.opened} if self.opened is not None else set()))

    def tell(self, event: t.Event) -> None:
        before = self.state
        match event:
            case t.ReplyAsked(number) if number >= before.next_reply:
                self.asked = self.replies = number
            case t.ReplyJoined(number) if number >= before.next_reply:
                self.joined = self.replies = number
            case t.Cancelled():
                self.owed.clear()
            case t.TranscriptFailed(turn):
                self.closed.discard(turn)
            case t.PlaybackEnded(reply) if reply == self.released:
                self.released, self.is_held = None, False
                self.answered.clear()
        self.state, actions = step(before, event)
        assert (self.state, actions) == step(before, event)
        for action in actions:
            self.check(action, before)
        assert self.joined is None
        match event:
            case t.FinalTranscript(turn):
                self.closed.discard(turn)
            case t.Cancelled():
                self.owed.clear()

    def check(self, action: t.Action, before: State) -> None:
        match action:
            case t.OpenUtterance(turn, from_ms):
                assert self.opened is None
                assert turn == self.turns + 1
                assert 0 <= from_ms <= self.now
                self.opened, self.is_told, self.turns = turn, False, turn
            case t.TellSpeechStarted(turn):
                assert turn == self.opened
                assert not self.is_told
                self.is_told = True
            case t.TellSpeechStopped(turn):
                assert turn == self.opened
                assert self.is_told
                self.is_told = False
            case t.ScorePause(turn, ended_ms, at_ms):
                assert turn == self.opened
                assert self.state.rules.hands_free
                assert self.state.rules.silence_ms is None
                assert 0 < ended_ms < at_ms <= self.now
                assert (turn, ended_ms) not in self.scored
                self.scored.add((turn, ended_ms))
            case t.CloseUtterance(turn):
                assert turn == self.opened
                assert not self.is_told
                self.opened = None
                self.closed.add(turn)
            case t.DropUtterance(turn):
                assert turn in self.live_turns
                assert turn != self.opened or not self.is_told
                self.opened = None if turn == self.opened else self.opened
                self.closed.discard(turn)
            case t.KeepUtterance(turn):
                assert turn in self.closed
                self.closed.remove(turn)
                closed = before.find(turn)
                if closed is not None and (
                    closed.wants_reply or (before.open is closed and before.rules.replies)
                ):
                    self.owed.add(turn)
            case t.PrepareReply(reply, turn, text):
                assert self.closed <= {turn}  # else it would not know their words
                assert (turn in self.live_turns) == bool(text)
                assert self.prepared is None
                assert self.released is None
                assert reply > self.replies or reply == self.asked
                self.prepared, self.asked, self.replies = reply, None, reply
            case t.ReleaseReply(reply) if reply == self.joined:
                assert self.prepared is None
                assert self.released is None
                self.joined, self.asked, self.released, self.is_held = None, None, reply, False
                self.answered, self.owed = set(self.owed), set()
            case t.ReleaseReply(reply):
                assert reply == self.prepared
                assert not self.closed
                self.prepared, self.released, self.is_held = None, reply, False
                self.answered, self.owed = set(self.owed), set()
            case t.DropReply(reply):
                assert reply in {self.prepared, self.asked, before.reply and before.reply.number}
                if reply == self.prepared:
                    self.prepared = None
            case t.HoldReply(reply):
                assert reply == self.released
                assert not self.is_held
                self.is_held = True
            case t.ResumeReply(reply):
                assert reply == self.released
                assert self.is_held
                self.is_held = False
            case t.CutReply(reply, interrupted):
                assert reply == self.released
                if interrupted and self.state.rules.replies and before.reply and not before.reply.heard:
                    self.owed |= self.answered
                self.released, self.is_held = None, False
                self.answered = set()

    @invariant()
    def phases_agree_with_what_was_done(self) -> None:
        if not hasattr(self, "state"):
            return
        phase = self.state.phase
        assert (phase is t.Phase.HEARING) == (self.opened is not None and self.is_told)
        if phase is t.Phase.SPEAKING:
            assert self.released is not None
        if phase in {t.Phase.LISTENING, t.Phase.ASLEEP}:
            assert self.released is None
            assert not self.owed

    def teardown(self) -> None:
        """The user falls silent, and all that was promised comes: then every turn has ended, and was answered."""
        if not hasattr(self, "state"):
            return
        for _ in range(6):
            self.tell(t.TalkReleased(self.now))
            for _ in range(120):
                self.now += 32
                self.tell(t.Frame(self.now, 0.0))
            for turn in sorted(self.closed):
                self.tell(t.FinalTranscript(turn, "hello"))
            assert not self.is_held
            if self.released is not None:
                for event in (t.ReplyReady, t.ReplyEnded, t.PlaybackEnded):
                    self.tell(event(self.released))
        assert self.state.phase in {t.Phase.LISTENING, t.Phase.ASLEEP}
        assert self.opened is self.prepared is self.released is None
        assert not self.closed
        assert not self.owed
        assert not self.state.awaited


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
