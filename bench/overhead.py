"""`python -m bench.turn --engines azure`: what Kaiwa itself adds to the delays of a cloud, stage by stage.

The app's own session and the real SDKs against emulators in another process, with the timings that are published of
Azure; both processes read the same clock (CLOCK_MONOTONIC). Recordings are sent as from the page: whole.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

from bench.machine import Machine, OthersWork, describe_machine
from bench.report import QUIET, Aim
from bench.stages import IncompleteTurnError, Spread, time_turn
from bench.utterances import LANGUAGES, Utterance, alternate
from tests.emulators.running import running_emulators, settings_for
from tests.emulators.timings import PUBLISHED
from tests.speech import read_clips
from voice import decoding
from voice.decoding import decode
from voice.engines import EngineError, Engines
from voice.engines.choosing import choose
from voice.phrases import PhraseSplitter
from voice.session import Limits, Preferences, Session

LIMITS = Limits(recording_seconds=120, text_characters=2000, history_tokens=1500)


@dataclass(frozen=True, slots=True)
class Overhead:
    """One turn; in ms, from one process to the other."""

    recording_to_service: float
    """From the recording's end, which is when it is handed over whole, to the arrival of its sound's end."""
    final_to_request: float
    """From the final transcript's being sent to the chat request's arrival."""
    phrase_to_ssml: float
    """From the sending of the token that completes the first phrase to the SSML's arrival."""
    sound_to_output: float
    """From the sending of the first sound to the session's event."""
    first_sound: float
    """From the recording's end to the first sound of the reply, the services' delays included."""


STAGES: Sequence[tuple[str, str, float | None]] = (
    ("recording_to_service", "recording, decoded and sent whole", None),
    ("final_to_request", "final transcript sent, to the chat request", 20),
    ("phrase_to_ssml", "token that completes a phrase, to its SSML", 15),
    ("sound_to_output", "first sound sent, to the session's event", 10),
    ("first_sound", "recording's end to first sound, delays included", None),
)
"""What each figure is, and its aim in ms."""


@dataclass(frozen=True, slots=True)
class Overheads:
    machine: Machine
    others_cores: float
    """Cores that other programs kept busy meanwhile, the emulators not among them."""
    turns: list[Overhead]
    failures: list[str]

    def spread(self, stage: str) -> Spread:
        return Spread.of([getattr(turn, stage) for turn in self.turns])

    def aims(self) -> list[Aim]:
        return [
            Aim(f"{what}, median", self.spread(stage).median, aim, "ms")
            for stage, what, aim in STAGES
            if aim is not None and self.turns
        ]

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "aims": [{**asdict(aim), "met": aim.met} for aim in self.aims()]}


@dataclass(frozen=True, slots=True)
class Passing:
    """What passed the emulators' wire: "audio's end", "final", "request", "token", "ssml", "sound"."""

    at: float
    """Seconds on the shared clock."""
    what: str
    text: str


async def measure_overheads(turns: int, tell: Callable[[str], None]) -> Overheads:
    """`turns` turns after another that is not counted, English and Japanese in turn.

    Raises:
        EngineError: an engine cannot be made ready.
    """
    utterances = [await _recorded(language) for language in LANGUAGES]
    said = list(islice(cycle(alternate(utterances)), turns + 1))
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        sentences = [f"--hears={utterance.text}" for utterance in said]
        with running_emulators("--timings=published", f"--trace={trace}", *sentences) as lines:
            engines = choose(settings_for(lines))
            try:
                return await _measure(engines, said, trace, tell)
            finally:
                await engines.close()


async def _recorded(language: str) -> list[Utterance]:
    return [
        Utterance(clip.path, language, clip.text, (await decode(clip.path, LIMITS.recording_seconds)).seconds)
        for clip in read_clips(language)
    ]


async def _measure(
    engines: Engines, said: Sequence[Utterance], trace: Path, tell: Callable[[str], None]
) -> Overheads:
    await decoding.warm()
    for failure in await engines.warm():
        raise failure
    overheads: list[Overhead] = []
    failures: list[str] = []
    others = OthersWork()
    for number, utterance in enumerate(said):
        session = Session(engines, LIMITS, utterance.language)
        start = time.monotonic()
        try:
            timing = await time_turn(session.answer_recording(utterance.path, Preferences()), time.monotonic)
            moments = {moment: start + at for moment, at in timing.moments.items()}
            overhead = find_overhead(moments, read_trace(trace, start), utterance.language, start)
        except (EngineError, IncompleteTurnError) as error:
            failures.append(f"“{utterance.text}”: {error}")
            tell(f"{number:3}  FAILED {failures[-1]}")
            continue
        if number:
            overheads.append(overhead)
        tell(f"{number:3}  " + "  ".join(f"{stage} {getattr(overhead, stage):.1f}" for stage, *_ in STAGES))
    return Overheads(describe_machine(), others.cores(), overheads, failures)


def read_trace(trace: Path, start: float) -> list[Passing]:
    """What passed from `start` on."""
    lines = trace.read_text(encoding="utf-8").splitlines()
    return [passing for line in lines if (passing := Passing(**json.loads(line))).at >= start]


def find_overhead(
    moments: Mapping[str, float], passings: Sequence[Passing], language: str, start: float
) -> Overhead:
    """`moments`: those of `bench.stages`, but on the clock of `passings`, as `start` is.

    Raises:
        IncompleteTurnError: something did not pass the wire.
    """

    def first(what: str, after: float) -> float:
        for passing in passings:
            if passing.what == what and passing.at >= after:
                return passing.at
        raise IncompleteTurnError(f"no {what} passed the wire")

    request = first("request", start)
    finals = [each.at for each in passings if each.what == "final" and each.at <= request]
    final = finals[-1] if finals else first("final", start)
    phrase = _completes_phrase(passings, language)
    ssml = first("ssml", request)
    sound = first("sound", ssml)
    spoken = moments["first PCM"]
    spans = (
        (start, first("audio's end", start)),
        (final, request),
        (phrase, ssml),
        (sound, spoken),
        (start, spoken),
    )
    return Overhead(*(1000 * (end - begin) for begin, end in spans))


def _completes_phrase(passings: Sequence[Passing], language: str) -> float:
    """When the token was sent that the first phrase was waiting for."""
    splitter = PhraseSplitter(language)
    for passing in passings:
        if passing.what == "token" and any(splitter.feed(passing.text)):
            return passing.at
    raise IncompleteTurnError("no token completed a phrase")


def write_report(results: Overheads) -> Iterator[str]:
    """Line by line."""
    machine = results.machine
    yield f"Machine  {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB; {machine.system}"
    yield (
        f"Engines  Azure's SDKs against emulators: final transcript {PUBLISHED.final_ms:g} ms after the end of speech,"
        f" first token {PUBLISHED.first_token_ms:g} ms, {PUBLISHED.tokens_per_second:g} tokens/s, first sound"
        f" {PUBLISHED.first_byte_ms:g} ms"
    )
    if results.others_cores > QUIET * machine.cores:
        yield (
            f"WARNING  Other programs, the emulators apart, took {results.others_cores:.1f} of {machine.cores} cores:"
            " on an idle machine all times are shorter."
        )
    yield ""
    if results.turns:
        yield f"  {f'ms, {len(results.turns)} turns':<52}{'median':>8}{'p90':>8}"
        for stage, what, _ in STAGES:
            spread = results.spread(stage)
            yield f"  {what:<52}{spread.median:8.1f}{spread.p90:8.1f}"
    yield from (f"FAILED   {failure}" for failure in results.failures)
    yield ""
    yield from map(str, results.aims())
