"""Why a server cannot be reached: it has no such address, or there is no network at all."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import anyio
import anyio.to_thread

WELL_KNOWN_HOSTS = ("login.microsoftonline.com", "www.microsoft.com")
"""That Azure's own sign-in cannot be found means that nothing can."""
RESOLVING_SECONDS = 5

Resolve: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether a host has an address."""


async def resolve(host: str) -> bool:
    """Asks the name server, no longer than `RESOLVING_SECONDS`."""
    try:
        with anyio.fail_after(RESOLVING_SECONDS):
            await anyio.to_thread.run_sync(socket.getaddrinfo, host, None, abandon_on_cancel=True)
    except (OSError, UnicodeError, TimeoutError):  # UnicodeError: no such name can be
        return False
    return True


async def find_fault(host: str, resolve: Resolve = resolve) -> Literal["no address", "no network"] | None:
    """None when the host has an address: what is wrong then is not the network's to tell."""
    if await resolve(host):
        return None
    for known in WELL_KNOWN_HOSTS:
        if await resolve(known):
            return "no address"
    return "no network"
