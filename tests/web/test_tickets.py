"""Tickets, by which a page's socket finds the page's conversation."""

from __future__ import annotations

import gc

from tests.fakes import fake_engines
from voice.session import Limits, Session
from voice.web.tickets import Tickets


def open_session() -> Session:
    return Session(fake_engines(), Limits(recording_seconds=10, text_characters=100, history_tokens=500))


def test_a_ticket_leads_to_its_session_and_to_no_other() -> None:
    tickets, ann, bob = Tickets(), open_session(), open_session()
    assert tickets.find(tickets.issue(ann)) is ann
    assert tickets.find(tickets.issue(bob)) is bob


def test_a_session_keeps_its_ticket() -> None:
    tickets, session = Tickets(), open_session()
    assert tickets.issue(session) == tickets.issue(session)


def test_a_ticket_can_be_neither_guessed_nor_left_out() -> None:
    tickets, session = Tickets(), open_session()
    assert len(tickets.issue(session)) >= 40
    assert tickets.find("") is None
    assert tickets.find("somebody") is None


def test_a_ticket_ends_with_its_session() -> None:
    tickets, session = Tickets(), open_session()
    ticket = tickets.issue(session)
    del session
    gc.collect()
    assert tickets.find(ticket) is None


def test_the_oldest_tickets_are_forgotten_when_there_are_too_many() -> None:
    tickets, sessions = Tickets(limit=2), [open_session() for _ in range(3)]
    first, *others = [tickets.issue(session) for session in sessions]
    assert tickets.find(first) is None
    assert [tickets.find(ticket) for ticket in others] == sessions[1:]
    assert tickets.find(tickets.issue(sessions[0])) is sessions[0]
