"""What stands behind the emulated protocols: something that hears, something that answers, something that speaks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from tests.emulators.azure_script import Recogniser, VoiceBox
from tests.emulators.chat import Decide
from tests.emulators.loopback import Lifespan


@dataclass(frozen=True)
class Cloud:
    recognise: Recogniser
    answer: Decide
    speak: VoiceBox
    lifespan: Lifespan | None = None
    """Of what answers, within its server."""
    warm: Callable[[], Coroutine[None, None, None]] | None = None
    """Makes ready what hears and speaks, within their server."""
