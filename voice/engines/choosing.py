"""Which engines the settings ask for: Azure where it is configured, else an OpenAI-compatible server, else this machine.

A module of its own, since it alone knows every engine. Engines are imported where they are chosen: they are optional
to install, and slow to import.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from voice.cpus import count_cpus
from voice.engines import ChatModel, Engines, NotConfigured, SpeechToText, TextToSpeech
from voice.progress import Progress
from voice.settings import Settings, split_list

if TYPE_CHECKING:
    from voice.engines.azure_connection import SpeechResource
    from voice.engines.openai_account import Account, Credential

OPENAI = "https://api.openai.com/v1"
QUANTISATION = re.compile(r"([-_.](instruct|chat|it))?[-_.](i?q\d\w*|b?f16|f32)$", re.IGNORECASE)
"""What a GGUF file's name ends with and people need not read."""
OPENING_TOKENS = 500
"""Room for the system prompt and the exchanges that set the tone."""
LOCAL_PATIENCE = 3
"""How much longer than a cloud a model of this machine may take: all that goes on there shares its cores."""
MOST_SPEECH_THREADS = 4
"""More do not make the small speech models faster."""


def choose(settings: Settings, progress: Progress | None = None) -> Engines:
    """The engines; models of this machine that are missing are fetched first. Blocks.

    Raises:
        NotConfigured: something that was asked for is not installed, not configured, or not there.
        Unavailable: a model cannot be fetched or stored.
    """
    machine = Machine(settings, progress)
    return Engines(
        _choose_speech_to_text(settings, machine),
        _choose_chat(settings, machine),
        _choose_text_to_speech(settings, machine),
    )


def _provider(
    forced: Literal["auto", "azure", "openai", "local"], azure: bool, openai: bool
) -> Literal["azure", "openai", "local"]:
    if forced != "auto":
        return forced
    return "azure" if azure else "openai" if openai else "local"


def _choose_speech_to_text(settings: Settings, machine: Machine) -> SpeechToText:
    provider = _provider(settings.stt_engine, _has_azure_speech(settings), bool(settings.stt_base_url))
    if provider == "local":
        return machine.speech_to_text()
    first = _azure_speech_to_text(settings) if provider == "azure" else _openai_speech_to_text(settings)
    if not settings.failover:
        return first
    from voice.engines.failover import FailoverSpeechToText

    return FailoverSpeechToText(first, machine.speech_to_text())


def _choose_chat(settings: Settings, machine: Machine) -> ChatModel:
    on_openai = bool(settings.openai_base_url or settings.openai_api_key.get_secret_value())
    provider = _provider(settings.chat_engine, bool(settings.openai_endpoint), on_openai)
    if provider == "local":
        return machine.chat()
    from voice.engines.openai_chat import OpenAIChat

    if provider == "azure":
        account, model = _azure_chat_account(settings), settings.openai_deployment
    else:
        account, model = _openai_chat_account(settings), settings.openai_model
        model = model or ("" if settings.openai_base_url else "gpt-4o-mini")
    first = OpenAIChat(
        account,
        model=model,
        temperature=settings.chat_temperature,
        max_tokens=settings.chat_max_tokens,
        timeout_seconds=settings.engine_timeout_seconds,
    )
    if not settings.failover:
        return first
    from voice.engines.failover import FailoverChat

    return FailoverChat(first, machine.chat())


def _choose_text_to_speech(settings: Settings, machine: Machine) -> TextToSpeech:
    provider = _provider(settings.tts_engine, _has_azure_speech(settings), bool(settings.tts_base_url))
    if provider == "local":
        return machine.text_to_speech()
    first = _azure_text_to_speech(settings) if provider == "azure" else _openai_text_to_speech(settings)
    if not settings.failover:
        return first
    from voice.engines.failover import FailoverTextToSpeech

    return FailoverTextToSpeech(first, machine.text_to_speech())


def _has_azure_speech(settings: Settings) -> bool:
    keyless = settings.azure_auth == "entra" and bool(settings.azure_speech_endpoint)
    return bool(settings.azure_speech_key.get_secret_value() or settings.azure_speech_host or keyless)


def _azure_speech_resource(settings: Settings) -> SpeechResource:
    if not _has_azure_speech(settings):
        raise NotConfigured("azure_speech_not_configured")
    from voice.engines.azure_connection import SpeechResource

    credential = None
    if settings.azure_auth == "entra":
        from azure.identity import DefaultAzureCredential

        credential = DefaultAzureCredential()
    return SpeechResource(
        key=settings.azure_speech_key.get_secret_value(),
        region=settings.azure_region,
        endpoint=settings.azure_speech_endpoint,
        host=settings.azure_speech_host,
        credential=credential,
    )


def _azure_speech_to_text(settings: Settings) -> SpeechToText:
    from voice.engines.azure_recognition import AzureSpeechToText

    languages = split_list(settings.azure_languages)
    return AzureSpeechToText(
        _azure_speech_resource(settings),
        language=languages[0],
        auto_languages=languages if len(languages) > 1 else (),
        phrases=split_list(settings.phrases),
        segmentation_silence_ms=settings.azure_segmentation_silence_ms or None,
        timeout_seconds=settings.engine_timeout_seconds,
    )


def _azure_text_to_speech(settings: Settings) -> TextToSpeech:
    from voice.engines.azure_synthesis import AzureTextToSpeech

    return AzureTextToSpeech(
        _azure_speech_resource(settings),
        style=settings.azure_voice_style,
        timeout_seconds=settings.engine_timeout_seconds,
    )


def _azure_chat_account(settings: Settings) -> Account:
    if not settings.openai_endpoint:
        raise NotConfigured("azure_chat_not_configured")
    from voice.engines.openai_account import connect_azure

    credential: Credential = settings.openai_key.get_secret_value()
    if settings.azure_auth == "entra":
        from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider

        credential = get_bearer_token_provider(
            DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default"
        )
    return connect_azure(settings.openai_endpoint, credential, settings.openai_api_version)


def _openai_chat_account(settings: Settings) -> Account:
    key = settings.openai_api_key.get_secret_value()
    if not (settings.openai_base_url or key):
        raise NotConfigured("openai_not_configured")
    from voice.engines.openai_account import connect_openai

    return connect_openai(settings.openai_base_url or OPENAI, key)


def _openai_speech_account(settings: Settings, base_url: str, key: str) -> Account:
    """OpenAI itself where no server is named. Its key is shown to no other server."""
    openai_key = settings.openai_api_key.get_secret_value()
    if not base_url and not (key or openai_key):
        raise NotConfigured("openai_speech_not_configured")
    from voice.engines.openai_account import connect_openai

    return connect_openai(base_url or OPENAI, key or ("" if base_url else openai_key))


def _openai_speech_to_text(settings: Settings) -> SpeechToText:
    from voice.engines.openai_audio import OpenAISpeechToText

    return OpenAISpeechToText(
        _openai_speech_account(settings, settings.stt_base_url, settings.stt_api_key.get_secret_value()),
        model=settings.stt_model,
        phrases=split_list(settings.phrases),
        timeout_seconds=settings.engine_timeout_seconds,
    )


def _openai_text_to_speech(settings: Settings) -> TextToSpeech:
    from voice.engines.openai_audio import OpenAITextToSpeech, name_voices

    return OpenAITextToSpeech(
        _openai_speech_account(settings, settings.tts_base_url, settings.tts_api_key.get_secret_value()),
        model=settings.tts_model,
        voices=name_voices(settings.tts_voices),
        timeout_seconds=settings.engine_timeout_seconds,
    )


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
