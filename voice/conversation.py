"""What was said, and the prompt it makes. Pure: no engine, no clock."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from uuid import uuid4

from voice import texts
from voice.engines import Message

KEEP_AFTER_SHORTENING = 0.5
"""Share of the budget that is kept when the prompt must be shortened. Cutting deeper than needed, and seldom, keeps
the model's prefix cache warm on the turns between (a cold 150-token prompt costs seconds on a laptop's CPU)."""


@dataclass(frozen=True, slots=True)
class Item:
    """A message of the conversation; `id` names it as long as it is there."""

    id: str
    message: Message


def estimate_tokens(text: str) -> int:
    """About how many tokens a model makes of `text`; on the high side, so that a limit holds.

    One a character for East Asian scripts and emoji, one per three characters for the rest: both a little above
    what the tokenizers of Qwen 2.5 and GPT-4o need for everyday text.
    """
    wide = sum(1 for char in text if unicodedata.east_asian_width(char) in "WF" or ord(char) > 0xFFFF)
    return wide + math.ceil((len(text) - wide) / 3)


def tokens_of(message: Message) -> int:
    marks_of_the_chat_template = 5
    calls = sum(estimate_tokens(call.name + call.arguments) for call in message.calls)
    return estimate_tokens(message.content) + calls + marks_of_the_chat_template


def open_conversation(persona: str, language: str) -> list[Message]:
    """The opening for a persona (one of `texts.PERSONAS`, or instructions) and the language that is spoken.

    The usual persona brings examples: they make a small model answer briefly, and in natural Japanese.
    """
    opening = [Message("system", texts.system_prompt(persona, language))]
    if persona == texts.DEFAULT_PERSONA and language in texts.INTERFACE:
        for said, reply in texts.words_of(language).examples:
            opening += [Message("user", said), Message("assistant", reply)]
    return opening


def make_item_id() -> str:
    return f"item_{uuid4().hex[:24]}"


@dataclass
class Conversation:
    """One user's turns. The prompt only grows at its end until it must be shortened, and then by whole turns."""

    opening: list[Message]
    """What every prompt begins with: the system prompt, and exchanges that set the tone."""
    history_tokens: int
    """Budget for the items in the prompt, the opening and the newest words apart."""
    items: list[Item] = field(default_factory=list)
    _first: int = 0
    """The oldest item that is still in the prompt."""

    def prompt(self, said: str = "") -> list[Message]:
        """The messages that ask for a reply to `said`, or to what is at the conversation's end already."""
        self._shorten()
        kept = _pair_calls([item.message for item in self.items[self._first :]])
        return [*self.opening, *_join_speakers([*kept, Message("user", said)])]

    def remember(self, said: str, reply: str, name: str | None = None, known: Set[str] | None = None) -> None:
        """Add a finished exchange. One without any reply is not kept: a model must not answer it later.

        `name`: of the reply's item. `known`: the items that the reply could know; what came since stands behind it.
        """
        if said and reply.strip():
            after = None
            if known is not None:
                after = next((item.id for item in reversed(self.items) if item.id in known), "")
            asked = self.add(Message("user", said), after=after)
            self.add(Message("assistant", reply), name, asked.id)

    @property
    def known(self) -> frozenset[str]:
        """The items that the next prompt could tell of: not what the user said and is not recognised yet."""
        return frozenset(item.id for item in self.items if item.message != Message("user", ""))

    def add(self, message: Message, name: str | None = None, after: str | None = None) -> Item:
        """A new item, behind the item `after`; None: at the end, "": at the beginning.

        Raises:
            KeyError: there is no item `after`.
            ValueError: there is an item of that `name` already.
        """
        if name is not None and self.find(name) is not None:
            raise ValueError(f"There is an item {name!r} already")
        place = len(self.items) if after is None else self._place(after) + 1 if after else 0
        item = Item(name or make_item_id(), message)
        self.items.insert(place, item)
        self._first += place < self._first
        return item

    def find(self, name: str) -> Item | None:
        return next((item for item in self.items if item.id == name), None)

    def rewrite(self, name: str, content: str) -> None:
        """Exchange an item's words.

        Raises:
            KeyError: there is no such item.
        """
        place = self._place(name)
        item = self.items[place]
        self.items[place] = replace(item, message=replace(item.message, content=content))

    def remove(self, name: str) -> None:
        """Forget an item.

        Raises:
            KeyError: there is no such item.
        """
        place = self._place(name)
        del self.items[place]
        self._first -= place < self._first

    def before(self, name: str) -> str | None:
        """The item in front of this one; None at the beginning.

        Raises:
            KeyError: there is no such item.
        """
        place = self._place(name)
        return self.items[place - 1].id if place else None

    def clear(self) -> None:
        self.items.clear()
        self._first = 0

    def _place(self, name: str) -> int:
        for place, item in enumerate(self.items):
            if item.id == name:
                return place
        raise KeyError(name)

    def _shorten(self) -> None:
        tokens = [tokens_of(item.message) for item in self.items]
        if sum(tokens[self._first :]) <= self.history_tokens:
            return
        budget = self.history_tokens * KEEP_AFTER_SHORTENING
        while self._first < len(tokens) and (
            sum(tokens[self._first :]) > budget or not self._begins_turn(self._first)
        ):
            self._first += 1

    def _begins_turn(self, place: int) -> bool:
        roles = [item.message.role for item in self.items[max(place - 1, 0) : place + 1]]
        return roles[-1] == "user" and roles[:-1] != ["user"]


def _pair_calls(messages: Sequence[Message]) -> list[Message]:
    """Without calls that were never answered, and answers whose call is gone: providers refuse both."""
    answered = {message.call_id for message in messages if message.role == "tool"}
    paired: list[Message] = []
    asked: set[str] = set()
    for message in messages:
        calls = tuple(call for call in message.calls if call.id in answered)
        asked.update(call.id for call in calls)
        if message.role == "tool" and message.call_id not in asked:
            continue
        if message.content or calls or message.role == "tool":
            paired.append(replace(message, calls=calls))
    return paired


def _join_speakers(messages: Sequence[Message]) -> list[Message]:
    """What either side said several times without an answer between is one message: some models insist on turns."""
    joined: list[Message] = []
    for message in messages:
        before = joined[-1] if joined else None
        if (
            before
            and message.role == before.role in {"user", "assistant"}
            and not (message.calls or before.calls)
        ):
            said = "\n".join(filter(None, [before.content, message.content]))
            joined[-1] = replace(before, content=said)
        elif message != Message("user", ""):
            joined.append(message)
    return joined
