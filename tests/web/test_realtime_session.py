"""A Realtime session's settings: what an update changes, what it leaves, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.realtime import SessionUpdatedEvent

from voice.engines import Tool
from voice.turns.events import Patience, Rules
from voice.web.realtime.events import Refused, make_event
from voice.web.realtime.session import Setup

START = Setup(id="sess_1", model="some-model", expires_at=1_800_000_000)
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


def update(*changes: dict[str, Any]) -> dict[str, Any]:
    """The session as clients read it after these updates."""
    setup = START
    for change in changes:
        setup = setup.update(change)
    SessionUpdatedEvent.model_validate(make_event("session.updated", session=setup.show()))
    return setup.show()


def hear(**changes: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"input": changes}}


def speak(**changes: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"output": changes}}


def pick(shown: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        shown = shown[name]
    return shown


@pytest.mark.parametrize(
    ("changes", "path", "value"),
    [
        ([], "audio.input.turn_detection", SERVER_VAD),
        ([{"instructions": "Be brief."}], "instructions", "Be brief."),
        ([{"instructions": "Be brief."}, {"tools": []}], "instructions", "Be brief."),
        ([{"instructions": "Be brief."}, {"instructions": ""}], "instructions", ""),
        ([{"instructions": "Be brief."}, {"instructions": None}], "instructions", "Be brief."),
        ([{"output_modalities": ["text"]}], "output_modalities", ["text"]),
        ([{"max_output_tokens": 100}, {"max_output_tokens": "inf"}], "max_output_tokens", "inf"),
        ([{"model": "another"}], "model", "some-model"),
        *(
            ([{"tracing": "auto", "include": [], "prompt": {"id": "p"}, "anything": 1}], without, None)
            for without in ("tracing", "include", "prompt", "reasoning", "parallel_tool_calls")
        ),
        ([{"truncation": "disabled"}], "truncation", "auto"),
        ([{"tool_choice": "required"}], "tool_choice", "required"),
        (
            [{"tool_choice": {"type": "function", "name": "f"}}],
            "tool_choice",
            {"type": "function", "name": "f"},
        ),
        ([{"tools": [{"type": "function", "name": "f"}]}], "tools", [{"type": "function", "name": "f"}]),
        ([{"tools": [{"type": "function", "name": "f"}]}, {"tools": []}], "tools", []),
        ([hear(turn_detection=None)], "audio.input.turn_detection", None),
        ([hear(turn_detection=None), hear(format=None)], "audio.input.turn_detection", None),
        ([hear(turn_detection=None), hear(turn_detection={})], "audio.input.turn_detection", SERVER_VAD),
        (
            [hear(turn_detection={"threshold": 0.8})],
            "audio.input.turn_detection",
            {**SERVER_VAD, "threshold": 0.8},
        ),
        (
            [hear(turn_detection={"threshold": 0.8}), hear(turn_detection={"silence_duration_ms": 200})],
            "audio.input.turn_detection",
            {**SERVER_VAD, "threshold": 0.8, "silence_duration_ms": 200},
        ),
        (
            [hear(turn_detection={"threshold": 0.8}), hear(turn_detection={"threshold": None})],
            "audio.input.turn_detection",
            SERVER_VAD,
        ),
        (
            [hear(turn_detection={"create_response": False}), hear(turn_detection={"type": "semantic_vad"})],
            "audio.input.turn_detection",
            SEMANTIC_VAD,
        ),
        (
            [hear(turn_detection={"type": "semantic_vad", "eagerness": "low", "idle_timeout_ms": None})],
            "audio.input.turn_detection",
            {**SEMANTIC_VAD, "eagerness": "low"},
        ),
        ([hear(transcription={"model": "m"})], "audio.input.transcription", {"model": "m"}),
        (
            [hear(transcription={"model": "m"}), hear(transcription={"language": "ja"})],
            "audio.input.transcription",
            {"model": "m", "language": "ja"},
        ),
        (
            [hear(transcription={"model": "m", "prompt": "Names: Ann", "keywords": ["Ann"]})],
            "audio.input.transcription",
            {"model": "m"},
        ),
        ([hear(transcription={"model": "m"}), hear(transcription=None)], "audio.input.transcription", None),
        ([hear(noise_reduction={"type": "near_field"})], "audio.input.noise_reduction", None),
        ([hear(format={"type": "audio/pcmu"})], "audio.input.format", {"type": "audio/pcmu"}),
        ([hear(format={"type": "audio/pcmu"})], "audio.output.format", {"type": "audio/pcm", "rate": 24000}),
        (
            [hear(format={"type": "audio/pcm", "rate": None})],
            "audio.input.format",
            {"type": "audio/pcm", "rate": 24000},
        ),
        ([speak(voice="marin"), speak(speed=1.2)], "audio.output.voice", "marin"),
        ([speak(voice="marin"), speak(speed=1.2)], "audio.output.speed", 1.2),
        ([speak(speed=0.25)], "audio.output.speed", 0.5),
    ],
)
def test_an_update_changes_what_it_names(changes: list[dict[str, Any]], path: str, value: Any) -> None:
    assert pick(update(*changes), path) == value


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"audio": 3}, "session.audio"),
        ({"audio": {"input": []}}, "session.audio.input"),
        ({"output_modalities": []}, "session.output_modalities"),
        ({"max_output_tokens": 0}, "session.max_output_tokens"),
        ({"tools": [{"type": "function"}]}, "session.tools.0.name"),
        ({"tools": [{"type": "mcp", "server_label": "x", "name": "y"}]}, "session.tools.0.type"),
        ({"tool_choice": "perhaps"}, "session.tool_choice"),
        (hear(format={"type": "audio/pcm", "rate": 16000}), "session.audio.input.format"),
        (hear(turn_detection={"threshold": 2}), "session.audio.input.turn_detection"),
        ({"type": []}, "session.type"),
        (hear(turn_detection={"type": "clairvoyance"}), "session.audio.input.turn_detection"),
        (hear(turn_detection={"type": []}), "session.audio.input.turn_detection"),
        (hear(format={"type": {}}), "session.audio.input.format"),
        (hear(turn_detection=7), "session.audio.input.turn_detection"),
        (speak(speed=9), "session.audio.output.speed"),
    ],
)
def test_a_wrong_value_is_refused_by_name(change: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        START.update(change)
    assert (refused.value.param or "").startswith(param)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (
            {"silence_duration_ms": 200, "threshold": 0.7, "prefix_padding_ms": 100},
            Rules(silence_ms=200, threshold=0.7, prefix_ms=100, weighs_interruptions=False),
        ),
        (
            {"create_response": False, "interrupt_response": False},
            Rules(silence_ms=500, replies=False, interrupts=False, weighs_interruptions=False),
        ),
        ({"type": "semantic_vad", "eagerness": "low"}, Rules(patience=Patience.PATIENT)),
        ({"type": "semantic_vad", "eagerness": "medium"}, Rules(patience=Patience.BALANCED)),
        ({"type": "semantic_vad", "eagerness": "high"}, Rules(patience=Patience.QUICK)),
        ({"type": "semantic_vad"}, Rules()),
        (None, Rules(hands_free=False)),
    ],
)
def test_turn_detection_decides_the_rules_of_turn_taking(change: Any, rules: Rules) -> None:
    assert START.update(hear(turn_detection=change)).read_rules(Rules()) == rules


def test_auto_eagerness_is_as_patient_as_the_server_is_set() -> None:
    setup = START.update(hear(turn_detection={"type": "semantic_vad"}))
    assert setup.read_rules(Rules(patience=Patience.QUICK)).patience is Patience.QUICK


def test_a_turn_that_is_judged_by_its_words_is_so_by_its_sound_too_where_the_server_does() -> None:
    setup = START.update(hear(turn_detection={"type": "semantic_vad", "eagerness": "low"}))
    rules = setup.read_rules(Rules(scores_pauses=True))
    assert (rules.scores_pauses, rules.patience, rules.silence_ms) == (True, Patience.PATIENT, None)


def test_replies_are_wished_for_as_the_session_says() -> None:
    setup = START.update(
        {
            "instructions": "Be brief.",
            "output_modalities": ["text"],
            "max_output_tokens": 50,
            "tools": [{"type": "function", "name": "f", "description": None}],
            "tool_choice": {"type": "function", "name": "f"},
        }
    )
    wish = setup.read_wish()
    assert (wish.instructions, wish.aloud) == ("Be brief.", False)
    assert wish.options.tools == (Tool("f", "", '{"type": "object", "properties": {}}'),)
    assert (wish.options.tool_choice, wish.options.max_tokens) == ("f", 50)
    assert START.read_wish().instructions is None
