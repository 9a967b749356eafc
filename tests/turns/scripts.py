"""Plays a scripted conversation to `voice.turns`, on the sound's own clock, with someone who carries its actions out."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

from voice.turns import State, start, step
from voice.turns import events as t

FRAME_MS = 32
SETTLING_MS = 12_000
"""Of silence after the script, in which all comes to its end."""

Line: TypeAlias = tuple[Any, ...]
"""What happens, and when in ms:

("speech", from, to)            somebody speaks
("score", at, probability)      the pause asked about last sounds complete, or not
("partial", at, text[, end])    of the turn opened last; `end` is how much sound it is of, by default up to 300 ms ago
("final", at, text[, turn])     of the turn closed first, unless told
("lost", at[, turn])            no transcript of it
("tell", at, event)             anything else
"""


@dataclass(frozen=True)
class Replies:
    """How replies go: their first sound comes `first_ms` after they are asked for, and they are `lasts_ms` long."""

    first_ms: int = 500
    lasts_ms: int = 2000
    words: str = ""
    failing: Mapping[int, int | None] = field(default_factory=dict)
    """By number: how many ms of it are to be heard before it fails; None: not even its beginning."""


@dataclass(frozen=True)
class Scenario:
    name: str
    script: tuple[Line, ...]
    expected: tuple[str, ...]
    """The actions in order, as `describe` tells them, each with "@ms " before it where the moment matters."""
    rules: t.Rules = field(default_factory=t.Rules)
    replies: Replies = field(default_factory=Replies)
    settles_as: t.Phase = t.Phase.LISTENING


def describe(action: t.Action) -> str:
    match action:
        case t.OpenUtterance():
            return f"open {action.turn}"
        case t.CloseUtterance():
            return f"close {action.turn}"
        case t.DropUtterance():
            return f"forget {action.turn}"
        case t.TellSpeechStarted():
            return f"started {action.turn}"
        case t.TellSpeechStopped():
            return f"stopped {action.turn}"
        case t.ScorePause():
            return f"score {action.turn}"
        case t.KeepUtterance():
            return f"keep {action.turn}: {action.text}"
        case t.PrepareReply():
            of = "" if action.turn is None else f" to {action.turn}"
            return f"prepare {action.reply}{of}" + (f": {action.text}" if action.text else "")
        case t.CutReply():
            return f"cut {action.reply}" + (", interrupted" if action.interrupted else "")
        case t.DropReply() | t.ReleaseReply() | t.HoldReply() | t.ResumeReply():
            return f"{type(action).__name__.removesuffix('Reply').lower()} {action.reply}"
        case t.AskWhetherThere():
            return "ask whether there"
        case t.Sleep():
            return "sleep"


class Stage:
    """Carries the actions out as `voice.turns` wants it, and writes them down."""

    def __init__(self, scenario: Scenario) -> None:
        self.state: State = start(scenario.rules)
        self.done: list[tuple[int, str]] = []
        self.phases: list[tuple[int, t.Phase]] = []
        self._scenario = scenario
        self._now = 0
        self._order = count()
        self._coming: list[tuple[int, int, Line]] = []
        self._opened = 0
        self._asked: t.ScorePause | None = None
        self._closed: list[int] = []
        self._left: dict[int, int] = {}
        """By reply that goes on: ms to be heard yet; all of them only once it is ready."""
        self._playing: int | None = None

    def play(self) -> None:
        speech = [line[1:] for line in self._scenario.script if line[0] == "speech"]
        for line in self._scenario.script:
            if line[0] != "speech":
                self._plan(line[1], line)
        last_ms = max(line[2] if line[0] == "speech" else line[1] for line in self._scenario.script)
        for self._now in range(FRAME_MS, last_ms + SETTLING_MS, FRAME_MS):
            for line in self._due():
                self._tell(*self._events(line))
            loud = any(begin < self._now <= end for begin, end in speech)
            self._tell(t.Frame(self._now, 0.95 if loud else 0.02))
            self._let_play()

    def _plan(self, at_ms: int, line: Line) -> None:
        heapq.heappush(self._coming, (at_ms, next(self._order), line))

    def _due(self) -> Iterator[Line]:
        while self._coming and self._coming[0][0] <= self._now:
            yield heapq.heappop(self._coming)[2]

    def _events(self, line: Line) -> Iterator[t.Event]:
        match line:
            case ("partial", at, text):
                yield t.PartialTranscript(self._opened, text, at - 300)
            case ("partial", _, text, end):
                yield t.PartialTranscript(self._opened, text, end)
            case ("score", _, probability) if self._asked is not None:
                yield t.PauseScored(self._asked.turn, self._asked.ended_ms, probability)
            case ("final", _, text, *turn):
                yield t.FinalTranscript(self._take_closed(turn), text)
            case ("lost", _, *turn):
                yield t.TranscriptFailed(self._take_closed(turn))
            case ("tell", _, event):
                yield event
            case ("ready", _, reply) if reply in self._left:
                if self._scenario.replies.failing.get(reply, 0) is None:
                    self._left[reply] = 0
                    yield t.ReplyFailed(reply)
                else:
                    yield t.ReplyReady(reply)
                    failing = reply in self._scenario.replies.failing
                    yield t.ReplyFailed(reply) if failing else t.ReplyEnded(reply)
            case ("ready", *_):
                pass
            case _:
                raise ValueError(f"Not a line of a script: {line}")

    def _take_closed(self, told: list[int]) -> int:
        turn = told[0] if told else self._closed[0] if self._closed else self._opened
        if turn in self._closed:
            self._closed.remove(turn)
        return turn

    def _tell(self, *events: t.Event) -> None:
        for event in events:
            if isinstance(event, t.ReplyJoined) and event.reply >= self.state.next_reply:
                self._begin(event.reply)
            self.state, actions = step(self.state, event)
            for action in actions:
                self.done.append((self._now, describe(action)))
                self._carry_out(action)
            if not self.phases or self.phases[-1][1] is not self.state.phase:
                self.phases.append((self._now, self.state.phase))

    def _carry_out(self, action: t.Action) -> None:
        match action:
            case t.OpenUtterance():
                self._opened = action.turn
            case t.ScorePause():
                self._asked = action
            case t.CloseUtterance():
                self._closed.append(action.turn)
            case t.DropUtterance() if action.turn in self._closed:
                self._closed.remove(action.turn)
            case t.PrepareReply():
                self._begin(action.reply)
            case t.ReleaseReply() | t.ResumeReply():
                self._playing = action.reply
            case t.HoldReply():
                self._playing = None
            case t.DropReply() | t.CutReply():
                self._left.pop(action.reply, None)
                self._playing = None if self._playing == action.reply else self._playing

    def _begin(self, reply: int) -> None:
        replies = self._scenario.replies
        self._left[reply] = replies.failing.get(reply, replies.lasts_ms) or 0
        self._plan(self._now + replies.first_ms, ("ready", 0, reply))

    def _let_play(self) -> None:
        reply, now = self._playing, self.state.reply
        if reply is None or now is None or now.number != reply:
            return
        failed = self._scenario.replies.failing.get(reply, 0) is None
        if now.heard:
            if self._scenario.replies.words and not self.state.spoken:
                self._tell(t.ReplyWords(reply, self._scenario.replies.words))
            self._left[reply] -= FRAME_MS
        if self._left[reply] <= 0 and (now.heard or failed):
            self._playing = None
            del self._left[reply]
            self._tell(t.PlaybackEnded(reply))
