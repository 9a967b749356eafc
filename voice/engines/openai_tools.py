"""Tools on the wire of chat completions: what is offered, what was called and answered, and calls as they stream in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, cast

from openai.types.chat import ChatCompletionMessageParam

from voice.engines import Message, ReplyOptions, ToolCall

ID_CHARACTERS = 32
"""The longest id of a call that clients of the Realtime protocol are promised."""


def offer_tools(options: ReplyOptions) -> dict[str, Any]:
    """The parameters that offer the tools; none where there is nothing to offer."""
    if not options.tools:
        return {}
    offer: dict[str, Any] = {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.loads(tool.parameters or "{}") or {"type": "object", "properties": {}},
                },
            }
            for tool in options.tools
        ]
    }
    if options.tool_choice in ("none", "required"):
        offer["tool_choice"] = options.tool_choice
    elif options.tool_choice != "auto":
        offer["tool_choice"] = {"type": "function", "function": {"name": options.tool_choice}}
    return offer


def as_params(prompt: Sequence[Message]) -> list[ChatCompletionMessageParam]:
    """The messages as servers take them: each call is followed by its answer at once.

    Servers refuse calls without an answer and answers without a call, so both are left out.
    """
    answers = {message.call_id: message.content for message in prompt if message.role == "tool"}
    return [
        cast(ChatCompletionMessageParam, param)
        for message in prompt
        for param in _params_of(message, answers)
    ]


def _params_of(message: Message, answers: dict[str, str]) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        return
    if not message.calls:
        yield {"role": message.role, "content": message.content}
        return
    calls = [call for call in message.calls if call.id in answers]
    if calls:
        yield {
            "role": message.role,
            "content": message.content or None,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in calls
            ],
        }
    elif message.content:
        yield {"role": message.role, "content": message.content}
    for call in calls:
        yield {"role": "tool", "tool_call_id": call.id, "content": answers[call.id]}


class Calls:
    """Joins calls that come in pieces, which the client hands on without checking them."""

    def __init__(self) -> None:
        self._begun: list[_Call] = []
        self._by_index: dict[object, _Call] = {}

    def add(self, pieces: object) -> bool:
        """Whether these are pieces of calls. `pieces`: `delta.tool_calls` of a chunk."""
        if not isinstance(pieces, list) or not pieces:
            return False
        for piece in pieces:
            self._add(piece)
        return True

    def whole(self) -> list[ToolCall]:
        """The calls that can be made: one that was cut off is none."""
        return [call for begun in self._begun if (call := begun.whole())]

    def _add(self, piece: Any) -> None:
        index, call_id = getattr(piece, "index", None), getattr(piece, "id", None)
        call = self._by_index.get(index)
        # Some servers number every call 0.
        if call is None or (call_id and call.id and call_id != call.id):
            call = self._by_index[index] = _Call()
            self._begun.append(call)
        function = getattr(piece, "function", None)
        name, arguments = getattr(function, "name", None), getattr(function, "arguments", None)
        call.id = call.id or (call_id if isinstance(call_id, str) else "")
        call.name = call.name or (name if isinstance(name, str) else "")
        call.arguments += arguments if isinstance(arguments, str) else ""


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = ""

    def whole(self) -> ToolCall | None:
        arguments = self.arguments.strip() or "{}"
        try:
            json.loads(arguments)
        except ValueError:
            return None
        if not self.name:
            return None
        # Requests bring the calls of old with them, so any id does that is the same in call and answer.
        call_id = self.id if 0 < len(self.id) <= ID_CHARACTERS else f"call_{secrets.token_hex(8)}"
        return ToolCall(call_id, self.name, arguments)
