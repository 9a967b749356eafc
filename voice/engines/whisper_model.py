"""The native Whisper: speech of up to 30 s in, words out. Run by CTranslate2."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from voice.audio import SPEECH_RATE
from voice.engines import NotConfigured

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
