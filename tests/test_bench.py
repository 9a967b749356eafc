from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bench.app_start import AppStart
from bench.machine import Machine, PeakMemory, describe_machine, resident_gb
from bench.report import Alone, Results, compare_with_aims, write_report
from bench.stages import MOMENTS, STAGES, IncompleteTurnError, Spread, Timing, Turn, time_turn
from bench.utterances import (
    LANGUAGES,
    MOST,
    NORMAL_SECONDS,
    Utterance,
    alternate,
    gather_utterances,
    speak_normal,
)
from tests.fakes import FakeChat, FakeTextToSpeech, fake_engines
from voice.audio import Pcm
from voice.engines import Speech, Unavailable
from voice.session import Limits, Preferences, Session
from voice.session_events import Finished, Heard, Recognising, ReplyGrew, Spoke, TurnEvent
from voice.speaking import PhraseSent

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).parents[1]
LIMITS = Limits(recording_seconds=120, text_characters=2000, history_tokens=1500)
SECOND = Pcm.silence(1000, 24_000)


async def scripted(*events: TurnEvent) -> AsyncGenerator[TurnEvent, None]:
    for event in events:
        yield event


async def test_each_moment_is_when_its_event_came() -> None:
    turn = scripted(
        Recognising(),  # at 1 s, as the clock ticks once an event
        Heard("Hi.", "en"),
        ReplyGrew("Hello."),
        ReplyGrew("Hello. Bye"),
        PhraseSent("Hello."),
        ReplyGrew("Hello. Bye."),
        Spoke(Speech(SECOND, "Hello.")),
        PhraseSent("Bye."),
        Spoke(Speech(SECOND, "Bye.", number=1)),
        Finished(),
    )
    timing = await time_turn(turn, clock=count().__next__)
    assert timing.moments == {
        "transcript": 2,
        "first token": 3,
        "first phrase": 5,
        "first PCM": 7,
        "whole text": 6,
        "whole reply": 9,
    }
    assert timing.stages == {"recognise": 2, "read the prompt": 1, "write a phrase": 2, "speak it": 2}
    assert (timing.heard, timing.reply, timing.first_phrase) == ("Hi.", "Hello. Bye.", "Hello.")


async def test_the_voice_is_charged_only_while_it_has_something_to_say() -> None:
    turn = scripted(
        Heard("Hi.", "en"),
        ReplyGrew("One. Two."),
        PhraseSent("One."),  # 3 s
        PhraseSent("Two."),  # 4 s, while the voice is still at the first
        Spoke(Speech(SECOND, "One.")),  # 5 s
        Spoke(Speech(SECOND, "Two.", number=1)),  # 6 s
    )
    timing = await time_turn(turn, clock=count().__next__)
    assert timing.voice_seconds == (5 - 3) + (6 - 5)
    assert timing.voice_factor == 1.5


async def test_a_turn_of_a_session_is_timed_in_the_order_in_which_it_happens() -> None:
    session = Session(fake_engines(chat=FakeChat(["Sure, with pleasure. Ask me."])), LIMITS)
    timing = await time_turn(session.answer_text("May I ask you something?", Preferences()))
    first = [timing.moments[moment] for moment in MOMENTS[:4]]
    assert first == sorted(first)
    assert timing.moments["whole reply"] == max(timing.moments.values())
    assert sum(timing.stages.values()) == pytest.approx(timing.moments["first PCM"])
    assert timing.reply == "Sure, with pleasure. Ask me."
    assert timing.first_phrase == "Sure, with pleasure."
    assert timing.sound_seconds == pytest.approx(0.05 * len("Sure, with pleasure." + "Ask me."))


async def test_a_turn_that_fails_is_not_measured() -> None:
    engines = fake_engines(chat=FakeChat([Unavailable("chat_unreachable")]))
    with pytest.raises(Unavailable):
        await time_turn(Session(engines, LIMITS).answer_text("Hello?", Preferences()))


async def test_a_reply_whose_voice_fails_is_not_measured() -> None:
    engines = fake_engines(text_to_speech=FakeTextToSpeech(error=Unavailable("voice_failed")))
    with pytest.raises(Unavailable):
        await time_turn(Session(engines, LIMITS).answer_text("One. Two. Three.", Preferences()))


async def test_a_turn_that_ends_too_early_tells_what_is_missing() -> None:
    with pytest.raises(IncompleteTurnError, match="first token, first phrase, first PCM"):
        await time_turn(scripted(Heard("Hi.", "en"), Finished()))


async def test_there_are_ten_utterances_of_people_in_english(tmp_path: Path) -> None:
    voice = FakeTextToSpeech()
    utterances = await gather_utterances("en", MOST, voice, tmp_path, 120)
    assert len(utterances) == 10
    assert not any(utterance.voice for utterance in utterances)
    assert not voice.spoken


async def test_what_people_did_not_say_in_japanese_is_spoken_and_marked(tmp_path: Path) -> None:
    utterances = await gather_utterances("ja", MOST, FakeTextToSpeech(), tmp_path, 120)
    assert [utterance.voice for utterance in utterances] == [""] * 3 + ["mei"] * 7
    assert len({utterance.text for utterance in utterances}) == 10
    assert all(utterance.path.exists() and utterance.seconds > 0 for utterance in utterances)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_clip_to_compare_by_has_just_its_length(language: str) -> None:
    clip = await speak_normal(language, FakeTextToSpeech())
    assert clip.rate == 16_000
    assert clip.seconds == NORMAL_SECONDS


def test_languages_take_turns() -> None:
    english = [an_utterance("en", text) for text in "ab"]
    japanese = [an_utterance("ja", text) for text in "cde"]
    assert "".join(each.text for each in alternate([english, japanese])) == "acbde"


def test_the_spread_is_the_median_and_the_ninth_decile() -> None:
    assert Spread.of(range(1, 12)) == Spread(median=6, p90=10)


def test_memory_counts_the_children_too() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "block = bytearray(b'x' * 50_000_000); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout
        assert child.stdin
        child.stdout.readline()
        with PeakMemory(os.getpid()) as peak:
            pass
        assert resident_gb(child.pid) > 0.05
        assert peak.gb > resident_gb(child.pid)
        child.stdin.close()


def test_this_machine_can_be_described() -> None:
    machine = describe_machine()
    assert machine.cores >= 1
    assert machine.memory_gb > 0


def test_an_aim_is_told_to_be_missed_when_it_is() -> None:
    results = some_results(first_pcm=2.6)
    met = {aim.what: aim.met for aim in compare_with_aims(results)}
    assert met == {
        "transcript of 3.5 s, English, median": True,
        "transcript of 3.5 s, Japanese, median": False,
        "recording's end to first PCM, English, median": False,
        "recording's end to first PCM, Japanese, median": True,
        "resident memory, all processes, peak": True,
        "start of app.py to ready, models cached": True,
    }
    report = "\n".join(write_report(results))
    assert report.count("MISSED") == 2
    assert report.count(" met") == 4


def test_the_report_says_what_is_synthetic_and_what_failed() -> None:
    results = replace(some_results(), failures=["“Hello?”: nothing came"])
    report = "\n".join(write_report(results))
    assert "2 utterances (2 by people)" in report
    assert "2 utterances (1 by people, 1 SYNTHETIC, by Kaiwa's own voices)" in report
    assert "“Hello?”: nothing came" in report


def test_the_report_warns_when_the_machine_is_busy() -> None:
    results = some_results()
    assert "WARNING" not in "\n".join(write_report(results))
    assert "WARNING" in "\n".join(write_report(replace(results, others_cores=1.5)))


@pytest.mark.slow  # matplotlib looks for fonts
def test_the_chart_is_a_picture(tmp_path: Path) -> None:
    from bench.chart import draw_chart

    draw_chart(some_results(), tmp_path / "turn.png")
    assert (tmp_path / "turn.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_benchmark_measures_a_turn_in_each_language(
    small_chat_model: Path, models_folder: Path, tmp_path: Path
) -> None:
    chart = tmp_path / "results" / "turn.png"
    run = subprocess.run(
        [sys.executable, "-m", "bench.turn", "--utterances=1", "--engines=local", f"--chart={chart}"],
        cwd=PROJECT,
        env={
            **os.environ,
            "MODELS_DIR": str(models_folder),
            "LOCAL_CHAT_MODEL": str(small_chat_model),
            "LOCAL_JAPANESE_VOICE": "mei",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "aim" in run.stdout
    assert chart.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(chart.with_suffix(".json").read_text(encoding="utf-8"))
    assert [turn["utterance"]["language"] for turn in figures["turns"]] == list(LANGUAGES)


def an_utterance(language: str, text: str, voice: str = "") -> Utterance:
    return Utterance(Path(f"{text}.flac"), language, text, 3.0, voice)


def a_turn(utterance: Utterance, first_pcm: float) -> Turn:
    moments = dict(zip(MOMENTS, (0.4, 0.8, 1.4, first_pcm, first_pcm + 2, first_pcm + 3), strict=True))
    return Turn(utterance, Timing(moments, utterance.text, "Yes, it is.", "Yes,", 30, 4.0, 2.0))


def some_results(first_pcm: float = 2.0) -> Results:
    assert len(STAGES) == 4
    utterances = [
        an_utterance("en", "Is it raining?"),
        an_utterance("en", "Where am I?"),
        an_utterance("ja", "雨ですか。"),
        an_utterance("ja", "ここはどこですか。", "mei"),
    ]
    return Results(
        machine=Machine("A processor", 2, 8.0, "Linux, Python 3.11.7"),
        load_at_start=0.1,
        load_at_end=1.9,
        others_cores=0.0,
        engines=["ears", "brain", "voice"],
        turns=[a_turn(utterance, first_pcm) for utterance in utterances],
        failures=[],
        alone={"en": Alone([0.3, 0.4, 0.9], [0.1]), "ja": Alone([0.6], [0.5])},
        app=AppStart(page_seconds=2.0, ready_seconds=8.0, ready_gb=2.0, peak_gb=2.5),
        bench_peak_gb=2.4,
    )
