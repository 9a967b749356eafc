"""A sound card that is none: PulseAudio, with nothing but sinks of its own. Firefox plays nothing where there is no device."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voice.audio import Pcm, encode_wav

PROGRAMS = ("pulseaudio", "paplay", "pactl")
START_SECONDS = 60


def has_sound_card() -> bool:
    return all(map(shutil.which, PROGRAMS))


@dataclass(frozen=True)
class SoundCard:
    folder: Path
    environment: dict[str, str]
    """For who shall play and record with it."""

    def utter(self, sound: Pcm) -> None:
        """Into its microphone, until it has been said."""
        file = self.folder / "utterance.wav"
        file.write_bytes(encode_wav(sound))
        subprocess.run(["paplay", "--device=mouth", file], env=self.environment, check=True, timeout=60)


@contextmanager
def sound_card(folder: Path) -> Iterator[SoundCard]:
    """`folder`: an empty one, with a short path, for its socket."""
    socket = folder / "socket"
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
    }
    modules = (
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
        "module-null-sink sink_name=loudspeaker",
        "module-null-sink sink_name=mouth",
        # Browsers don't offer monitors as microphones.
        "module-remap-source source_name=microphone master=mouth.monitor",
    )
    # Beginning with -n: not with the modules that the system's own sound server has.
    command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
    log = folder / "pulse.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, *(f"--load={module}" for module in modules)],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _has(environment, "microphone"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield SoundCard(folder, environment)
    finally:
        server.terminate()
        server.wait()


def _has(environment: dict[str, str], source: str) -> bool:
    command = ["pactl", "set-default-source", source]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
