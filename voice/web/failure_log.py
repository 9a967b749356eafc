"""What went wrong for users, for operators to read: a line for each failed turn, but not for every turn of an outage."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from threading import Lock

from voice import texts
from voice.engines import BadInput, EngineError

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
"""After a sentence was logged; what comes meanwhile is counted, and told with the next."""


class FailureLog:
    """Of one server. Thread-safe. Has no words of users'."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: in seconds."""
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()
        self._lock = Lock()

    def tell(self, error: EngineError, door: str) -> None:
        """A warning; what the user can mend is worth an info only. `door`: how the turn came."""
        key = error.sentence
        with self._lock:
            now = self._clock()
            if now - self._logged_at.get(key, -QUIET_SECONDS) < QUIET_SECONDS:
                self._unlogged[key] += 1
                return
            self._logged_at[key] = now
            unlogged = self._unlogged.pop(key, 0)
        level = logging.INFO if isinstance(error, BadInput) else logging.WARNING
        more = f" ({unlogged} more since this was last said)" if unlogged else ""
        log.log(level, "A turn (%s) failed: %s%s", door, texts.say(key, "en", **error.details), more)
