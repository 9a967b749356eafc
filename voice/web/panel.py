"""The live panel: a component of the page, and the files that its script is made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from voice import texts
from voice.turns.events import Patience

FOLDER = Path(__file__).parent / "panel"
SCRIPTS = {path.name: path for path in FOLDER.glob("*.js")}
VERSION = hashlib.sha256(b"".join(path.read_bytes() for _, path in sorted(SCRIPTS.items()))).hexdigest()[:12]
"""Stands in the scripts' addresses, so that browsers keep them until they change."""
FOREVER = "public, max-age=31536000, immutable"


def make_panel(patience: Patience) -> gr.HTML:
    """`patience`: with those who chose none. Shows nothing but itself until its `ticket` is set.

    Its event `transcript` has new messages for a `gr.Chatbot`; by `renew` it asks for another ticket.
    """
    return gr.HTML(
        None,
        ticket="",
        patience=patience.value,
        script=f"kaiwa/{VERSION}/panel.js",
        words={language: dict(texts.words_of(language).panel) for language in texts.INTERFACE},
        html_template=(FOLDER / "template.html").read_text("utf-8"),
        css_template=(FOLDER / "panel.css").read_text("utf-8"),
        js_on_load=(FOLDER / "load.js").read_text("utf-8"),
        apply_default_css=False,
        elem_id="live",
    )


def script_route() -> Route:
    """Serves the scripts, and no other file, to anybody: they hold nothing of anybody's."""

    async def serve(request: Request) -> Response:
        script = SCRIPTS.get(request.path_params["name"])
        if script is None:
            return PlainTextResponse("Not Found", 404)
        fresh = request.path_params["version"] == VERSION
        return FileResponse(
            script,
            media_type="text/javascript; charset=utf-8",
            headers={"Cache-Control": FOREVER if fresh else "no-store"},
        )

    return Route("/kaiwa/{version}/{name}", serve)
