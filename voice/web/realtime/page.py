"""What the page's own script gets and says beyond the Realtime protocol: events named `kaiwa.*`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from voice import texts
from voice.engines import EngineError
from voice.live import LiveLimits
from voice.live.events import (
    FellAsleep,
    FinalHeard,
    HearingFailed,
    LiveEvent,
    Noted,
    PartialHeard,
    PhaseChanged,
    ReplyCut,
    ReplyDone,
    ReplyHeld,
    ReplyResumed,
    ReplySpoke,
    ReplyStarted,
)
from voice.session import Preferences, Session
from voice.session_events import Began, TurnEvent
from voice.turns.events import Cancelled, Patience, Rules, RulesChanged, TalkPressed, TalkReleased, Woken
from voice.web.realtime.events import CLIENT_EVENTS, ServerEvent, make_event
from voice.web.realtime.live_transcript import LiveTranscript
from voice.web.realtime.talk import Talk
from voice.web.realtime.words import WordTimes


class Played(BaseModel):
    type: Literal["kaiwa.played"]
    item_id: str
    ms: int = Field(ge=0)
    """Of the item's sound."""
    started: bool = True
    ended: bool = False


class Talking(BaseModel):
    """Push to talk."""

    type: Literal["kaiwa.talk"]
    pressed: bool


class Mode(BaseModel):
    type: Literal["kaiwa.mode"]
    mode: Literal["hands_free", "push_to_talk"]
    patience: Patience
    muted: bool = False
    """Whether the sound is silence: the user muted the microphone, or the recorder has it."""


class Wake(BaseModel):
    type: Literal["kaiwa.wake"]


class Return(BaseModel):
    """The page is back from a connection that was lost. One whose user ended the conversation says nothing of it."""

    type: Literal["kaiwa.return"]


PAGE_EVENTS: Mapping[str, type[BaseModel]] = {
    "kaiwa.played": Played,
    "kaiwa.talk": Talking,
    "kaiwa.mode": Mode,
    "kaiwa.wake": Wake,
    "kaiwa.return": Return,
}


class PageTalk(Talk):
    """A page's."""

    kinds: ClassVar[Mapping[str, type[BaseModel]]] = {**CLIENT_EVENTS, **PAGE_EVENTS}

    def __init__(
        self,
        session: Session,
        send: Callable[[ServerEvent], None],
        rules: Rules,
        limits: LiveLimits,
        seconds: float,
        observe: Callable[[LiveEvent], None],
        greeting: str = "",
    ) -> None:
        """`rules`: at first. `greeting`: what a conversation begins with in which nothing was said."""
        super().__init__(session, send, rules, limits, seconds, observe, tells_times=True)
        self._seconds = seconds
        self._greeting = greeting
        self._words = WordTimes()
        self._transcript = LiveTranscript(session)

    def choose_rules(self) -> Rules:
        """The page's own `kaiwa.mode` decides."""
        return self._usual_rules

    def cancel(self, name: str | None) -> str:
        """On the page *stop* is there while a reply is still thought of, too."""
        if self.replies.active is None:
            self.live.tell(Cancelled())
            return ""
        return super().cancel(name)

    def choose_preferences(self) -> Preferences:
        """What the user has chosen on the page."""
        return self.session.preferences

    def begin(self) -> None:
        super().begin()
        self.session.watch(self)
        self._notify("limits", session_seconds=self._seconds)
        self.show_lines()
        if self._greeting and not self.session.lines:
            self.live.greet(self._greeting)

    def end(self) -> None:
        self.session.unwatch(self)
        self.session.owes_reply = self.live.owes_reply

    def carry_out(self, event: BaseModel) -> None:
        match event:
            case Played():
                reply = self.replies.find(event.item_id)
                if reply is not None:
                    self.live.report_played(reply, event.ms, event.ended)
            case Talking(pressed=True):
                self.live.tell(TalkPressed(self.live.heard_ms))
            case Talking():
                self.live.tell(TalkReleased(self.live.heard_ms))
            case Mode():
                hands_free = event.mode == "hands_free"
                rules = replace(
                    self.live.rules, hands_free=hands_free, patience=event.patience, muted=event.muted
                )
                self.live.tell(RulesChanged(rules))
            case Wake():
                self.live.tell(Woken())
            case Return():
                self._answer_late()
            case _:
                super().carry_out(event)

    def show(self, event: LiveEvent) -> None:
        super().show(event)
        match event:
            case PhaseChanged(phase=phase):
                self._notify("phase", phase=phase.value)
            case PartialHeard(turn=turn, text=text):
                self._notify("caption", turn=turn, text=text, final=False)
            case FinalHeard(turn=turn, text=text):
                self._notify("caption", turn=turn, text=text, final=True)
            case ReplyStarted():
                self._words.begin()
            case ReplySpoke(reply=reply, speech=speech):
                if words := self._words.place(speech):
                    item = self.replies.name(reply)
                    self._notify("words", item_id=item, first=self._words.first, words=words)
            case ReplyHeld(reply=reply) | ReplyResumed(reply=reply):
                kind = "hold" if isinstance(event, ReplyHeld) else "resume"
                self._notify(kind, item_id=self.replies.name(reply))
            case ReplyCut(reply=reply):
                self._notify("cut", item_id=self.replies.name(reply))
            case HearingFailed(turn=turn, error=error):
                self._notify("caption", turn=turn, text="", final=True, failed=True)
                self._explain(error)
            case ReplyDone(error=EngineError() as error):
                self._explain(error)
            case Noted() | FellAsleep():
                self._note(event)
            case _:
                pass

    def see_turn(self, event: Began | TurnEvent) -> None:
        """What of a turn by recording or keyboard is to be heard, the live conversation tells."""

    def see_line(self, _: int) -> None:
        self.show_lines()

    def show_lines(self) -> None:
        first, messages = self._transcript.change()
        self._notify("transcript", first=first, messages=messages)

    def _answer_late(self) -> None:
        """What was asked just before the connection was lost."""
        owed, self.session.owes_reply = self.session.owes_reply, False
        last = self.session.conversation.items[-1:]
        is_asked = any(item.message.role == "user" and item.message.content for item in last)
        if owed and is_asked and not self.session.is_busy and not self.live.is_replying:
            self.live.ask_reply()

    def _notify(self, kind: str, **fields: Any) -> None:
        self.send(make_event(f"kaiwa.{kind}", **fields))

    def _explain(self, error: EngineError) -> None:
        self.send(make_notice("error", texts.say(error.sentence, self.language, **error.details)))

    def _note(self, event: Noted | FellAsleep) -> None:
        if isinstance(event, Noted):
            preferred, answered = event.switch.preferred, event.switch.answered
            sentence = texts.say("engine_switched", self.language, preferred=preferred, answered=answered)
        else:
            sentence = texts.say("fell_asleep", self.language)
        self.send(make_notice("info", sentence))


def make_notice(level: Literal["info", "error"], text: str) -> ServerEvent:
    """A sentence for the user."""
    return make_event("kaiwa.notice", level=level, text=text)
