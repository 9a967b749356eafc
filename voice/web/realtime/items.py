"""The items of a conversation as Realtime clients know them, and the messages that they are for the chat model."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from voice.conversation import Conversation
from voice.engines import Message, ToolCall
from voice.web.realtime.events import Refused, check_echo, make_id, show, validate

WireItem: TypeAlias = dict[str, Any]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]

MAX_ITEMS = 2_000


class _Content(BaseModel):
    type: str | None = None
    text: str | None = None
    transcript: str | None = None


class _Item(BaseModel):
    id: str | None = Field(None, min_length=1, max_length=128)


class _Message(_Item):
    role: Literal["user", "assistant", "system"]
    content: list[_Content]


class _FunctionCall(_Item):
    name: str = Field(max_length=256)
    arguments: str
    call_id: str | None = Field(None, max_length=256)


class _FunctionCallOutput(_Item):
    call_id: str = Field(max_length=256)
    output: str


def read_item(fields: Mapping[str, Any]) -> tuple[WireItem, Message]:
    """An item that a client brings.

    Raises:
        Refused: it is none that could be understood.
    """
    kind = fields.get("type")
    if kind == "message":
        return _read_message(validate(_Message, fields, "item"))
    if kind == "function_call":
        call = validate(_FunctionCall, fields, "item")
        asked = ToolCall(call.call_id or make_id("call"), call.name, call.arguments)
        return make_call(call.id or make_id("item"), asked, "completed"), Message(
            "assistant", "", calls=(asked,)
        )
    if kind == "function_call_output":
        answer = validate(_FunctionCallOutput, fields, "item")
        item = _make(
            answer.id, "function_call_output", "completed", call_id=answer.call_id, output=answer.output
        )
        return item, Message("tool", answer.output, call_id=answer.call_id)
    if kind is None:
        raise Refused("missing_required_parameter", "Missing required parameter: 'item.type'.", "item.type")
    raise Refused("invalid_value", f"Invalid value: {show(kind)}.", "item.type")


def make_utterance(name: str, transcript: str | None = None) -> WireItem:
    """What the user said; `transcript` is None as long as it is not known, and must be there all the same."""
    return make_message(name, "user", "completed", {"type": "input_audio", "transcript": transcript})


def make_message(name: str | None, role: str, status: Status, *content: dict[str, Any]) -> WireItem:
    return _make(name, "message", status, role=role, content=list(content))


def make_call(name: str, call: ToolCall, status: Status, arguments: str | None = None) -> WireItem:
    """`arguments`: those written so far, when not all are."""
    return _make(
        name,
        "function_call",
        status,
        call_id=call.id,
        name=call.name,
        arguments=call.arguments if arguments is None else arguments,
    )


class Items:
    """What a client has been told is in the conversation, in order, and its changes to it.

    Beside the conversation's own items stand utterances in which no words were found, which the client knows of.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._items: dict[str, WireItem] = {}
        self._order: list[str] = []
        self._gone: deque[str] = deque(maxlen=MAX_ITEMS)  # all of a conversation may be deleted at once

    def is_gone(self, name: str) -> bool:
        """Whether it was there and the client has deleted it of late, which late events may cross."""
        return name in self._gone

    def find(self, name: str) -> WireItem | None:
        return self._items.get(name)

    def put(self, item: WireItem) -> str | None:
        """The server's own: new at the end, or as it now is. The item in front of it, if there is one.

        What the client has deleted meanwhile does not come back.
        """
        name = item["id"]
        if name in self._gone:
            self._forget(name)
            return None
        if name not in self._items:
            self._order.append(name)
        self._items[name] = item
        return self._before(name)

    def create(self, fields: Mapping[str, Any], after: str | None) -> tuple[WireItem, str | None]:
        """The client's: behind the item `after`; None: at the end, "root": at the beginning. And the one in front of it.

        Raises:
            Refused: there is no such place, or the item is not to be understood, or there is one of its name.
        """
        item, message = read_item(fields)
        check_echo(item, "item")
        name = item["id"]
        if name in self._items or self._conversation.find(name) is not None:
            raise Refused("item_create_duplicate_item_id", f"There is an item {name!r} already.", "item.id")
        if len(self._order) >= MAX_ITEMS:
            raise Refused("invalid_value", f"A conversation holds at most {MAX_ITEMS} items.", "item")
        if after is None:
            place = len(self._order)
        elif after == "root":
            place = 0
        elif after in self._items:
            place = self._order.index(after) + 1
        else:
            raise Refused("invalid_value", f"There is no item {show(after)}.", "previous_item_id")
        self._conversation.add(message, name, self._find_kept(place) if after else None)
        self._order.insert(place, name)
        self._items[name] = item
        return item, self._before(name)

    def remove(self, name: str) -> None:
        """Forget what the client deletes.

        Raises:
            KeyError: there is no such item.
        """
        del self._items[name]
        self._order.remove(name)
        self._gone.append(name)
        self._forget(name)

    def _forget(self, name: str) -> None:
        if self._conversation.find(name) is not None:
            self._conversation.remove(name)

    def _before(self, name: str) -> str | None:
        place = self._order.index(name)
        return self._order[place - 1] if place else None

    def _find_kept(self, place: int) -> str:
        """The nearest item in front of a place that is in the conversation too; "" for none."""
        kept = (name for name in reversed(self._order[:place]) if self._conversation.find(name) is not None)
        return next(kept, "")


def _read_message(message: _Message) -> tuple[WireItem, Message]:
    if message.role == "assistant":
        said = [part.transcript if part.type == "output_audio" else part.text for part in message.content]
        kind = "output_text"
    else:
        said = [_read_part(place, part) for place, part in enumerate(message.content)]
        kind = "input_text"
    texts = [text for text in said if text]
    item = make_message(
        message.id, message.role, "completed", *({"type": kind, "text": text} for text in texts)
    )
    return item, Message(message.role, "\n".join(texts))


def _read_part(place: int, part: _Content) -> str | None:
    """Images, which no engine sees, are passed over."""
    if part.type == "input_audio" and part.transcript is None:
        raise Refused(
            "invalid_value",
            "Sound is taken by input_audio_buffer.append; in an item it needs its transcript.",
            f"item.content.{place}.transcript",
        )
    return part.transcript if part.type == "input_audio" else part.text


def _make(name: str | None, kind: str, status: Status, /, **fields: Any) -> WireItem:
    return {
        "id": name or make_id("item"),
        "object": "realtime.item",
        "type": kind,
        "status": status,
        **fields,
    }
