"""`python -m bench.turn`: one turn by voice, stage by stage, against its aims. With a chart, and the figures as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from bench.app_start import AppFailedError, AppStart, measure_app
from bench.machine import OthersWork, PeakMemory, describe_machine, load
from bench.overhead import measure_overheads
from bench.overhead import write_report as write_overheads
from bench.report import Alone, Results, compare_with_aims, write_report
from bench.stages import IncompleteTurnError, Turn, time_turn
from bench.utterances import (
    LANGUAGES,
    MOST,
    NORMAL_SENTENCES,
    alternate,
    gather_utterances,
    speak,
    speak_normal,
)
from tests.speech import read_clips
from voice import decoding, texts
from voice.audio import Pcm, encode_wav
from voice.conversation import open_conversation
from voice.decoding import decode
from voice.engines import EngineError, Engines
from voice.engines.choosing import choose
from voice.progress import showing_progress
from voice.session import Limits, Preferences, Session
from voice.settings import Settings, explain

CHART = Path(__file__).parent / "results" / "turn.png"
TRIES_ALONE = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, draw. The exit status is 0 when all turns were answered, be the aims met or not."""
    options = _read_options(argv)
    if options.engines == "azure":
        return _measure_overheads(options)
    try:
        settings = Settings(**options.settings)
    except ValidationError as error:
        print(*explain(error), sep="\n", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        results = _measure(settings, options)
    except EngineError as error:
        print(_say(error), file=sys.stderr)
        return 1
    except AppFailedError as error:
        print(error, file=sys.stderr)
        return 1
    print(*write_report(results), sep="\n")
    options.chart.parent.mkdir(parents=True, exist_ok=True)
    figures = options.chart.with_suffix(".json")
    figures.write_text(json.dumps(_as_json(results), ensure_ascii=False, indent=1), encoding="utf-8")
    if results.turns:
        from bench.chart import draw_chart  # not earlier: matplotlib's memory is not Kaiwa's

        draw_chart(results, options.chart)
        print(f"\nChart    {options.chart}")
    print(f"Figures  {figures}")
    return 1 if results.failures else 0


def _read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.turn", description=__doc__)
    parser.add_argument(
        "--utterances",
        type=int,
        default=MOST,
        choices=range(1, MOST + 1),
        metavar=f"1-{MOST}",
        help=f"how many in each language ({MOST})",
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="how often each is said (1)")
    parser.add_argument(
        "--engines",
        choices=("settings", "local", "azure"),
        default="settings",
        help="as chosen by the settings; with the chat model of this machine whatever they say; or emulated Azure, to"
        " measure what Kaiwa adds to a cloud's delays",
    )
    parser.add_argument("--models-dir", help="where the models are kept, instead of MODELS_DIR")
    parser.add_argument(
        "--chart",
        type=Path,
        default=CHART,
        help=f"where the PNG goes ({CHART.name}), the JSON beside it; emulated Azure has no PNG",
    )
    options = parser.parse_args(argv)
    options.settings = {
        **({"models_dir": options.models_dir} if options.models_dir else {}),
        **({"chat_engine": "local"} if options.engines == "local" else {}),
    }
    return options


def _measure_overheads(options: argparse.Namespace) -> int:
    turns = len(LANGUAGES) * options.utterances * options.repeat
    try:
        overheads = asyncio.run(measure_overheads(turns, _tell))
    except EngineError as error:
        print(_say(error), file=sys.stderr)
        return 1
    print(*write_overheads(overheads), sep="\n")
    figures = options.chart.with_name("overhead.json")
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text(json.dumps(overheads.as_json(), ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"\nFigures  {figures}")
    return 1 if overheads.failures else 0


def _measure(settings: Settings, options: argparse.Namespace) -> Results:
    load_at_start = load()
    with showing_progress(sys.stderr) as progress:
        engines = choose(settings, progress)
    _tell("Starting app.py …")
    app = measure_app(options.settings, [read_clips(language)[0].path for language in LANGUAGES])
    return asyncio.run(_measure_turns(settings, engines, options, app, load_at_start))


async def _measure_turns(
    settings: Settings, engines: Engines, options: argparse.Namespace, app: AppStart, load_at_start: float
) -> Results:
    limits = Limits(settings.max_recording_seconds, settings.max_text_characters, settings.history_tokens)
    preferences = Preferences(persona=settings.persona)
    turns: list[Turn] = []
    failures: list[str] = []
    try:
        _tell("Warming up …")
        await _warm(engines, settings.persona)
        with tempfile.TemporaryDirectory() as folder:
            _tell("Gathering utterances …")
            utterances = [
                await gather_utterances(
                    language,
                    options.utterances,
                    engines.text_to_speech,
                    Path(folder),
                    limits.recording_seconds,
                )
                for language in LANGUAGES
            ]
            alone = {language: await _measure_alone(language, engines) for language in LANGUAGES}
            others = OthersWork()
            with PeakMemory(os.getpid()) as peak:
                for number, utterance in enumerate(alternate(utterances) * options.repeat, 1):
                    session = Session(engines, limits, utterance.language)
                    try:
                        timing = await time_turn(session.answer_recording(utterance.path, preferences))
                    except (EngineError, IncompleteTurnError) as error:
                        reason = _say(error) if isinstance(error, EngineError) else error
                        failures.append(f"“{utterance.text}”: {reason}")
                        _tell(f"{number:3}  FAILED {failures[-1]}")
                        continue
                    turns.append(Turn(utterance, timing))
                    _tell(
                        f"{number:3}  {timing.moments['first PCM']:5.2f} s to first PCM  “{timing.heard}” → “{timing.reply}”"
                    )
            others_cores = others.cores()
    finally:
        await engines.close()
    return Results(
        describe_machine(),
        load_at_start,
        load(),
        others_cores,
        [engine.label for engine in engines.all()],
        turns,
        failures,
        alone,
        app,
        peak.gb,
    )


async def _warm(engines: Engines, persona: str) -> None:
    """As the app does when it starts.

    Raises:
        EngineError: one cannot be made ready.
    """
    await decoding.warm()
    for failure in await engines.warm([open_conversation(persona, language) for language in LANGUAGES]):
        raise failure


async def _measure_alone(language: str, engines: Engines) -> Alone:
    clip = await speak_normal(language, engines.text_to_speech)
    transcripts, voice_factors = [], []
    for _ in range(TRIES_ALONE):
        start = time.perf_counter()
        await _recognise(clip, engines)
        transcripts.append(time.perf_counter() - start)
    for _ in range(TRIES_ALONE):
        start = time.perf_counter()
        sound = await speak(engines.text_to_speech, NORMAL_SENTENCES[language])
        voice_factors.append((time.perf_counter() - start) / sound.seconds)
    return Alone(transcripts, voice_factors)


async def _recognise(clip: Pcm, engines: Engines) -> None:
    """As a turn does with a recording, as far as its transcript."""

    async def audio() -> AsyncIterator[Pcm]:
        yield await decode(encode_wav(clip), 60)

    async with aclosing(engines.speech_to_text.transcribe(audio(), None)) as transcripts:
        async for _ in transcripts:
            pass


def _as_json(results: Results) -> dict[str, object]:
    figures = asdict(results)
    for turn in figures["turns"]:
        turn["utterance"]["path"] = turn["utterance"]["path"].name
    figures["aims"] = [{**asdict(aim), "met": aim.met} for aim in compare_with_aims(results)]
    return figures


def _say(error: EngineError) -> str:
    return texts.say(error.sentence, "en", **error.details)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
