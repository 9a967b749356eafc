"""Tickets: by one, a page's socket finds the conversation of the page that opened it."""

from __future__ import annotations

import secrets
from weakref import WeakKeyDictionary, WeakValueDictionary

from voice.session import Session

MAX_TICKETS = 10_000
"""Beyond it the oldest are forgotten; far more than people who have the page open."""


class Tickets:
    """One for the whole server. A ticket is good for as long as its session is kept, and for reconnecting too."""

    def __init__(self, limit: int = MAX_TICKETS) -> None:
        self._limit = limit
        self._sessions: WeakValueDictionary[str, Session] = WeakValueDictionary()
        self._tickets: WeakKeyDictionary[Session, str] = WeakKeyDictionary()

    def issue(self, session: Session) -> str:
        """The session's ticket, which nobody can guess; the same one whenever it is asked for."""
        ticket = self._tickets.get(session)
        if ticket is None:
            ticket = secrets.token_urlsafe(32)
            self._tickets[session] = ticket
            self._sessions[ticket] = session
            self._forget_oldest()
        return ticket

    def find(self, ticket: str) -> Session | None:
        """Whose ticket it is; None if it is nobody's, or no longer."""
        return self._sessions.get(ticket)

    def _forget_oldest(self) -> None:
        for ticket in list(self._sessions.keys())[: -self._limit]:
            session = self._sessions.pop(ticket, None)
            if session is not None:
                self._tickets.pop(session, None)
