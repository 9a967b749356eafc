"""Every fault of a provider, met by a real SDK in a turn of a real session: what the user is told, and what goes on.

The rows only wait, so they are met at once and each test looks at one row's outcome.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import anyio
import psutil
import pytest

from tests.engines.azure_faults import OF_BOTH, OF_HEARING, OF_SAYING, SpeechFault
from tests.engines.chat_faults import OF_WRITING, ChatFault, ChatRefused
from tests.engines.fault_turns import FAR_TOO_LONG, KEY, Outcome, Service
from voice import decoding, texts
from voice.audio import SPEECH_RATE, Pcm, encode_wav

pytestmark = pytest.mark.slow

ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Row:
    service: Service
    fault: SpeechFault | ChatFault | ChatRefused


ROWS = {
    **{f"hears: {name}": Row("hears", fault) for name, fault in OF_HEARING.items()},
    **{f"hears: {name}, warm": Row("hears", replace(fault, warm=True)) for name, fault in OF_BOTH.items()},
    **{f"says: {name}": Row("says", fault) for name, fault in OF_SAYING.items()},
    **{f"says: {name}, warm": Row("says", replace(fault, warm=True)) for name, fault in OF_BOTH.items()},
    **{f"writes: {name}": Row("writes", fault) for name, fault in OF_WRITING.items()},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_is_told_in_time_and_the_next_turn_works(name: str, outcomes: Mapping[str, Outcome]) -> None:
    outcome, fault = outcomes[name], ROWS[name].fault
    if outcome.broke:
        raise outcome.broke
    assert outcome.ended
    told = [(type(error), error.sentence) for error in outcome.failures]
    assert told == ([fault.told] if fault.told else [])
    for error in outcome.failures:
        assert KEY not in str(error)
        for language in texts.INTERFACE:
            sentence = texts.say(error.sentence, language, **error.details)
            assert sentence
            assert "{" not in sentence
            assert KEY not in sentence
            assert (language == "ja") == any("ぁ" <= character <= "ヿ" for character in sentence)
    if isinstance(fault, (ChatFault, ChatRefused)):
        assert outcome.said == fault.said
    assert outcome.next_turn_failures == []


def test_faults_leave_no_thread_no_connection_and_no_task_behind(
    outcomes: Mapping[str, Outcome], left_behind: list[str]
) -> None:
    assert outcomes
    assert left_behind == []


@pytest.fixture(scope="module")
def left_behind() -> list[str]:
    """Filled while `outcomes` come about."""
    return []


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, left_behind: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Outcome]:
    """Of the rows that this run asks for."""
    recording = tmp_path_factory.mktemp("faults") / "hello.wav"
    recording.write_bytes(encode_wav(Pcm.silence(1500, SPEECH_RATE)))
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    names = [call.params["name"] for call in asked if call and call.params.get("name") in ROWS]
    found: dict[str, Outcome] = {}

    async def meet_all() -> None:
        limiter = anyio.CapacityLimiter(ROWS_AT_ONCE)

        async def meet(name: str) -> None:
            async with limiter:
                row = ROWS[name]
                try:
                    found[name] = await row.fault.meet(row.service, recording)
                except Exception as exc:
                    found[name] = Outcome(broke=exc)

        await decoding.warm()  # whose process stays
        before = asyncio.all_tasks()
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(meet, name)
        left_behind.extend(map(str, asyncio.all_tasks() - before))

    threads = {thread.ident for thread in threading.enumerate()}
    native = psutil.Process().num_threads()
    connections = count_connections()
    anyio.run(meet_all)
    left_behind.extend(settle(lambda: [str(t) for t in threading.enumerate() if t.ident not in threads]))
    left_behind.extend(
        settle(lambda: exceeding("threads", psutil.Process().num_threads(), native + SDK_THREADS))
    )
    left_behind.extend(settle(lambda: exceeding("connections", count_connections(), connections)))
    return found


SDK_THREADS = 4
"""What the SDK keeps for good once it was used."""


def count_connections() -> int:
    connections = psutil.Process().net_connections("tcp")
    return sum(each.status != psutil.CONN_TIME_WAIT for each in connections)


def exceeding(what: str, count: int, limit: int) -> list[str]:
    return [f"{count} {what}, before {limit}"] if count > limit else []


def settle(find: Callable[[], list[str]]) -> list[str]:
    """What is still found after a while."""
    deadline = time.monotonic() + FAR_TOO_LONG
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
