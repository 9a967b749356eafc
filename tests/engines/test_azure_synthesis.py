"""Text to speech by the unmodified SDK against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing

import anyio
import anyio.to_thread
import pytest

from tests.emulators.azure_speech import (
    STALL,
    AzureSpeechServer,
    Drop,
    Pause,
    hum,
    in_turn,
    saying,
)
from tests.engines.azure_engines import FAR_TOO_LONG, mouth, speak, stream
from voice.audio import VOICE_RATE, Pcm
from voice.engines import Speech, Unavailable, Word

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[AzureSpeechServer]:
    with AzureSpeechServer() as server:
        yield server


async def eventually(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(FAR_TOO_LONG):
        while not condition():  # noqa: ASYNC110 - in another thread
            await anyio.sleep(0.02)


async def test_sound_is_given_while_the_service_is_still_at_it(server: AzureSpeechServer) -> None:
    server.speak = saying(bytes(4800), STALL)
    async with mouth(server) as engine, aclosing(engine.speak(stream("Hello."), "")) as pieces:
        with anyio.fail_after(FAR_TOO_LONG):
            assert await anext(pieces) == Speech(Pcm(bytes(4800), VOICE_RATE), "Hello.")


async def test_phrases_are_spoken_in_order_with_the_times_of_their_words(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        pieces = await speak(engine, "One two.", "Three.")
    assert [piece.phrase for piece in pieces] == sorted([piece.phrase for piece in pieces])
    words = {
        phrase: [w for p in pieces if p.phrase == phrase for w in p.words]
        for phrase in ("One two.", "Three.")
    }
    assert words == {"One two.": [Word("One", 0), Word("two.", 150)], "Three.": [Word("Three.", 0)]}
    assert sum(len(piece.pcm.data) for piece in pieces) == 48 * 50 * len("Onetwo.Three.")


async def test_a_phrase_that_is_said_again_is_another_one(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        pieces = await speak(engine, "はい。", "…", "はい。")
    assert list(dict.fromkeys((piece.number, piece.phrase) for piece in pieces)) == [
        (0, "はい。"),
        (2, "はい。"),
    ]


async def test_each_language_is_spoken_by_its_voice_and_times_go_on(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        pieces = await speak(engine, 'Say "ありがとう" now.', voice="en-GB-RyanNeural")
    assert [(turn.voice, turn.text) for turn in server.syntheses] == [
        ("en-GB-RyanNeural", "Say"),
        ("ja-JP-NanamiNeural", '"ありがとう"'),
        ("en-GB-RyanNeural", "now."),
    ]
    assert [word.offset_ms for piece in pieces for word in piece.words] == [0, 150, 500]


async def test_a_chosen_default_voice_speed_and_style_are_asked_for(server: AzureSpeechServer) -> None:
    async with mouth(server, default_voices={"ja": "ja-JP-KeitaNeural"}, style="chat") as engine:
        await speak(engine, "こんにちは。", speed=1.5)
        assert engine.voices()[0].name == "ja-JP-KeitaNeural"
    [turn] = server.syntheses
    assert turn.voice == "ja-JP-KeitaNeural"
    assert 'rate="1.50"' in turn.ssml
    assert 'style="chat"' in turn.ssml


async def test_sound_cut_within_a_sample_comes_out_whole(server: AzureSpeechServer) -> None:
    server.speak = saying(bytes([1, 2, 3]), bytes([4, 5]), bytes([6]))
    async with mouth(server) as engine:
        pieces = await speak(engine, "Hello.")
    assert b"".join(piece.pcm.data for piece in pieces) == bytes([1, 2, 3, 4, 5, 6])


async def test_what_cannot_be_said_is_not_asked_for(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        assert await speak(engine, "…", " ", "？") == []
    assert server.syntheses == []


async def test_the_next_phrase_is_asked_for_before_the_former_is_taken(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine, aclosing(engine.speak(stream("One.", "Two."), "")) as pieces:
        await anext(pieces)
        await eventually(lambda: len(server.syntheses) == 2)


async def test_barging_in_keeps_the_connection_and_nothing_stale_is_heard(server: AzureSpeechServer) -> None:
    old = b"\x07\x00" * 2400
    server.speak = in_turn(*[saying(old, Pause(0.1), old, old, STALL), hum] * 10)
    async with mouth(server) as engine:
        for _ in range(10):
            async with aclosing(engine.speak(stream("Old."), "")) as pieces:
                await anext(pieces)
            heard = await speak(engine, "New.")
            assert old[:2] not in {piece.pcm.data[:2] for piece in heard}
            assert {piece.phrase for piece in heard} == {"New."}
        assert len(server.requests) < 10


async def test_an_error_of_the_writer_comes_after_the_sound_of_what_was_written(
    server: AzureSpeechServer,
) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "Well."
        raise Unavailable("chat_lost")

    async with mouth(server) as engine:
        heard = []

        async def listen() -> None:
            async for piece in engine.speak(broken(), ""):
                heard.append(piece.phrase)

        with pytest.raises(Unavailable, match="chat_lost"):
            await listen()
    assert set(heard) == {"Well."}


async def test_a_failure_before_the_first_sound_is_tried_once_more(server: AzureSpeechServer) -> None:
    server.speak = in_turn(saying(Drop), hum)
    async with mouth(server) as engine:
        pieces = await speak(engine, "Hello.")
    assert sum(len(piece.pcm.data) for piece in pieces) == 48 * 50 * len("Hello.")


async def test_the_voices_are_those_of_the_service(server: AzureSpeechServer) -> None:
    server.voices = [
        {
            "ShortName": name,
            "Locale": name[:5],
            "LocalName": local,
            "DisplayName": local,
            "Name": name,
            "Gender": "Female",
        }
        for name, local in (
            ("en-US-AvaNeural", "Ava"),
            ("ja-JP-NewNeural", "新"),
            ("sv-SE-SofieNeural", "Sofie"),
        )
    ]
    async with mouth(server) as engine:
        known = engine.voices()
        assert known[0].name == "ja-JP-NanamiNeural"
        await engine.warm()
        names = [voice.name for voice in engine.voices()]
    assert {"ja-JP-NewNeural", "en-US-AvaNeural", "ja-JP-NanamiNeural"} <= set(names)
    assert not {"sv-SE-SofieNeural", "ja-JP-AoiNeural"} & set(names)


async def test_the_known_voices_stay_when_the_service_lists_none(server: AzureSpeechServer) -> None:
    async with mouth(server) as engine:
        await engine.warm()
        assert {voice.language for voice in engine.voices()} >= {"ja", "en", "zh", "ko"}
