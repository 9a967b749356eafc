"""The prompt that a conversation makes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice.conversation import Conversation, estimate_tokens, open_conversation, tokens_of
from voice.engines import Message, ToolCall

KIND = [Message("system", "Be kind.")]
LINES = st.text(min_size=1, max_size=200)


def talk(conversation: Conversation, turns: int, length: int = 30) -> None:
    for number in range(turns):
        conversation.remember(f"{number} {'a' * length}", "b" * length)


def test_a_first_prompt_is_the_system_prompt_and_what_was_said() -> None:
    conversation = Conversation(KIND, 500)
    assert conversation.prompt("Hello") == [*KIND, Message("user", "Hello")]


def test_the_prompt_tells_the_turns_in_order() -> None:
    conversation = Conversation(KIND, 500)
    conversation.remember("Hello", "Hi!")
    conversation.remember("Who are you?", "Kaiwa.")
    assert [message.role for message in conversation.prompt("Nice")] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert [message.content for message in conversation.prompt("Nice")][1:] == [
        "Hello", "Hi!", "Who are you?", "Kaiwa.", "Nice",
    ]  # fmt: skip


def test_a_turn_without_a_reply_is_not_asked_again() -> None:
    conversation = Conversation(KIND, 500)
    conversation.remember("Hello?", "  ")
    assert conversation.items == []


def test_clear_forgets_every_turn() -> None:
    conversation = Conversation(KIND, 100)
    talk(conversation, 20)
    conversation.prompt("now")
    conversation.clear()
    conversation.remember("Hello", "Hi!")
    assert [message.content for message in conversation.prompt("Bye")] == ["Be kind.", "Hello", "Hi!", "Bye"]


def test_between_shortenings_the_prompt_only_grows_at_its_end() -> None:
    conversation = Conversation(KIND, 600)
    shortened = 0
    before: list[Message] = []
    for number in range(60):
        prompt = conversation.prompt(f"question {number}")
        if prompt[: len(before)] != before:
            shortened += 1
        before = prompt
        conversation.remember(f"question {number}", "An answer of some length, as answers are.")
    assert 0 < shortened <= 60 / 8


def test_shortening_keeps_the_newest_turns_whole() -> None:
    conversation = Conversation(KIND, 200)
    talk(conversation, 50)
    prompt = conversation.prompt("now")
    assert prompt[1].role == "user"
    assert prompt[-3:-1] == [item.message for item in conversation.items[-2:]]


def test_a_turn_larger_than_the_budget_is_left_out() -> None:
    conversation = Conversation(KIND, 100)
    conversation.remember("a" * 5000, "b" * 5000)
    assert len(conversation.prompt("now")) == 2


def test_japanese_costs_more_tokens_a_character_than_english() -> None:
    assert estimate_tokens("今日はいい天気") == 7
    assert estimate_tokens("good day") == 3


@given(st.lists(st.tuples(LINES, LINES), max_size=30), st.integers(100, 400))
def test_whatever_was_said_the_turns_in_the_prompt_fit_the_budget(
    turns: list[tuple[str, str]], budget: int
) -> None:
    conversation = Conversation(KIND, budget)
    for said, reply in turns:
        conversation.remember(said, reply)
        prompt = conversation.prompt("now")
        kept = prompt[1:-1]
        assert len(kept) % 2 == 0
        assert sum(map(tokens_of, kept)) <= budget
        assert kept == [item.message for item in conversation.items[len(conversation.items) - len(kept) :]]


def test_the_usual_persona_opens_with_examples_in_the_language_spoken() -> None:
    opening = open_conversation("friendly", "ja")
    assert opening[0].role == "system"
    assert [message.role for message in opening[1:3]] == ["user", "assistant"]
    assert "こんにちは" in opening[1].content


def test_a_persona_of_ones_own_opens_with_its_instructions_alone() -> None:
    assert [message.role for message in open_conversation("Be a pirate.", "en")] == ["system"]


def test_what_was_said_twice_without_an_answer_is_asked_as_one() -> None:
    conversation = Conversation(KIND, 500)
    conversation.add(Message("user", "I would like"))
    conversation.add(Message("user", "a table for two."))
    assert conversation.prompt()[1:] == [Message("user", "I would like\na table for two.")]
    assert conversation.prompt("Please.")[1:] == [Message("user", "I would like\na table for two.\nPlease.")]


def test_what_was_answered_in_two_parts_is_told_as_one() -> None:
    conversation = Conversation(KIND, 500)
    conversation.add(Message("assistant", "Welcome!"))
    conversation.add(Message("assistant", "Are you there?"))
    assert conversation.prompt("Yes.")[1:] == [
        Message("assistant", "Welcome!\nAre you there?"),
        Message("user", "Yes."),
    ]


def test_an_item_whose_words_are_not_known_yet_is_not_asked() -> None:
    conversation = Conversation(KIND, 500)
    item = conversation.add(Message("user", ""))
    assert conversation.prompt("Hello")[1:] == [Message("user", "Hello")]
    conversation.rewrite(item.id, "Good morning.")
    assert conversation.prompt()[1:] == [Message("user", "Good morning.")]


def test_items_can_be_put_anywhere_and_taken_away() -> None:
    conversation = Conversation(KIND, 500)
    hello = conversation.add(Message("user", "Hello"), "a")
    conversation.add(Message("assistant", "Hi!"), after="a")
    conversation.add(Message("system", "It is raining."), "first", after="")
    assert [item.message.content for item in conversation.items] == ["It is raining.", "Hello", "Hi!"]
    assert (conversation.before("first"), conversation.before("a")) == (None, "first")
    conversation.remove(hello.id)
    assert [item.message.content for item in conversation.items] == ["It is raining.", "Hi!"]


def test_a_call_is_told_only_together_with_its_answer() -> None:
    conversation = Conversation(KIND, 500)
    call = ToolCall("call_1", "get_weather", "{}")
    conversation.add(Message("user", "Rain?"))
    conversation.add(Message("assistant", "", (call, ToolCall("call_2", "get_time", "{}"))))
    assert conversation.prompt()[1:] == [Message("user", "Rain?")]
    conversation.add(Message("tool", "sunny", call_id="call_1"))
    assert conversation.prompt()[2:] == [
        Message("assistant", "", (call,)),
        Message("tool", "sunny", call_id="call_1"),
    ]
