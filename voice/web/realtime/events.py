"""The Realtime protocol's events: what a client's message says, and what the server says back.

What clients send is parsed into the openai package's own event types, more leniently than the hosted API does: several
stock clients end their session at any error.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar
from uuid import uuid4

from openai.types.realtime import (
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    OutputAudioBufferClearEvent,
    ResponseCancelEvent,
)
from pydantic import BaseModel, ValidationError

ServerEvent: TypeAlias = dict[str, Any]
M = TypeVar("M", bound=BaseModel)

SHOWN_CHARACTERS = 80
"""Of a wrong value, in an error's message."""
MESSAGE_CHARACTERS = 400
"""Of what a validator says, which may quote the value once more."""
EVENT_ID_CHARACTERS = 512
"""As the hosted API. A longer one is not repeated."""
ECHO_BYTES = 512 * 1024
"""Of what a client brings and is told again, as JSON: some stock clients take no frame over a megabyte."""

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class SessionUpdate(BaseModel):
    """Its session as it came: only what is present changes, which a validated object would not tell."""

    type: Literal["session.update"]
    session: dict[str, Any]


class ItemCreate(BaseModel):
    """Its item as it came: what kind it is, and so what it must have, `realtime_items` finds out."""

    type: Literal["conversation.item.create"]
    item: dict[str, Any]
    previous_item_id: str | None = None


class ResponseCreate(BaseModel):
    """Its response as it came, for the same reason as a session."""

    type: Literal["response.create"]
    response: dict[str, Any] | None = None


ClientEvent: TypeAlias = (
    SessionUpdate
    | InputAudioBufferAppendEvent
    | InputAudioBufferCommitEvent
    | InputAudioBufferClearEvent
    | OutputAudioBufferClearEvent
    | ItemCreate
    | ConversationItemRetrieveEvent
    | ConversationItemTruncateEvent
    | ConversationItemDeleteEvent
    | ResponseCreate
    | ResponseCancelEvent
)

CLIENT_EVENTS: Mapping[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.append": InputAudioBufferAppendEvent,
    "input_audio_buffer.commit": InputAudioBufferCommitEvent,
    "input_audio_buffer.clear": InputAudioBufferClearEvent,
    "output_audio_buffer.clear": OutputAudioBufferClearEvent,
    "conversation.item.create": ItemCreate,
    "conversation.item.retrieve": ConversationItemRetrieveEvent,
    "conversation.item.truncate": ConversationItemTruncateEvent,
    "conversation.item.delete": ConversationItemDeleteEvent,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancelEvent,
}


class Refused(Exception):
    """A client's event cannot be carried out; nothing has changed."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def read_object(message: str | bytes) -> dict[str, Any]:
    """The JSON object that a message is.

    Raises:
        Refused: it is none.
    """
    try:
        value = _DECODER.decode(message if isinstance(message, str) else message.decode())
    except (ValueError, RecursionError) as exc:
        raise Refused("invalid_json", "The message is not valid JSON.") from exc
    if not isinstance(value, dict):
        raise Refused("invalid_json", "The message is not a JSON object.")
    if _ESCAPED_SURROGATE.search(message if isinstance(message, str) else message.decode(errors="replace")):
        # Half of a pair is no Unicode text, and breaks whoever is to pass it on.
        whole: dict[str, Any] = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        return whole
    return value


def parse_event(fields: Mapping[str, Any], kinds: Mapping[str, type[M]]) -> M:
    """`kinds`: the types of event that there are, by name.

    Raises:
        Refused: there is no such event, or a field is missing or wrong.
    """
    name = fields.get("type")
    if name is None:
        raise Refused("missing_required_parameter", "Missing required parameter: 'type'.", "type")
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Refused("invalid_value", f"Invalid value: {show(name)}.", "type")
    return validate(kind, {name: value for name, value in fields.items() if name != "event_id"})


def validate(kind: type[M], fields: Mapping[str, Any], where: str = "") -> M:
    """`where`: what stands before the names of fields in an error, as "session".

    Raises:
        Refused: the first field that is missing or wrong.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_context=False)[0]
        param = ".".join(filter(None, [where, *map(str, problem["loc"])]))
        if problem["type"] == "missing":
            raise Refused(
                "missing_required_parameter", f"Missing required parameter: '{param}'.", param
            ) from exc
        message = f"Invalid value: {show(problem['input'])}. {problem['msg'][:MESSAGE_CHARACTERS]}."
        raise Refused("invalid_value", message, param) from exc


def show(value: object) -> str:
    """A value as it stands in an error's message."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def check_echo(shown: Mapping[str, Any], param: str) -> None:
    """Raises Refused when it is too large to be told again."""
    size = len(json.dumps(shown))
    if size > ECHO_BYTES:
        message = f"Too large: {size // 1024} KiB as JSON, at most {ECHO_BYTES // 1024} are taken."
        raise Refused("invalid_value", message, param)


def make_event(kind: str, **fields: Any) -> ServerEvent:
    return {"type": kind, "event_id": make_id("event"), **fields}


def make_error(refused: Refused, client_event: object = None) -> ServerEvent:
    """`client_event`: the `event_id` of the event refused, if it has one."""
    return make_event(
        "error",
        error={
            "type": "server_error" if refused.code == "server_error" else "invalid_request_error",
            "code": refused.code,
            "message": refused.message,
            "param": refused.param,
            "event_id": client_event
            if isinstance(client_event, str) and len(client_event) <= EVENT_ID_CHARACTERS
            else None,
        },
    )


def make_id(kind: str) -> str:
    """`kind`: as "resp"; of an id the protocol allows 32 characters."""
    return f"{kind}_{uuid4().hex[:20]}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_finite(text: str) -> float:
    """What overflows would be written back as Infinity, which is not JSON."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_read_finite)
