"""What is said in a live conversation, kept where all of a session is: its items, which make the prompt, and its lines."""

from __future__ import annotations

from typing import Any

from voice.engines import EngineError, Message, ToolCall
from voice.engines.failover import Switch
from voice.session import Line, Session


class Record:
    """An item is named before it exists; a line appears with the first words. Both may be cleared away at any time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lines: dict[str, int] = {}
        """By item."""
        self._session_writes = ""
        """An item that is not this record's to write."""
        self._is_removing = False

    def open_utterance(self, item: str) -> None:
        """The user said something; its words come later, and until then no prompt has it."""
        self._session.conversation.add(Message("user", ""), item)

    def keep_utterance(self, item: str, text: str, notes: tuple[Switch, ...] = ()) -> None:
        if self._session.conversation.find(item) is None:
            self.open_utterance(item)  # all was cleared away while these words were awaited
        self._write_item(item, Message("user", text))
        self._write_line(item, Line("user", text, notes=notes))

    def open_reply(self, item: str, text: str) -> None:
        """Its item exists from now on, its line as soon as there are words."""
        if item == self._session_writes:
            return
        self._session.conversation.add(Message("assistant", ""), item)
        self.write_reply(item, text)

    def leave_to_session(self, item: str) -> None:
        """The session itself writes this reply from its beginning to its end; it can only be cut here, once that has come."""
        self._session_writes = item

    def find_reply(self, item: str, line: int) -> None:
        """On which line the session writes it."""
        self._lines[item] = line

    def write_reply(self, item: str, text: str) -> None:
        """All of it so far."""
        if text.strip() and item != self._session_writes:
            self._write_item(item, Message("assistant", text))
            self._write_line(item, Line("assistant", text))

    def add_call(self, item: str, call: ToolCall) -> None:
        self._session.conversation.add(Message("assistant", "", calls=(call,)), item)

    def end_reply(
        self,
        item: str,
        error: EngineError | None = None,
        notes: tuple[Switch, ...] = (),
        breaks_off: bool = False,
    ) -> None:
        """One without a word leaves nothing but the line of its error."""
        if item == self._session_writes:
            return
        found = self._session.conversation.find(item)
        if breaks_off and item in self._lines:
            self._change_line(item, text=self._session.lines[self._lines[item]].text + "…")
        if found is not None and not found.message.content:
            self.drop(item)
        if error is not None or (notes and item in self._lines):
            self._change_line(item, error=error, notes=notes)

    def cut_reply(self, item: str, text: str, is_whole: bool) -> str:
        """Only so much of it was heard; where that is nothing, nothing was said. Returns what is left."""
        found = self._session.conversation.find(item)
        if found is None or not text:
            self.drop(item)
            return ""
        self._session.conversation.rewrite(item, text)
        self._change_line(item, text=text, stopped=not is_whole)
        return text

    def withdraw(self, item: str) -> None:
        """It stays on screen, but no prompt has it any more."""
        if self._session.conversation.find(item) is not None:
            self._session.conversation.remove(item)

    def drop(self, item: str) -> None:
        self.withdraw(item)
        line = self._lines.pop(item, None)
        if line is None:
            return
        if line == len(self._session.lines) - 1:
            self._is_removing = True
            self._session.remove_line(line)
            self._is_removing = False
        else:
            self._session.change_line(line, text="", stopped=False)

    def see_line(self, index: int) -> bool:
        """As `voice.session.Watcher`. Returns whether somebody has cleared the lines away."""
        is_cleared = index >= len(self._session.lines) and not self._is_removing
        if is_cleared:
            self._lines = {item: line for item, line in self._lines.items() if line < index}
        return is_cleared

    def _write_item(self, item: str, message: Message) -> None:
        if self._session.conversation.find(item) is None:
            return  # deleted by the client, or cleared away
        self._session.conversation.rewrite(item, message.content)

    def _write_line(self, item: str, line: Line) -> None:
        if item in self._lines:
            self._session.change_line(self._lines[item], text=line.text)
        else:
            self._lines[item] = self._session.add_line(line)

    def _change_line(self, item: str, **changes: Any) -> None:
        if item not in self._lines:
            self._lines[item] = self._session.add_line(Line("assistant", ""))
        self._session.change_line(self._lines[item], **changes)
