"""Chat with a model on this machine: llama.cpp's own server in a child process, and the openai client in front of it.

In a process of its own, a native crash takes neither the other engines nor the users' conversations along, and the
server can be started again.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import json
import logging
import secrets
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.text import TextReceiveStream

from voice.engines import PLAIN_REPLY, Message, NotConfigured, ReplyOptions, ReplyPiece, Unavailable
from voice.engines.openai_account import connect_openai
from voice.engines.openai_chat import OpenAIChat

START_SECONDS = 120
"""For a model to load; 3 s is usual, a busy machine and a cold disk may need far longer."""
END_SECONDS = 3
"""For the server to end by itself before it is killed."""
RESTARTS = 3
RESTART_WINDOW_SECONDS = 300
"""A server that is lost more often than RESTARTS times within this window is left alone until the window has passed."""

_PROJECT = Path(__file__).parents[2]
"""Where `python -m voice...` finds the package, wherever Kaiwa was started from."""

_log = logging.getLogger(__name__)


def check_llama() -> None:
    """Raises NotConfigured where llama.cpp cannot run. To be asked before a gigabyte is fetched for it."""
    if not importlib.util.find_spec("xllamacpp"):
        raise NotConfigured("local_engines_missing")
    if sys.platform == "linux":
        try:
            # Its wheel takes OpenMP from the system.
            ctypes.CDLL("libgomp.so.1")
        except OSError as exc:
            raise NotConfigured("openmp_missing") from exc


class LocalLlama:
    """A GGUF model. Lives in one event loop; started by `warm` or by the first `reply`, ended by `close`."""

    def __init__(
        self,
        model: Path,
        *,
        slots: int = 4,
        context_tokens: int = 3072,
        threads: int = 0,
        cache_mb: int = 256,
        temperature: float = 0.5,
        max_tokens: int = 400,
        timeout_seconds: float = 60,
        label: str = "",
    ) -> None:
        """`slots`: prompts read and answered at the same time, each with `context_tokens` for prompt and reply.

        `threads`: 0 for as many as there are physical cores. `cache_mb`: memory for the prefixes of conversations that
        have no slot at the moment. `timeout_seconds`: to the first token, and from one token to the next.
        """
        self.label = label or model.stem
        self._model = model
        self._parameters: dict[str, str | int] = {
            "model": str(model.resolve()),
            "slots": slots,
            "context_tokens": context_tokens,
            "threads": threads,
            "cache_mb": cache_mb,
        }
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._timeout = timeout_seconds
        self._server: Server | None = None
        self._starting_or_ending = anyio.Lock()
        self._losses: deque[float] = deque()
        self._closed = False

    async def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        """Pieces as the model writes them. A server found gone before the first is started again, once.

        Raises:
            Unavailable: too slow, lost in the middle of the reply, or gone for good; and what `warm` raises.
            Rejected: the prompt is longer than a slot's context.
        """
        said = restarted = False
        while True:
            server = await self._serve()
            try:
                async with (
                    self._noticing_its_loss(server),
                    aclosing(server.chat.reply(prompt, options)) as pieces,
                ):
                    async for piece in pieces:
                        said = True
                        yield piece
                return
            except Unavailable as exc:
                if exc.sentence != "chat_lost" or said:
                    raise
                if restarted:
                    raise Unavailable("chat_gone") from exc
                restarted = True

    async def warm(self, prompt: Sequence[Message] = ()) -> None:
        """Load the model, and have it read `prompt`. Several who ask at once share one server.

        Raises:
            NotConfigured: there is no such file, it cannot be loaded, or llama.cpp is not installed.
            Unavailable: the server could not be started, or was lost twice.
        """
        try:
            await self._warm(prompt)
        except Unavailable as exc:
            if exc.sentence != "chat_lost":
                raise
            await self._warm(prompt)

    async def close(self) -> None:
        """Nothing of it is left running afterwards."""
        self._closed = True
        async with self._starting_or_ending:
            if self._server:
                await self._server.end()
                self._server = None

    async def _warm(self, prompt: Sequence[Message]) -> None:
        server = await self._serve()
        async with self._noticing_its_loss(server):
            await server.chat.warm(prompt)

    async def _serve(self) -> Server:
        """The running server, started if there is none."""
        async with self._starting_or_ending:
            if self._server and self._server.process.ended:
                await self._bury(self._server)
            if not self._server:
                self._server = await self._start()
            return self._server

    async def _start(self) -> Server:
        while self._losses and self._losses[0] < anyio.current_time() - RESTART_WINDOW_SECONDS:
            self._losses.popleft()
        if self._closed or len(self._losses) > RESTARTS:
            raise Unavailable("chat_gone")
        check_llama()
        if not self._model.is_file():
            raise NotConfigured("model_file_missing", file=str(self._model))
        key = secrets.token_urlsafe(32)
        try:
            process = await LlamaProcess.start({**self._parameters, "api_key": key})
        except ModelBrokenError as exc:
            raise NotConfigured("model_file_broken", file=str(self._model)) from exc
        except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.IncompleteRead) as exc:
            self._losses.append(anyio.current_time())
            raise Unavailable("chat_gone") from exc
        chat = OpenAIChat(
            connect_openai(f"{process.address}/v1", key),
            model=self._model.stem,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            timeout_seconds=self._timeout,
            prefix_cache=True,
        )
        return Server(process, chat)

    @asynccontextmanager
    async def _noticing_its_loss(self, server: Server) -> AsyncIterator[None]:
        try:
            yield
        except Unavailable as exc:
            # A server that is still there is somebody else's too: it is kept, whatever it answered.
            if exc.sentence != "chat_unreachable" or not await server.process.is_gone():
                raise
            async with self._starting_or_ending:
                await self._bury(server)
            raise Unavailable("chat_lost") from exc

    async def _bury(self, server: Server) -> None:
        """Under the lock. Of several who notice the same loss, the first one counts it."""
        if self._server is server:
            self._server = None
            self._losses.append(anyio.current_time())
            _log.warning("llama.cpp's server was lost; its last lines:\n%s", server.process.last_lines)
            await server.end()


@dataclass(frozen=True)
class Server:
    process: LlamaProcess
    chat: OpenAIChat

    async def end(self) -> None:
        await self.process.end()
        await self.chat.close()


class ModelBrokenError(Exception):
    """llama.cpp cannot load the file."""


class LlamaProcess:
    """One run of `voice.engines.llama_server`."""

    def __init__(self, process: Process) -> None:
        self.address = ""
        self._process = process
        self._lines: deque[str] = deque(maxlen=20)
        self._log_reader = asyncio.create_task(self._read_log(), name="llama.cpp's log")

    @classmethod
    async def start(cls, parameters: Mapping[str, str | int]) -> LlamaProcess:
        """Returns when the model is loaded and `address` answers; cancelled or failed, it leaves nothing behind.

        Raises:
            ModelBrokenError: the file is no whole model.
            OSError, TimeoutError, anyio.BrokenResourceError, anyio.IncompleteRead: it ended or hung before it was ready.
        """
        # A session of its own, or Ctrl+C in the terminal would end it before whoever is still talking to it.
        command = [sys.executable, "-m", "voice.engines.llama_server"]
        run = cls(await anyio.open_process(command, cwd=_PROJECT, start_new_session=True))
        try:
            with anyio.fail_after(START_SECONDS):
                run.address = await run._load(parameters)
        except BaseException:
            await run.end()
            _log.warning("llama.cpp's server did not start; its last lines:\n%s", run.last_lines)
            raise
        return run

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def last_lines(self) -> str:
        return "\n".join(self._lines)

    async def is_gone(self) -> bool:
        """Whether nobody serves at `address` any more."""
        # Connections break a moment before the system tells that their process has ended.
        with anyio.move_on_after(1):
            await self._process.wait()
            return True
        url = urlsplit(self.address)
        try:
            async with await anyio.connect_tcp(url.hostname or "", url.port or 0):
                return False
        except OSError:
            return True

    async def end(self) -> None:
        # Closing its stdin asks it to end; aclose kills it when the time is over.
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(END_SECONDS):
                await self._process.aclose()
            await self._log_reader

    async def _load(self, parameters: Mapping[str, str | int]) -> str:
        stdin, stdout = (
            cast(ByteSendStream, self._process.stdin),
            cast(ByteReceiveStream, self._process.stdout),
        )
        await stdin.send(json.dumps(parameters).encode() + b"\n")
        report = json.loads(await BufferedByteReceiveStream(stdout).receive_until(b"\n", 1000))
        if "address" not in report:
            raise ModelBrokenError
        return str(report["address"])

    async def _read_log(self) -> None:
        stderr = cast(ByteReceiveStream, self._process.stderr)
        with suppress(anyio.ClosedResourceError):
            begun = ""
            async for text in TextReceiveStream(stderr, errors="replace"):
                *lines, begun = (begun + text).split("\n")
                for line in lines:
                    self._lines.append(line)
                    _log.debug("%s", line)
