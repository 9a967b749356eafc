"""One engine in front of others: when it fails, the next one answers the same request.

Per turn and per engine. An engine that failed is left alone for a while, then tried again. Nobody hears or reads the
same words twice: what was given stays given, and the next engine only does what is left to do.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import anyio

from voice.audio import Pcm
from voice.engines import (
    PLAIN_REPLY,
    BadInput,
    ChatModel,
    Engine,
    EngineError,
    Message,
    ReplyOptions,
    ReplyPiece,
    Speech,
    SpeechToText,
    TextToSpeech,
    Transcript,
    Voice,
)
from voice.engines.kept import Kept

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")

FIRST_RETRY_SECONDS = 10.0
"""About what an engine that is silent makes a turn wait, its time-out: trials take no more than half of the time."""
LONGEST_RETRY_SECONDS = 300.0
"""After each trial that fails the wait doubles, up to this."""

REFUSED_REQUESTS = frozenset({"chat_filtered", "chat_refused"})
"""Sentences that are about what was asked, not about who was asked. What one engine's content filter stopped is not
put before another one."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Another than the first choice answered."""

    preferred: str
    """Label of the engine that should have answered."""
    answered: str
    """Label of the one that did."""
    error: EngineError
    """Why."""


_note: ContextVar[Callable[[Switch], None] | None] = ContextVar("note", default=None)


@contextmanager
def noting(note: Callable[[Switch], None]) -> Iterator[None]:
    """`note` is called at each switch of the engines used inside, in this task and those it starts.

    One set of engines serves every user; this is how a turn learns of its own switches.
    """
    token = _note.set(note)
    try:
        yield
    finally:
        _note.reset(token)


def is_fault(error: EngineError) -> bool:
    """Whether the engine could not do its work, rather than what it was given could not be used."""
    return not isinstance(error, BadInput) and error.sentence not in REFUSED_REQUESTS


class Circuit(Generic[E]):
    """An engine, and whether it is worth asking.

    Closed while it works; open for a while after it failed; then half open: one request at a time may try it.
    """

    def __init__(self, engine: E) -> None:
        self.engine = engine
        self.error: EngineError | None = None
        """What it failed with; None while the circuit is closed."""
        self._retry_at = 0.0
        self._wait = 0.0
        self._on_trial = False

    def lets_through(self) -> bool:
        return self.error is None or (not self._on_trial and anyio.current_time() >= self._retry_at)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one use of the engine; learns from its errors."""
        trial = self.error is not None and not self._on_trial
        self._on_trial = self._on_trial or trial
        try:
            yield
        except EngineError as error:
            if is_fault(error):
                self._open(error)
            raise
        finally:
            if trial:
                self._on_trial = False

    def close(self) -> None:
        """The engine works."""
        if self.error is not None:
            log.info("%s works again", self.engine.label)
        self.error = None
        self._retry_at = self._wait = 0.0

    def _open(self, error: EngineError) -> None:
        now = anyio.current_time()
        # Turns that were under way together fail together: that is one failure, not many.
        if self.error is None or now >= self._retry_at:
            self._wait = min(max(FIRST_RETRY_SECONDS, 2 * self._wait), LONGEST_RETRY_SECONDS)
            self._retry_at = now + self._wait
            log.warning(
                "%s failed (%s); tried again after %.0f s", self.engine.label, error.sentence, self._wait
            )
        # Without its traceback, which would keep a whole turn alive.
        self.error = type(error)(error.sentence, **error.details)


class Failover(Generic[E]):
    """What is the same for every kind of engine."""

    def __init__(self, *engines: E) -> None:
        """In the order of preference."""
        self._circuits = [Circuit(engine) for engine in engines]

    @property
    def engines(self) -> list[E]:
        return [circuit.engine for circuit in self._circuits]

    @property
    def label(self) -> str:
        return " / ".join(engine.label for engine in self.engines)

    async def close(self) -> None:
        async with anyio.create_task_group() as tasks:
            for engine in self.engines:
                tasks.start_soon(engine.close)

    async def _warm(self, warm: Callable[[E], Awaitable[None]]) -> None:
        """Warm all at once. One that works is enough; when none does, the first one's error is raised."""
        errors: list[EngineError] = []

        async def warm_one(circuit: Circuit[E]) -> None:
            try:
                with circuit.attempt():
                    await warm(circuit.engine)
            except EngineError as error:
                errors.append(error)
            else:
                circuit.close()

        async with anyio.create_task_group() as tasks:
            for circuit in self._circuits:
                tasks.start_soon(warm_one, circuit)
        if len(errors) == len(self._circuits):
            raise self._circuits[0].error or errors[0]

    async def _answer(
        self,
        ask: Callable[[E], AsyncGenerator[T, None]],
        may_ask_again: Callable[[], bool],
        preferred: int = 0,
    ) -> AsyncGenerator[T, None]:
        """What the engine that answers gives, after whatever those that failed gave before.

        `may_ask_again`: whether, with what was given so far, another engine can still take over. `preferred`: the
        number of the engine to ask first.

        Raises:
            EngineError: of the last engine that was asked.
        """
        first = self._circuits[preferred]
        order = [first, *(circuit for circuit in self._circuits if circuit is not first)]
        # Those that have failed of late are asked all the same if the others fail too.
        order.sort(key=lambda circuit: not circuit.lets_through())
        for circuit in order:
            works = False
            try:
                with circuit.attempt():
                    async with aclosing(ask(circuit.engine)) as stream:
                        async for item in stream:
                            if not works:
                                works = True
                                circuit.close()
                                if circuit is not first:
                                    _tell_of_switch(first, circuit)
                            yield item
            except EngineError as error:
                if circuit is order[-1] or not is_fault(error) or not may_ask_again():
                    raise
            else:
                circuit.close()
                return


class FailoverSpeechToText(Failover[SpeechToText]):
    """The audio is kept, so that the next engine hears all of it. Partials of the one before are superseded."""

    async def transcribe(
        self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
    ) -> AsyncGenerator[Transcript, None]:
        final = False
        async with aclosing(Kept(audio)) as kept:
            transcripts = self._answer(
                lambda engine: engine.transcribe(kept.read(), language, last), lambda: not final
            )
            async with aclosing(transcripts):
                async for transcript in transcripts:
                    final = final or transcript.final
                    yield transcript

    async def warm(self) -> None:
        await self._warm(lambda engine: engine.warm())


class FailoverChat(Failover[ChatModel]):
    """A reply that breaks off after its first words is not begun again: the error is raised."""

    async def reply(
        self, prompt: Sequence[Message], options: ReplyOptions = PLAIN_REPLY
    ) -> AsyncGenerator[ReplyPiece, None]:
        said = False
        answer = self._answer(lambda engine: engine.reply(prompt, options), lambda: not said)
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                said = said or not isinstance(piece, str) or bool(piece.strip())
                yield piece

    async def warm(self, prompt: Sequence[Message] = ()) -> None:
        await self._warm(lambda engine: engine.warm(prompt))


class FailoverTextToSpeech(Failover[TextToSpeech]):
    """A phrase of which something was heard is not spoken again: the next voice goes on after it."""

    def voices(self) -> Sequence[Voice]:
        """Each engine's, those that the ones before it have not."""
        named: dict[str, Voice] = {}
        for engine in self.engines:
            for voice in engine.voices():
                named.setdefault(voice.name, voice)
        return list(named.values())

    async def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        """A voice is spoken by the first engine that has it; others stand in with one of its language."""
        heard = skipped = 0  # phrases, from the first on: begun by any engine; not given to this one
        chosen = next((one for one in self.voices() if one.name == voice), None)
        async with aclosing(Kept(phrases)) as kept:

            def ask(engine: TextToSpeech) -> AsyncGenerator[Speech, None]:
                nonlocal skipped
                skipped = heard
                return engine.speak(kept.read(skipped), _voice_like(chosen, engine), speed)

            sound = self._answer(
                ask,
                may_ask_again=lambda: True,
                preferred=next(
                    (number for number, engine in enumerate(self.engines) if chosen and _has(engine, chosen)),
                    0,
                ),
            )
            async with aclosing(sound):
                async for speech in sound:
                    number = skipped + speech.number
                    if speech.pcm.data:
                        heard = number + 1
                    yield replace(speech, number=number)

    async def warm(self) -> None:
        await self._warm(lambda engine: engine.warm())


def _tell_of_switch(preferred: Circuit[E], answered: Circuit[E]) -> None:
    note = _note.get()
    if note is not None and preferred.error is not None:
        note(Switch(preferred.engine.label, answered.engine.label, preferred.error))


def _has(engine: TextToSpeech, voice: Voice) -> bool:
    return any(one.name == voice.name for one in engine.voices())


def _voice_like(chosen: Voice | None, engine: TextToSpeech) -> str:
    """The engine's voice of that name, else its default for that language, else "" for its own choice."""
    if chosen is None:
        return ""
    if _has(engine, chosen):
        return chosen.name
    return next((voice.name for voice in engine.voices() if voice.language == chosen.language), "")
