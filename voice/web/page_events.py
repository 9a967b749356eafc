"""What the page's events do: each changes the screen by the user's own `Session`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import gradio as gr
from gradio.utils import get_upload_folder
from typing_extensions import assert_never

from voice import texts
from voice.audio import Pcm, encode_wav, join
from voice.engines import BadInput, EngineError, Engines
from voice.session import Limits, Preferences, Session
from voice.session_events import (
    Failed,
    Finished,
    Heard,
    Noted,
    Recognising,
    Replied,
    ReplyGrew,
    Spoke,
    Stopped,
    TurnEvent,
)
from voice.speaking import PhraseBegun, PhraseSent
from voice.web.engine_board import show_engines
from voice.web.figures import Figures
from voice.web.status import show_phase, show_problem
from voice.web.tickets import Tickets
from voice.web.transcript import render_transcript

Outputs: TypeAlias = tuple[Any, ...]
"""Values for the page's components, in the order of `Screen`'s fields."""


@dataclass(frozen=True, slots=True)
class Screen:
    """New values for the page's components; what is not given stays as it is."""

    session: Session
    transcript: Any = field(default_factory=gr.skip)
    status: Any = field(default_factory=gr.skip)
    recorder: Any = field(default_factory=gr.skip)
    message: Any = field(default_factory=gr.skip)
    reply: Any = None
    """The sound of a finished turn. Never `gr.skip()`: for Gradio that is a changed component, a copy of the session's
    own, and it forgets to delete the files of such copies."""

    def outputs(self) -> Outputs:
        """In the order of the fields, as the outputs of an event."""
        return (self.session, self.transcript, self.status, self.recorder, self.message, self.reply)


class PageEvents:
    """One for the whole server. What belongs to a user is in their `Session`, which their `gr.State` owns."""

    def __init__(
        self, engines: Engines, limits: Limits, defaults: Preferences, tickets: Tickets, figures: Figures
    ) -> None:
        self._engines = engines
        self._limits = limits
        self._defaults = defaults
        self._tickets = tickets
        self._figures = figures
        self._open: WeakValueDictionary[str, Session] = WeakValueDictionary()
        """By Gradio's session hash, to find whose work ends when a tab is closed."""
        engines.before_closing(self.stop_all)

    def open(self, session: Session | None, request: gr.Request) -> Session:
        """The user's session, made when they have none yet, or Gradio has forgotten it and nobody else holds it."""
        session = session or self._open.get(str(request.session_hash))
        if session is None:
            language = texts.pick_language(request.headers.get("accept-language"))
            session = Session(self._engines, self._limits, language, self._defaults)
            self._figures.follow(session)
            self._open[str(request.session_hash)] = session
        return session

    async def leave(self, request: gr.Request) -> None:
        """The tab is gone: its work ends. The words stay with `gr.State`, until that forgets them."""
        session = self._open.get(str(request.session_hash))
        if session is not None:
            await session.stop()

    async def stop_all(self) -> None:
        """Everybody's work ends."""
        for session in list(self._open.values()):
            await session.stop()

    async def wake(self, session: Session | None, request: gr.Request) -> AsyncGenerator[Outputs, None]:
        """Greet as soon as the engines are warm, or tell what is wrong with them; and let the panel connect.

        For session, status, board and panel.
        """
        session = self.open(session, request)
        language = session.language
        ticket = gr.update(ticket=self._tickets.issue(session))
        yield session, show_phase("warming", language), gr.skip(), ticket
        failures = await self._engines.warm()
        status = show_problem(failures[0], language) if failures else show_phase("ready", language)
        status = gr.skip() if session.is_busy else status
        yield session, status, show_engines(self._engines, language), gr.skip()

    async def renew(self, session: Session | None, request: gr.Request) -> Outputs:
        """The panel's ticket is of a session that is gone: another, for session and panel."""
        session = self.open(session, request)
        return session, gr.update(ticket=self._tickets.issue(session))

    async def listen(self, session: Session | None, request: gr.Request) -> Outputs:
        """The microphone is open: whatever was going on ends. For session, transcript and status."""
        session = self.open(session, request)
        await session.stop()
        return (
            session,
            render_transcript(session.lines, session.language),
            show_phase("listening", session.language),
        )

    async def prepare(
        self,
        session: Session | None,
        language: str,
        voice: str,
        speed: float,
        persona: str,
        request: gr.Request,
    ) -> None:
        """Another persona was chosen."""
        await self.open(session, request).prepare(prefer(language, voice, speed, persona))

    async def choose(
        self,
        session: Session | None,
        language: str,
        voice: str,
        speed: float,
        persona: str,
        request: gr.Request,
    ) -> None:
        """What the live conversation goes by from its next turn on."""
        self.open(session, request).preferences = prefer(language, voice, speed, persona)

    async def take_recording(
        self,
        recording: str | None,
        session: Session | None,
        language: str,
        voice: str,
        speed: float,
        persona: str,
        request: gr.Request,
    ) -> AsyncGenerator[Outputs, None]:
        """A recording was made or dropped."""
        if recording is None:
            return
        session = self.open(session, request)
        turn = session.answer_recording(Path(recording), prefer(language, voice, speed, persona))
        async with aclosing(follow(session, turn)) as screens:
            async for screen in screens:
                yield screen

    async def take_message(
        self,
        message: str,
        session: Session | None,
        language: str,
        voice: str,
        speed: float,
        persona: str,
        request: gr.Request,
    ) -> AsyncGenerator[Outputs, None]:
        """A message was typed. One that cannot be used is told, and changes nothing else."""
        session = self.open(session, request)
        try:
            session.check_text(message)
        except BadInput as error:
            sentence = texts.say(error.sentence, session.language, **error.details)
            title = texts.words_of(session.language).page["not_sent"]
            raise gr.Error(sentence, title=title, print_exception=False) from error
        turn = session.answer_text(message, prefer(language, voice, speed, persona))
        async with aclosing(follow(session, turn)) as screens:
            async for screen in screens:
                yield screen

    async def stop(self, session: Session | None, request: gr.Request) -> Outputs:
        """Stop the turn under way and the sound of the last one."""
        session = self.open(session, request)
        await session.stop()
        return Screen(
            session,
            transcript=render_transcript(session.lines, session.language),
            status=show_phase("stopped", session.language),
            reply=None,
        ).outputs()

    async def clear(self, session: Session | None, request: gr.Request) -> Outputs:
        """Forget the conversation and start anew."""
        session = self.open(session, request)
        await session.clear()
        return Screen(session, [], show_phase("ready", session.language), None, "", None).outputs()

    async def hear_voice(self, voice: str, speed: float, language: str, request: gr.Request) -> str | None:
        """A sample of a voice; of the automatic choice for the language when none is named."""
        interface = texts.pick_language(request.headers.get("accept-language"))
        spoken = next(
            (v.language for v in self._engines.text_to_speech.voices() if v.name == voice), language
        )
        sample = texts.words_of(spoken if spoken not in {"", "auto"} else interface).voice_sample
        try:
            async with aclosing(self._engines.text_to_speech.speak(_only(sample), voice, speed)) as sound:
                return store_sound([speech.pcm async for speech in sound])
        except EngineError as error:
            raise gr.Error(texts.say(error.sentence, interface, **error.details)) from error


def prefer(language: str, voice: str, speed: float, persona: str) -> Preferences:
    """The page's choices; an emptied one means the usual."""
    return Preferences(
        language=None if language in {"", "auto"} else language,
        voice=voice or "",
        speed=speed,
        persona=persona or texts.DEFAULT_PERSONA,
    )


async def follow(session: Session, turn: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[Outputs, None]:
    """The screens of a turn: its words as they come, at the end its sound as a whole."""
    language = session.language
    sound: list[Pcm] = []
    failure: EngineError | None = None

    def show(status: Any, **values: Any) -> Outputs:
        return Screen(session, render_transcript(session.lines, language), status, **values).outputs()

    async with aclosing(turn):
        async for event in turn:
            match event:
                case Recognising():
                    yield show(show_phase("recognising", language), recorder=None)
                case Heard():
                    yield show(show_phase("thinking", language), message="")
                case ReplyGrew():
                    yield show(show_phase("writing", language))
                case PhraseSent() | PhraseBegun() | Replied() | Noted():
                    pass
                case Spoke(speech):
                    sound.append(speech.pcm)
                case Failed(error):
                    failure = error
                case Finished():
                    # Who follows the session has heard it already, or is hearing it from elsewhere.
                    heard = session.is_played or not sound
                    status = show_phase("answered" if heard else "speaking", language)
                    status = show_problem(failure, language) if failure else status
                    yield show(status, reply=store_sound(sound))
                case Stopped():
                    yield show(show_phase("stopped", language))
                case _:
                    assert_never(event)


def store_sound(pieces: Sequence[Pcm]) -> str | None:
    """A WAV file of them in Gradio's cache, which deletes it in time; None when there is no sound.

    Written once, under a name that nobody can guess. Given samples, Gradio names the file by what is in it and may write
    it again while a browser is reading it.
    """
    if not pieces:
        return None
    folder = Path(get_upload_folder()) / secrets.token_urlsafe(24)
    folder.mkdir(parents=True)
    file = folder / "reply.wav"
    file.write_bytes(encode_wav(join(pieces, pieces[0].rate)))
    return str(file)


async def _only(phrase: str) -> AsyncIterator[str]:
    yield phrase
