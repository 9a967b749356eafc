"""How Azure Speech is reached: whose resource, and which errors it answers with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from azure.cognitiveservices.speech import (
    CancellationErrorCode,
    PropertyId,
    SpeechConfig,
)
from azure.core.credentials import TokenCredential

from voice.engines import EngineError, NotConfigured, Rejected, Unavailable

TOKEN_SCOPE = "https://cognitiveservices.azure.com/.default"  # noqa: S105 - a public address


@dataclass(frozen=True)
class SpeechResource:
    """A Speech resource and the right to use it.

    Its address is `endpoint` if given (a custom domain, as Entra ID and private links need), else `host` (a container
    or a sovereign cloud), else the public one of `region`. Who asks is told by `credential` (Entra ID), else by `key`;
    a container wants neither.
    """

    key: str = field(default="", repr=False)
    region: str = "japaneast"
    endpoint: str = ""
    host: str = ""
    credential: TokenCredential | None = field(default=None, repr=False)
    name: str = "Azure"
    """For people, who may have two of them."""

    def address_of(self, service: Literal["stt", "tts"]) -> str:
        return self.endpoint or self.host or f"wss://{self.region}.{service}.speech.microsoft.com"

    def configure(self, properties: Mapping[PropertyId | str, str]) -> SpeechConfig:
        """What the SDK's objects are made of; a property without a `PropertyId` goes by its name.

        Raises NotConfigured when the key or the address cannot be one.
        """
        try:
            config = self._configure()
        except (
            ValueError,
            RuntimeError,
        ) as exc:  # the SDK raises RuntimeError for an address it cannot parse
            raise NotConfigured("speech_not_configured") from exc
        for name, value in properties.items():
            if isinstance(name, PropertyId):
                config.set_property(name, value)
            else:
                config.set_property_by_name(name, value)
        return config

    def _configure(self) -> SpeechConfig:
        for address in filter(None, (self.endpoint, self.host)):
            # The SDK takes any text for an address and finds out in the turn.
            parts = urlsplit(address)
            if parts.scheme not in ("https", "wss", "http", "ws") or not parts.hostname:
                raise ValueError(f"Expected an address as https://.., got {address}")
        if self.credential:
            return SpeechConfig(token_credential=self.credential, endpoint=self.endpoint)
        if self.endpoint:
            return SpeechConfig(subscription=self.key or None, endpoint=self.endpoint)
        if self.host:
            return SpeechConfig(subscription=self.key or None, host=self.host)
        return SpeechConfig(subscription=self.key, region=self.region)

    async def reach(self, service: Literal["stt", "tts"]) -> None:
        """Raises Unavailable when nobody takes a connection there."""
        parts = urlsplit(self.address_of(service))
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        try:
            stream = await anyio.connect_tcp(parts.hostname or "", port)
        except OSError as exc:
            raise Unavailable("speech_unreachable") from exc
        await stream.aclose()

    async def sign_in(self) -> None:
        """Get a token, which the credential keeps and renews, since the SDK goes on without one and is refused.

        Raises Rejected when Entra ID gives none.
        """
        if self.credential:
            try:
                await anyio.to_thread.run_sync(self.credential.get_token, TOKEN_SCOPE, abandon_on_cancel=True)
            except (
                Exception
            ) as exc:  # whatever a credential raises: azure-core's errors, its transport's, its own
                raise Rejected("sign_in_failed") from exc

    def translate(self, code: CancellationErrorCode, details: str, timeout_seconds: float) -> EngineError:
        """The SDK's account of a failure. `details` may hold a secret, the result does not."""
        if code in (CancellationErrorCode.AuthenticationFailure, CancellationErrorCode.Forbidden):
            return self._refused()
        if code == CancellationErrorCode.TooManyRequests:
            return Unavailable("speech_quota")
        if code == CancellationErrorCode.BadRequest:
            return Rejected("speech_refused", reason=self._reason(details))
        if code == CancellationErrorCode.ServiceTimeout:
            return Unavailable("speech_timeout", seconds=timeout_seconds)
        return Unavailable("speech_unreachable")

    def _refused(self) -> EngineError:
        if self.credential:
            return Rejected("speech_identity_refused")
        if self.endpoint or self.host:
            return Rejected("speech_key_refused")
        return Rejected("speech_key_unfit", region=self.region)

    def _reason(self, details: str) -> str:
        """The service's own words: the SDK says before them that, and after them where, the connection ended."""
        lines = details.partition("Error details:")[2] or details
        reason = re.split("USP state:|SessionId:", lines)[0].strip().partition("\n")[0].strip(" .")
        return (reason.replace(self.key, "***") if self.key else reason)[:160]


@contextmanager
def watching(seconds: float, since: float) -> Iterator[None]:
    """Around what must give a sign of life, since the SDK waits a minute and more.

    `since`: the last sign of life, or the beginning, on the event loop's clock. Raises Unavailable `seconds` after it.
    """
    try:
        with anyio.fail_after(max(0, since + seconds - anyio.current_time())):
            yield
    except TimeoutError as exc:
        raise Unavailable("speech_timeout", seconds=seconds) from exc
