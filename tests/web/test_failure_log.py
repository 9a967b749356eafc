"""What operators read of an outage: that there is one, not each turn of it."""

from __future__ import annotations

import logging

import pytest

from tests.fakes import FakeChat, fake_engines
from voice import texts
from voice.engines import BadInput, Unavailable
from voice.live.events import HearingFailed, ReplyDone
from voice.session import Limits, Preferences, Session
from voice.web.failure_log import QUIET_SECONDS, FailureLog
from voice.web.figures import Figures

DOWN = Unavailable("chat_unreachable")
SENTENCE = texts.say("chat_unreachable", "en")


def test_an_outage_is_logged_at_its_first_turn_and_then_now_and_again_with_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    moments = [0.0, 1.0, QUIET_SECONDS - 1, QUIET_SECONDS, 3 * QUIET_SECONDS]
    failures = FailureLog(iter(moments).__next__)
    for _ in moments:
        failures.tell(DOWN, "live")
    assert caplog.messages == [
        f"A turn (live) failed: {SENTENCE}",
        f"A turn (live) failed: {SENTENCE} (2 more since this was last said)",
        f"A turn (live) failed: {SENTENCE}",
    ]


def test_different_failures_are_all_logged_and_the_users_own_as_an_info(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "voice")
    failures = FailureLog()
    failures.tell(DOWN, "text")
    failures.tell(BadInput("nothing_heard"), "recording")
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]


def test_a_live_turn_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with Figures().live_conversation() as conversation:
        conversation.observe(ReplyDone(1, "failed", error=DOWN))
        conversation.observe(HearingFailed(2, "item", Unavailable("speech_unreachable")))
    assert caplog.messages == [
        f"A turn (live) failed: {texts.say(key, 'en')}" for key in ("chat_unreachable", "speech_unreachable")
    ]


@pytest.mark.anyio
async def test_a_typed_turn_leaves_a_line_without_what_was_typed(caplog: pytest.LogCaptureFixture) -> None:
    session = Session(fake_engines(chat=FakeChat([DOWN])), Limits(10, 100, 500))
    Figures().follow(session)
    async for _ in session.answer_text("A secret of mine", Preferences()):
        pass
    assert caplog.messages == [f"A turn (text) failed: {SENTENCE}"]
