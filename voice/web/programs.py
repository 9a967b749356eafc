"""Endpoints for programs, with stable names: `/say` takes text, `/talk` takes a recording.

Each client has its own conversation, as each tab of the page has.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import gradio as gr

from voice import texts
from voice.audio import Pcm
from voice.engines import EngineError
from voice.session import Session
from voice.session_events import Failed, Heard, Replied, ReplyGrew, Spoke, TurnEvent
from voice.web.page_events import PageEvents, prefer, store_sound


def add_endpoints(events: PageEvents, session: gr.State, choices: Sequence[gr.components.Component]) -> None:
    """Add `/say` and `/talk` to the Blocks under construction. `choices`: language, voice, speed, persona."""

    async def say(
        text: str,
        own: Session | None,
        language: str,
        voice: str,
        speed: float,
        persona: str,
        request: gr.Request,
    ) -> tuple[Session, str, str | None]:
        """Send a line of text; get the reply's text and its sound, a WAV file."""
        own = events.open(own, request)
        _, reply, sound = await collect(own, own.answer_text(text, prefer(language, voice, speed, persona)))
        return own, reply, sound

    async def talk(
        recording: str | None,
        own: Session | None,
        language: str,
        voice: str,
        speed: float,
        persona: str,
        request: gr.Request,
    ) -> tuple[Session, str, str, str | None]:
        """Send a recording; get what was heard, the reply's text and its sound, a WAV file."""
        own = events.open(own, request)
        if recording is None:
            raise gr.Error(texts.say("empty_audio", own.language), print_exception=False)
        turn = own.answer_recording(Path(recording), prefer(language, voice, speed, persona))
        return own, *await collect(own, turn)

    with gr.Column(visible=False):
        text, recording = gr.Textbox(label="text"), gr.Audio(label="recording", type="filepath")
        transcript, reply = gr.Textbox(label="transcript"), gr.Textbox(label="reply")
        sound = gr.Audio(label="sound", format="wav")
        say_it, talk_it = gr.Button(), gr.Button()
    say_it.click(say, [text, session, *choices], [session, reply, sound], api_name="say")
    talk_it.click(talk, [recording, session, *choices], [session, transcript, reply, sound], api_name="talk")


async def collect(session: Session, turn: AsyncGenerator[TurnEvent, None]) -> tuple[str, str, str | None]:
    """What was heard, the reply and its sound.

    Raises:
        gr.Error: there is no whole answer; in the client's language. A reply whose voice failed comes without sound.
    """
    heard = reply = ""
    complete = False
    sound: list[Pcm] = []
    failure: EngineError | None = None
    async with aclosing(turn):
        async for event in turn:
            match event:
                case Heard(text, _):
                    heard = text
                case ReplyGrew(text):
                    reply = text
                case Replied():
                    complete = True
                case Spoke(speech):
                    sound.append(speech.pcm)
                case Failed(error):
                    failure = error
                case _:
                    pass
    if failure is not None and not complete:
        raise gr.Error(
            texts.say(failure.sentence, session.language, **failure.details), print_exception=False
        )
    return heard, reply, store_sound(sound)
