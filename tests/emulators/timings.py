"""How long a cloud takes, and the wait until something is due."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from tests.emulators.loopback import Pause


@dataclass(frozen=True, slots=True)
class Timings:
    """Delays of the services, without the network's."""

    partial_lag_ms: float
    """From the end of a spoken word to the partial transcript that has it."""
    final_ms: float
    """From the true end of the speech to the final transcript, also when the audio is ended earlier."""
    first_token_ms: float
    """From the request to the first token."""
    tokens_per_second: float
    first_byte_ms: float
    """From the SSML to the first sound."""
    speech_realtime_factor: float
    """Seconds of sound that are made in a second."""


PUBLISHED = Timings(
    partial_lag_ms=300,
    final_ms=1016,
    first_token_ms=412,
    tokens_per_second=80,
    first_byte_ms=150,
    speech_realtime_factor=10,
)
"""Azure's, as published for warm connections in its own region: Speech, and GPT-4o (medians)."""
NONE = Timings(0, 0, 0, math.inf, 0, math.inf)

TIMINGS = {"published": PUBLISHED, "none": NONE}


def until(due: float) -> Pause:
    """A step that waits for this time on the event loop's clock; none at all when it has passed."""
    return Pause(max(0.0, due - asyncio.get_running_loop().time()))
