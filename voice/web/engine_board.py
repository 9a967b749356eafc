"""The engines at work and whom their voices are owed to, as small print of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from voice import texts
from voice.engines import Engines

_ASSETS = Path(__file__).parent / "assets"


def make_engine_board() -> gr.HTML:
    """Which engine hears, thinks and speaks."""
    return gr.HTML(
        {"engines": [], "credits": []},
        html_template=(_ASSETS / "engine_board.html").read_text(),
        css_template=(_ASSETS / "engine_board.css").read_text(),
        elem_id="board",
    )


def show_engines(engines: Engines, language: str) -> dict[str, Any]:
    """The board's value, in the language of the interface."""
    roles = texts.words_of(language).engine_roles
    return {
        "engines": [
            {"role": role, "label": engine.label} for role, engine in zip(roles, engines.all(), strict=True)
        ],
        "credits": sorted(
            {voice.attribution for voice in engines.text_to_speech.voices() if voice.attribution}
        ),
    }
