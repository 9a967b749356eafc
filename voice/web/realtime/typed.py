"""What a page's live panel is told of the rest of its session: the transcript, and replies to lines and recordings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from voice.live.events import LiveEvent, ReplyDone, ReplySpoke, ReplyStarted, ReplyWrote
from voice.session import Line, Session
from voice.session_events import Failed, Finished, Heard, ReplyGrew, Spoke, Stopped, TurnEvent
from voice.web.realtime.events import make_id
from voice.web.transcript import ChatMessage, render_transcript


class LiveTranscript:
    """The session's lines as the page's messages: each time what has changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shown: list[tuple[Line, list[ChatMessage]]] = []

    def change(self) -> tuple[int, list[ChatMessage]]:
        """The first message that is new or changed, and all from it on."""
        lines = self._session.lines
        same = 0
        while same < min(len(lines), len(self._shown)) and self._shown[same][0] is lines[same]:
            same += 1
        del self._shown[same:]
        first = sum(len(messages) for _, messages in self._shown)
        changed = [(line, render_transcript([line], self._session.language)) for line in lines[same:]]
        self._shown += changed
        return first, [message for _, messages in changed for message in messages]


class TypedTurns:
    """Turns by recording or keyboard in the words of live ones. Their replies have numbers below 0."""

    def __init__(self) -> None:
        self._numbers = count(-1, -1)
        self._reply = 0
        """The one under way; 0 for none."""
        self._text = ""
        self._failed = False

    def translate(self, event: TurnEvent) -> Iterator[LiveEvent]:
        match event:
            case Heard():
                self._reply, self._text, self._failed = next(self._numbers), "", False
                yield ReplyStarted(self._reply, make_id("item"), None)
            case ReplyGrew(text=text) if self._reply:
                yield ReplyWrote(self._reply, text[len(self._text) :])
                self._text = text
            case Spoke(speech=speech) if self._reply:
                yield ReplySpoke(self._reply, speech)
            case Failed():
                self._failed = True
            case Finished() | Stopped() if self._reply:
                reply, self._reply = self._reply, 0
                if isinstance(event, Stopped):
                    yield ReplyDone(reply, "cancelled")
                else:
                    yield ReplyDone(reply, "failed" if self._failed else "completed")
            case _:
                pass
