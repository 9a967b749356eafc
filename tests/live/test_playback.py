"""How far a reply was played."""

from __future__ import annotations

import math

import pytest

from voice.live.playback import SILENT_CLIENT_SECONDS, Playback


def test_without_reports_sound_plays_from_when_it_was_sent() -> None:
    playback = Playback(10)
    playback.send(1000, 10)
    assert playback.position_ms(10.4) == pytest.approx(400)
    assert playback.position_ms(12) == 1000
    assert playback.ends == 11


def test_sound_that_comes_late_plays_from_when_it_comes() -> None:
    playback = Playback(10)
    playback.send(1000, 10)
    playback.send(1000, 15)
    assert playback.position_ms(15.5) == 1500
    assert playback.ends == 16


def test_it_stands_still_while_it_is_held() -> None:
    playback = Playback(10)
    playback.send(1000, 10)
    playback.hold(10.5)
    assert playback.position_ms(20) == 500
    assert playback.ends == playback.when(700) == math.inf
    playback.resume(20)
    assert playback.ends == 20.5
    assert playback.when(700) == 20.2


def test_a_report_is_believed_and_reckoned_on_from() -> None:
    playback = Playback(10)
    playback.send(1000, 10)
    playback.report(200, 10.5)
    assert playback.began == 10.3
    assert playback.position_ms(10.7) == pytest.approx(400)
    assert playback.ends == 10.5 + 0.8 + SILENT_CLIENT_SECONDS


def test_a_report_of_more_than_was_sent_is_of_all_that_was_sent() -> None:
    playback = Playback(10)
    playback.send(1000, 10)
    playback.report(5000, 10.5)
    assert playback.position_ms(11) == 1000
    assert playback.ends == 10.5
    assert playback.began is None
