"""The end of the server: what would stay open for ever is ended, so that nothing has to be torn down."""

from __future__ import annotations

import asyncio

import anyio
import gradio as gr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAMS = ("text/event-stream", "application/x-ndjson")
"""Gradio's own, and the live panel's where WebSockets can't pass."""
ENDING_SECONDS = 20
"""For connections, turns and engines to end. What takes longer hangs, and is left to the process's own end."""


class EndEventStreams:
    """ASGI middleware: Gradio's event streams end with its server.

    They wait for their readers, who know of no end. uvicorn would lose patience, cancel them and log each as a failure.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watching: list[asyncio.Task[None]] = []
        complete = False

        async def end_with_server() -> None:
            await scope["app"].stop_event.wait()
            streaming.cancel()

        async def note(message: Message) -> None:
            nonlocal complete
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body")
            if message["type"] == "http.response.start" and _is_event_stream(message):
                watching.append(asyncio.create_task(end_with_server()))

        try:
            with anyio.CancelScope() as streaming:
                await self._app(scope, receive, note)
        finally:
            for task in watching:
                task.cancel()
        if streaming.cancelled_caught and not complete:
            await send({"type": "http.response.body", "body": b""})


def _is_event_stream(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith(STREAMS)


def end(page: gr.Blocks) -> None:
    """End the server, its turns and the engines. Returns when they have: Python aborts under threads that go on."""
    page.close(verbose=False)
    page.server.thread.join(ENDING_SECONDS)
