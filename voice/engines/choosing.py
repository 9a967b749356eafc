"""Which engines the settings ask for: Azure where it is configured, else an OpenAI-compatible server, else this machine.

A module of its own, since it alone knows every engine. Engines are imported where they are chosen: they are optional
to install, and slow to import.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from voice import texts
from voice.audio import Pcm
from voice.engines import (
    ChatModel,
    EndOfTurn,
    EngineError,
    Engines,
    NotConfigured,
    SpeechToText,
    TextToSpeech,
)
from voice.engines.machine import Machine
from voice.progress import Progress
from voice.settings import Settings, split_list

if TYPE_CHECKING:
    from voice.engines.azure_connection import SpeechResource
    from voice.engines.openai_account import Account, Credential
    from voice.listening import Segment

log = logging.getLogger(__name__)

OPENAI = "https://api.openai.com/v1"


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
        _choose_end_of_turn(machine) if settings.smart_turn else None,
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
    engines = _azure_speech_to_text(settings) if provider == "azure" else [_openai_speech_to_text(settings)]
    if settings.failover == "local":
        engines.append(machine.speech_to_text())
    if len(engines) == 1:
        return engines[0]
    from voice.engines.failover import FailoverSpeechToText

    return FailoverSpeechToText(*engines)


def _choose_chat(settings: Settings, machine: Machine) -> ChatModel:
    on_openai = bool(settings.openai_base_url or settings.openai_api_key.get_secret_value())
    provider = _provider(settings.chat_engine, bool(settings.openai_endpoint), on_openai)
    if provider == "local":
        return machine.chat()
    engines = _azure_chat(settings) if provider == "azure" else [_openai_chat(settings)]
    if settings.failover == "local":
        engines.append(machine.chat())
    if len(engines) == 1:
        return engines[0]
    from voice.engines.failover import FailoverChat

    return FailoverChat(*engines)


def _choose_text_to_speech(settings: Settings, machine: Machine) -> TextToSpeech:
    provider = _provider(settings.tts_engine, _has_azure_speech(settings), bool(settings.tts_base_url))
    if provider == "local":
        return machine.text_to_speech()
    engines = _azure_text_to_speech(settings) if provider == "azure" else [_openai_text_to_speech(settings)]
    if settings.failover == "local":
        engines.append(machine.text_to_speech())
    if len(engines) == 1:
        return engines[0]
    from voice.engines.failover import FailoverTextToSpeech

    return FailoverTextToSpeech(*engines)


def _choose_end_of_turn(machine: Machine) -> EndOfTurn | None:
    """What it needs may be missing: that is told, and conversations go on by pauses and words."""
    try:
        return machine.end_of_turn()
    except EngineError as error:
        reason = texts.say(error.sentence, "en", **error.details)
        log.warning(texts.say("smart_turn_missing", "en", reason=reason))
        return None


def _has_azure_speech(settings: Settings) -> bool:
    keyless = settings.azure_auth == "entra" and bool(settings.azure_speech_endpoint)
    return bool(settings.azure_speech_key.get_secret_value() or settings.azure_speech_host or keyless)


def _azure_speech_resources(settings: Settings) -> list[SpeechResource]:
    """The resource, and that of a second region where there is one."""
    if not _has_azure_speech(settings):
        raise NotConfigured("azure_speech_not_configured")
    from voice.engines.azure_connection import SpeechResource

    credential = None
    if settings.azure_auth == "entra":
        from azure.identity import DefaultAzureCredential

        credential = DefaultAzureCredential()
    first = SpeechResource(
        key=settings.azure_speech_key.get_secret_value(),
        region=settings.azure_region,
        endpoint=settings.azure_speech_endpoint,
        host=settings.azure_speech_host,
        credential=credential,
    )
    key, region, host = (
        settings.azure_failover_key.get_secret_value(),
        settings.azure_failover_region,
        settings.azure_failover_host,
    )
    if not (key or region or host):
        return [first]
    if not (host or (key and region)):
        raise NotConfigured("azure_failover_incomplete")
    second = SpeechResource(key=key, region=region, host=host)
    return [replace(each, name=f"Azure ({each.region or each.host})") for each in (first, second)]


def _azure_speech_to_text(settings: Settings) -> list[SpeechToText]:
    from voice.engines.azure_recognition import AzureSpeechToText

    languages = split_list(settings.azure_languages)
    return [
        AzureSpeechToText(
            resource,
            language=languages[0],
            auto_languages=languages if len(languages) > 1 else (),
            phrases=split_list(settings.phrases),
            segmentation_silence_ms=settings.azure_segmentation_silence_ms or None,
            timeout_seconds=settings.engine_timeout_seconds,
        )
        for resource in _azure_speech_resources(settings)
    ]


def _azure_text_to_speech(settings: Settings) -> list[TextToSpeech]:
    from voice.engines.azure_synthesis import AzureTextToSpeech
    from voice.engines.azure_voices import name_default_voices

    return [
        AzureTextToSpeech(
            resource,
            default_voices=name_default_voices(split_list(settings.azure_voices)),
            style=settings.azure_voice_style,
            timeout_seconds=settings.engine_timeout_seconds,
        )
        for resource in _azure_speech_resources(settings)
    ]


def _azure_chat(settings: Settings) -> list[ChatModel]:
    """The deployment, and that of a second region where there is one."""
    if not settings.openai_endpoint:
        raise NotConfigured("azure_chat_not_configured")
    first = _azure_chat_account(settings, settings.openai_endpoint, settings.openai_key)
    model = settings.openai_deployment
    if not settings.openai_failover_endpoint:
        return [_chat_model(settings, first, model)]
    second = _azure_chat_account(settings, settings.openai_failover_endpoint, settings.openai_failover_key)
    return [
        _chat_model(settings, account, name, label=f"{name} ({urlsplit(account.address).netloc})")
        for account, name in ((first, model), (second, settings.openai_failover_deployment or model))
    ]


def _azure_chat_account(settings: Settings, endpoint: str, key: SecretStr) -> Account:
    from voice.engines.openai_account import connect_azure

    credential: Credential = key.get_secret_value()
    if settings.azure_auth == "entra":
        from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider

        credential = get_bearer_token_provider(
            DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default"
        )
    return connect_azure(endpoint, credential, settings.openai_api_version)


def _openai_chat(settings: Settings) -> ChatModel:
    key = settings.openai_api_key.get_secret_value()
    if not (settings.openai_base_url or key):
        raise NotConfigured("openai_not_configured")
    from voice.engines.openai_account import connect_openai

    account = connect_openai(settings.openai_base_url or OPENAI, key)
    model = settings.openai_model or ("" if settings.openai_base_url else "gpt-4o-mini")
    return _chat_model(settings, account, model)


def _chat_model(settings: Settings, account: Account, model: str, label: str = "") -> ChatModel:
    from voice.engines.openai_chat import OpenAIChat

    return OpenAIChat(
        account,
        model=model,
        temperature=settings.chat_temperature,
        max_tokens=settings.chat_max_tokens,
        timeout_seconds=settings.engine_timeout_seconds,
        label=label,
    )


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
        find_speech=_find_speech_finder(),
    )


def _find_speech_finder() -> Callable[[Pcm], Sequence[Segment]] | None:
    """What tells speech from silence; its model comes with the local engines, which may not be installed."""
    if not find_spec("faster_whisper"):
        return None
    from voice.listening import find_speech

    return find_speech


def _openai_text_to_speech(settings: Settings) -> TextToSpeech:
    from voice.engines.openai_audio import OpenAITextToSpeech, name_voices

    return OpenAITextToSpeech(
        _openai_speech_account(settings, settings.tts_base_url, settings.tts_api_key.get_secret_value()),
        model=settings.tts_model,
        voices=name_voices(settings.tts_voices),
        timeout_seconds=settings.engine_timeout_seconds,
    )
