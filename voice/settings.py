"""Every option in one typed place: environment variable, default, meaning.

An option comes from the command line, else the environment, else `.env`, else its default. `app.py` reads them once
and passes values down; they are never imported as a global.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict

DEFAULT_CHAT_MODEL = "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"


class Settings(BaseSettings):
    """Kaiwa's options: the field `port` is `PORT` in the environment and `--port` on the command line."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    host: str = Field(
        "127.0.0.1",
        # Hugging Face Spaces and other hosts of Gradio set the second name.
        validation_alias=AliasChoices("host", "gradio_server_name"),
        pattern=r"^(localhost|[0-9.]+|[0-9a-fA-F:.]+)$",
        description="Address to serve on; 0.0.0.0 for every network.",
    )
    port: int = Field(
        7860,
        validation_alias=AliasChoices("port", "gradio_server_port"),
        ge=1,
        le=65535,
        description="Port to serve on.",
    )
    root_path: str = Field(
        "",
        validation_alias=AliasChoices("root_path", "gradio_root_path"),
        pattern="^$|^(/|https?://)",
        description="Path that a reverse proxy serves it under, as /demo.",
    )
    share: bool = Field(False, description="Also open a public share link; needs the internet.")
    auth: SecretStr = Field(
        SecretStr(""),
        description="Who may log in: user:password, several separated by commas. Empty lets everybody in.",
    )
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that let programs in at /api/chat and /v1/realtime, separated by commas. Empty lets everybody in, unless AUTH is set.",
    )
    allowed_origins: str = Field(
        "",
        description="Web pages of other hosts that may use them, separated by commas: https://example.com",
    )
    metrics_key: SecretStr = Field(
        SecretStr(""),
        description="Key (bearer token) that Prometheus asks for /metrics with. Empty: there is no /metrics.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")

    spoken_language: Literal["auto", "ja", "en", "zh", "ko", "fr", "de", "es", "it", "pt"] = Field(
        "auto",
        description="Language spoken at first; auto finds out. Voices of this machine speak ja and en.",
    )
    persona: str = Field(
        "friendly",
        min_length=1,
        max_length=500,
        description="Persona at first: friendly, tutor, concise, interviewer, or instructions of your own.",
    )
    history_tokens: int = Field(
        1500,
        ge=100,
        le=100_000,
        description="How much of the conversation the chat model is reminded of, in tokens.",
    )
    max_recording_seconds: int = Field(120, ge=1, le=3600, description="Longest recording taken, in seconds.")
    max_text_characters: int = Field(
        2000, ge=1, le=100_000, description="Longest typed message, in characters."
    )
    idle_seconds: float = Field(
        60,
        ge=0,
        le=86_400,
        description="Silence after which a live conversation asks whether you are there, and then rests; 0 for never.",
    )
    live_session_seconds: float = Field(
        1800, ge=10, le=86_400, description="Longest live conversation, in seconds."
    )
    live_sessions: int = Field(100, ge=1, le=10_000, description="Live conversations at once.")
    live_sessions_per_user: int = Field(
        4,
        ge=1,
        le=10_000,
        description="Of them, how many for one page, one API key, or one address where no key is asked for.",
    )
    greeting: str = Field(
        "", max_length=500, description="What Kaiwa says when a live conversation begins; empty for nothing."
    )
    turn_patience: Literal["quick", "balanced", "patient"] = Field(
        "balanced",
        description="How long a pause may be before Kaiwa answers, in live conversations at first.",
    )
    smart_turn: bool = Field(
        False,
        description="on: also judge by a turn's sound whether it is over (Smart Turn, 9 MB, fetched once).",
    )
    eager_replies: bool = Field(
        True, description="Prepare replies at pauses, before a turn is over; costs some requests in vain."
    )
    engine_timeout_seconds: float = Field(
        10,
        gt=0,
        le=600,
        description="Longest wait for an engine's next sign of life, in seconds; on this machine three times as long.",
    )

    stt_engine: Literal["auto", "azure", "openai", "local"] = Field(
        "auto",
        description="What recognises speech. auto takes Azure where it is configured, else STT_BASE_URL, else this machine.",
    )
    chat_engine: Literal["auto", "azure", "openai", "local"] = Field(
        "auto",
        description="What answers. auto takes Azure where OPENAI_ENDPOINT is set, else OPENAI_BASE_URL or OPENAI_API_KEY, "
        "else this machine.",
    )
    tts_engine: Literal["auto", "azure", "openai", "local"] = Field(
        "auto",
        description="What speaks. auto takes Azure where it is configured, else TTS_BASE_URL, else this machine.",
    )
    failover: Literal["", "local"] = Field(
        "", description="local: when no cloud or server answers, the models of this machine do."
    )

    azure_speech_key: SecretStr = Field(SecretStr(""), description="Key of an Azure Speech resource.")
    azure_region: str = Field("japaneast", pattern="^[a-z0-9]+$", description="Its region, as japaneast.")
    azure_speech_endpoint: str = Field(
        "",
        pattern="^$|^(https|wss|http|ws)://",
        description="Its own address (custom domain), as Entra ID needs it.",
    )
    azure_speech_host: str = Field(
        "",
        pattern="^$|^(https|wss|http|ws)://",
        description="Address of a sovereign cloud or of a Speech container.",
    )
    azure_failover_region: str = Field(
        "",
        pattern="^[a-z0-9]*$",
        description="Second region, whose Speech resource answers when the first does not.",
    )
    azure_failover_key: SecretStr = Field(SecretStr(""), description="Key of the Speech resource there.")
    azure_failover_host: str = Field(
        "",
        pattern="^$|^(https|wss|http|ws)://",
        description="Its address, where it is not the region's public one.",
    )
    azure_auth: Literal["key", "entra"] = Field(
        "key", description="entra: sign in to Azure by Entra ID (DefaultAzureCredential) instead of keys."
    )
    azure_languages: str = Field(
        "ja-JP,en-US",
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*(\s*,\s*[A-Za-z]{2,3}(-[A-Za-z0-9]+)*)*$",
        description="Languages that Azure tells apart when none is chosen, ten at most; a single one is taken as given.",
    )
    azure_segmentation_silence_ms: int = Field(
        0,
        ge=0,
        le=5000,
        description="Pause that ends a phrase for Azure, 100 to 5000 ms; 0 leaves it to Azure.",
    )
    azure_voices: str = Field(
        "",
        pattern=r"^$|^(\s*([a-z]{2,3}:)?[a-z]{2,3}-[A-Za-z]+-[A-Za-z0-9:-]+\s*(,|$))+$",
        description="Azure voices in place of the usual ones, separated by commas, as ja-JP-KeitaNeural; "
        "ja:NAME speaks Japanese by a voice of another language.",
    )
    azure_voice_style: str = Field(
        "", description="Speaking style for the Azure voices that have it, as chat."
    )
    phrases: str = Field(
        "", description="Names and jargon that speech recognition shall expect, separated by commas."
    )
    openai_endpoint: str = Field(
        "",
        pattern="^$|^https?://",
        description="Address of an Azure OpenAI resource, classic or ending in /openai/v1/.",
    )
    openai_key: SecretStr = Field(SecretStr(""), description="Its key.")
    openai_deployment: str = Field("gpt-4o", description="Its deployment.")
    openai_api_version: str = Field(
        "2024-05-01-preview", description="Its API version; v1 for the new address."
    )

    openai_failover_endpoint: str = Field(
        "",
        pattern="^$|^https?://",
        description="Address of a second Azure OpenAI resource, which answers when the first does not.",
    )
    openai_failover_key: SecretStr = Field(SecretStr(""), description="Its key.")
    openai_failover_deployment: str = Field(
        "", description="Its deployment; empty for the same name as the first one's."
    )

    openai_base_url: str = Field(
        "",
        pattern="^$|^https?://",
        description="Address of an OpenAI-compatible chat server, as http://127.0.0.1:11434/v1 for Ollama.",
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""), description="The server's key. Alone, it means OpenAI itself."
    )
    openai_model: str = Field(
        "",
        description="The server's model; empty takes gpt-4o-mini at OpenAI, elsewhere the first that is listed.",
    )
    stt_base_url: str = Field(
        "",
        pattern="^$|^https?://",
        description="Address of an OpenAI-compatible server for /audio/transcriptions.",
    )
    stt_api_key: SecretStr = Field(SecretStr(""), description="Its key.")
    stt_model: str = Field("whisper-1", description="Its model.")
    tts_base_url: str = Field(
        "", pattern="^$|^https?://", description="Address of an OpenAI-compatible server for /audio/speech."
    )
    tts_api_key: SecretStr = Field(SecretStr(""), description="Its key.")
    tts_model: str = Field("gpt-4o-mini-tts", description="Its model.")
    tts_voices: str = Field(
        "",
        description="Its voices, separated by commas; ja:NAME speaks Japanese only. Empty: those of OpenAI.",
    )
    chat_temperature: float = Field(
        0.3, ge=0, le=2, description="How freely the chat model words its answers."
    )
    chat_max_tokens: int = Field(160, ge=16, le=8192, description="Longest answer, in tokens.")

    local_chat_model: str = Field(
        DEFAULT_CHAT_MODEL,
        min_length=1,
        description="Chat model on this machine, a GGUF file: its path, or owner/repo/file on the Hugging Face hub.",
    )
    local_chat_slots: int = Field(4, ge=1, le=64, description="Answers it writes at once; more users wait.")
    local_japanese_voice: Literal["auto", "kokoro", "mei"] = Field(
        "auto", description="auto takes Kokoro where this machine is fast enough for it, else mei."
    )
    cpu_threads: int = Field(
        0, ge=0, le=256, description="Processors that the models of this machine use; 0 for all it may use."
    )
    models_dir: Path = Field(
        platformdirs.user_cache_path("kaiwa") / "models",
        description="Where the models of this machine are kept; the platform's cache folder when not set.",
    )

    @field_validator("auth")
    @classmethod
    def _has_users_and_passwords(cls, auth: SecretStr) -> SecretStr:
        if not all(user and password for user, password in split_logins(auth)):
            raise ValueError("Should be user:password, several separated by commas")
        return auth

    @property
    def door(self) -> tuple[list[str], list[str]]:
        """The keys and the origins that `/api/chat` and `/v1/realtime` let in."""
        return split_list(self.api_keys.get_secret_value()), split_list(self.allowed_origins)

    @property
    def logins(self) -> list[tuple[str, str]]:
        """User and password of each who may log in."""
        return split_logins(self.auth)


def split_list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def split_logins(auth: SecretStr) -> list[tuple[str, str]]:
    pairs = [pair.partition(":") for pair in split_list(auth.get_secret_value())]
    return [(user, password) for user, _, password in pairs]


def read_settings(argv: Sequence[str] | None = None) -> tuple[Settings, bool]:
    """The settings, and whether `--check` was asked for. `argv`: without the program's name; None for the process's own.

    Raises:
        ValidationError: a value is not allowed; `explain` words it.
        SystemExit: `--help`, or an option that there is not (status 2).
    """
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Kaiwa (会話): talk to a language model by voice, in the browser.",
        epilog="Every option can be set in the environment or in .env too: --models-dir as MODELS_DIR.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--check", action="store_true", help="Tell which engines are chosen, try each, and end."
    )
    source = CliSettingsSource[argparse.ArgumentParser](
        Settings, root_parser=parser, cli_kebab_case=True, cli_implicit_flags=True, cli_avoid_json=True
    )
    arguments = parser.parse_args(argv)
    check = arguments.check
    del arguments.check
    return Settings(_cli_settings_source=source(parsed_args=arguments)), check


def explain(error: ValidationError) -> list[str]:
    """A line for each wrong value: the option, the value, what is allowed. Secrets are not shown."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        field = Settings.model_fields.get(name) or next(
            field for field in Settings.model_fields.values() if name in _aliases(field.validation_alias)
        )
        value = "(not shown)" if field.annotation is SecretStr else repr(problem["input"])
        allowed = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "string_pattern_mismatch":
            allowed = f"Should be: {field.description}"
        elif problem["type"].startswith("bool_"):
            allowed = "Should be on or off"
        lines.append(f"{name.upper()} = {value}: {allowed}")
    return lines


def _aliases(alias: object) -> Sequence[object]:
    return alias.choices if isinstance(alias, AliasChoices) else ()
