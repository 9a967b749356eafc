"""The faults of a chat server, as rows of the fault table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.emulators.azure_speech import (
    STALL,
)
from tests.emulators.chat import (
    AZURE_BROKEN,
    AZURE_BUSY,
    AZURE_FILTERED,
    AZURE_FIREWALL,
    AZURE_KEY_REFUSED,
    AZURE_NO_DEPLOYMENT,
    AZURE_NO_RESOURCE,
    AZURE_PROMPT_FILTER,
    AZURE_ROLE_MISSING,
    Answer,
    ChatServer,
    Stream,
)
from tests.emulators.loopback import Cut, Pause, Refuse, Silence
from tests.engines.fault_turns import (
    KEY,
    PATIENT,
    USUAL,
    Outcome,
    Service,
    Told,
    conversing,
    meet_and_go_on,
    serving,
)
from tests.fakes import FakeSpeechToText, FakeTextToSpeech
from voice.engines import EngineError, Engines, Rejected, Unavailable
from voice.engines.openai_account import Account, connect_azure, connect_openai
from voice.engines.openai_chat import OpenAIChat

TIMEOUT = 3.0
"""Where the fault is to be waited for."""


@dataclass(frozen=True)
class ChatFault:
    told: Told
    answer: Answer
    said: str = ""
    """What of the reply stays."""
    tried_twice: bool = False
    """The engine itself asks once more."""

    async def meet(self, service: Service, recording: Path) -> Outcome:
        answers = [*[self.answer] * (1 + self.tried_twice), Stream("Hello.")]
        timeout_seconds = PATIENT if self.told and self.told[1] != "chat_timeout" else TIMEOUT
        outcomes: list[Outcome] = []

        async def meet_at(connect: Callable[[ChatServer], Account]) -> None:
            async with serving(ChatServer(*answers, deployments=("emulated",))) as server:
                outcomes.append(await meet_in_chat(connect(server), timeout_seconds))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meet_at, lambda server: connect_azure(server.address, KEY, "2024-05-01-preview"))
            tasks.start_soon(meet_at, lambda server: connect_azure(server.address, KEY, "v1"))
            tasks.start_soon(meet_at, lambda server: connect_openai(server.url, KEY))
        # Whatever the address, the same comes of it.
        assert len({str(outcome) for outcome in outcomes}) == 1, outcomes
        return outcomes[0]


@dataclass(frozen=True)
class ChatRefused:
    """Nobody listens there, for a while."""

    told: Told = (Unavailable, "chat_unreachable")
    said: str = ""

    async def meet(self, service: Service, recording: Path) -> Outcome:
        async with serving(ChatServer()) as server:
            address = server.address
            port = int(address.rpartition(":")[2])
        back = ExitStack()

        def mend() -> None:
            back.enter_context(ChatServer(deployments=("emulated",), port=port))

        with back:
            return await meet_in_chat(connect_azure(address, KEY, "v1"), PATIENT, mend)


async def meet_in_chat(
    account: Account, timeout_seconds: float, mend: Callable[[], None] = lambda: None
) -> Outcome:
    chat = OpenAIChat(account, model="emulated", timeout_seconds=timeout_seconds)
    async with conversing(Engines(FakeSpeechToText(), chat, FakeTextToSpeech())) as session:
        return await meet_and_go_on(session, lambda: session.answer_text("Hello", USUAL), mend)


def chat_fault(kind: type[EngineError], sentence: str, answer: Answer, **more: object) -> ChatFault:
    return ChatFault((kind, sentence), answer, **more)  # type: ignore[arg-type]


OF_WRITING: Mapping[str, ChatFault | ChatRefused] = {
    "401": chat_fault(Rejected, "chat_key_refused", AZURE_KEY_REFUSED),
    "401 of OpenAI": chat_fault(Rejected, "chat_key_refused", Refuse(401, "Incorrect API key")),
    "401 role missing": chat_fault(Rejected, "chat_key_refused", AZURE_ROLE_MISSING),
    "403": chat_fault(Rejected, "chat_key_refused", Refuse(403)),
    "403 firewall": chat_fault(Rejected, "chat_refused", AZURE_FIREWALL),
    "403 country": chat_fault(
        Rejected, "chat_refused", Refuse(403, "Country, region, or territory not supported")
    ),
    "404 wrong deployment": chat_fault(Rejected, "chat_model_missing", AZURE_NO_DEPLOYMENT),
    "404 wrong model": chat_fault(
        Rejected,
        "chat_model_missing",
        Refuse(404, "The model `x` does not exist", code="model_not_found"),
    ),
    "404 of Ollama": chat_fault(
        Rejected,
        "chat_model_missing",
        Refuse(404, body={"error": 'model "x" not found, try pulling it first'}),
    ),
    "404 wrong address": chat_fault(Rejected, "chat_refused", Refuse(404, body={"detail": "Not Found"})),
    "404 no resource": chat_fault(Rejected, "chat_refused", AZURE_NO_RESOURCE),
    "429": chat_fault(Unavailable, "chat_busy", AZURE_BUSY),
    "429 for no time": chat_fault(Unavailable, "chat_quota", Refuse(429)),
    "429 until a date": chat_fault(
        Unavailable,
        "chat_quota",
        Refuse(429, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    ),
    "429 until before": chat_fault(Unavailable, "chat_quota", Refuse(429, headers={"retry-after": "-1"})),
    "429 for good": chat_fault(Rejected, "chat_quota", Refuse(429, code="insufficient_quota")),
    "500": chat_fault(Unavailable, "chat_unreachable", AZURE_BROKEN, tried_twice=True),
    "502": chat_fault(
        Unavailable, "chat_unreachable", Refuse(502, body="<html>Bad gateway</html>"), tried_twice=True
    ),
    "503": chat_fault(Unavailable, "chat_quota", Refuse(503)),
    "400": chat_fault(Rejected, "chat_refused", Refuse(400, "max_tokens is too large")),
    "408": chat_fault(Unavailable, "chat_unreachable", Refuse(408)),
    "413": chat_fault(Rejected, "chat_refused", Refuse(413)),
    "refused": ChatRefused(),
    "silent": chat_fault(Unavailable, "chat_timeout", Silence()),
    "stall before the first token": chat_fault(Unavailable, "chat_timeout", Stream(STALL)),
    "stall in mid-stream": chat_fault(
        Unavailable, "chat_timeout", Stream("Well,", STALL), said="Well,"
    ),
    "cut in mid-stream": chat_fault(Unavailable, "chat_unreachable", Stream("Well,", Cut), said="Well,"),
    "an end without a reason": chat_fault(
        Unavailable, "chat_unreachable", Stream("Well,", finish=None), said="Well,"
    ),
    "content filter on the prompt": chat_fault(Rejected, "chat_filtered", AZURE_FILTERED),
    "content policy": chat_fault(
        Rejected, "chat_filtered", Refuse(400, code="content_policy_violation")
    ),
    "content filter in mid-stream": chat_fault(
        Rejected, "chat_filtered", Stream("Well,", finish="content_filter"), said="Well,"
    ),
    "empty choices only": chat_fault(
        Unavailable, "chat_said_nothing", Stream(AZURE_PROMPT_FILTER, AZURE_PROMPT_FILTER)
    ),
    "empty choices first": ChatFault(None, Stream(AZURE_PROMPT_FILTER, "Well."), said="Well."),
    "slow drip": ChatFault(None, Stream(*(Pause(0.6), "drip ") * 6), said="drip " * 6),
}  # fmt: skip
