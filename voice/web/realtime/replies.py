"""The replies of a live conversation as Realtime responses: which is under way, which was asked for, what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voice.live.events import ReplyCalled, ReplyDone, ReplySpoke, ReplyStarted, ReplyWrote
from voice.web.realtime.events import ServerEvent, make_id
from voice.web.realtime.items import Items
from voice.web.realtime.response import Response
from voice.web.realtime.session import Setup

NAMES_KEPT = 16
"""Replies whose playback may still be reported."""


class Replies:
    """Of one conversation. Its methods give the events that are to be sent, in order."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._conversation = make_id("conv")
        self._expected: Response | None = None
        """Asked for by the client, which was told of it; the conversation has not begun it."""
        self._open: dict[int, Response] = {}
        self._names: dict[int, str] = {}
        self.last_done: int | None = None
        """The reply that ended last."""

    @property
    def active(self) -> str | None:
        """The id of the response under way."""
        responses = [*self._open.values(), *filter(None, [self._expected])]
        return responses[-1].id if responses else None

    def find(self, item: str) -> int | None:
        """Which reply an item is of, if it is one of the last."""
        return next((reply for reply, name in self._names.items() if name == item), None)

    def name(self, reply: int) -> str:
        """The item of a reply."""
        return self._names[reply]

    def expect(self, setup: Setup, metadata: Mapping[str, str] | None) -> Iterator[ServerEvent]:
        """The next reply that begins is one that the client asked for. `setup`: the session as this reply wants it."""
        self._expected = Response(setup, self._conversation, self._items, metadata)
        yield from self._expected.open()

    def follow(
        self,
        event: ReplyStarted | ReplyWrote | ReplySpoke | ReplyCalled | ReplyDone,
        setup: Setup,
        language: str,
    ) -> Iterator[ServerEvent]:
        """`setup`: of a reply that nobody asked for. `language`: of what is said about a failure."""
        if isinstance(event, ReplyStarted):
            yield from self._start(event, setup)
            return
        response = self._open.get(event.reply)
        if response is None:
            return
        match event:
            case ReplyWrote(text=text):
                yield from response.write(self._names[event.reply], text)
            case ReplySpoke(speech=speech):
                yield from response.speak(self._names[event.reply], speech)
            case ReplyCalled(item=item, call=call):
                yield from response.call(item, call)
            case ReplyDone():
                del self._open[event.reply]
                self.last_done = event.reply
                yield from response.finish(event, language)

    def cut(self, item: str, text: str) -> None:
        """The client heard only so much of a reply: no later event tells more."""
        for response in self._open.values():
            response.cut(item, text)
        told = self._items.find(item)
        if told is not None and told["content"]:
            content = {**told["content"][0], "transcript": text}
            self._items.put({**told, "content": [content]})

    def _start(self, event: ReplyStarted, setup: Setup) -> Iterator[ServerEvent]:
        self._names[event.reply] = event.item
        if len(self._names) > NAMES_KEPT:
            del self._names[next(iter(self._names))]
        if self._expected is not None:
            self._open[event.reply], self._expected = self._expected, None
        else:
            self._open[event.reply] = Response(setup, self._conversation, self._items)
            yield from self._open[event.reply].open()
