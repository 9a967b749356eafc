"""The user's side of `voice.turns`: where utterances begin and end, which of them are turns, and what their words are."""

from __future__ import annotations

from dataclasses import replace

from voice.turns.endpointing import Ending, ending_of, silence_needed_ms
from voice.turns.events import (
    CloseUtterance,
    DropReply,
    DropUtterance,
    FinalTranscript,
    Frame,
    KeepUtterance,
    OpenUtterance,
    PartialTranscript,
    PauseScored,
    ScorePause,
    TellSpeechStarted,
    TellSpeechStopped,
)
from voice.turns.interruptions import Weight, weigh_words
from voice.turns.replies import drop_early, end_reply, hold, prepare_early, resume
from voice.turns.state import UNTOLD_LAG_MS, Actions, State, Utterance
from voice.turns.wording import same_words

SUSTAINED_MS = 160
"""Of a sure voice: a cough is shorter. The reply is held from then on."""
WORDLESS_MS = 600
"""Speech that goes on for so long is an interruption, if no words are known of it: partials are 300 ms behind the voice."""
ANYTHING_MS = 2000
"""Speech that goes on for so long is an interruption, whatever its words: a reply is not held for ever."""
NOTHING_MS = 700
"""Of silence: what was said before, and is no turn yet, was nothing, or is over."""
LATE_WORDS_MS = 2000
"""Of silence, in which the first words may still come: a recogniser that looks at pauses (Whisper) has them after 300 ms on
a free machine and after thrice that on a busy one, and a short "stop!" must not be lost."""
EAGER_PAUSE_MS = 160
"""Of silence, before a reply is prepared: less is a breath between two words. Words that sound unfinished get none."""
SCORED_PAUSE_MS = 160
"""Of silence, before a model is asked whether the turn sounds complete: pipecat asks Smart Turn after 200."""


def hear_frame(state: State, frame: Frame, do: Actions) -> State:
    rules, before, heard = state.rules, state.voice, state.open
    if heard is None and (
        state.asleep
        or not rules.hands_free
        or (before.began_ms is None and frame.probability < rules.threshold)
    ):
        return state  # most frames: nobody speaks
    voice = before.hear(frame, rules.threshold)
    if voice is before:
        return state
    state = replace(state, voice=voice)
    if heard is None:
        return _open(state, do) if voice.is_speech and not before.is_speech else state
    if not heard.told:
        if voice.is_speech and before.silence_ms >= NOTHING_MS:
            return _open(forget(state, do), do)
        return weigh(state, do)
    return state if heard.manual or voice.is_speech else _wait_for_end(state, do)


def _open(state: State, do: Actions) -> State:
    onset_ms = state.voice.began_ms or 0
    from_ms = max(onset_ms - state.rules.prefix_ms, state.taken_ms, 0)
    do.append(OpenUtterance(state.next_turn, from_ms))
    is_over_reply = state.reply is not None and state.reply.heard
    heard = Utterance(state.next_turn, onset_ms, over_reply=is_over_reply)
    return weigh(replace(state, open=heard, next_turn=state.next_turn + 1), do)


def weigh(state: State, do: Actions) -> State:
    """Take the quiet utterance for a turn, or drop it, or go on weighing."""
    heard = state.open
    if heard is None or heard.told:
        return state
    match _is_turn(state, heard):
        case True:
            return take(state, heard, do)
        case False:
            # It stays open for a while: who says "yeah" may go on, or may have answered a question too early.
            state = resume(state, do)
            may_have_words = heard.weight is Weight.NO_WORDS
            if state.voice.silence_ms >= (LATE_WORDS_MS if may_have_words else NOTHING_MS):
                return forget(state, do)
            echoes = state.echoes or heard.weight is Weight.ECHO
            return replace(state, open=replace(heard, sustained=False), echoes=echoes)
    if not heard.sustained:
        if state.echoes or not state.voice.is_speech or state.voice.strong_ms < SUSTAINED_MS:
            return state
        state = replace(state, open=replace(heard, sustained=True))
    return hold(state, do)


def _is_turn(state: State, heard: Utterance) -> bool | None:
    """Whether the quiet utterance is meant for the other side; None: too early to tell."""
    voice, rules, is_speech = state.voice, state.rules, state.voice.is_speech
    is_weighed = state.is_engaged and rules.interrupts and rules.weighs_interruptions
    if is_speech and not is_weighed:
        return True
    if heard.weight is Weight.WORDS or (heard.weight is Weight.BACK_CHANNEL and not state.is_engaged):
        return True  # what would be a back-channel, had the reply gone on, answers one that is over
    if is_speech:
        lasted_ms = voice.at_ms - heard.onset_ms
        is_long = lasted_ms >= (WORDLESS_MS if heard.weight is Weight.NO_WORDS else ANYTHING_MS)
        return True if heard.sustained and is_long else None
    is_covered = heard.is_covered(voice.ended_ms, voice.silence_ms) or voice.silence_ms >= UNTOLD_LAG_MS
    if heard.weight is not Weight.NO_WORDS and is_covered:
        return heard.weight is Weight.MAYBE_ECHO
    return False if voice.silence_ms >= NOTHING_MS else None


def take(state: State, heard: Utterance, do: Actions) -> State:
    """It is a turn: tell, and end the reply that it interrupts."""
    do.append(TellSpeechStarted(heard.turn, heard.onset_ms))
    state = replace(state, open=replace(heard, told=True), asked_idle=False)
    return end_reply(state, do, by_voice=True) if state.rules.interrupts else resume(state, do)


def _wait_for_end(state: State, do: Actions) -> State:
    """In a pause of the turn: prepare its reply, and end it when the pause is long enough."""
    state = _ask_about_pause(state, do)
    heard, voice, rules = state.open, state.voice, state.rules
    if heard is None:
        return state
    is_covered = heard.is_covered(voice.ended_ms, voice.silence_ms)
    if is_covered and voice.silence_ms >= EAGER_PAUSE_MS and ending_of(heard.text) is not Ending.UNFINISHED:
        state = prepare_early(state, heard, do)
    needed_ms = rules.silence_ms
    if needed_ms is None:
        # Words that lag behind the voice tell nothing about its end.
        known = heard.text if is_covered else ""
        needed_ms = silence_needed_ms(known, rules.patience, heard.completeness_at(voice.ended_ms))
    if voice.silence_ms < needed_ms or voice.is_strong:
        return state
    return close(state, voice.ended_ms, voice.at_ms, rules.replies, do)


def _ask_about_pause(state: State, do: Actions) -> State:
    """Ask once in each pause, early enough for an answer before the turn is over."""
    heard, voice, rules = state.open, state.voice, state.rules
    if heard is None or not rules.scores_pauses or rules.silence_ms is not None:
        return state
    if voice.silence_ms < SCORED_PAUSE_MS or heard.scored_ms == voice.ended_ms:
        return state
    do.append(ScorePause(heard.turn, voice.ended_ms, voice.at_ms))
    return replace(state, open=replace(heard, scored_ms=voice.ended_ms, completeness=None))


def take_hint(state: State, event: PauseScored, do: Actions) -> State:
    """How the turn sounds in its pause; who speaks again has made it void."""
    heard, voice = state.open, state.voice
    if heard is None or heard.turn != event.turn or voice.is_speech:
        return state
    if not heard.scored_ms == voice.ended_ms == event.ended_ms:
        return state
    state = replace(state, open=replace(heard, completeness=event.probability))
    return _wait_for_end(state, do) if heard.told and not heard.manual else state


def close(state: State, ended_ms: int, at_ms: int, wants_reply: bool, do: Actions) -> State:
    """End the open utterance."""
    heard = state.open
    if heard is None:
        return state
    if heard.told:
        do.append(TellSpeechStopped(heard.turn, ended_ms))
    do.append(CloseUtterance(heard.turn, at_ms))
    heard = replace(heard, ended_ms=ended_ms, wants_reply=wants_reply)
    # A reply that joined in as the user was speaking waits for the end of it.
    state = resume(replace(state, open=None, awaited=(*state.awaited, heard), taken_ms=at_ms), do)
    if not wants_reply:
        return drop_early(state, heard.turn, do)
    return prepare_early(state, heard, do) if heard.is_covered(ended_ms, at_ms - ended_ms) else state


def forget(state: State, do: Actions) -> State:
    """Drop the open utterance; what it stood in the way of goes on."""
    heard = state.open
    if heard is None:
        return state
    if heard.told:
        do.append(TellSpeechStopped(heard.turn, state.voice.at_ms))
    state = drop_early(resume(replace(state, open=None), do), heard.turn, do)
    do.append(DropUtterance(heard.turn))
    return state


def understand(state: State, event: PartialTranscript, do: Actions) -> State:
    heard = state.find(event.turn)
    if heard is None or (heard.text, heard.text_end_ms) == (event.text, event.end_ms):
        return state
    weight = weigh_words(event.text, state.spoken if heard.over_reply else "")
    reply = state.reply
    if (
        reply is not None
        and not reply.released
        and reply.turn == heard.turn
        and not same_words(reply.guess, event.text)
    ):
        state = drop_early(state, heard.turn, do)
        heard = state.find(event.turn) or heard
    heard = replace(heard, text=event.text, text_end_ms=event.end_ms, weight=weight)
    if state.open is None or state.open.turn != heard.turn:
        state = state.put(heard)
        return prepare_early(state, heard, do) if heard.is_covered(heard.ended_ms, UNTOLD_LAG_MS) else state
    state = replace(state, open=heard)
    if not heard.told:
        state = weigh(state, do)
    if state.open is None or not state.open.told or heard.manual or state.voice.is_speech:
        return state
    return _wait_for_end(state, do)


def keep(state: State, event: FinalTranscript, do: Actions) -> State:
    """The final transcript of a turn is there."""
    heard, text = state.open, event.text
    if heard is not None and heard.turn == event.turn:
        # The engine ended it by itself.
        weight = weigh_words(text, state.spoken if heard.over_reply else "")
        if not heard.told and state.is_engaged and weight not in {Weight.WORDS, Weight.MAYBE_ECHO}:
            return forget(state, do)
        if not heard.told:
            state = take(state, heard, do)
        at_ms = state.voice.at_ms
        state = close(
            state, at_ms if state.voice.is_speech else state.voice.ended_ms, at_ms, state.rules.replies, do
        )
    heard = next((heard for heard in state.awaited if heard.turn == event.turn), None)
    if heard is None:
        return state
    state = replace(state, awaited=tuple(other for other in state.awaited if other is not heard))
    reply = state.reply
    is_guessed = reply is not None and reply.turn == heard.turn and same_words(reply.guess, text)
    if not is_guessed and reply is not None and not reply.released and reply.prepared:
        do.append(DropReply(reply.number))
        state = replace(state, reply=None)
    if _is_nothing(state, heard, text):
        do.append(DropUtterance(heard.turn))
        return state
    do.append(KeepUtterance(heard.turn, text, event.language))
    if is_guessed and reply is not None:
        state = replace(state, reply=replace(reply, guess=""))
    return replace(
        state, unanswered=max(heard.turn, state.unanswered or 0), owed=state.owed or heard.wants_reply
    )


def _is_nothing(state: State, heard: Utterance, text: str) -> bool:
    """Whether the words of a closed utterance are none of the user's, or only a sign of listening."""
    match weigh_words(text, state.spoken if heard.over_reply else ""):
        case Weight.NO_WORDS | Weight.ECHO:
            return True
        case Weight.BACK_CHANNEL:
            return state.owed or any(older.wants_reply and older.turn < heard.turn for older in state.awaited)
        case _:
            return False


def lose(state: State, turn: int, do: Actions) -> State:
    """The turn's words could not be had."""
    if state.open is not None and state.open.turn == turn:
        return forget(state, do)
    if state.find(turn) is None:
        return state
    state = drop_early(state, turn, do)
    return replace(state, awaited=tuple(heard for heard in state.awaited if heard.turn != turn))
