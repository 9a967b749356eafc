"""A reply as a Realtime response: its events in the order that stock clients rely on, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from voice import texts
from voice.engines import Speech, ToolCall, Usage
from voice.live.events import ReplyDone
from voice.web.realtime.audio import SpeechWriter
from voice.web.realtime.events import Refused, ServerEvent, make_event, make_id
from voice.web.realtime.items import Items, Status, WireItem, make_call, make_message
from voice.web.realtime.session import Setup


class Response:
    """Of one reply. Its methods give the events that are to be sent, in order."""

    def __init__(
        self, setup: Setup, conversation: str, items: Items, metadata: Mapping[str, str] | None = None
    ) -> None:
        """`setup`: the session as this reply wants it. `conversation`: its id."""
        self.id = make_id("resp")
        self._setup = setup
        self._conversation = conversation
        self._items = items
        self._metadata = dict(metadata) if metadata is not None else None
        self._output: list[WireItem] = []
        self._message: _Message | None = None

    def open(self) -> Iterator[ServerEvent]:
        yield make_event("response.created", response=self._show("in_progress", None))

    def write(self, item: str, text: str) -> Iterator[ServerEvent]:
        """`item`: the reply's own; `text`: goes on from what was written before."""
        message = yield from self._begin_message(item)
        yield from message.write(text)

    def speak(self, item: str, speech: Speech) -> Iterator[ServerEvent]:
        if self._setup.speaks:
            message = yield from self._begin_message(item)
            yield from message.speak(speech)

    def call(self, name: str, call: ToolCall) -> Iterator[ServerEvent]:
        """`name`: of the call's item."""
        index = len(self._output)
        place = {"response_id": self.id, "item_id": name, "output_index": index}
        begun = make_call(name, call, "in_progress", arguments="")
        yield make_event("response.output_item.added", response_id=self.id, output_index=index, item=begun)
        before = self._items.put(begun)
        yield make_event("conversation.item.added", item=begun, previous_item_id=before)
        yield make_event(
            "response.function_call_arguments.delta", **place, call_id=call.id, delta=call.arguments
        )
        yield make_event(
            "response.function_call_arguments.done",
            **place,
            call_id=call.id,
            name=call.name,
            arguments=call.arguments,
        )
        done = make_call(name, call, "completed")
        self._items.put(done)
        self._output.append(done)
        yield make_event("conversation.item.done", item=done, previous_item_id=before)
        yield make_event("response.output_item.done", response_id=self.id, output_index=index, item=done)

    def finish(self, done: ReplyDone, language: str) -> Iterator[ServerEvent]:
        """`language`: of what is said about a failure."""
        if self._message is not None:
            status: Status = "completed" if done.status == "completed" else "incomplete"
            yield from self._message.finish(status, is_cut=done.status == "cancelled")
            self._output[self._message.index] = self._message.item
        yield make_event(
            "response.done",
            response=self._show(done.status, describe_end(done, language), show_usage(done.usage)),
        )

    def cut(self, item: str, text: str) -> None:
        """The client heard only so much of the message: no later event tells more."""
        if self._message is not None and self._message.item["id"] == item:
            self._message.cut(text)

    def _begin_message(self, item: str) -> Generator[ServerEvent, None, _Message]:
        if self._message is None:
            self._message = _Message(self.id, item, len(self._output), self._setup, self._items)
            self._output.append(self._message.item)
            yield from self._message.begin()
        return self._message

    def _show(
        self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        setup = self._setup.show()
        output = setup["audio"]["output"]
        return {
            "id": self.id,
            "object": "realtime.response",
            "conversation_id": self._conversation,
            "status": status,
            "status_details": details,
            "output": list(self._output),
            "output_modalities": setup["output_modalities"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "max_output_tokens": setup["max_output_tokens"],
            "metadata": self._metadata,
            "usage": usage,
        }


class _Message:
    """The message of a response, and its one part."""

    def __init__(self, response: str, name: str, index: int, setup: Setup, items: Items) -> None:
        self.item = make_message(name, "assistant", "in_progress")
        self.index = index
        self._response = response
        self._items = items
        self._before: str | None = None
        self._text = ""
        self._is_cut = False
        self._speech = SpeechWriter(setup.audio.output.format) if setup.speaks else None

    def begin(self) -> Iterator[ServerEvent]:
        self._before = self._items.put(self.item)
        yield self._tell_item("response.output_item.added")
        yield make_event("conversation.item.added", item=self.item, previous_item_id=self._before)
        yield self._tell("response.content_part.added", part=self._show_part(""))

    def write(self, text: str) -> Iterator[ServerEvent]:
        if not self._is_cut:
            self._text += text
        kind = "output_audio_transcript" if self._speech else "output_text"
        yield self._tell(f"response.{kind}.delta", delta=text)

    def speak(self, speech: Speech) -> Iterator[ServerEvent]:
        if self._speech is not None:
            for piece in self._speech.write(speech.pcm):
                yield self._tell("response.output_audio.delta", delta=piece)

    def finish(self, status: Status, is_cut: bool) -> Iterator[ServerEvent]:
        """`is_cut`: nobody wants the rest of its sound."""
        if self._speech is None:
            yield self._tell("response.output_text.done", text=self._text)
        else:
            if not is_cut:
                for piece in self._speech.finish():
                    yield self._tell("response.output_audio.delta", delta=piece)
            yield self._tell("response.output_audio.done")
            yield self._tell("response.output_audio_transcript.done", transcript=self._text)
        yield self._tell("response.content_part.done", part=self._show_part(self._text))
        self.item = self._show_item(status)
        self._items.put(self.item)
        yield make_event("conversation.item.done", item=self.item, previous_item_id=self._before)
        yield self._tell_item("response.output_item.done")

    def cut(self, text: str) -> None:
        self._text = text
        self._is_cut = True

    def _tell(self, kind: str, **fields: Any) -> ServerEvent:
        return make_event(
            kind,
            response_id=self._response,
            item_id=self.item["id"],
            output_index=self.index,
            content_index=0,
            **fields,
        )

    def _tell_item(self, kind: str) -> ServerEvent:
        return make_event(kind, response_id=self._response, output_index=self.index, item=self.item)

    def _show_part(self, text: str) -> dict[str, str]:
        """The part of these events is of another vocabulary than an item's content."""
        return {"type": "audio", "transcript": text} if self._speech else {"type": "text", "text": text}

    def _show_item(self, status: Status) -> WireItem:
        content = (
            {"type": "output_audio", "transcript": self._text}
            if self._speech
            else {"type": "output_text", "text": self._text}
        )
        return make_message(self.item["id"], "assistant", status, content)


def describe_end(done: ReplyDone, language: str) -> dict[str, Any]:
    """`status_details`: stock clients drop the whole event at a reason that they do not know."""
    if done.status == "cancelled":
        return {"type": "cancelled", "reason": "turn_detected" if done.interrupted else "client_cancelled"}
    if done.status == "incomplete":
        return {"type": "incomplete", "reason": done.incomplete}
    if done.status == "failed":
        sentence = done.error.sentence if done.error else "turn_broke"
        details = done.error.details if done.error else {}
        message = texts.say(sentence, language, **details)
        return {"type": "failed", "error": {"type": "server_error", "code": sentence, "message": message}}
    return {"type": "completed"}


def show_usage(usage: Usage | None) -> dict[str, Any] | None:
    """Whole numbers, or nothing at all: a null inside is refused by stock clients."""
    if usage is None:
        return None
    return {
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "input_token_details": {
            "text_tokens": usage.input_tokens,
            "audio_tokens": 0,
            "cached_tokens": usage.cached_tokens,
        },
        "output_token_details": {"text_tokens": usage.output_tokens, "audio_tokens": 0},
    }


def read_metadata(wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """What a client calls a response by; it comes back with the response.

    Raises:
        Refused: it is not made of short strings.
    """
    metadata = wanted.get("metadata")
    if metadata is None:
        return None
    if (
        not isinstance(metadata, Mapping)
        or len(metadata) > 16
        or not all(
            isinstance(value, str) and len(key) <= 64 and len(value) <= 512 for key, value in metadata.items()
        )
    ):
        raise Refused("invalid_value", "Metadata are up to 16 short strings.", "response.metadata")
    return dict(metadata)
