"""The other side of `voice.turns`: replies are prepared, released when they are due, held, and ended."""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import assert_never

from voice.turns.events import (
    CutReply,
    DropReply,
    HoldReply,
    PlaybackEnded,
    PrepareReply,
    ReleaseReply,
    ReplyEnded,
    ReplyFailed,
    ReplyReady,
    ReplyWords,
    ResumeReply,
)
from voice.turns.interruptions import Weight
from voice.turns.state import Actions, Reply, State, Utterance


def release_due(state: State, do: Actions) -> State:
    """Release the reply that was asked for, or is owed, if nothing stands against it."""
    reply, heard = state.reply, state.open
    if state.awaited or (reply is not None and reply.released):
        return state
    is_asked = reply is not None and not reply.prepared
    if not is_asked:
        if not state.owed:
            return state
        if heard is not None and (
            heard.manual or (state.rules.interrupts and (heard.told or heard.sustained))
        ):
            return state
    if reply is not None and reply.guess:
        do.append(DropReply(reply.number))
        reply = None
    if reply is None:
        reply = Reply(state.next_reply, state.unanswered, prepared=False)
    if not reply.prepared:
        reply = replace(reply, turn=state.unanswered, prepared=True)
        do.append(PrepareReply(reply.number, reply.turn, ""))
    do.append(ReleaseReply(reply.number))
    return replace(
        state,
        reply=replace(reply, released=True, heard=reply.ready),
        next_reply=max(state.next_reply, reply.number + 1),
        unanswered=None,
        owed=False,
        spoken="",
    )


def prepare_early(state: State, heard: Utterance, do: Actions) -> State:
    """Prepare the reply on words that are not final."""
    rules = state.rules
    if not (rules.eager and rules.replies) or state.reply is not None:
        return state
    if heard.weight in {Weight.NO_WORDS, Weight.ECHO}:
        return state
    if heard.wasted >= rules.eager_replies or any(other.turn != heard.turn for other in state.awaited):
        return state  # it would not know the words that are still awaited
    if state.open is not heard and (state.open is not None or not heard.wants_reply):
        return state  # the turn is over, and another may have begun
    do.append(PrepareReply(state.next_reply, heard.turn, heard.text))
    reply = Reply(state.next_reply, heard.turn, guess=heard.text)
    return replace(state, reply=reply, next_reply=state.next_reply + 1)


def drop_early(state: State, turn: int, do: Actions) -> State:
    """Drop the reply that was prepared on that turn's words, if there is one."""
    reply, heard = state.reply, state.find(turn)
    if reply is None or reply.released or reply.turn != turn or not reply.guess:
        return state
    do.append(DropReply(reply.number))
    state = replace(state, reply=None)
    return state if heard is None else state.put(replace(heard, wasted=heard.wasted + 1))


def _fail_early(state: State, reply: Reply, do: Actions) -> State:
    """A prepared reply failed; the turn's next one waits for its final words."""
    heard = None if reply.turn is None else state.find(reply.turn)
    do.append(DropReply(reply.number))
    state = replace(state, reply=None)
    return state if heard is None else state.put(replace(heard, wasted=state.rules.eager_replies))


def follow_reply(
    state: State, event: ReplyReady | ReplyEnded | ReplyFailed | ReplyWords | PlaybackEnded, do: Actions
) -> State:
    reply = state.reply
    if reply is None or not reply.prepared or reply.number != event.reply:
        return state
    match event:
        case ReplyReady():
            heard = reply.heard or (reply.released and not reply.held)
            return replace(state, reply=replace(reply, ready=True, heard=heard))
        case ReplyWords():
            return replace(state, spoken=f"{state.spoken} {event.text}")
        case ReplyFailed() if not reply.released:
            # Nobody waits for it yet: it is tried anew when somebody does, and only that failure is told.
            return _fail_early(state, reply, do)
        case PlaybackEnded() if reply.released:
            return replace(state, reply=None)
        case ReplyEnded() | ReplyFailed() | PlaybackEnded():
            return state
        case _:
            assert_never(event)


def end_reply(state: State, do: Actions, by_voice: bool) -> State:
    """End the current reply, heard or not. What the user's voice ends before it was heard is still owed."""
    reply = state.reply
    if reply is None:
        return state
    do.append(CutReply(reply.number, by_voice) if reply.released else DropReply(reply.number))
    state = replace(state, reply=None)
    if reply.heard or reply.guess:
        return state
    unanswered = max(reply.turn or 0, state.unanswered or 0) or None
    is_answer = reply.answers or reply.turn is not None
    is_owed = state.owed or (is_answer and state.rules.replies)
    return replace(state, unanswered=unanswered, owed=by_voice and is_owed)


def hold(state: State, do: Actions) -> State:
    """Silence the released reply while it is weighed whether somebody interrupts it."""
    reply = state.reply
    if reply is None or not reply.released or reply.held or not state.rules.interrupts:
        return state
    do.append(HoldReply(reply.number))
    return replace(state, reply=replace(reply, held=True))


def resume(state: State, do: Actions) -> State:
    """Let the reply go on that was held."""
    reply = state.reply
    if reply is None or not reply.held:
        return state
    do.append(ResumeReply(reply.number))
    return replace(state, reply=replace(reply, held=False, heard=reply.heard or reply.ready))


def ask(state: State, number: int, answers: bool, do: Actions) -> State:
    if number < state.next_reply:
        return state
    state = end_reply(state, do, by_voice=False)
    return replace(state, reply=Reply(number, None, prepared=False, answers=answers), next_reply=number + 1)


def join(state: State, number: int, is_known: bool, do: Actions) -> State:
    """A reply made elsewhere is the current one from now on. Who speaks as it begins is heard out first.

    What it answers has all words that are known, so nothing is owed to them; those that are awaited it cannot know.
    """
    if state.reply is not None and state.reply.number == number and is_known:
        return replace(state, reply=replace(state.reply, answers=True))
    if number < state.next_reply:
        return state
    state = end_reply(state, do, by_voice=False)
    do.append(ReleaseReply(number))
    state = replace(
        state,
        reply=Reply(number, state.unanswered, released=True, answers=is_known),
        next_reply=number + 1,
        unanswered=None,
        owed=False,
        spoken="",
        asked_idle=False,
    )
    return hold(state, do) if state.open is not None and state.open.told else state


def cancel(state: State, do: Actions) -> State:
    """No reply is wanted to what was said so far; a turn that is being heard goes on."""
    reply, heard = state.reply, state.open
    if reply is None or heard is None or reply.released or reply.turn != heard.turn:
        state = end_reply(state, do, by_voice=False)
    awaited = tuple(replace(heard, wants_reply=False) for heard in state.awaited)
    return replace(state, awaited=awaited, owed=False)
