"""The transcript, as a page's live panel is told of it."""

from __future__ import annotations

from voice.session import Line, Session
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
