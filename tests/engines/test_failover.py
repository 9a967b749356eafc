"""One engine in front of another, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from tests.virtual_time import VirtualTimeLoop
from voice.audio import SPEECH_RATE, Pcm
from voice.engines import (
    BadInput,
    EngineError,
    Engines,
    Message,
    NotConfigured,
    Rejected,
    Speech,
    Transcript,
    Unavailable,
    Voice,
    only_text,
)
from voice.engines.failover import (
    FIRST_RETRY_SECONDS,
    LONGEST_RETRY_SECONDS,
    FailoverChat,
    FailoverSpeechToText,
    FailoverTextToSpeech,
    Switch,
    noting,
)
from voice.session import Limits, Preferences, Session
from voice.session_events import Failed, Spoke

pytestmark = pytest.mark.anyio
T = TypeVar("T")

ASK = [Message("user", "Hello")]
DOWN = Unavailable("chat_unreachable")
MUTE = Unavailable("voice_failed")
FAULTS = [
    DOWN,
    Unavailable("chat_timeout", seconds="10"),
    Rejected("chat_key_refused"),
    Rejected("chat_quota"),
    NotConfigured("chat_model_unnamed"),
]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def stream(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def read(items: AsyncGenerator[T, None]) -> list[T]:
    async with aclosing(items):
        return [item async for item in items]


async def write(chat: FailoverChat) -> str:
    return "".join(await read(only_text(chat.reply(ASK))))


@dataclass
class ScriptedVoice(FakeTextToSpeech):
    """Fails after so many pieces of sound, a phrase having two, each time it speaks."""

    pieces_until_failure: list[int] = field(default_factory=list)
    """One entry a turn; when it runs out, it does not fail."""
    ahead: int = 0
    """Phrases that it takes before it speaks the first of them."""
    names: Sequence[str] = ("ann", "mei")
    asked: list[str] = field(default_factory=list)

    def voices(self) -> Sequence[Voice]:
        return [Voice(name, name, language) for name, language in zip(self.names, ("en", "ja"), strict=True)]

    async def speak(
        self, phrases: AsyncIterator[str], voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Speech, None]:
        self.asked.append(voice)
        left = self.pieces_until_failure.pop(0) if self.pieces_until_failure else -1
        taken: list[str] = []
        number = 0
        ended = False
        while not ended or taken:
            while not ended and len(taken) <= self.ahead:
                phrase = await anext(phrases, None)
                ended = phrase is None
                taken += [phrase] if phrase is not None else []
            if left == 0:
                raise MUTE
            for _ in range(2 if taken else 0):
                if left == 0:
                    raise MUTE
                left -= 1
                self.spoken.append(taken[0])
                yield Speech(Pcm.silence(100, SPEECH_RATE), taken[0], number=number)
            number += 1
            taken = taken[1:]


async def test_the_second_model_answers_when_the_first_does_not() -> None:
    switches: list[Switch] = []
    chat = FailoverChat(FakeChat([DOWN], label="cloud"), FakeChat(["Here."], label="local"))
    with noting(switches.append):
        assert await write(chat) == "Here."
    assert [(s.preferred, s.answered, s.error.sentence) for s in switches] == [
        ("cloud", "local", "chat_unreachable")
    ]


async def test_nothing_is_noted_while_the_first_answers() -> None:
    switches: list[Switch] = []
    second = FakeChat()
    with noting(switches.append):
        assert await write(FailoverChat(FakeChat(["Here."]), second)) == "Here."
    assert switches == []
    assert second.prompts == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.sentence)
async def test_every_fault_of_an_engine_is_made_up_for(fault: EngineError) -> None:
    assert await write(FailoverChat(FakeChat([fault]), FakeChat(["Here."]))) == "Here."


@pytest.mark.parametrize("refusal", [BadInput("text_too_long", length=9, limit=8), Rejected("chat_filtered")])
async def test_what_was_refused_for_its_content_is_put_before_no_other_engine(refusal: EngineError) -> None:
    second = FakeChat()
    chat = FailoverChat(FakeChat([refusal, "Fine."]), second)
    with pytest.raises(type(refusal)):
        await write(chat)
    assert second.prompts == []
    assert await write(chat) == "Fine."


async def test_a_reply_that_breaks_off_is_not_begun_again() -> None:
    second = FakeChat()
    pieces: list[str] = []

    async def listen() -> None:
        chat = FailoverChat(FakeChat([["Half a sen", DOWN]]), second)
        async with aclosing(only_text(chat.reply(ASK))) as reply:
            async for piece in reply:
                pieces.append(piece)

    with pytest.raises(Unavailable):
        await listen()
    assert "".join(pieces) == "Half a sen"
    assert second.prompts == []


async def test_when_both_fail_the_last_ones_error_is_raised() -> None:
    chat = FailoverChat(FakeChat([DOWN]), FakeChat([Unavailable("chat_gone")]))
    with pytest.raises(Unavailable, match="chat_gone"):
        await write(chat)


class TestBackOff:
    async def test_an_engine_that_failed_is_left_alone_for_a_while(self) -> None:
        first = FakeChat([DOWN, "Back."])
        chat = FailoverChat(first, FakeChat())
        for _ in range(5):
            assert await write(chat) == "You said: Hello"
        assert len(first.prompts) == 1
        await anyio.sleep(FIRST_RETRY_SECONDS)
        assert await write(chat) == "Back."
        assert await write(chat) == "You said: Hello"
        assert len(first.prompts) == 3

    async def test_each_failed_trial_doubles_the_wait_up_to_a_limit(self) -> None:
        first = FakeChat([DOWN] * 100)
        chat = FailoverChat(first, FakeChat())
        trials: list[float] = []
        for _ in range(500):
            before = len(first.prompts)
            await write(chat)
            if len(first.prompts) > before:
                trials.append(anyio.current_time())
            await anyio.sleep(FIRST_RETRY_SECONDS / 2)
        waits = [later - earlier for earlier, later in pairwise(trials)]
        assert waits[:4] == [10, 20, 40, 80]
        assert set(waits[5:]) == {LONGEST_RETRY_SECONDS}
        assert len(waits) == 12

    async def test_one_turn_at_a_time_tries_it_again(self) -> None:
        first = FakeChat([DOWN, [30.0, "Back."]])
        chat = FailoverChat(first, FakeChat())
        await write(chat)
        await anyio.sleep(FIRST_RETRY_SECONDS)
        replies: list[str] = []

        async def ask() -> None:
            replies.append(await write(chat))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)
        assert sorted(replies) == ["Back.", *["You said: Hello"] * 3]
        assert len(first.prompts) == 2

    async def test_a_trial_that_is_given_up_makes_room_for_another(self) -> None:
        first = FakeChat([DOWN, [30.0, "Late."], "Back."])
        chat = FailoverChat(first, FakeChat())
        await write(chat)
        await anyio.sleep(FIRST_RETRY_SECONDS)
        with anyio.move_on_after(1):
            await write(chat)
        assert first.running == 0
        assert await write(chat) == "Back."

    async def test_turns_that_fail_together_count_as_one_failure(self) -> None:
        first = FakeChat([[1.0, DOWN]] * 20)
        chat = FailoverChat(first, FakeChat())
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(write, chat)
        await anyio.sleep(FIRST_RETRY_SECONDS)
        await write(chat)
        assert len(first.prompts) == 21

    async def test_it_is_asked_all_the_same_when_the_second_fails_too(self) -> None:
        chat = FailoverChat(FakeChat([DOWN, "Back."]), FakeChat(["One.", Unavailable("chat_gone")]))
        assert await write(chat) == "One."
        assert await write(chat) == "Back."

    async def test_every_turn_that_the_second_answers_is_noted(self) -> None:
        switches: list[Switch] = []
        chat = FailoverChat(FakeChat([DOWN]), FakeChat())
        with noting(switches.append):
            await write(chat)
            await write(chat)
        assert len(switches) == 2


async def test_a_reader_who_leaves_closes_the_engine() -> None:
    first = FakeChat([["Once", 100.0]])
    async with aclosing(FailoverChat(first, FakeChat()).reply(ASK)) as reply:
        async for _ in reply:
            if first.running:
                break
    assert first.running == 0


class TestSpeechToText:
    async def test_the_second_engine_hears_all_of_it(self) -> None:
        sound = [Pcm.silence(ms, SPEECH_RATE) for ms in (20, 40, 60)]
        first = FakeSpeechToText([Unavailable("recognition_failed")])
        second = FakeSpeechToText([Transcript("Hello.", final=True)])
        heard = await read(FailoverSpeechToText(first, second).transcribe(stream(sound), None))
        assert [transcript.text for transcript in heard] == ["Hello."]
        assert first.heard == second.heard == sound

    async def test_an_engine_that_fails_while_somebody_speaks_costs_no_sound(self) -> None:
        class Deaf(FakeSpeechToText):
            async def transcribe(
                self, audio: AsyncIterator[Pcm], language: str | None, last: str | None = None
            ) -> AsyncGenerator[Transcript, None]:
                self.heard.append(await anext(audio))
                yield Transcript("Hel", final=False)
                # Gives up while it waits for more sound, as a watchdog would make it.
                with anyio.move_on_after(1):
                    self.heard.append(await anext(audio))
                raise Unavailable("recognition_failed")

        async def speak_slowly() -> AsyncGenerator[Pcm, None]:
            for ms in (20, 40, 60):
                yield Pcm.silence(ms, SPEECH_RATE)
                await asyncio.sleep(3)

        second = FakeSpeechToText([Transcript("Hello.", final=True)])
        heard = await read(FailoverSpeechToText(Deaf(), second).transcribe(speak_slowly(), None))
        assert [transcript.text for transcript in heard] == ["Hel", "Hello."]
        assert [round(1000 * pcm.seconds) for pcm in second.heard] == [20, 40, 60]

    async def test_a_final_transcript_is_not_followed_by_another(self) -> None:
        class FailsAtTheEnd(FakeSpeechToText):
            async def transcribe(
                self, audio: Any, language: Any, last: Any = None
            ) -> AsyncGenerator[Transcript, None]:
                yield Transcript("Hello.", final=True)
                raise Unavailable("recognition_failed")

        second = FakeSpeechToText()
        heard: list[str] = []

        async def listen() -> None:
            async with aclosing(
                FailoverSpeechToText(FailsAtTheEnd(), second).transcribe(stream([]), None)
            ) as transcripts:
                async for transcript in transcripts:
                    heard.append(transcript.text)

        with pytest.raises(Unavailable):
            await listen()
        assert heard == ["Hello."]


class TestTextToSpeech:
    @pytest.mark.parametrize("ahead", [0, 2])
    @pytest.mark.parametrize(
        ("pieces", "by_first", "by_second"),
        [
            (0, [], ["One.", "Two.", "Three."]),
            (1, ["One."], ["Two.", "Three."]),
            (2, ["One."], ["Two.", "Three."]),
            (3, ["One.", "Two."], ["Three."]),
            (6, ["One.", "Two.", "Three."], []),
        ],
    )
    async def test_the_second_voice_goes_on_where_the_first_fell_silent(
        self, pieces: int, ahead: int, by_first: list[str], by_second: list[str]
    ) -> None:
        first = ScriptedVoice(pieces_until_failure=[pieces], ahead=ahead)
        second = ScriptedVoice()
        speech = FailoverTextToSpeech(first, second).speak(stream(["One.", "Two.", "Three."]), "")
        assert len(await read(speech)) == pieces + 2 * len(by_second)
        assert (in_order(first.spoken), in_order(second.spoken)) == (by_first, by_second)

    @pytest.mark.parametrize(
        ("pieces", "by_second"), [(1, ["Yes.", "No."]), (2, ["Yes.", "No."]), (3, ["No."]), (4, ["No."])]
    )
    async def test_of_a_phrase_said_twice_running_none_is_lost_or_said_once_more(
        self, pieces: int, by_second: list[str]
    ) -> None:
        second = ScriptedVoice()
        voice = FailoverTextToSpeech(ScriptedVoice(pieces_until_failure=[pieces], ahead=3), second)
        speeches = await read(voice.speak(stream(["Yes.", "Yes.", "No."]), ""))
        assert in_order(second.spoken) == by_second
        assert [speech.number for speech in speeches] == [0, 0, 1, 1, 2, 2][:pieces] + [
            number for number in range(3 - len(by_second), 3) for _ in range(2)
        ]

    async def test_the_menu_shows_the_voices_of_both_and_each_name_once(self) -> None:
        voice = FailoverTextToSpeech(ScriptedVoice(), ScriptedVoice(names=("ann", "kumo")))
        assert [one.name for one in voice.voices()] == ["ann", "mei", "kumo"]

    @pytest.mark.parametrize(
        ("chosen", "of_second"), [("mei", "kumo"), ("ann", "heart"), ("", ""), ("nobody", "")]
    )
    async def test_a_voice_is_stood_in_for_by_one_of_its_language(self, chosen: str, of_second: str) -> None:
        second = ScriptedVoice(names=("heart", "kumo"))
        voice = FailoverTextToSpeech(ScriptedVoice(pieces_until_failure=[0]), second)
        await read(voice.speak(stream(["One."]), chosen))
        assert second.asked == [of_second]

    async def test_a_voice_of_the_second_engine_is_spoken_by_it_and_that_is_no_switch(self) -> None:
        switches: list[Switch] = []
        first, second = ScriptedVoice(), ScriptedVoice(names=("heart", "kumo"))
        with noting(switches.append):
            await read(FailoverTextToSpeech(first, second).speak(stream(["One."]), "kumo"))
        assert (first.spoken, in_order(second.spoken), switches) == ([], ["One."], [])


def in_order(spoken: list[str]) -> list[str]:
    """The phrases of pieces of sound: two, or at a failure one, for each."""
    return [phrase for index, phrase in enumerate(spoken) if index % 2 == 0]


class TestWarming:
    @dataclass
    class Cold(FakeChat):
        error: EngineError | None = None
        asked: list[Sequence[Message]] = field(default_factory=list)
        closed: bool = False

        async def warm(self, prompt: Sequence[Message] = ()) -> None:
            self.asked.append(prompt)
            if self.error:
                raise self.error

        async def close(self) -> None:
            self.closed = True

    async def test_both_are_warmed_and_closed(self) -> None:
        first, second = self.Cold(), self.Cold()
        chat = FailoverChat(first, second)
        await chat.warm(ASK)
        await chat.close()
        assert (first.asked, second.asked) == ([ASK], [ASK])
        assert first.closed
        assert second.closed

    async def test_a_first_engine_that_cannot_be_warmed_is_no_failure_and_is_not_asked_at_once(self) -> None:
        first = self.Cold(error=DOWN)
        chat = FailoverChat(first, self.Cold())
        await chat.warm()
        assert await write(chat) == "You said: Hello"
        assert first.prompts == []

    async def test_when_neither_can_be_warmed_the_first_ones_error_is_told(self) -> None:
        chat = FailoverChat(self.Cold(error=DOWN), self.Cold(error=Unavailable("chat_gone")))
        with pytest.raises(Unavailable, match="chat_unreachable"):
            await chat.warm()


async def test_a_session_answers_through_three_engines_that_fail() -> None:
    engines = Engines(
        FakeSpeechToText(),
        FailoverChat(FakeChat([DOWN]), FakeChat(["The first sentence is here. The second one is here."])),
        FailoverTextToSpeech(ScriptedVoice(pieces_until_failure=[1]), ScriptedVoice()),
    )
    session = Session(engines, Limits(recording_seconds=10, text_characters=100, history_tokens=500))
    async with aclosing(session.answer_text("Hello", Preferences(persona="Be kind."))) as turn:
        events = [event async for event in turn]
    assert not [event for event in events if isinstance(event, Failed)]
    spoken = [event.speech.phrase for event in events if isinstance(event, Spoke)]
    assert spoken == ["The first sentence is here.", *["The second one is here."] * 2]


fault = st.sampled_from(FAULTS)
chat_turn = st.one_of(
    st.just(["a", "b", "c"]),
    fault,
    st.tuples(st.integers(1, 2), fault).map(lambda cut: [*"abc"[: cut[0]], cut[1]]),
    st.just(Rejected("chat_filtered")),
)


class TestAnySequenceOfFailures:
    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.tuples(chat_turn, chat_turn, st.sampled_from([0, 5, 10, 300])), min_size=1, max_size=8)
    )
    async def test_every_turn_ends_in_a_reply_or_an_error_and_says_nothing_twice(
        self, turns: list[tuple[Any, Any, float]]
    ) -> None:
        first, second = FakeChat(), FakeChat()
        chat = FailoverChat(first, second)
        for by_first, by_second, pause in turns:
            first.script, second.script = [by_first], [by_second]
            said = ""
            try:
                async with aclosing(only_text(chat.reply(ASK))) as reply:
                    async for piece in reply:
                        said += piece
            except EngineError:
                assert "abc".startswith(said)
                assert said != "abc"
            else:
                assert said == "abc"
            assert (first.running, second.running) == (0, 0)
            await anyio.sleep(pause)

    @settings(deadline=None, max_examples=60)
    @given(
        phrases=st.lists(st.sampled_from(["Yes.", "No.", "Well.", "So."]), max_size=6),
        until_failure=st.tuples(*[st.lists(st.integers(0, 6), max_size=3)] * 2),
        ahead=st.tuples(*[st.integers(0, 3)] * 2),
        turns=st.integers(1, 4),
    )
    async def test_every_phrase_is_spoken_once_and_in_order(
        self,
        phrases: list[str],
        until_failure: tuple[list[int], list[int]],
        ahead: tuple[int, int],
        turns: int,
    ) -> None:
        first, second = (
            ScriptedVoice(pieces_until_failure=list(script), ahead=taken)
            for script, taken in zip(until_failure, ahead, strict=True)
        )
        voice = FailoverTextToSpeech(first, second)
        for _ in range(turns):
            spoken: list[int] = []
            failed = False
            try:
                async with aclosing(voice.speak(stream(phrases), "")) as sound:
                    async for speech in sound:
                        assert speech.phrase == phrases[speech.number]
                        spoken.append(speech.number)
            except EngineError:
                failed = True
            begun = list(dict.fromkeys(spoken))
            assert begun == list(range(len(begun)))
            assert all(spoken.count(number) <= 2 for number in begun)
            assert failed or len(begun) == len(phrases)
            await anyio.sleep(FIRST_RETRY_SECONDS)


async def test_the_label_names_both() -> None:
    assert FailoverChat(FakeChat(label="cloud"), FakeChat(label="local")).label == "cloud / local"
