"""The other side of a live conversation: replies, from their preparation to the last that is heard of them."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

import anyio

from voice.engines import BadInput, EngineError, Message, ReplyPiece
from voice.languages import language_of
from voice.live.events import (
    LiveEvent,
    Noted,
    ReplyCalled,
    ReplyCut,
    ReplyDone,
    ReplyHeld,
    ReplyResumed,
    ReplySpoke,
    ReplyStarted,
    ReplyWrote,
)
from voice.live.hearing import Hearing
from voice.live.joined import JoinedReply
from voice.live.record import Record
from voice.live.reply import Reply, ReplyWish, Start
from voice.live.turn_clock import tell_times
from voice.session import PERSONA_CHARACTERS, Session
from voice.session_events import Finished, Heard, Stopped, TurnEvent
from voice.speaking import SpokenBy
from voice.turns.events import (
    Cancelled,
    CutReply,
    DropReply,
    Event,
    HoldReply,
    PlaybackEnded,
    PrepareReply,
    ReleaseReply,
    ReplyJoined,
    ReplyWords,
    ResumeReply,
)

ReplyAction: TypeAlias = PrepareReply | DropReply | ReleaseReply | HoldReply | ResumeReply | CutReply
REPLIES_KEPT = 32
"""Released ones, so that a client can cut them still. It cuts what it has just played; older ones were heard."""
TIMER_SLACK_SECONDS = 0.001
"""A timer may fire a clock tick early."""


class Replying:
    def __init__(
        self,
        session: Session,
        hearing: Hearing,
        record: Record,
        emit: Callable[[LiveEvent], None],
        tell: Callable[[Event], None],
        start: Start,
    ) -> None:
        """`start`: begins a task that ends with the conversation."""
        self.wish = ReplyWish()
        """What every reply is like unless it is asked for otherwise."""
        self.current: Reply | None = None
        """The one that is released, until it is cut or all of it was heard."""
        self._session = session
        self._hearing = hearing
        self._record = record
        self._emit = emit
        self._tell = tell
        self._start = start
        self._replies: dict[int, Reply] = {}
        self._wishes: dict[int, ReplyWish] = {}
        self._set_texts: dict[int, str] = {}
        self._joined: JoinedReply | None = None  # the last one

    def expect(self, number: int, wish: ReplyWish | None, text: str | None = None) -> None:
        """A reply of that number will be asked for. `text`: what it says, if no chat model is to write it."""
        self._wishes[number] = wish or self.wish
        if text is not None:
            self._set_texts[number] = text

    def join(self, number: int, item: str) -> None:
        """A reply of that number will be released that the session makes, to a typed line or a recording."""
        self._record.leave_to_session(item)
        self._joined = JoinedReply(number, item, self._session, self._tell, self._pass_on)
        self._replies[number] = self._joined

    def follow(self, event: TurnEvent) -> None:
        """What the session tells of the turn whose reply joined last."""
        reply = self._joined
        if reply is None:
            return
        reply.follow(event)
        if isinstance(event, Heard):
            self._record.find_reply(reply.item, self._session.reply_line)
            self._tell(ReplyJoined(reply.number))
        elif isinstance(event, (Finished, Stopped)):
            self._joined = None
            if reply.cut_ms is not None:
                self._settle(reply, reply.cut_ms)
            elif reply is self.current and isinstance(event, Stopped):
                self._tell(Cancelled())

    def carry_out(self, action: ReplyAction) -> None:
        match action:
            case PrepareReply():
                self._prepare(action)
            case DropReply(number):
                self._drop(number)
            case ReleaseReply(number):
                self._release(self._replies[number])
            case HoldReply(number):
                if (reply := self._replies[number]).playback:
                    reply.playback.hold(anyio.current_time())
                self._emit(ReplyHeld(number))
            case ResumeReply(number):
                if (reply := self._replies[number]).playback:
                    reply.playback.resume(anyio.current_time())
                self._emit(ReplyResumed(number))
            case CutReply(number, interrupted):
                self._cut(self._replies[number], interrupted)

    def finish(self, number: int) -> None:
        """Nothing more will be written or spoken of it."""
        reply = self._replies.get(number)
        if reply is None or reply is not self.current:
            return  # it is told when it is released
        self._record.write_reply(reply.item, reply.text)
        self._record.end_reply(
            reply.item, reply.error, reply.notes, breaks_off=reply.incomplete == "max_output_tokens"
        )
        said = self._hearing.find(reply.turn)
        if reply.error and said and not reply.text.strip() and not reply.calls:
            # As after a turn by keyboard: a model must not answer it later, a filter not stop at it for ever.
            self._record.withdraw(said.item)
        self._emit(
            ReplyDone(
                number,
                reply.status,
                error=reply.error,
                incomplete=reply.incomplete,
                usage=reply.usage,
            )
        )
        reply.told_end = True

    def report_played(self, number: int, ms: int, ended: bool) -> None:
        reply = self.current
        if reply is None or reply.number != number or reply.playback is None:
            return
        playback = reply.playback
        playback.report(ms, anyio.current_time())
        if playback.began is not None and reply.clock.heard is None:
            reply.clock.heard = playback.began
            self._tell_times(reply)
        if ended and reply.told_end and not playback.is_held:
            self._tell_words(reply, math.inf)
            self._end_playback(reply)

    def find_item(self, item: str) -> Reply:
        """Raises KeyError when it is no reply's with sound, or one's before the last `REPLIES_KEPT`."""
        for reply in self._replies.values():
            if reply.item == item and reply.released and reply.aloud:
                return reply
        raise KeyError(item)

    def cut_text(self, reply: Reply, ms: float) -> str:
        """The reply, which is over, was heard up to there."""
        if isinstance(reply, JoinedReply) and not reply.is_written:
            reply.cut_ms = ms
            return reply.heard(ms)
        return self._record.cut_reply(reply.item, reply.heard(ms), reply.is_whole(ms))

    @property
    def next_moment(self) -> float:
        """When `pass_time` has something to do."""
        reply = self.current
        if reply is None or reply.playback is None:
            return math.inf
        ends = reply.playback.ends if reply.told_end else math.inf
        phrase_ms = reply.spoken.start_of(reply.phrases_heard)
        return min(ends, math.inf if phrase_ms is None else reply.playback.when(phrase_ms))

    def pass_time(self) -> None:
        """Tell the words that begin to be heard, and the end of what is."""
        reply, now = self.current, anyio.current_time() + TIMER_SLACK_SECONDS
        if reply is None or reply.playback is None:
            return
        self._tell_words(reply, now)
        if reply.told_end and reply.playback.ends <= now:
            self._end_playback(reply)

    def leave(self) -> None:
        """The conversation ends, and with it whatever is being said."""
        for reply in self._replies.values():
            if isinstance(reply, JoinedReply):
                # What nobody has heard of yet is read; what is still being written, the session goes on with.
                if reply is self.current and reply.is_written and reply.heard(reply.played_ms):
                    self._stop(reply)
                continue
            if reply is self.current:
                self._stop(reply)
            reply.stop()

    def _prepare(self, action: PrepareReply) -> None:
        number, preferences = action.reply, self._session.preferences
        wish = self._wishes.get(number, self.wish)
        language = self._language_of(action.text)
        engines = self._session.engines
        name = preferences.voice if wish.voice is None else wish.voice
        voice = SpokenBy(engines.text_to_speech, name, wish.speed or preferences.speed, language)
        reply = Reply(
            number, action.turn, voice if wish.aloud else None, self._tell, self._pass_on, self._emit_note
        )
        reply.guessed = bool(action.text)
        self._replies[number] = reply
        pieces: AsyncGenerator[ReplyPiece, None]
        if number in self._set_texts:
            pieces = _recite(self._set_texts.pop(number))
        elif wish.instructions is None and len(preferences.persona) > PERSONA_CHARACTERS:
            pieces = _fail(BadInput("persona_too_long", limit=PERSONA_CHARACTERS))
        else:
            prompt = self._session.prompt(action.text, language, preferences.persona, wish.instructions)
            pieces = engines.chat.reply(prompt, wish.options)
        self._start(reply.run, pieces)

    def _language_of(self, said: str) -> str:
        usual = self._session.spoken or self._session.language
        messages = [item.message for item in self._session.conversation.items]
        last = next((each.content for each in reversed(messages) if _has_words(each)), "")
        return self._session.preferences.language or language_of(said or last, usual)

    def _drop(self, number: int) -> None:
        self._set_texts.pop(number, None)
        reply = self._replies.pop(number, None)
        if reply is not None:
            reply.stop()
            if reply.guessed and (said := self._hearing.find(reply.turn)):
                said.clock.wasted_replies += 1
        if self._wishes.pop(number, None):
            # It was asked for by name, so somebody waits to be told.
            missed = reply or Reply(number, None, None, self._tell, self._pass_on, self._emit_note)
            self._emit(ReplyStarted(number, missed.item, missed.turn))
            self._emit(ReplyDone(number, "cancelled"))

    def _release(self, reply: Reply) -> None:
        self.current = reply
        self._wishes.pop(reply.number, None)
        self._record.open_reply(reply.item, reply.text)
        self._emit(ReplyStarted(reply.number, reply.item, reply.turn, isinstance(reply, JoinedReply)))
        for switch in reply.notes:
            self._emit(Noted(switch))
        reply.release()
        self._forget_old()
        if reply.ended:
            self.finish(reply.number)

    def _forget_old(self) -> None:
        released = [number for number, reply in self._replies.items() if reply.released]
        for number in released[:-REPLIES_KEPT]:
            del self._replies[number]

    def _pass_on(self, reply: Reply, event: ReplyWrote | ReplySpoke | ReplyCalled) -> None:
        if isinstance(event, ReplyCalled):
            self._record.add_call(event.item, event.call)
        elif isinstance(event, ReplyWrote):
            self._record.write_reply(reply.item, reply.text)
        self._emit(event)
        if not reply.told_times and (reply.mute or isinstance(event, ReplySpoke)):
            reply.told_times = True
            self._tell_times(reply)

    def _cut(self, reply: Reply, interrupted: bool) -> None:
        if isinstance(reply, JoinedReply):
            self._cut_joined(reply, interrupted)
        else:
            self._stop(reply)
        if interrupted:
            reply.clock.mark("interrupted", anyio.current_time())
            if reply.told_times:
                self._tell_times(reply)
        if reply.told_end:
            self._emit(ReplyCut(reply.number))
        else:
            self._emit(ReplyDone(reply.number, "cancelled", interrupted, usage=reply.usage))

    def _cut_joined(self, reply: JoinedReply, interrupted: bool) -> None:
        reply.interrupted = interrupted
        ms = reply.played_ms
        if reply.is_written:
            reply.stop()
            self._settle(reply, ms)
        else:
            self._stop(reply)
            if interrupted and reply.said and not reply.heard(ms):
                # It is to be answered yet, maybe before the session's turn has come to its end.
                reply.asked_item = self._session.conversation.add(Message("user", reply.said)).id
        if reply is self.current:
            self.current = None

    def _settle(self, reply: JoinedReply, ms: float) -> None:
        """The session has written down what it will of this reply: keep what was heard, and what that answers."""
        conversation = self._session.conversation
        asked = conversation.before(reply.item) if conversation.find(reply.item) else None
        if asked is not None:
            self._record.withdraw(reply.asked_item)  # it stands there twice
        if not self.cut_text(reply, ms) and not reply.interrupted and asked is not None:
            self._record.withdraw(asked)  # stopped before it was heard: a model must not answer it later

    def _stop(self, reply: Reply) -> None:
        reply.stop()
        self.cut_text(reply, reply.played_ms)
        if reply is self.current:
            self.current = None

    def _tell_words(self, reply: Reply, now: float) -> None:
        playback = reply.playback
        while (start_ms := reply.spoken.start_of(reply.phrases_heard)) is not None:
            if playback is None or playback.when(start_ms) > now:
                return
            reply.phrases_heard += 1
            self._tell(ReplyWords(reply.number, reply.spoken.phrase(reply.phrases_heard - 1)))

    def _end_playback(self, reply: Reply) -> None:
        self.current = None
        self._tell(PlaybackEnded(reply.number))

    def _tell_times(self, reply: Reply) -> None:
        said = self._hearing.find(reply.turn)
        if said is not None and reply.turn is not None:
            self._emit(tell_times(reply.turn, reply.number, said.clock, reply.clock))

    def _emit_note(self, reply: Reply) -> None:
        if reply.released:
            self._emit(Noted(reply.notes[-1]))


def _has_words(message: Message) -> bool:
    return message.role == "user" and bool(message.content)


async def _recite(text: str) -> AsyncGenerator[ReplyPiece, None]:
    yield text


async def _fail(error: EngineError) -> AsyncGenerator[ReplyPiece, None]:
    raise error
    yield  # makes it a generator
