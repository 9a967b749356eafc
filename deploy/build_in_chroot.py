#!/usr/bin/env python3
"""Carry out the Dockerfile where there is no Docker: in a Debian chroot made by debootstrap. Linux, as root.

    python3 deploy/build_in_chroot.py build FOLDER [--build-arg LOCAL_ENGINES=0]
    python3 deploy/build_in_chroot.py run FOLDER [--env PORT=8000] [--volume DIRECTORY]
    python3 deploy/build_in_chroot.py health FOLDER [--env PORT=8000]

Each step is read from the Dockerfile: ENV, ARG, RUN, WORKDIR, COPY with .dockerignore, USER, VOLUME, HEALTHCHECK, CMD.
`run` gives CMD a process namespace of its own, in which it is process 1 as in a container, passes SIGTERM and SIGINT on
to it, and ends with its status. Two things are not Docker's. FROM's image is stood in for by Debian's own Python of the
same version, as an environment in /usr/local; the network is the host's. The host's certificates go along, and its
variables for pip and proxies.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
BASE_PACKAGES = "python3,python3-venv,ca-certificates,netbase,tzdata"
"""What Python's own slim image has beyond the smallest Debian."""
BASE_ENV = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
CARRIED = re.compile(r"PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|(?:https?|no)_proxy", re.IGNORECASE)


@dataclass
class Image:
    """The tree and what the Dockerfile says about running it."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: dict(BASE_ENV))
    arguments: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    workdir: str = "/"
    volumes: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def enter(
        self, command: Sequence[str], env: dict[str, str] | None = None, volume: Path | None = None
    ) -> list[str]:
        """The command line that runs `command` inside. What it mounts is gone when it ends."""
        mounts = [("proc", "proc", "/proc"), ("tmpfs", "tmpfs", "/dev/shm")]  # noqa: S108
        if volume:
            mounts.append(("none", str(volume), self.volumes[0]))
        script = "\n".join(
            shlex.join(
                ["mount", *(["--bind"] if kind == "none" else ["-t", kind]), source, f"{self.root}{target}"]
            )
            for kind, source, target in mounts
        )
        variables = {**self.env, "HOME": self._home(), **(env or {})}
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"),
            *("sh", "-euc", f'{script}\nexec "$@"', "sh"),
            *("chroot", f"--userspec={self.user}:{self.user}", str(self.root)),
            *("env", "-i", f"--chdir={self.workdir}", *(f"{k}={v}" for k, v in variables.items())),
            *command,
        ]

    def _home(self) -> str:
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, _, _, _, home, _ = line.split(":")
            if name == self.user:
                return home
        return "/"


def read_dockerfile(text: str) -> Iterator[tuple[str, str]]:
    """Instruction and argument of each step; comments go, also between continued lines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for step in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        if step.strip():
            name, _, argument = step.strip().partition(" ")
            yield name.upper(), argument.strip()


def carry_out(name: str, argument: str, image: Image, build: bool) -> None:  # noqa: PLR0912
    """One step. Unless `build`, only what is remembered for running."""
    match name:
        case "FROM":
            if build:
                stand_in(argument, image.root)
        case "ENV":
            image.env |= dict(assignment.split("=", 1) for assignment in shlex.split(argument))
        case "ARG":
            key, _, default = argument.partition("=")
            image.arguments.setdefault(key, default)
        case "WORKDIR":
            image.workdir = argument
            (image.root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            image.user = argument
        case "VOLUME":
            image.volumes += argument.split()
        case "CMD":
            image.command = json.loads(argument)
        case "HEALTHCHECK":
            image.healthcheck = json.loads(argument.partition(" CMD ")[2])
        case "COPY":
            if build:
                *sources, target = argument.split()
                copy(sources, image.root / image.workdir.lstrip("/") / target)
        case "RUN":
            if build:
                env = {**carried(image.root), **image.arguments}
                subprocess.run(image.enter(["/bin/sh", "-c", argument], env), check=True)
        case "EXPOSE":
            pass
        case _:
            sys.exit(f"This script does not know {name} yet.")


def stand_in(image: str, root: Path) -> None:
    """Debian for the official image of Python: same release, same Python, nothing more than it has."""
    if not (match := re.fullmatch(r"python:(3\.\d+)-slim-(\w+)", image)):
        sys.exit(f"This script can stand in for python:VERSION-slim-RELEASE only, not for {image}.")
    version, release = match.groups()
    base = root.with_name(f"{release}-base")
    if not base.exists():
        draft = base.with_name(f"{base.name}-draft")
        shutil.rmtree(draft, ignore_errors=True)
        bootstrap = ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", release]
        subprocess.run([*bootstrap, str(draft)], check=True)
        draft.rename(base)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(root)], check=True)
    for file in (Path("/") / CERTIFICATES, Path("/etc/resolv.conf")):
        shutil.copyfile(file, root / file.relative_to("/"))
    python = Image(root).enter([f"python{version}", "-m", "venv", "/usr/local"])
    subprocess.run(python, check=True)


def copy(sources: Sequence[str], target: Path) -> None:
    is_kept = read_dockerignore((PROJECT / ".dockerignore").read_text())
    for source in sources:
        for path in [PROJECT / source, *sorted((PROJECT / source).rglob("*"))]:
            if not path.is_file() or not is_kept(path.relative_to(PROJECT).as_posix()):
                continue
            into_folder = target.is_dir() and (PROJECT / source).is_file()
            copied = target / path.name if into_folder else target / path.relative_to(PROJECT / source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copied)
            os.chown(copied, 0, 0)


def read_dockerignore(text: str) -> Callable[[str], bool]:
    """Whether a path goes to the builder. The last pattern that matches it or a folder around it decides."""
    patterns = []
    for line in text.splitlines():
        if (pattern := line.strip()) and not pattern.startswith("#"):
            regex = re.escape(pattern.lstrip("!").strip("/"))
            regex = regex.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            patterns.append((re.compile(f"{regex}(?:/.*)?"), pattern.startswith("!")))

    def is_kept(path: str) -> bool:
        return next((kept for regex, kept in reversed(patterns) if regex.fullmatch(path)), True)

    return is_kept


def carried(root: Path) -> dict[str, str]:
    """What the network here asks of pip, and of programs that fetch."""
    certificates = f"/{CERTIFICATES}" if (root / CERTIFICATES).exists() else ""
    found = {name: value for name, value in os.environ.items() if CARRIED.fullmatch(name)}
    return {**found, "PIP_CERT": certificates, "SSL_CERT_FILE": certificates} if certificates else found


def run(image: Image, env: dict[str, str], volume: Path | None) -> int:
    """CMD until it ends, as `docker run`. Returns its status, 128 + N if signal N ended it."""
    entered = image.enter(image.command, {**carried(image.root), **env}, volume)
    with subprocess.Popen(entered) as unshare:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: signal_children(unshare.pid, received))
        status = unshare.wait()
    return status if status >= 0 else 128 - status


def signal_children(pid: int, number: int) -> None:
    """As `docker stop`: to the container's process 1, which ignores what it has no handler for."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), number)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=["build", "run", "health"])
    parser.add_argument("folder", type=Path, help="where the trees lie; needs 3 GB")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--volume", type=Path, metavar="DIRECTORY", help="mounted on the image's volume")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("Only root can enter a chroot.")

    root = options.folder.resolve() / "image"
    root.parent.mkdir(parents=True, exist_ok=True)
    image = Image(root, arguments=dict(argument.split("=", 1) for argument in options.build_arg))
    env = dict(variable.split("=", 1) for variable in options.env)
    for name, argument in read_dockerfile((PROJECT / "Dockerfile").read_text()):
        if options.action == "build":
            print(f"==> {name} {argument}", flush=True)
        carry_out(name, argument, image, build=options.action == "build")
    if options.action == "run":
        return run(image, env, options.volume.resolve() if options.volume else None)
    if options.action == "health":
        return subprocess.run(image.enter(image.healthcheck, env), check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
