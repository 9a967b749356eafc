"""`python -m tests.emulators`: Azure Speech and Azure OpenAI on this machine, without Azure, to try Kaiwa "on Azure".

Put the lines that it prints into `.env`, or into the environment, and run `python app.py`. Of themselves the emulators
understand nothing: they hear scripted sentences, count a little in answer, and hum it. With --local they hear, answer
and speak by the models of this machine. Ctrl+C ends them.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.emulators.azure_speech import AzureSpeechServer
from tests.emulators.chat import ChatServer
from tests.emulators.cloud import Cloud
from tests.emulators.local import bring_down_cloud
from tests.emulators.loopback import Note, forget
from tests.emulators.plausible import SENTENCES, TimedWord, imagine_cloud, time_words
from tests.emulators.random_faults import RandomFaults
from tests.emulators.timings import TIMINGS, Timings
from tests.speech import find_clip
from voice import texts
from voice.engines import EngineError
from voice.engines.azure_voices import KNOWN_VOICES
from voice.engines.choosing import choose
from voice.progress import showing_progress
from voice.recordings import decode_recording
from voice.settings import Settings

KEY = "emulated"
DEPLOYMENT = "gpt-4o"
SPEECH_PORT, CHAT_PORT = 7871, 7872
WHAT_FOLLOWS = "Emulated Azure runs here until Ctrl+C. The settings to use it, for .env or the environment:"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    options = read_options(argv)
    timings = TIMINGS[options.timings]
    faults = RandomFaults(options.faults, random.Random(options.seed))
    note = open_trace(options.trace)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if options.local:
            print("The models of this machine are being loaded; missing ones are fetched.", file=sys.stderr)
        sentences = options.hears or SENTENCES.get(options.language, ())
        cloud = choose_cloud(timings, sentences, options.clip, options.says, local=options.local)
        speech, chat = emulate(cloud, faults, options.speech_port, options.chat_port, note)
        with speech, chat:
            if cloud.warm:
                speech.run(cloud.warm())
            print(WHAT_FOLLOWS, file=sys.stderr, flush=True)
            print(*env_lines(speech, chat), sep="\n", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except EngineError as error:
        print(texts.say(error.sentence, "en", **error.details), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The emulators cannot start: {error}", file=sys.stderr)
        return 1
    for fault, times in faults.met.most_common():
        print(f"{times:5} times  {fault}", file=sys.stderr)
    return 0


def read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--speech-port", type=int, default=SPEECH_PORT, metavar="N", help=f"{SPEECH_PORT}; 0 for any"
    )
    parser.add_argument(
        "--chat-port", type=int, default=CHAT_PORT, metavar="N", help=f"{CHAT_PORT}; 0 for any"
    )
    parser.add_argument(
        "--timings", choices=TIMINGS, help="delays as published of Azure, or none; published, unless --local"
    )
    parser.add_argument(
        "--local", action="store_true", help="hear, answer and speak by the models of this machine"
    )
    parser.add_argument(
        "--language",
        choices=SENTENCES,
        help="of the sentences to hear; by turns those that Kaiwa asks for, unless given",
    )
    parser.add_argument(
        "--hears", action="append", default=[], metavar="TEXT", help="a sentence to hear; may be repeated"
    )
    parser.add_argument(
        "--clip",
        action="append",
        default=[],
        metavar="FILE",
        help="a recording of tests/speech to hear, as en/02.flac, word by word as it is said; may be repeated",
    )
    parser.add_argument("--says", default="", metavar="TEXT", help="the answer to everything")
    parser.add_argument(
        "--faults", type=float, default=0.0, metavar="P", help="how probably a turn goes wrong, 0 to 1"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for other faults")
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="where to write what passes the wire and when, as JSON lines",
    )
    options = parser.parse_args(argv)
    options.timings = options.timings or ("none" if options.local else "published")
    return options


def choose_cloud(
    timings: Timings,
    sentences: Sequence[str] = (),
    files: Sequence[str] = (),
    reply: str = "",
    *,
    local: bool,
) -> Cloud:
    """`local`: the engines of this machine, which are made ready first.

    Raises:
        EngineError: they cannot be.
    """
    if not local:
        return imagine_cloud(timings, sentences, [_time_clip(file) for file in files], reply)
    with showing_progress(sys.stderr) as progress:
        return bring_down_cloud(
            choose(Settings(stt_engine="local", chat_engine="local", tts_engine="local"), progress), timings
        )


def _time_clip(file: str) -> Sequence[TimedWord]:
    clip = find_clip(file)
    return time_words(clip.text, decode_recording(clip.path, max_seconds=60))


def emulate(
    cloud: Cloud, faults: RandomFaults, speech_port: int = 0, chat_port: int = 0, note: Note = forget
) -> tuple[AzureSpeechServer, ChatServer]:
    """The servers, not yet started."""
    speech = AzureSpeechServer(
        faults.hearing(cloud.recognise),
        faults.speaking(cloud.speak),
        handshake=faults.handshake,
        voices=list_voices(),
        port=speech_port,
        keys=[KEY],
        note=note,
    )
    chat = ChatServer(
        faults.answering(cloud.answer),
        deployments=(DEPLOYMENT,),
        azure_keys=(KEY,),
        port=chat_port,
        lifespan=cloud.lifespan,
        note=note,
    )
    return speech, chat


def open_trace(path: Path | None) -> Note:
    """Writes a line of JSON at once for each thing that passes: when on the monotonic clock in s, what, and its text."""
    if path is None:
        return forget
    file = path.open("w", encoding="utf-8", buffering=1)

    def note(what: str, text: str) -> None:
        at = time.monotonic()
        file.write(json.dumps({"at": at, "what": what, "text": text}) + "\n")

    return note


def env_lines(speech: AzureSpeechServer, chat: ChatServer) -> list[str]:
    """For `.env`."""
    return [
        f"AZURE_SPEECH_KEY={KEY}",
        f"AZURE_SPEECH_HOST={speech.host}",
        f"OPENAI_ENDPOINT={chat.address}",
        f"OPENAI_KEY={KEY}",
        f"OPENAI_DEPLOYMENT={DEPLOYMENT}",
    ]


def list_voices() -> list[dict[str, str]]:
    """As the service does, those that Kaiwa knows."""
    return [
        {
            "Name": voice.name,
            "ShortName": voice.name,
            "LocalName": voice.given_name,
            "DisplayName": voice.given_name,
            "Locale": voice.locale,
            "Gender": "Female",
        }
        for voice in KNOWN_VOICES
    ]


if __name__ == "__main__":
    sys.exit(main())
