"""The engines of this machine, put together as the settings ask for it.

Engines are imported where they are asked for: they are optional to install, and slow to import.
"""

from __future__ import annotations

import re

from voice.cpus import count_cpus
from voice.engines import ChatModel, EndOfTurn, NotConfigured, SpeechToText, TextToSpeech, Unavailable
from voice.progress import Progress
from voice.settings import Settings

QUANTISATION = re.compile(r"([-_.](instruct|chat|it))?[-_.](i?q\d\w*|b?f16|f32)$", re.IGNORECASE)
"""What a GGUF file's name ends with and people need not read."""
OPENING_TOKENS = 500
"""Room for the system prompt and the exchanges that set the tone."""
LOCAL_PATIENCE = 3
"""How much longer than a cloud a model of this machine may take: all that goes on there shares its cores."""
MOST_SPEECH_THREADS = 4
"""More do not make the small speech models faster."""


class Machine:
    """The engines of this machine; their models are fetched when one is asked for."""

    def __init__(self, settings: Settings, progress: Progress | None) -> None:
        self._settings = settings
        self._progress = progress
        self._threads = settings.cpu_threads or count_cpus()
        self._speech_threads = min(self._threads, MOST_SPEECH_THREADS)
        self._timeout_seconds = settings.engine_timeout_seconds * LOCAL_PATIENCE

    def speech_to_text(self) -> SpeechToText:
        try:
            from voice.engines.local_whisper import LocalWhisper
        except ImportError as exc:
            raise NotConfigured("local_engines_missing") from exc
        from voice.models import fetch
        from voice.weights import WHISPER_BASE

        return LocalWhisper(
            fetch(WHISPER_BASE, self._settings.models_dir, self._progress),
            cpu_threads=self._speech_threads,
            timeout_seconds=self._timeout_seconds,
        )

    def chat(self) -> ChatModel:
        from voice.engines.local_llama import LocalLlama, check_llama
        from voice.models import resolve_chat_model

        settings = self._settings
        check_llama()
        model = resolve_chat_model(settings.local_chat_model, settings.models_dir, self._progress)
        return LocalLlama(
            model,
            label=QUANTISATION.sub("", model.stem),
            slots=settings.local_chat_slots,
            context_tokens=OPENING_TOKENS
            + settings.history_tokens
            + settings.max_text_characters
            + settings.chat_max_tokens,
            threads=self._threads,
            temperature=settings.chat_temperature,
            max_tokens=settings.chat_max_tokens,
            timeout_seconds=self._timeout_seconds,
        )

    def text_to_speech(self) -> TextToSpeech:
        try:
            from voice.engines.local_voices import LocalVoices
        except ImportError as exc:
            raise NotConfigured("local_engines_missing") from exc
        from voice.models import fetch
        from voice.weights import KOKORO_JA

        settings = self._settings
        japanese = settings.local_japanese_voice
        kokoro = fetch(KOKORO_JA, settings.models_dir, self._progress) if japanese != "mei" else None
        return LocalVoices(
            kokoro, japanese, threads=self._speech_threads, timeout_seconds=self._timeout_seconds
        )

    def end_of_turn(self) -> EndOfTurn:
        try:
            from voice.smart_turn import SmartTurn
        except ImportError as exc:
            raise NotConfigured("local_engines_missing") from exc
        from voice.models import fetch
        from voice.weights import SMART_TURN

        file = fetch(SMART_TURN, self._settings.models_dir, self._progress) / SMART_TURN.files[0].name
        try:
            return SmartTurn(file)
        except Exception as exc:  # each way in which a file is damaged has a type of its own
            raise Unavailable("smart_turn_broken", file=str(file)) from exc
