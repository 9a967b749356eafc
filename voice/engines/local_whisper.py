"""Speech to text on this machine: Whisper, run by CTranslate2, behind voice activity detection."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from typing_extensions import TypeVarTuple, Unpack

from voice.audio import SPEECH_RATE, Pcm, join
from voice.engines import EngineError, NotConfigured, Transcript, Unavailable
from voice.listening import Segment, find_speech

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_WINDOW_MS = 20_000
"""Speech recognised in one go. Whisper hears 30 s; less leaves room for padding and for the 224 tokens it writes at most."""
SHORTEST_CONTEXT_SECONDS = 10
"""Whisper pads to 30 s, at 4-5 times the cost; below about 10 s it loops, 21 % WER and worse (measured, human English)."""
CONTEXT_AFTER_SECONDS = 1
"""Silence that Whisper needs to hear behind the speech to know that it has ended."""
FULL_CONTEXT_SECONDS = 30
DOUBTFUL = 0.3
"""Probability of no speech, in a short context, above which to look again in the full one: human clips reach 0.18 and a
murmured syllable 0.33, noise begins at 0.39; but a word said ten times over reaches 0.8."""
NO_SPEECH = 0.6
"""openai/whisper's `no_speech_threshold`. In the full context speech measured up to 0.53, repeated or murmured, and
noise from 0.74."""
GUESSED = -1.0
"""Mean log probability under which words are guesses (openai/whisper's `logprob_threshold`); on noise -1.4 and less."""
REPETITIVE = 2.4
"""Compression ratio of text from which it is taken for a loop (openai/whisper, `transcribe.py`)."""
TOKENS_AT_LEAST = 24
TOKENS_PER_SECOND = 15
"""Room for the transcript. Fast Japanese takes 8-10 tokens a second; a loop is cut off early and tried again."""
MOST_TOKENS = 224
"""Half of the decoder's context, as in openai/whisper's `decoding.py`."""
OVERWHELMING = 0.8
"""Probability from which an unexpected language is believed: a human English clip measured 0.53 Welsh, noise 0.70
Nynorsk, clear sentences mostly above 0.95 in their own."""
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
        self._model: Model | None = None
        self._loading = threading.Lock()
        # These threads are the limit on concurrency: native calls cannot be stopped, and a thread whose caller has
        # left stays taken until its call ends, where a limiter on the caller's side would let the next one in.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="whisper")

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None
    ) -> AsyncGenerator[Transcript, None]:
        """One final transcript, when the audio has ended.

        `language`: a tag that Whisper does not know is as good as None.

        Raises:
            NotConfigured: the model folder is missing or broken.
            Unavailable: it took longer than `timeout_seconds`, or failed.
            ValueError: the audio is not 16 kHz.
        """
        pcm = join([piece async for piece in audio], SPEECH_RATE)
        with self._errors_translated():
            transcript = await self._recognise(pcm, language)
        yield transcript

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

    async def _recognise(self, pcm: Pcm, language: str | None) -> Transcript:
        language = language and language.split("-")[0].lower()
        heard: list[Heard] = []
        times: list[Segment] = []
        for window in await self._run(cut_windows, pcm):
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


@dataclass(frozen=True, slots=True)
class Heard:
    text: str
    """Empty when it was no speech."""
    language: str


class Model:
    """The native model. Its methods block; several threads may call them."""

    def __init__(
        self, folder: Path, cpu_threads: int, at_once: int, beam_size: int, expected: Sequence[str]
    ) -> None:
        """Raises NotConfigured when the folder does not hold a whole Whisper."""
        try:
            self._whisper = ctranslate2.models.Whisper(
                str(folder), compute_type="int8", intra_threads=cpu_threads, inter_threads=at_once
            )
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            ids = json.loads((folder / "config.json").read_text("utf-8"))["lang_ids"]
            if not self._whisper.is_multilingual:  # so it seems when part of the vocabulary is missing
                raise ValueError("Expected a multilingual Whisper")
        except Exception as exc:  # tokenizers raises bare Exception
            raise NotConfigured("speech_model_broken", folder=str(folder)) from exc
        self._languages = {str(self._tokenizer.id_to_token(i)).strip("<|>") for i in ids}
        self._features = FeatureExtractor(feature_size=self._whisper.n_mels)
        self._beam_size = beam_size
        self._expected = self._languages.intersection(expected)

    def hear(self, speech: NDArray[np.float32], language: str | None) -> Heard:
        """What is said in `speech`: float32[n], 16 kHz, at most 30 s."""
        seconds = len(speech) / SPEECH_RATE
        encoded = self._encode(speech, max(seconds + CONTEXT_AFTER_SECONDS, SHORTEST_CONTEXT_SECONDS))
        if language is None or language not in self._languages:
            language = self._detect(encoded)
        said = self._decode(encoded, language, TOKENS_AT_LEAST + int(TOKENS_PER_SECOND * seconds))
        if said.no_speech > NO_SPEECH and said.confidence < GUESSED:
            return Heard("", language)
        if said.no_speech > DOUBTFUL or said.is_repetitive or not said.complete:
            said = self._decode(self._encode(speech, FULL_CONTEXT_SECONDS), language, MOST_TOKENS)
            lost = said.is_repetitive and not said.complete
            if lost or said.no_speech > NO_SPEECH:
                return Heard("", language)
        return Heard(said.text if any(map(str.isalnum, said.text)) else "", language)

    def _encode(self, speech: NDArray[np.float32], seconds: float) -> ctranslate2.StorageView:
        """What the encoder makes of `speech` with silence behind it, `seconds` together."""
        frames = min(int(seconds * 50), FULL_CONTEXT_SECONDS * 50) * 2  # 10 ms each; the encoder takes pairs
        samples = np.zeros(frames * self._features.hop_length, np.float32)
        samples[: len(speech)] = speech[: len(samples)]
        features = self._features(samples, padding=0)
        return self._whisper.encode(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None], np.float32))
        )

    def _detect(self, encoded: ctranslate2.StorageView) -> str:
        [ranking] = self._whisper.detect_language(encoded)
        likely: list[tuple[str, float]] = [
            (token.strip("<|>"), probability) for token, probability in ranking
        ]
        first, probability = likely[0]
        if probability >= OVERWHELMING:
            return first
        return next((language for language, _ in likely if language in self._expected), first)

    def _decode(self, encoded: ctranslate2.StorageView, language: str, most_tokens: int) -> Decoded:
        most_tokens = min(most_tokens, MOST_TOKENS)
        [result] = self._whisper.generate(
            encoded,
            [["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]],
            beam_size=self._beam_size,
            max_length=2 * most_tokens,  # CTranslate2 generates half of what it is told
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = result.sequences_ids[0]
        return Decoded(
            text=self._tokenizer.decode(tokens).strip(),
            complete=len(tokens) < most_tokens,
            confidence=result.scores[0],
            no_speech=result.no_speech_prob,
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str
    complete: bool
    """It came to its end by itself."""
    confidence: float
    """Mean log probability of its tokens."""
    no_speech: float
    """Probability that the sound is no speech."""

    @property
    def is_repetitive(self) -> bool:
        """Whether it says the same over and over, as Whisper does when it is lost, and people when they count."""
        data = self.text.encode()
        return len(data) > REPETITIVE * len(zlib.compress(data))
