"""The rules of turn-taking: what happens, and so what is to be done. Pure: no clock, no input or output of its own.

The user's sound makes utterances. In a conversation where no reply is under way, speech opens one that is a turn at
once; over a reply (or while one is thought of) it opens one quietly, which is weighed and then either taken for a turn,
which ends the reply, or dropped. At its end a turn waits for its final transcript, is kept, and makes a reply owed. A
reply that is owed is released when nobody speaks and no final transcript is awaited: so what the user adds, before
anything was heard of the reply, is answered together with what it is added to, and if it turns out to be nothing, the
older words still get their reply. A reply that is made elsewhere, to a typed line, joins in as it begins and takes the
place of all these; from then on it is one of them. Turns whose words it could not know get a reply of their own after it.

What the one who carries the actions out promises:
- Each utterance that was closed, and not dropped since, gets one `FinalTranscript` or `TranscriptFailed`.
- Each reply that was released, and not cut since, gets one `PlaybackEnded`: also one that failed before anything of it
  could be heard. `ReplyFailed` of a released reply ends nothing by itself. A held one gets it after it was resumed.
- A reply may be held before it is ready, and is then silent until it is resumed. `DropReply` may name one that failed, or was asked for and never prepared.

An event about a turn or a reply that is over is ignored, whoever still sends it.
"""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import assert_never

from voice.turns.events import (
    Action,
    AskWhetherThere,
    Cancelled,
    Cleared,
    Committed,
    Event,
    FinalTranscript,
    Frame,
    IdlePassed,
    OpenUtterance,
    PartialTranscript,
    PauseScored,
    Phase,
    PlaybackEnded,
    ReplyAsked,
    ReplyEnded,
    ReplyFailed,
    ReplyJoined,
    ReplyReady,
    ReplyWords,
    Rules,
    RulesChanged,
    Sleep,
    TalkPressed,
    TalkReleased,
    TranscriptFailed,
    Woken,
)
from voice.turns.hearing import close, forget, hear_frame, keep, lose, take, take_hint, understand, weigh
from voice.turns.replies import ask, cancel, end_reply, follow_reply, join, release_due, resume
from voice.turns.state import Actions, State, Utterance
from voice.turns.voice_edges import VoiceEdges

__all__ = ["State", "start", "step"]


def start(rules: Rules) -> State:
    return State(rules)


def step(state: State, event: Event) -> tuple[State, tuple[Action, ...]]:  # noqa: PLR0912 - one case for each event
    """The state after `event`, and what is to be done because of it, in order."""
    actions: Actions = []
    match event:
        case Frame():
            after = hear_frame(state, event, actions)
        case PartialTranscript():
            after = understand(state, event, actions)
        case PauseScored():
            after = take_hint(state, event, actions)
        case FinalTranscript():
            after = keep(state, event, actions)
        case TranscriptFailed():
            after = lose(state, event.turn, actions)
        case ReplyReady() | ReplyEnded() | ReplyFailed() | ReplyWords() | PlaybackEnded():
            after = follow_reply(state, event, actions)
        case TalkPressed() | TalkReleased():
            after = _talk(state, event, actions)
        case Committed():
            after = _commit(state, event, actions)
        case Cleared():
            voice = VoiceEdges(event.at_ms, ended_ms=event.at_ms)
            after = replace(forget(state, actions), voice=voice, taken_ms=event.at_ms)
        case ReplyAsked():
            after = ask(state, event.reply, event.answers, actions)
        case ReplyJoined():
            after = join(state, event.reply, event.is_known, actions)
        case Cancelled():
            after = cancel(state, actions)
        case RulesChanged():
            after = _change_rules(state, event.rules, actions)
        case IdlePassed():
            after = _idle(state, actions)
        case Woken():
            voice = _anew(state.voice) if state.asleep else state.voice
            after = replace(state, asleep=False, asked_idle=False, voice=voice)
        case _:
            assert_never(event)
    if after is state:
        return state, ()
    return release_due(weigh(after, actions), actions), tuple(actions)


def _talk(state: State, event: TalkPressed | TalkReleased, do: Actions) -> State:
    heard = state.open
    match event:
        case TalkPressed() if heard is None and not state.rules.hands_free:
            do.append(OpenUtterance(state.next_turn, event.at_ms))
            heard = Utterance(state.next_turn, event.at_ms, manual=True)
            state = replace(
                state,
                next_turn=state.next_turn + 1,
                asleep=False,
                voice=VoiceEdges(event.at_ms, ended_ms=event.at_ms),
            )
            return end_reply(take(state, heard, do), do, by_voice=True)
        case TalkReleased() if heard is not None and heard.manual:
            ended_ms = event.at_ms if state.voice.is_speech else min(event.at_ms, state.voice.ended_ms)
            return close(state, ended_ms, event.at_ms, state.rules.replies, do)
        case TalkPressed() | TalkReleased():
            return state
        case _:
            assert_never(event)


def _commit(state: State, event: Committed, do: Actions) -> State:
    if state.open is None:
        do.append(OpenUtterance(state.next_turn, event.from_ms))
        state = replace(state, open=Utterance(state.next_turn, event.from_ms), next_turn=state.next_turn + 1)
    state = close(state, event.at_ms, event.at_ms, wants_reply=False, do=do)
    voice = VoiceEdges(event.at_ms, ended_ms=event.at_ms)  # who speaks on begins a new turn
    return replace(resume(state, do), voice=voice, asleep=False, asked_idle=False)


def _change_rules(state: State, rules: Rules, do: Actions) -> State:
    was_hands_free = state.rules.hands_free
    state = replace(state, rules=rules, asked_idle=False)
    if rules.hands_free == was_hands_free:
        return state
    heard = state.open
    if heard is not None and rules.hands_free:
        # Its end is no longer told; silence from now on is.
        heard = replace(heard, manual=False)
    elif heard is not None and heard.told:
        state = close(state, state.voice.at_ms, state.voice.at_ms, rules.replies, do)
        heard = None
    else:
        state = forget(state, do)
        heard = None
    return replace(state, open=heard, voice=_anew(state.voice))


def _anew(voice: VoiceEdges) -> VoiceEdges:
    return VoiceEdges(voice.at_ms, ended_ms=voice.at_ms)


def _idle(state: State, do: Actions) -> State:
    if state.phase is not Phase.LISTENING or state.open is not None or state.awaited:
        return state
    if state.asked_idle:
        do.append(Sleep())
    elif state.rules.hands_free and not state.rules.muted:
        do.append(AskWhetherThere())
    return replace(state, asleep=state.asked_idle, asked_idle=True)
