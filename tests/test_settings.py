"""Options from the command line, the environment and `.env`."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from voice import texts
from voice.settings import Settings, explain, read_settings

PROJECT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the developer's, no option of the machine's."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def lines_for(*argv: str) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        read_settings(argv)
    return explain(caught.value)


def test_the_command_line_wins_over_the_environment_and_that_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=1001\nCHAT_MAX_TOKENS=101\nHISTORY_TOKENS=301\n")
    monkeypatch.setenv("CHAT_MAX_TOKENS", "102")
    monkeypatch.setenv("HISTORY_TOKENS", "302")
    settings, _ = read_settings(["--history-tokens", "303"])
    assert (settings.port, settings.chat_max_tokens, settings.history_tokens) == (1001, 102, 303)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert read_settings([])[0].port == 7860


def test_spaces_own_names_for_host_and_port_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7861")
    settings, _ = read_settings([])
    assert (settings.host, settings.port) == ("0.0.0.0", 7861)


def test_a_switch_that_is_neither_on_nor_off_is_told_in_these_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMART_TURN", "maybe")
    assert lines_for() == ["SMART_TURN = 'maybe': Should be on or off"]
    monkeypatch.setenv("SMART_TURN", "on")
    assert read_settings([])[0].smart_turn


def test_check_is_asked_for_by_its_flag() -> None:
    assert read_settings(["--check"])[1]
    assert not read_settings([])[1]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--port", "99999"], "PORT = '99999': Input should be less than or equal to 65535"),
        (["--port", "http"], "PORT = 'http': Input should be a valid integer"),
        (
            ["--log-level", "loud"],
            "LOG_LEVEL = 'loud': Input should be 'debug', 'info', 'warning' or 'error'",
        ),
        (
            ["--openai-base-url", "localhost"],
            "OPENAI_BASE_URL = 'localhost': Should be: Address of an OpenAI",
        ),
        (
            ["--spoken-language", "Japanese"],
            "SPOKEN_LANGUAGE = 'Japanese': Input should be 'auto', 'ja', 'en'",
        ),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_what_is_allowed(argv: list[str], line: str) -> None:
    (told,) = lines_for(*argv)
    assert told.startswith(line)


def test_each_wrong_value_has_its_line() -> None:
    assert len(lines_for("--port", "0", "--chat-temperature", "9", "--history-tokens", "x")) == 3


def test_a_wrong_secret_is_not_shown() -> None:
    (told,) = lines_for("--auth", "swordfish")
    assert told == "AUTH = (not shown): Should be user:password, several separated by commas"


def test_secrets_do_not_show_when_the_settings_are_printed() -> None:
    settings = Settings(openai_api_key=SecretStr("sk-secret"), auth=SecretStr("ann:secret"))
    assert "secret" not in repr(settings)


def test_logins_may_hold_colons_in_the_password() -> None:
    assert Settings(auth=SecretStr("ann:a:b, bob:c")).logins == [("ann", "a:b"), ("bob", "c")]


@given(st.text().filter(lambda text: "\0" not in text))
def test_whatever_stands_for_auth_is_taken_or_told(auth: str) -> None:
    told: list[str] = []
    try:
        logins = Settings(auth=SecretStr(auth)).logins
    except ValidationError as error:
        logins, told = [], explain(error)
    assert all(user and password for user, password in logins)
    assert len(told) <= 1


def test_the_languages_that_can_be_set_are_those_on_the_page() -> None:
    assert get_args(Settings.model_fields["spoken_language"].annotation) == texts.SPOKEN_LANGUAGES


def run_app(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "app.py"), *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_prints_every_option_with_its_meaning() -> None:
    result = run_app("--help")
    assert result.returncode == 0
    words = " ".join(result.stdout.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in words
        assert field.description
        assert field.description.split(",")[0].split(";")[0] in words
    assert "--check" in words


def test_the_app_ends_with_status_2_on_a_wrong_option() -> None:
    result = run_app("--port", "99999")
    assert result.returncode == 2
    assert result.stderr == "PORT = '99999': Input should be less than or equal to 65535\n"


def test_an_option_that_there_is_not_ends_with_status_2() -> None:
    assert run_app("--prot", "80").returncode == 2


def test_a_taken_port_is_told_before_anything_is_fetched() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_app("--port", str(port))
    assert result.returncode == 1
    assert result.stderr.startswith(f"Port {port} is taken.")
