"""The page on the air: launch with what it looks like, warm engines while it is up, end cleanly."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from voice import decoding, texts
from voice.engines import EngineError, Engines, Message
from voice.recordings import MAX_BYTES
from voice.web.ending import EndEventStreams
from voice.web.own_names import OwnNames, is_loopback
from voice.web.page import I18N
from voice.web.panel import script_route
from voice.web.realtime import MESSAGE_BYTES
from voice.web.theme import make_theme

ASSETS = Path(__file__).parent / "assets"

GRACE_SECONDS = 3
"""For connections to end by themselves. Gradio waits five seconds for the whole end."""

log = logging.getLogger(__name__)


def launch(
    page: gr.Blocks,
    engines: Engines,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    root_path: str = "",
    share: bool = False,
    logins: Sequence[tuple[str, str]] = (),
    origins: Sequence[str] = (),
    openings: Sequence[Sequence[Message]] = (),
    routes: Sequence[BaseRoute] = (),
) -> str:
    """Serve the page from a thread of its own until `page.close()`, and return its address.

    The engines warm up meanwhile, and are closed with the page. `root_path`: where a proxy serves it, as "/demo"; the
    proxy may leave it out of what it asks for. `logins`: user and password; none lets everybody in.
    `origins`: other sites that may use it. `openings`: what conversations will begin with, the likeliest first, read ahead by the chat model.
    `routes`: what is served beside the page.

    Raises:
        OSError: the port is taken.
    """

    @asynccontextmanager
    async def keep_engines(_: Any) -> AsyncGenerator[None, None]:
        warming = asyncio.create_task(_warm(engines, openings))
        try:
            yield
        finally:
            warming.cancel()
            with suppress(asyncio.CancelledError):
                await warming
            await engines.close()

    middleware = [Middleware(EndEventStreams)]
    if is_loopback(host) and not logins and not root_path:
        middleware.append(Middleware(OwnNames, origins=origins))
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        root_path=root_path.rstrip("/"),
        share=share,
        auth=list(logins) or None,
        theme=make_theme(),
        css_paths=[ASSETS / "page.css"],
        head=f'<script type="module">{(ASSETS / "uploads.js").read_text()}</script>',
        favicon_path=ASSETS / "favicon.svg",
        i18n=I18N,
        footer_links=["api"],
        # The node proxy of server-side rendering lets no WebSocket through.
        ssr_mode=False,
        # Runs saved in the browser would keep a conversation that was cleared.
        run_history=False,
        max_file_size=MAX_BYTES,
        enable_monitoring=False,
        app_kwargs={
            "lifespan": keep_engines,
            "routes": [script_route(), *routes],
            "middleware": middleware,
        },
        prevent_thread_lock=True,
        quiet=True,
    )
    if share and not page.share_url:
        log.error(texts.say("share_failed", "en", address=address))
    page.server.config.ws_max_size = MESSAGE_BYTES
    # A client that does not read would keep the server, and with it the engines, from ending.
    page.server.config.timeout_graceful_shutdown = GRACE_SECONDS
    return str(address)


async def _warm(engines: Engines, openings: Sequence[Sequence[Message]]) -> None:
    started = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(decoding.warm)
        failures = await engines.warm(openings[:1])
    for failure in failures:
        log.error(texts.say(failure.sentence, "en", **failure.details))
    if failures:
        return
    # What is there now stays, the odd page that was opened already included. Looking through all of it for garbage again
    # and again would stop every conversation for as long.
    gc.collect()
    gc.freeze()
    labels = ", ".join(engine.label for engine in engines.all())
    log.info("Ready after %.1f s: %s", time.perf_counter() - started, labels)
    with suppress(EngineError):
        for opening in openings[1:]:
            await engines.chat.warm(opening)
