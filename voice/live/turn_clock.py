"""When what happened in a turn: moments on the event loop's clock, told as `TurnTimes`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from voice.live.events import TurnTimes


@dataclass(slots=True)
class TurnClock:
    """One turn of the user's. All in seconds."""

    speech_ended: float | None = None
    turn_over: float | None = None
    final_transcript: float | None = None
    wasted_replies: int = 0


ReplyMoment: TypeAlias = Literal[
    "chat_asked", "first_token", "first_phrase", "first_audio", "released", "heard", "interrupted"
]


@dataclass(slots=True)
class ReplyClock:
    """One reply. All in seconds; the first time that each of it happened."""

    chat_asked: float | None = None
    first_token: float | None = None
    first_phrase: float | None = None
    first_audio: float | None = None
    released: float | None = None
    heard: float | None = None
    interrupted: float | None = None

    def mark(self, moment: ReplyMoment, now: float) -> None:
        if getattr(self, moment) is None:
            setattr(self, moment, now)


def tell_times(turn: int, reply: int, of_turn: TurnClock, of_reply: ReplyClock) -> TurnTimes:
    """Counted from the end of speech; where nobody heard it, as with push to talk, from the end of the turn."""
    zero = of_turn.speech_ended if of_turn.speech_ended is not None else of_turn.turn_over

    def after(moment: float | None) -> float | None:
        return None if moment is None or zero is None else round((moment - zero) * 1000, 1)

    return TurnTimes(
        turn=turn,
        reply=reply,
        turn_over_ms=after(of_turn.turn_over),
        final_transcript_ms=after(of_turn.final_transcript),
        chat_asked_ms=after(of_reply.chat_asked),
        first_token_ms=after(of_reply.first_token),
        first_phrase_ms=after(of_reply.first_phrase),
        first_audio_ms=after(of_reply.first_audio),
        released_ms=after(of_reply.released),
        heard_ms=after(of_reply.heard),
        interrupted_ms=after(of_reply.interrupted),
        wasted_replies=of_turn.wasted_replies,
    )
