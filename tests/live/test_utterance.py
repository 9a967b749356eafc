"""One utterance on its way to its transcript."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from tests.fakes import FakeSpeechToText
from voice.audio import SPEECH_RATE, Pcm
from voice.engines import Transcript, Unavailable
from voice.live.utterance import Utterance
from voice.turns.events import TranscriptFailed

pytestmark = pytest.mark.anyio


class Deaf(FakeSpeechToText):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        raise Unavailable("speech_unreachable")
        yield


async def test_sound_that_failing_ears_did_not_take_is_forgotten() -> None:
    told: list[Any] = []
    utterance = Utterance(1, 0, told.append, told.append)
    pcm = Pcm.silence(1000, SPEECH_RATE)
    utterance.hear(pcm)
    utterance.close()
    assert [holder for holder in gc.get_referrers(pcm) if isinstance(holder, deque)]
    await utterance.run(Deaf(), None)
    assert told == [TranscriptFailed(1)]
    assert not [holder for holder in gc.get_referrers(pcm) if isinstance(holder, deque)]
