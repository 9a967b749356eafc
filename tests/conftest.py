"""What every test may ask for. Weights are fetched once a machine, into the same cache that the app uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from tests.running import running_app
from voice.models import fetch
from voice.weights import KOKORO_JA, SMOLLM2_135M, WHISPER_BASE

BROWSER_TESTS = Path(__file__).parent / "browser"


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together when several processes share them: those of a file, and all that use the app."""
    for item in items:
        uses_app = "app" in getattr(item, "fixturenames", ()) or BROWSER_TESTS in item.path.parents
        item.add_marker(pytest.mark.xdist_group("app" if uses_app else item.path.name))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def models_folder() -> Path:
    return Path(os.environ.get("MODELS_DIR") or platformdirs.user_cache_path("kaiwa") / "models")


@pytest.fixture(scope="session")
def whisper_folder(models_folder: Path) -> Path:
    return fetch(WHISPER_BASE, models_folder)


@pytest.fixture(scope="session")
def kokoro_folder(models_folder: Path) -> Path:
    return fetch(KOKORO_JA, models_folder)


@pytest.fixture(scope="session")
def small_chat_model(models_folder: Path) -> Path:
    """A model that answers fast, if not wisely."""
    return fetch(SMOLLM2_135M, models_folder) / SMOLLM2_135M.files[0].name


@pytest.fixture(scope="session")
def app(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app with its default models, the same replies at every run."""
    with running_app(tmp_path_factory.mktemp("app"), models_folder, CHAT_TEMPERATURE="0") as address:
        yield address
