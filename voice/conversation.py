"""What was said, and the prompt it makes. Pure: no engine, no clock."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from voice import texts
from voice.engines import Message

KEEP_AFTER_SHORTENING = 0.5
"""Share of the budget that is kept when the prompt must be shortened. Cutting deeper than needed, and seldom, keeps
the model's prefix cache warm on the turns between (a cold 150-token prompt costs seconds on a laptop's CPU)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange: what the user said, and what they got to hear or read of the reply."""

    said: str
    reply: str


def estimate_tokens(text: str) -> int:
    """About how many tokens a model makes of `text`; on the high side, so that a limit holds.

    One a character for East Asian scripts and emoji, one per three characters for the rest: both a little above
    what the tokenizers of Qwen 2.5 and GPT-4o need for everyday text.
    """
    wide = sum(1 for char in text if unicodedata.east_asian_width(char) in "WF" or ord(char) > 0xFFFF)
    return wide + math.ceil((len(text) - wide) / 3)


def tokens_of(turn: Turn) -> int:
    marks_of_the_chat_template = 10
    return estimate_tokens(turn.said) + estimate_tokens(turn.reply) + marks_of_the_chat_template


def open_conversation(persona: str, language: str) -> list[Message]:
    """The opening for a persona (one of `texts.PERSONAS`, or instructions) and the language that is spoken.

    The usual persona brings examples: they make a small model answer briefly, and in natural Japanese.
    """
    opening = [Message("system", texts.system_prompt(persona, language))]
    if persona == texts.DEFAULT_PERSONA and language in texts.INTERFACE:
        for said, reply in texts.words_of(language).examples:
            opening += [Message("user", said), Message("assistant", reply)]
    return opening


@dataclass
class Conversation:
    """One user's turns. The prompt only grows at its end until it must be shortened, and then by whole turns."""

    opening: list[Message]
    """What every prompt begins with: the system prompt, and exchanges that set the tone."""
    history_tokens: int
    """Budget for the turns in the prompt, the opening and the newest words apart."""
    turns: list[Turn] = field(default_factory=list)
    _first: int = 0
    """The oldest turn that is still in the prompt."""

    def prompt(self, said: str) -> list[Message]:
        """The messages that ask for a reply to `said`."""
        self._shorten()
        messages = [*self.opening]
        for turn in self.turns[self._first :]:
            messages += [Message("user", turn.said), Message("assistant", turn.reply)]
        return [*messages, Message("user", said)]

    def remember(self, said: str, reply: str) -> None:
        """Add a finished exchange. One without any reply is not kept: a model must not answer it later."""
        if said and reply.strip():
            self.turns.append(Turn(said, reply))

    def clear(self) -> None:
        self.turns.clear()
        self._first = 0

    def _shorten(self) -> None:
        if sum_tokens(self.turns[self._first :]) <= self.history_tokens:
            return
        while (
            self._first < len(self.turns)
            and sum_tokens(self.turns[self._first :]) > self.history_tokens * KEEP_AFTER_SHORTENING
        ):
            self._first += 1


def sum_tokens(turns: Sequence[Turn]) -> int:
    return sum(map(tokens_of, turns))
