"""Apps by the dozen: a process that has imported what takes long to, and forks into `app.py` for each line it reads.

`python -m tests.forking` reads lines of JSON: the new app's settings, as in the environment, and where its log goes. It
answers with "PID" when that began and "PID STATUS" when it ended, the status as `os.waitstatus_to_exitcode` gives it.
"""

from __future__ import annotations

import json
import os
import select
import sys
from importlib import import_module

import app

LIBRARIES = ("av", "azure.cognitiveservices.speech", "gradio", "openai", "pandas")
"""What app.py imports when it needs it, which takes most of its start."""
THREADED = "onnxruntime"
"""Starts a thread as it is imported, and aborts the process at its end when a fork left that behind."""


def main() -> None:
    """Until there is nothing more to read. Nothing here starts a thread: a fork would not have it."""
    for name in LIBRARIES:
        import_module(name)
    assert THREADED not in sys.modules
    waiting = b""
    children = 0
    while True:
        if select.select([0], [], [], 0.02)[0]:
            if not (read := os.read(0, 65536)):
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                if not (pid := os.fork()):
                    become_app(**json.loads(line))
                children += 1
                os.write(1, f"{pid}\n".encode())
        pid, status = os.waitpid(-1, os.WNOHANG) if children else (0, 0)
        if pid:
            children -= 1
            os.write(1, f"{pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def become_app(log: str, settings: dict[str, str]) -> None:
    """Ends as `app.py` ends."""
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT)
    for number, used in enumerate((nothing, output, output)):
        os.dup2(used, number)
    os.environ.update(settings)
    sys.argv = ["app.py"]
    sys.exit(app.main())


if __name__ == "__main__":
    main()
