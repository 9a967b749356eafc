"""The prompt that a conversation makes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice.conversation import Conversation, Turn, estimate_tokens, open_conversation, sum_tokens
from voice.engines import Message

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
    assert conversation.turns == []


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
    assert [message.content for message in prompt[-3:-1]] == [
        conversation.turns[-1].said,
        conversation.turns[-1].reply,
    ]


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
        kept = [Turn(a.content, b.content) for a, b in zip(prompt[1:-1:2], prompt[2:-1:2], strict=True)]
        assert sum_tokens(kept) <= budget
        assert kept == conversation.turns[len(conversation.turns) - len(kept) :]


def test_the_usual_persona_opens_with_examples_in_the_language_spoken() -> None:
    opening = open_conversation("friendly", "ja")
    assert opening[0].role == "system"
    assert [message.role for message in opening[1:3]] == ["user", "assistant"]
    assert "こんにちは" in opening[1].content


def test_a_persona_of_ones_own_opens_with_its_instructions_alone() -> None:
    assert [message.role for message in open_conversation("Be a pirate.", "en")] == ["system"]
