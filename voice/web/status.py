"""The status line: what is going on now, and for how long."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from voice import texts
from voice.engines import EngineError

_ASSETS = Path(__file__).parent / "assets"


def make_status_line() -> gr.HTML:
    """Shows a phase of the turn; the seconds tick in the browser while the phase is a busy one."""
    return gr.HTML(
        show_phase("warming", "en"),
        html_template=(_ASSETS / "status.html").read_text(),
        css_template=(_ASSETS / "status.css").read_text(),
        js_on_load=(_ASSETS / "status.js").read_text(),
        elem_id="status",
    )


def show_phase(phase: str, language: str) -> dict[str, str]:
    """The status value for one of the texts' `phases`. `afterwards` is for the browser, when the sound has ended."""
    phases = texts.words_of(language).phases
    return {"phase": phase, "text": phases[phase], "afterwards": phases["answered"]}


def show_problem(error: EngineError, language: str) -> dict[str, str]:
    """The status value that tells the user what went wrong and what to do."""
    return {"phase": "problem", "text": texts.say(error.sentence, language, **error.details)}
