"""What the openai client raises, told as the errors of `voice.engines`: one mapping for chat and for speech."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from voice.engines import EngineError, Rejected, Unavailable
from voice.engines.openai_account import Account


@dataclass(frozen=True)
class Sentences:
    """How a service's failures are told."""

    unreachable: str
    timeout: str
    key_refused: str
    identity_refused: str
    quota: str
    busy: str
    model_missing: str
    filtered: str
    refused: str


CHAT = Sentences(
    unreachable="chat_unreachable",
    timeout="chat_timeout",
    key_refused="chat_key_refused",
    identity_refused="chat_identity_refused",
    quota="chat_quota",
    busy="chat_busy",
    model_missing="chat_model_missing",
    filtered="chat_filtered",
    refused="chat_refused",
)
SPEECH = Sentences(
    unreachable="speech_unreachable",
    timeout="speech_timeout",
    key_refused="speech_key_refused",
    identity_refused="speech_identity_refused",
    quota="speech_quota",
    busy="speech_busy",
    model_missing="speech_model_missing",
    filtered="speech_filtered",
    refused="speech_refused",
)

_FILTER_CODES = ("content_filter", "content_policy_violation")
"""Azure's for a prompt; OpenAI's for the same."""
_NOT_THE_KEY = re.compile(
    r"firewall|virtual network|private (endpoint|link)|public (network )?access|country", re.I
)
"""In a 403's words: who asks is known, but not let in from there."""
_SECRET = re.compile(r"\bsk-[\w*-]+|\bBearer \S+", re.I)


@contextmanager
def translating_errors(
    sentences: Sentences, account: Account, model: str, timeout_seconds: float
) -> Iterator[None]:
    """Raises what the block raises as an EngineError; a TimeoutError is taken for the end of `timeout_seconds`."""
    try:
        yield
    except TimeoutError as exc:
        raise Unavailable(sentences.timeout, seconds=timeout_seconds) from exc
    except openai.OpenAIError as exc:
        raise _translate(exc, sentences, account, model, timeout_seconds) from exc
    except UnicodeEncodeError as exc:  # a key that no HTTP header can carry
        raise Rejected(sentences.key_refused) from exc
    except (httpx2.HTTPError, httpx2.StreamError) as exc:  # while a body is read that is no event stream
        raise Unavailable(sentences.unreachable) from exc
    except ValueError as exc:  # answers that are no JSON, or not even UTF-8
        raise Unavailable(sentences.unreachable) from exc


def reason_of(exc: openai.APIStatusError) -> str:
    """The server's own words in one line; servers say them in more ways than OpenAI's."""
    body: Any = exc.body
    for _ in range(3):
        if isinstance(body, dict):
            body = body.get("message") or body.get("error") or body.get("detail")
    if not isinstance(body, str) or body.lstrip().startswith("<"):
        body = f"{exc.status_code} {exc.response.reason_phrase}"
    return " ".join(body.split())


def _translate(
    exc: openai.OpenAIError, sentences: Sentences, account: Account, model: str, timeout_seconds: float
) -> EngineError:
    if isinstance(exc, openai.ContentFilterFinishReasonError) or (
        isinstance(exc, openai.APIError) and exc.code in _FILTER_CODES
    ):
        return Rejected(sentences.filtered)
    if isinstance(exc, openai.APITimeoutError):
        return Unavailable(sentences.timeout, seconds=timeout_seconds)
    if isinstance(exc, openai.APIStatusError):
        return _translate_status(exc, sentences, account, model)
    return Unavailable(sentences.unreachable)


def _translate_status(
    exc: openai.APIStatusError, sentences: Sentences, account: Account, model: str
) -> EngineError:
    status, reason = exc.status_code, reason_of(exc)
    if status in (401, 403) and not (status == 403 and _NOT_THE_KEY.search(reason)):
        return Rejected(sentences.identity_refused if account.keyless else sentences.key_refused)
    if status == 429 and exc.code == "insufficient_quota":
        return Rejected(sentences.quota)
    if status in (429, 503):
        seconds = _retry_after(exc)
        return Unavailable(sentences.busy, seconds=seconds) if seconds else Unavailable(sentences.quota)
    if status >= 500 or status == 408:
        return Unavailable(sentences.unreachable)
    if status == 404 and re.search(r"model|deployment", f"{exc.code} {reason}", re.I):
        return Rejected(sentences.model_missing, model=model)
    return Rejected(sentences.refused, reason=_without_secrets(reason, account.key))


def _retry_after(exc: openai.APIStatusError) -> int:
    """Whole seconds that the server asks to wait; 0 when it does not say, or says it as a date."""
    headers = exc.response.headers
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds > 0:
            return math.ceil(seconds)
    return 0


def _without_secrets(reason: str, key: str) -> str:
    if key:
        reason = reason.replace(key, "***")
    return _SECRET.sub("***", reason)[:160]
