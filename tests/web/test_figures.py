"""What operators read: each event of a conversation told once, whatever order its parts come in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FakeChat, fake_engines
from voice.engines import Unavailable
from voice.engines.failover import Switch
from voice.live.events import HearingFailed, LiveEvent, Noted, ReplyDone, ReplyStarted, TurnTimes
from voice.session import Limits, Preferences, Session
from voice.web.figures import Figures

DOWN = Unavailable("chat_unreachable")
TIMES = TurnTimes(
    turn=1,
    reply=1,
    turn_over_ms=500,
    final_transcript_ms=520,
    chat_asked_ms=300,
    first_token_ms=700,
    first_phrase_ms=800,
    first_audio_ms=950,
    released_ms=960,
    wasted_replies=1,
)


def read(figures: Figures) -> dict[str, float]:
    """Each sample that is not 0, as 'name{label=value}'; histograms by their count and sum."""
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(figures.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            if sample.value and not sample.name.endswith(("_bucket", "_created")):
                samples[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return samples


def observe(*events: LiveEvent) -> dict[str, float]:
    figures = Figures()
    with figures.live_conversation() as conversation:
        for event in events:
            conversation.observe(event)
    return read(figures)


def test_what_goes_on_is_counted_while_it_goes_on() -> None:
    figures = Figures()
    with figures.live_conversation() as one, figures.live_conversation() as other:
        one.observe(ReplyStarted(1, "item_1", 1))
        other.observe(ReplyStarted(1, "item_1", 1))
        other.observe(ReplyDone(1, "completed"))
        now = read(figures)
    assert now["kaiwa_live_conversations"] == 2
    assert now["kaiwa_turns_under_way"] == 1
    assert not {"kaiwa_live_conversations", "kaiwa_turns_under_way"} & set(read(figures))


def test_turns_are_counted_by_how_they_ended() -> None:
    figures = observe(
        ReplyDone(1, "completed"),
        ReplyDone(2, "completed"),
        ReplyDone(3, "cancelled"),
        ReplyDone(4, "cancelled", interrupted=True),
        ReplyDone(5, "failed", error=DOWN),
        HearingFailed(6, "item", Unavailable("recognition_timeout", seconds=10)),
    )
    turns = {name: value for name, value in figures.items() if name.startswith("kaiwa_turns_total")}
    assert turns == {
        "kaiwa_turns_total{door=live,outcome=completed}": 2,
        "kaiwa_turns_total{door=live,outcome=cancelled}": 1,
        "kaiwa_turns_total{door=live,outcome=interrupted}": 1,
        "kaiwa_turns_total{door=live,outcome=failed}": 2,
    }
    assert figures["kaiwa_errors_total{sentence=chat_unreachable}"] == 1
    assert figures["kaiwa_errors_total{sentence=recognition_timeout}"] == 1


def test_a_typed_turn_heard_in_a_live_conversation_is_not_counted_twice() -> None:
    joined = ReplyStarted(1, "item_1", None, joined=True)
    assert not observe(joined, ReplyDone(1, "completed"))


def test_an_engine_that_stood_in_is_counted_by_the_reason() -> None:
    figures = observe(Noted(Switch("cloud", "local", DOWN)))
    assert figures == {"kaiwa_failovers_total{sentence=chat_unreachable}": 1}


def test_times_are_in_seconds_from_the_end_of_speech() -> None:
    figures = observe(TIMES)
    assert figures["kaiwa_final_transcript_seconds_sum"] == pytest.approx(0.52)
    assert figures["kaiwa_first_token_seconds_sum"] == pytest.approx(0.7)
    assert figures["kaiwa_first_audio_seconds_sum"] == pytest.approx(0.95)
    assert figures["kaiwa_released_seconds_sum"] == pytest.approx(0.96)
    assert "kaiwa_heard_seconds_count" not in figures


def test_times_that_are_told_again_with_more_in_them_count_once() -> None:
    heard = replace(TIMES, heard_ms=1010)
    figures = observe(TIMES, heard, replace(heard, interrupted_ms=1500), replace(heard, interrupted_ms=1500))
    assert figures["kaiwa_released_seconds_count"] == 1
    assert figures["kaiwa_heard_seconds_count"] == 1
    assert figures["kaiwa_interruptions_total"] == 1
    assert figures["kaiwa_wasted_replies_total"] == 1


@pytest.mark.parametrize("times_first", [True, False])
def test_an_interruption_told_in_two_ways_counts_once(times_first: bool) -> None:
    told: list[LiveEvent] = [
        replace(TIMES, interrupted_ms=1500),
        ReplyDone(1, "cancelled", interrupted=True),
    ]
    assert observe(*(told if times_first else told[::-1]))["kaiwa_interruptions_total"] == 1


def test_what_a_turn_wasted_counts_once_however_many_replies_it_gets() -> None:
    figures = observe(TIMES, replace(TIMES, reply=2, wasted_replies=3), replace(TIMES, turn=2, reply=3))
    assert figures["kaiwa_wasted_replies_total"] == 4


def test_each_turn_is_traced_once_with_all_that_was_told_of_it() -> None:
    traced: list[TurnTimes] = []
    heard, second = replace(TIMES, heard_ms=1010), replace(TIMES, turn=2, reply=2)
    with Figures(lambda times, _: traced.append(times)).live_conversation() as conversation:
        for event in (TIMES, heard, second):
            conversation.observe(event)
        assert traced == [heard]
    assert traced == [heard, second]


@pytest.mark.anyio
async def test_turns_by_keyboard_are_counted_too() -> None:
    figures = Figures()
    chat = FakeChat(["Gladly.", DOWN, ["Once", 100.0]])
    session = Session(fake_engines(chat=chat), Limits(10, 100, 500))
    figures.follow(session)
    for line in ("Hello", "Again"):
        assert [event async for event in session.answer_text(line, Preferences())]
    story = session.answer_text("A story", Preferences())
    await anext(story)
    during = read(figures)
    await story.aclose()
    assert during["kaiwa_turns_under_way"] == 1
    assert read(figures) == {
        "kaiwa_turns_total{door=text,outcome=completed}": 1,
        "kaiwa_turns_total{door=text,outcome=failed}": 1,
        "kaiwa_turns_total{door=text,outcome=cancelled}": 1,
        "kaiwa_errors_total{sentence=chat_unreachable}": 1,
    }
