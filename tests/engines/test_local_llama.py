"""The chat model of this machine: a real llama.cpp server with a small model, killed in every way."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from voice.engines import Message, NotConfigured, Rejected, Unavailable, only_text
from voice.engines.local_llama import RESTARTS, LocalLlama

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PROMPT = [Message("user", "Tell me a long story about a cat.")]


@asynccontextmanager
async def running(
    model: Path, *, slots: int = 2, context_tokens: int = 1024, max_tokens: int = 12, cache_mb: int = 128
) -> AsyncIterator[LocalLlama]:
    chat = LocalLlama(
        model,
        slots=slots,
        context_tokens=context_tokens,
        cache_mb=cache_mb,
        temperature=0,
        max_tokens=max_tokens,
        timeout_seconds=60,
    )
    try:
        yield chat
    finally:
        await chat.close()


async def ask(chat: LocalLlama, *prompt: Message) -> str:
    return "".join([piece async for piece in only_text(chat.reply(prompt or PROMPT))])


def server_processes(parent: int | None = None) -> list[int]:
    """The process ids of the servers that `parent`, or else this process, has started."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    return [
        int(pid)
        for pid, ppid, args in rows
        if int(ppid) == (parent or os.getpid()) and args.endswith("voice.engines.llama_server")
    ]


def kill_server() -> None:
    [pid] = server_processes()
    os.kill(pid, signal.SIGKILL)


async def has_ended(pid: int) -> bool:
    with anyio.move_on_after(30):
        while is_alive(pid):  # noqa: ASYNC110  # another process has no event to wait for
            await anyio.sleep(0.05)
        return True
    return False


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="voice.engines.local_llama")
    return caplog


async def test_it_replies_piece_by_piece(small_chat_model: Path) -> None:
    async with running(small_chat_model) as chat:
        pieces = [piece async for piece in only_text(chat.reply(PROMPT))]
    assert len(pieces) > 3
    assert re.search(r"[a-z]{3}", "".join(pieces))


async def test_several_who_warm_it_at_once_share_one_server(small_chat_model: Path) -> None:
    async with running(small_chat_model) as chat:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(chat.warm, PROMPT)
        assert len(server_processes()) == 1


async def test_nobody_without_the_key_is_served(
    small_chat_model: Path, log: pytest.LogCaptureFixture
) -> None:
    async with running(small_chat_model) as chat, httpx2.AsyncClient(trust_env=False) as stranger:
        await chat.warm()
        [address] = await logged(log, r"listening on (http://127\.0\.0\.1:\d+)")
        assert (await stranger.get(f"{address}/health")).status_code == 200
        for path in ("/v1/chat/completions", "/completion", "/tokenize", "/slots", "/props"):
            for method in ("GET", "POST"):
                assert (await stranger.request(method, address + path)).status_code in (401, 404)
        assert (await stranger.get(f"{address}/")).status_code == 404


async def test_what_was_read_ahead_is_not_read_again(
    small_chat_model: Path, log: pytest.LogCaptureFixture
) -> None:
    prompt = [Message("system", "You are a friendly cat. " * 30), Message("user", "Hello!")]
    async with running(small_chat_model) as chat:
        await chat.warm(prompt[:1])
        await ask(chat, *prompt)
        [ahead, rest] = await tokens_read(log, prompts=2)
    assert ahead > 150
    assert rest < 40


async def test_each_conversation_keeps_what_was_read_of_it(
    small_chat_model: Path, log: pytest.LogCaptureFixture
) -> None:
    system = Message("system", "You are a friendly companion. " * 10)
    talks = [[system, Message("user", f"I am {name}. " * 40)] for name in ("Ann", "Ben", "Cat", "Dan")]
    async with running(small_chat_model, slots=2) as chat:
        for talk in talks * 2:
            talk.append(Message("assistant", await ask(chat, *talk)))
            talk.append(Message("user", "Go on."))
        read = await tokens_read(log, prompts=8)
    assert min(read[:4]) > 100
    assert max(read[4:]) < 60


async def tokens_read(log: pytest.LogCaptureFixture, prompts: int) -> list[int]:
    """For each prompt, how many of its tokens no cache held."""
    return [int(count) for count in await logged(log, r"prompt eval time = .*? / +(\d+) tokens", prompts)]


async def logged(log: pytest.LogCaptureFixture, pattern: str, times: int = 1) -> list[str]:
    """What the pattern caught, once the log has it that often: it arrives a little after the event."""
    with anyio.fail_after(60):
        while len(found := re.findall(pattern, log.text)) < times:  # noqa: ASYNC110  # logging has no event either
            await anyio.sleep(0.05)
    return found


# Stopping


async def test_closing_a_reply_stops_the_writing(
    small_chat_model: Path, log: pytest.LogCaptureFixture
) -> None:
    async with running(small_chat_model, slots=1, context_tokens=4096, max_tokens=4000) as chat:
        async with aclosing(only_text(chat.reply(PROMPT))) as reply:
            await anext(reply)
        [written] = await logged(log, r"stop processing: n_tokens = (\d+)")
    assert int(written) < 1000


async def test_close_leaves_nothing_running(small_chat_model: Path) -> None:
    async with running(small_chat_model) as chat:
        await chat.warm()
        [pid] = server_processes()
    assert await has_ended(pid)
    with pytest.raises(Unavailable, match="chat_gone"):
        await chat.warm()


async def test_cancelling_the_start_leaves_nothing_running(small_chat_model: Path) -> None:
    async with running(small_chat_model) as chat:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chat.warm)
            while not server_processes():  # noqa: ASYNC110  # another process has no event to wait for
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert server_processes() == []
        assert await ask(chat)


STARTER = """
import anyio, sys
from pathlib import Path
from voice.engines.local_llama import LocalLlama

async def main():
    await LocalLlama(Path(sys.argv[1]), slots=1, context_tokens=512).warm()
    print("ready", flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


async def test_a_killed_parent_leaves_no_orphan(small_chat_model: Path) -> None:
    async with await anyio.open_process([sys.executable, "-c", STARTER, str(small_chat_model)]) as parent:
        assert parent.stdout
        assert (await parent.stdout.receive()).startswith(b"ready")
        [pid] = server_processes(parent.pid)
        parent.kill()
    assert await has_ended(pid)


# Losing the server


async def test_a_server_found_dead_is_started_again(small_chat_model: Path) -> None:
    async with running(small_chat_model) as chat:
        first = await ask(chat)
        kill_server()
        assert await ask(chat) == first


async def test_a_server_that_dies_before_the_first_piece_is_started_again(small_chat_model: Path) -> None:
    long = [Message("user", "word " * 3000)]
    async with running(small_chat_model, context_tokens=4096) as chat:
        await chat.warm()
        async with anyio.create_task_group() as tasks:

            async def kill_while_it_reads() -> None:
                await anyio.sleep(0.2)
                kill_server()

            tasks.start_soon(kill_while_it_reads)
            assert await ask(chat, *long)


async def test_a_server_that_dies_in_the_middle_of_a_reply_is_told_and_the_next_turn_works(
    small_chat_model: Path,
) -> None:
    async with running(small_chat_model, max_tokens=500) as chat:
        async with aclosing(only_text(chat.reply(PROMPT))) as reply:
            await anext(reply)
            kill_server()
            with pytest.raises(Unavailable, match="chat_lost"):
                assert [piece async for piece in reply]
        async with aclosing(only_text(chat.reply(PROMPT))) as reply:
            assert await anext(reply)


async def test_a_server_that_keeps_dying_is_given_up(small_chat_model: Path) -> None:
    async with running(small_chat_model) as chat:
        for _ in range(1 + RESTARTS):
            await chat.warm()
            kill_server()
        with pytest.raises(Unavailable, match="chat_gone"):
            await chat.warm()


# What cannot be served


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    async with running(tmp_path / "none.gguf") as chat:
        with pytest.raises(NotConfigured, match="model_file_missing") as caught:
            await chat.warm()
    assert caught.value.details == {"file": str(tmp_path / "none.gguf")}


@pytest.mark.parametrize("kept_bytes", [0, 1000, 20_000_000])
async def test_a_truncated_file_is_named(tmp_path: Path, small_chat_model: Path, kept_bytes: int) -> None:
    broken = tmp_path / "broken.gguf"
    with small_chat_model.open("rb") as whole:
        broken.write_bytes(whole.read(kept_bytes))
    async with running(broken) as chat:
        with pytest.raises(NotConfigured, match="model_file_broken") as caught:
            await chat.warm()
    assert caught.value.details == {"file": str(broken)}


async def test_a_prompt_longer_than_the_context_is_refused_and_the_server_lives_on(
    small_chat_model: Path,
) -> None:
    async with running(small_chat_model, context_tokens=256) as chat:
        with pytest.raises(Rejected, match="chat_refused"):
            await ask(chat, Message("user", "word " * 1000))
        [pid] = server_processes()
        assert await ask(chat)
        assert server_processes() == [pid]
