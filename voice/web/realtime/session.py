"""A Realtime session's settings: their defaults, how an update changes them, and what they mean for the conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from voice.engines import ReplyOptions, Tool
from voice.live import ReplyWish
from voice.turns.events import Patience, Rules
from voice.web.realtime.events import Refused, check_echo, validate

INSTRUCTIONS_CHARACTERS = 50_000
"""About what the hosted API takes for instructions: 16,384 tokens."""
MAX_TOOLS = 128
"""As many as chat models take (OpenAI's chat completions)."""
SLOWEST = 0.5
"""Of what engines speak; the protocol has still slower speech."""
CHANGEABLE = frozenset(
    {"instructions", "output_modalities", "tools", "tool_choice", "max_output_tokens", "audio"}
)
"""By a session's update, and for a single reply. `model` is what the server has, whatever a client calls it."""
NO_PARAMETERS = {"type": "object", "properties": {}}
EAGERNESS = {"low": Patience.PATIENT, "medium": Patience.BALANCED, "high": Patience.QUICK}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PcmFormat(_Part):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Annotated[Literal[24000], BeforeValidator(lambda rate: 24000 if rate is None else rate)] = 24000


class TelephoneFormat(_Part):
    """G.711, 8 kHz."""

    type: Literal["audio/pcmu", "audio/pcma"]


AudioFormat: TypeAlias = PcmFormat | TelephoneFormat


class Transcription(_Part):
    """That the client wants to be told what the user said, whatever it calls the engine that hears it."""

    model: str = Field("kaiwa", max_length=200)
    language: str | None = Field(None, max_length=35)


class ServerVad(_Part):
    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(300, ge=0, le=10_000)
    silence_duration_ms: int = Field(500, ge=0, le=60_000)
    idle_timeout_ms: int | None = Field(None, ge=1000, le=600_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(_Part):
    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class AudioInput(_Part):
    format: AudioFormat = Field(PcmFormat(), discriminator="type")
    transcription: Transcription | None = None
    noise_reduction: None = None
    turn_detection: ServerVad | SemanticVad | None = Field(ServerVad(), discriminator="type")


AUTO_VOICE = "auto"


class AudioOutput(_Part):
    format: AudioFormat = Field(PcmFormat(), discriminator="type")
    voice: str | dict[str, Any] = AUTO_VOICE
    speed: Annotated[float, Field(ge=0.25, le=1.5), AfterValidator(lambda speed: max(speed, SLOWEST))] = 1.0

    @property
    def voice_name(self) -> str:
        name = self.voice if isinstance(self.voice, str) else self.voice.get("id")
        return name if isinstance(name, str) else ""


class Audio(_Part):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class FunctionTool(_Part):
    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionChoice(_Part):
    type: Literal["function"] = "function"
    name: str


class Setup(_Part):
    """A session as it stands. What the protocol has and this server does without is passed over, and shown to be so."""

    type: Literal["realtime"] = "realtime"
    object: Literal["realtime.session"] = "realtime.session"
    id: str
    model: str
    expires_at: int
    """Seconds since 1970."""
    output_modalities: tuple[Literal["text", "audio"], ...] = Field(("audio",), min_length=1)
    instructions: str = Field("", max_length=INSTRUCTIONS_CHARACTERS)
    tools: tuple[FunctionTool, ...] = Field((), max_length=MAX_TOOLS)
    tool_choice: Literal["auto", "none", "required"] | FunctionChoice = "auto"
    max_output_tokens: Annotated[int, Field(ge=1, le=100_000)] | Literal["inf"] = "inf"
    include: None = None
    parallel_tool_calls: None = None
    prompt: None = None
    reasoning: None = None
    tracing: None = None
    truncation: Literal["auto"] = "auto"
    audio: Audio = Audio()

    def update(self, changes: Mapping[str, Any], where: str = "session") -> Setup:
        """The session with what is present in `changes`; a null that means nothing changes nothing.

        Raises:
            Refused: a value that there cannot be.
        """
        if changes.get("type") not in [None, "realtime"]:
            raise Refused(
                "invalid_value", "Only sessions of the type 'realtime' are served.", f"{where}.type"
            )
        present = {name: value for name, value in changes.items() if name in CHANGEABLE and value is not None}
        audio = _read_part(present, "audio", where)
        given = {side: _read_part(audio, side, f"{where}.audio") for side in ("input", "output")}
        present["audio"] = {
            "input": self._merge_input(given["input"], where),
            "output": {**self.audio.output.model_dump(), **_without_nulls(given["output"])},
        }
        setup = validate(Setup, {**self.model_dump(), **present}, where)
        check_echo(setup.show(), where)
        return setup

    def show(self) -> dict[str, Any]:
        """The session as clients read it: some end at a null that they do not expect."""
        shown = self.model_dump(mode="json")
        shown["tools"] = [_without_nulls(tool) for tool in shown["tools"]]
        if self.audio.input.transcription is not None:
            shown["audio"]["input"]["transcription"] = _without_nulls(
                self.audio.input.transcription.model_dump()
            )
        return shown

    def read_rules(self, usual: Rules) -> Rules:
        """How turns are taken. `usual`: what the protocol has no words for, and the patience of "auto"."""
        detection = self.audio.input.turn_detection
        if detection is None:
            return replace(usual, hands_free=False)
        rules = replace(
            usual,
            hands_free=True,
            replies=detection.create_response,
            interrupts=detection.interrupt_response,
        )
        if isinstance(detection, ServerVad):
            return replace(
                rules,
                silence_ms=detection.silence_duration_ms,
                threshold=detection.threshold,
                prefix_ms=detection.prefix_padding_ms,
                weighs_interruptions=False,
            )
        return replace(
            rules,
            silence_ms=None,
            patience=EAGERNESS.get(detection.eagerness, usual.patience),
            weighs_interruptions=True,
        )

    def read_wish(self) -> ReplyWish:
        """What replies are like."""
        choice = self.tool_choice if isinstance(self.tool_choice, str) else self.tool_choice.name
        tools = tuple(
            Tool(tool.name, tool.description or "", json.dumps(tool.parameters or NO_PARAMETERS))
            for tool in self.tools
        )
        tokens = None if self.max_output_tokens == "inf" else self.max_output_tokens
        return ReplyWish(self.instructions or None, self.speaks, ReplyOptions(tools, choice, tokens))

    @property
    def speaks(self) -> bool:
        """Whether replies are to be heard, not only read."""
        return "audio" in self.output_modalities

    def _merge_input(self, changes: Mapping[str, Any], where: str) -> dict[str, Any]:
        merged = self.audio.input.model_dump()
        if changes.get("format") is not None:
            merged["format"] = changes["format"]
        if "transcription" in changes:
            merged["transcription"] = _merge_part(
                merged["transcription"], changes["transcription"], f"{where}.audio.input.transcription"
            )
        if "turn_detection" in changes:
            merged["turn_detection"] = _merge_detection(
                merged["turn_detection"], changes["turn_detection"], f"{where}.audio.input.turn_detection"
            )
        return merged


def _merge_detection(current: dict[str, Any] | None, changes: object, where: str) -> dict[str, Any] | None:
    """Of the same type, or of none, changes go over what there is; another type begins with its defaults."""
    current = current or {"type": "server_vad"}
    if isinstance(changes, Mapping) and changes.get("type") not in [None, current["type"]]:
        current = {}
    return _merge_part(current, changes, where)


def _merge_part(current: dict[str, Any] | None, changes: object, where: str) -> dict[str, Any] | None:
    """A null inside brings back the default."""
    if changes is None:
        return None
    if not isinstance(changes, Mapping):
        raise Refused("invalid_value", "Invalid value: an object is expected.", where)
    return _without_nulls({**(current or {}), **changes})


def _read_part(fields: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    part = fields.get(name)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise Refused("invalid_value", "Invalid value: an object is expected.", f"{where}.{name}")
    return part


def _without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
