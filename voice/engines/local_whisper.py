"""Speech to text on this machine: Whisper, run by CTranslate2, behind voice activity detection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import anyio
import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVarTuple, Unpack

from voice.audio import SPEECH_RATE, Pcm
from voice.engines import SHORT_SECONDS, EngineError, Transcript, Unavailable
from voice.engines.whisper_live import LiveUtterance
from voice.engines.whisper_model import Heard, Model
from voice.listening import PADDING_MS, Segment, find_speech

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_WINDOW_MS = 20_000
"""Speech recognised in one go. Whisper hears 30 s; less leaves room for padding and for the 224 tokens it writes at most."""
SHORT_MS = round(1000 * SHORT_SECONDS) + PADDING_MS
"""Of speech as `find_speech` pads it: a word said live has 300 ms of sound before it, and as much silence as there is."""
WITHOUT_SPACES = frozenset({"ja", "zh", "th", "lo", "my", "km", "bo"})


class LocalWhisper:
    """Whisper in threads of its own. Loads at first use, once, whoever comes first."""

    label = "Whisper base"

    def __init__(
        self,
        folder: Path,
        *,
        cpu_threads: int = 2,
        beam_size: int = 5,
        timeout_seconds: float = 60,
        at_once: int = 1,
        expected: Sequence[str] = ("ja", "en"),
    ) -> None:
        """`folder`: a CTranslate2 Whisper, with model.bin, config.json, tokenizer.json and vocabulary.txt.

        `cpu_threads`: of each of the `at_once` concurrent recognitions; more wait in line, window by window. One at a
        time with two threads has the throughput of two with one thread each on two cores, and the better latency.
        `timeout_seconds`: for a recognition, from the end of its audio, time in line included.
        `expected`: the languages that a detected one most likely is; none: any.
        """
        self._folder = folder
        self._cpu_threads = cpu_threads
        self._beam_size = beam_size
        self._timeout_seconds = timeout_seconds
        self._at_once = at_once
        self._expected = tuple(expected)
        self._under_way = 0
        self._model: Model | None = None
        self._loading = threading.Lock()
        # These threads are the limit on concurrency: native calls cannot be stopped, and a thread whose caller has
        # left stays taken until its call ends, where a limiter on the caller's side would let the next one in.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="whisper")

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        """One final transcript, when the audio has ended; before, of audio that comes in real time, partial ones.

        A partial one follows each pause and, where the machine keeps up, each second of speech. When nothing was said
        after the last pause, its partial is the final one at once.

        `language`: a tag that Whisper does not know is as good as None.

        Raises:
            NotConfigured: the model folder is missing or broken.
            Unavailable: it took longer than `timeout_seconds`, or failed.
            ValueError: the audio is not 16 kHz.
        """
        utterance = LiveUtterance()
        said: Transcript | None = None
        async with aclosing(utterance.hear(audio)) as moments:
            async for _ in moments:
                if self._under_way < self._at_once and utterance.is_worth_a_look():
                    with utterance.looking():
                        said = replace(await self._recognise(utterance.pcm, language, last), final=False)
                    if said.text:
                        yield said
        if said is None or await utterance.has_gone_on():
            said = await self._recognise(utterance.pcm, language, last)
        yield replace(said, final=True)

    async def warm(self) -> None:
        """Load the model and run it once. Raises what `transcribe` raises."""
        with self._errors_translated():
            model = await self._run(self._load)
            await self._run(find_speech, Pcm.silence(1000, SPEECH_RATE))
            await self._run(model.hear, np.zeros(SPEECH_RATE, np.float32), None)

    async def close(self) -> None:
        """Let go of the model; its memory is free when the recognitions under way have ended."""
        self._threads.shutdown(wait=False)
        self._model = None

    async def _recognise(self, pcm: Pcm, language: str | None, last: str | None) -> Transcript:
        self._under_way += 1
        try:
            with self._errors_translated():
                return await self._recognise_windows(pcm, language, last)
        finally:
            self._under_way -= 1

    async def _recognise_windows(self, pcm: Pcm, language: str | None, last: str | None) -> Transcript:
        windows = await self._run(cut_windows, pcm)
        if language is None and sum(window.length_ms for window in windows) < SHORT_MS:
            language = last
        language = language and language.split("-")[0].lower()
        heard: list[Heard] = []
        times: list[Segment] = []
        for window in windows:
            model = await self._run(self._load)
            # A second language in one recording is rarer than a short last window taken for another language.
            said = await self._run(model.hear, window.speech(pcm), heard[0].language if heard else language)
            if said.text:
                heard.append(said)
                times.append(window.span)
        if not heard:
            return Transcript("", final=True, language=language)
        between = "" if heard[0].language in WITHOUT_SPACES else " "
        return Transcript(
            between.join(said.text for said in heard),
            final=True,
            language=heard[0].language,
            start_ms=times[0].start_ms,
            end_ms=times[-1].end_ms,
        )

    async def _run(self, work: Callable[[Unpack[Ts]], T], *args: Unpack[Ts]) -> T:
        """`work` in one of the threads. A caller that is cancelled leaves at once; the late result is dropped."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def _load(self) -> Model:
        with self._loading:
            if self._model is None:
                self._model = Model(
                    self._folder, self._cpu_threads, self._at_once, self._beam_size, self._expected
                )
            return self._model

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            with anyio.fail_after(self._timeout_seconds):
                yield
        except TimeoutError as exc:
            raise Unavailable("recognition_timeout", seconds=self._timeout_seconds) from exc
        except EngineError:
            raise
        except Exception as exc:
            raise Unavailable("recognition_failed") from exc


@dataclass(frozen=True, slots=True)
class Window:
    """Speech to recognise in one go, the long pauses in it left out."""

    segments: Sequence[Segment]

    @property
    def span(self) -> Segment:
        return Segment(self.segments[0].start_ms, self.segments[-1].end_ms)

    @property
    def length_ms(self) -> int:
        return sum(segment.length_ms for segment in self.segments)

    def speech(self, pcm: Pcm) -> NDArray[np.float32]:
        """The window's part of a recording. Returns float32[n], at the recording's rate."""
        samples = pcm.floats
        per_ms = pcm.rate / 1000
        return np.concatenate(
            [samples[round(s.start_ms * per_ms) : round(s.end_ms * per_ms)] for s in self.segments]
        )


def cut_windows(pcm: Pcm) -> list[Window]:
    """The speech of a recording in windows of about `LONGEST_WINDOW_MS` at most; none when nobody speaks."""
    segments = find_speech(pcm, LONGEST_WINDOW_MS)
    return list(_halve(Window(segments))) if segments else []


def _halve(window: Window) -> Iterator[Window]:
    """Cut at the longest pause in the middle half, so that no window is left with a word or two."""
    if window.length_ms <= LONGEST_WINDOW_MS or len(window.segments) == 1:
        yield window
        return
    sides = [
        (Window(window.segments[:i]), Window(window.segments[i:])) for i in range(1, len(window.segments))
    ]

    def fitness(side: tuple[Window, Window]) -> tuple[bool, int, int]:
        before, after = side
        shorter = min(before.length_ms, after.length_ms)
        return 4 * shorter >= window.length_ms, after.span.start_ms - before.span.end_ms, shorter

    for side in max(sides, key=fitness):
        yield from _halve(side)
