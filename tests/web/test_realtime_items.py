"""The items of a conversation as Realtime clients know them."""

from __future__ import annotations

import pytest

from voice.conversation import Conversation
from voice.web.realtime.items import MAX_ITEMS, Items, make_utterance


def delete_some(items: Items, count: int, prefix: str) -> None:
    for number in range(count):
        items.put(make_utterance(f"{prefix}{number}"))
        items.remove(f"{prefix}{number}")


def test_what_was_deleted_does_not_come_back_with_its_late_words() -> None:
    items = Items(Conversation([], 500))
    delete_some(items, 1, "item")
    assert items.is_gone("item0")
    items.put(make_utterance("item0", "Hello."))
    assert items.find("item0") is None


def test_names_of_deleted_items_are_kept_for_as_many_as_a_conversation_holds() -> None:
    items = Items(Conversation([], 500))
    delete_some(items, MAX_ITEMS, "old")
    delete_some(items, MAX_ITEMS - 1, "new")
    assert items.is_gone(f"old{MAX_ITEMS - 1}")
    assert not items.is_gone("old0")


def test_an_unknown_item_cannot_be_deleted() -> None:
    with pytest.raises(KeyError):
        Items(Conversation([], 500)).remove("item0")
