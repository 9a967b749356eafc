"""`/v1/realtime` under a real uvicorn, by the stock openai client, which everything it is sent must satisfy."""

from __future__ import annotations

import base64
import json
import logging
from contextlib import suppress
from typing import Any

import anyio
import pytest
from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.emulators.chat import ChatServer, Stream
from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech, fake_engines
from tests.web.realtime import Caller, calling, collapse, read_speech, serving
from voice.audio import VOICE_RATE, Pcm
from voice.engines import Message, Tool, ToolCall, Transcript, Unavailable, Usage
from voice.engines.openai_account import connect_openai
from voice.engines.openai_chat import OpenAIChat
from voice.web.door import Door
from voice.web.realtime.reception import Bounds

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

RESPONSE_IN_SOUND = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
LONG_MESSAGE = {
    "id": "long",
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "long " * 30_000}],
}
HUGE = "あ" * 300_000
"""Each of these takes six bytes in a frame."""
LONG_REPLY = ["This is a long story. ", "It goes on. ", *["And on and on. "] * 200]


def say(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def test_a_line_of_text_is_answered_in_words_and_sound_in_the_protocols_order() -> None:
    async with serving() as host, calling(host) as caller:
        done = await caller.say("Hi there")
    assert collapse(caller.kinds) == [
        "session.created",
        "conversation.item.added",
        "conversation.item.done",
        *RESPONSE_IN_SOUND,
    ]
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].transcript == "You said: Hi there"
    written = "".join(event.delta for event in caller.all("response.output_audio_transcript.delta"))
    assert written == "You said: Hi there"
    sound = b"".join(base64.b64decode(event.delta) for event in caller.all("response.output_audio.delta"))
    assert len(sound) == pytest.approx(2 * VOICE_RATE * 0.05 * len(written), rel=0.05)
    added = caller.all("conversation.item.added")
    assert added[1].previous_item_id == added[0].item.id


async def test_a_reply_in_text_alone_makes_no_sound() -> None:
    voice = FakeTextToSpeech()
    async with serving(fake_engines(text_to_speech=voice)) as host, calling(host) as caller:
        await caller.update(output_modalities=["text"])
        done = await caller.say("Hi there")
    assert not voice.spoken
    assert done.response.output[0].content[0].text == "You said: Hi there"
    assert collapse(caller.kinds)[-8:] == [
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
@pytest.mark.parametrize("modality", ["audio", "text"])
async def test_a_reply_that_breaks_off_is_incomplete_and_says_why(
    finish: str, reason: str, modality: str
) -> None:
    with ChatServer(Stream("Once upon a time, the", finish=finish)) as server:
        chat = OpenAIChat(connect_openai(server.url, "a key"), model="emulated")
        async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
            await caller.update(output_modalities=[modality])
            done = (await caller.say("Tell me a story")).response
        await chat.close()
    details = done.status_details
    assert (done.status, details.type, details.reason) == ("incomplete", "incomplete", reason)
    assert done.usage.total_tokens > 0
    [item] = done.output
    assert item.status == "incomplete"
    assert (item.content[0].transcript or item.content[0].text) == "Once upon a time, the"


async def test_what_was_said_before_is_remembered_and_instructions_are_followed() -> None:
    chat = FakeChat()
    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        await caller.update(instructions="Speak like a pirate.", output_modalities=["text"])
        await caller.say("I am Ann")
        await caller.say("Who am I?")
    assert chat.prompts[1][0] == Message("system", "Speak like a pirate.")
    assert [message.content for message in chat.prompts[1][-3:]] == [
        "I am Ann",
        "You said: I am Ann",
        "Who am I?",
    ]


async def test_a_program_that_does_not_wait_for_the_sound_has_its_replies_remembered_whole() -> None:
    chat = FakeChat()
    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        await caller.say("I am Ann, and this is a rather long sentence")
        await caller.say("Who am I?")
    assert chat.prompts[1][-2].content == "You said: I am Ann, and this is a rather long sentence"


async def test_the_times_of_a_turn_are_told_to_who_asks_for_them() -> None:
    async with (
        serving() as host,
        AsyncOpenAI(base_url=f"http://{host}/v1", api_key="unused") as client,
        client.realtime.connect(model="m", extra_query={"kaiwa": "1"}) as connection,
    ):
        caller = Caller(connection)
        await caller.append(read_speech())
        kind = ""
        with anyio.fail_after(60):
            while kind != "kaiwa.metrics":
                event = json.loads(await connection.recv_bytes())
                kind = event["type"]
    assert event["first_token_ms"] <= event["first_audio_ms"]


async def test_a_spoken_turn_is_found_by_voice_activity() -> None:
    ears = FakeSpeechToText([Transcript("What time is it?", final=True, language="en")])
    async with serving(fake_engines(ears)) as host, calling(host) as caller:
        await caller.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await caller.append(read_speech())
        done = await caller.until("response.done")
        if not caller.all("conversation.item.input_audio_transcription.completed"):
            await caller.until("conversation.item.input_audio_transcription.completed")
    kinds = [kind for kind in collapse(caller.kinds)[2:] if "transcription" not in kind]
    assert kinds == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        *RESPONSE_IN_SOUND,
    ]
    started, stopped = caller.events[2], caller.events[3]
    committed = caller.all("input_audio_buffer.committed")[0]
    assert started.item_id == stopped.item_id == committed.item_id
    assert 0 <= started.audio_start_ms <= 700
    assert stopped.audio_end_ms > started.audio_start_ms + 500
    completed = caller.all("conversation.item.input_audio_transcription.completed")[0]
    assert completed.item_id == committed.item_id
    assert completed.transcript == "What time is it?"
    assert completed.usage.seconds > 0.5
    assert done.response.output[0].content[0].transcript == "You said: What time is it?"


async def test_semantic_voice_activity_is_taken_too() -> None:
    async with serving() as host, calling(host) as caller:
        await caller.update(
            audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}}
        )
        await caller.append(read_speech(silence_ms=4000))
        done = await caller.until("response.done")
    assert done.response.output[0].content[0].transcript == "You said: Hello there."


async def test_without_turn_detection_the_client_commits_and_asks() -> None:
    ears = FakeSpeechToText()
    async with serving(fake_engines(ears)) as host, calling(host) as caller:
        await caller.update(audio={"input": {"turn_detection": None}})
        await caller.append(read_speech())
        await caller.input_audio_buffer.commit()
        await caller.until("conversation.item.done")
        assert not [event for event in await caller.listen_for(0.3) if event.type.startswith("response.")]
        await caller.response.create()
        done = await caller.until("response.done")
    assert not caller.all("input_audio_buffer.speech_started")
    assert done.response.output[0].content[0].transcript == "You said: Hello there."
    assert sum(pcm.seconds for pcm in ears.heard) == pytest.approx(read_speech().seconds, abs=0.1)


async def test_a_response_may_be_asked_for_in_the_same_breath_as_the_commit() -> None:
    async with serving(fake_engines(FakeSpeechToText(delay=0.2))) as host, calling(host) as caller:
        await caller.update(audio={"input": {"turn_detection": None}})
        await caller.append(read_speech())
        await caller.input_audio_buffer.commit()
        await caller.response.create()
        done = await caller.until("response.done")
    assert done.response.output[0].content[0].transcript == "You said: Hello there."


async def test_cutting_in_stops_the_reply_and_only_what_was_heard_is_remembered() -> None:
    chat = FakeChat([LONG_REPLY, "Fine."], delay=0.02)
    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        await caller.create_message("Tell me a story")
        await caller.response.create()
        delta = await caller.until("response.output_audio.delta")
        # Nobody has heard more of it than the time that passed.
        await caller.listen_for(1.5)
        await caller.append(read_speech(clip=2))
        await caller.until("input_audio_buffer.speech_started")
        done = await caller.until("response.done")
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "turn_detected"
        assert done.response.output[0].status == "incomplete"
        heard_ms = 50 * len("This is a long story.")
        await caller.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=heard_ms)
        truncated = await caller.until("conversation.item.truncated")
        assert (truncated.item_id, truncated.audio_end_ms) == (delta.item_id, heard_ms)
        await caller.conversation.item.retrieve(item_id=delta.item_id)
        retrieved = await caller.until("conversation.item.retrieved")
        if len(caller.all("response.done")) == 1:
            await caller.until("response.done")
    heard = retrieved.item.content[0].transcript
    assert heard.startswith("This is a long")
    assert len(heard) < 40
    assert chat.running == 0
    assert heard in [message.content for message in chat.prompts[1] if message.role == "assistant"]


async def test_a_reply_in_text_alone_has_no_sound_that_could_be_cut() -> None:
    async with serving() as host, calling(host) as caller:
        await caller.update(output_modalities=["text"])
        item = (await caller.say("Hi")).response.output[0]
        await caller.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=0)
        error = (await caller.until("error")).error
        assert (error.code, error.param) == ("unsupported_content_type", "item_id")
        await caller.conversation.item.retrieve(item_id=item.id)
        retrieved = await caller.until("conversation.item.retrieved")
    assert retrieved.item.content[0].text == item.content[0].text


async def test_a_response_is_cancelled_on_request_and_the_session_goes_on() -> None:
    chat = FakeChat([LONG_REPLY], delay=0.02)
    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        await caller.create_message("Tell me a story")
        await caller.response.create()
        await caller.until("response.output_audio.delta")
        await caller.response.cancel()
        done = await caller.until("response.done")
        assert done.response.status_details.reason == "client_cancelled"
        again = await caller.say("Hi")
        assert again.response.status == "completed"
    response = [event for event in caller.events if getattr(event, "response_id", "") == done.response.id]
    assert caller.events.index(response[-1]) < caller.events.index(done)


async def test_a_response_is_cancelled_before_its_first_word() -> None:
    async with serving(fake_engines(chat=FakeChat(delay=5))) as host, calling(host) as caller:
        await caller.create_message("Hi")
        await caller.response.create()
        await caller.response.cancel()
        done = await caller.until("response.done")
    assert done.response.status == "cancelled"
    assert done.response.output == []


async def test_a_second_response_at_once_and_a_needless_cancel_are_refused_by_the_codes_that_clients_know() -> (
    None
):
    async with serving(fake_engines(chat=FakeChat(delay=0.2))) as host, calling(host) as caller:
        await caller.response.cancel(event_id="mine")
        error = (await caller.until("error")).error
        assert (error.code, error.event_id) == ("response_cancel_not_active", "mine")
        assert error.message.startswith("Cancellation failed")
        await caller.create_message("Hi")
        await caller.response.create()
        await caller.response.create()
        error = (await caller.until("error")).error
        assert error.code == "conversation_already_has_active_response"
        assert (await caller.until("response.done")).response.status == "completed"


async def test_conversations_side_by_side_know_nothing_of_each_other() -> None:
    chat = FakeChat(delay=0.005)
    async with serving(fake_engines(chat=chat)) as host:
        replies: dict[str, str] = {}

        async def converse(name: str) -> None:
            async with calling(host) as caller:
                await caller.say(f"I am {name}")
                done = await caller.say("Who am I?")
                replies[name] = done.response.output[0].content[0].transcript

        async with anyio.create_task_group() as tasks:
            for name in ("Ann", "Bob", "Cat"):
                tasks.start_soon(converse, name)
    assert list(replies.values()) == ["You said: Who am I?"] * 3
    last = [" ".join(message.content for message in prompt) for prompt in chat.prompts]
    assert all(sum(name in words for name in ("Ann", "Bob", "Cat")) == 1 for words in last)


async def test_a_function_is_called_by_the_client() -> None:
    call = ToolCall("call_1", "look_up", '{"city":"Kyoto"}')
    chat = FakeChat([[call, Usage(20, 10)], "It rains."])
    tool = {
        "type": "function",
        "name": "look_up",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        await caller.update(tools=[tool], tool_choice="required")
        done = await caller.say("How is the weather?")
        asked = done.response.output[0]
        assert (asked.type, asked.call_id, asked.name, asked.arguments, asked.status) == (
            "function_call",
            "call_1",
            "look_up",
            '{"city":"Kyoto"}',
            "completed",
        )
        assert done.response.usage.total_tokens == 30
        await caller.conversation.item.create(
            item={"type": "function_call_output", "call_id": "call_1", "output": "rain"}
        )
        await caller.response.create()
        done = await caller.until("response.done")
    assert collapse(caller.kinds)[4:12] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert done.response.output[0].content[0].transcript == "It rains."
    assert chat.options[0].tools == (Tool("look_up", "The weather.", json.dumps(tool["parameters"])),)
    assert chat.options[0].tool_choice == "required"
    assert chat.prompts[1][-2].calls == (call,)
    assert (chat.prompts[1][-1].role, chat.prompts[1][-1].content) == ("tool", "rain")


async def test_a_response_of_its_own_kind_leaves_the_session_as_it_was() -> None:
    chat = FakeChat()
    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        await caller.create_message("Hi")
        await caller.response.create(
            response={
                "instructions": "Only this once.",
                "output_modalities": ["text"],
                "metadata": {"client_event_id": "x"},
            }
        )
        done = await caller.until("response.done")
        assert done.response.metadata == {"client_event_id": "x"}
        assert caller.all("response.created")[0].response.metadata == {"client_event_id": "x"}
        assert done.response.output[0].content[0].type == "output_text"
        done = await caller.say("Hi again")
        assert done.response.output[0].content[0].type == "output_audio"
    assert "Only this once." in chat.prompts[0][0].content
    assert "Only this once." not in chat.prompts[1][0].content


async def test_a_voice_of_another_service_changes_nothing_and_the_session_shows_it() -> None:
    async with serving() as host, calling(host) as caller:
        for wanted, has in [("marin", "auto"), ("mei", "mei"), ("marin", "mei"), ("auto", "auto")]:
            updated = await caller.update(audio={"output": {"voice": wanted}})
            assert updated.session.audio.output.voice == has
            assert (await caller.say("Hi")).response.audio.output.voice == has


async def test_items_are_put_where_the_client_wants_them_and_go_when_it_deletes_them() -> None:
    chat = FakeChat()

    def message(name: str, role: str, kind: str, text: str) -> dict[str, object]:
        return {"id": name, "type": "message", "role": role, "content": [{"type": kind, "text": text}]}

    async with serving(fake_engines(chat=chat)) as host, calling(host) as caller:
        items = caller.conversation.item
        await items.create(item=message("b", "user", "input_text", "two"), previous_item_id="root")
        await items.create(item=message("a", "user", "input_text", "one"), previous_item_id="root")
        await items.create(item=message("c", "assistant", "output_text", "three"), previous_item_id="b")
        await items.create(item=message("d", "user", "input_text", "four"))
        await items.create(item=message("e", "system", "input_text", "five"), previous_item_id="a")
        await items.delete(item_id="b")
        await caller.until("conversation.item.deleted")
        await items.create(item=message("a", "user", "input_text", "again"), event_id="mine")
        error = (await caller.until("error")).error
        assert (error.code, error.event_id) == ("item_create_duplicate_item_id", "mine")
        await items.create(item=message("f", "user", "input_text", "six"), previous_item_id="nowhere")
        assert (await caller.until("error")).error.param == "previous_item_id"
        await items.retrieve(item_id="c")
        assert (await caller.until("conversation.item.retrieved")).item.content[0].text == "three"
        await caller.response.create()
        await caller.until("response.done")
    assert [added.previous_item_id for added in caller.all("conversation.item.added")][:5] == [
        None,
        None,
        "b",
        "c",
        "a",
    ]
    assert [said.content for said in chat.prompts[0][-4:]] == ["one", "five", "three", "four"]


async def test_what_was_said_and_deleted_before_its_words_were_known_is_no_part_of_the_conversation() -> None:
    chat = FakeChat()
    ears = FakeSpeechToText([Transcript("My secret.", final=True, language="en")], delay=0.3)
    async with serving(fake_engines(ears, chat)) as host, calling(host) as caller:
        await caller.update(audio={"input": {"turn_detection": None, "transcription": {"model": "any"}}})
        await caller.append(Pcm.silence(1000, VOICE_RATE))
        await caller.input_audio_buffer.commit()
        committed = await caller.until("input_audio_buffer.committed")
        await caller.conversation.item.delete(item_id=committed.item_id)
        await caller.until("conversation.item.input_audio_transcription.completed")
        await caller.say("Hi")
    assert chat.prompts[-1][-1].content == "Hi"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "conversation.item.retrieve", "item_id": HUGE},
        {"type": "conversation.item.create", "item": {"type": HUGE}},
        {
            "type": "session.update",
            "event_id": HUGE,
            "session": {"audio": {"input": {"format": {"type": HUGE}}}},
        },
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": HUGE}}}}},
        {"type": HUGE},
    ],
)
async def test_what_a_client_got_wrong_comes_back_in_a_few_words_only(event: dict[str, Any]) -> None:
    async with serving() as host, calling(host) as caller:
        await caller.send_text(json.dumps(event))
        error = (await caller.until("error")).error
        assert len(error.message) < 600
        assert error.event_id is None


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"type": "conversation.item.create", "item": say(HUGE)}, "item"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "c", "output": HUGE},
            },
            "item",
        ),
        (
            {
                "type": "session.update",
                "session": {"tools": [{"type": "function", "name": "f", "description": HUGE}]},
            },
            "session",
        ),
    ],
)
async def test_what_would_come_back_in_a_frame_too_large_for_stock_clients_is_refused(
    event: dict[str, Any], param: str
) -> None:
    async with serving() as host, calling(host) as caller:
        await caller.send_text(json.dumps(event))
        error = (await caller.until("error")).error
        assert (error.code, error.param) == ("invalid_value", param)
        await caller.send_text(json.dumps({"type": "conversation.item.create", "item": say(HUGE[:80_000])}))
        item = (await caller.until("conversation.item.done")).item
        assert len(item.content[0].text) == 80_000


@pytest.mark.parametrize(
    ("engines", "text"),
    [
        (fake_engines(chat=FakeChat([Unavailable("chat_said_nothing")])), ""),
        (
            fake_engines(text_to_speech=FakeTextToSpeech(Unavailable("turn_broke"), spoken=["before"])),
            "You said",
        ),
    ],
    ids=["chat", "voice"],
)
async def test_an_engine_that_fails_fails_the_response_and_not_the_session(
    engines: object, text: str
) -> None:
    async with serving(engines) as host, calling(host) as caller:  # type: ignore[arg-type]
        done = await caller.say("Hi")
        assert done.response.status == "failed"
        assert done.response.status_details.error.code
        said = [part.transcript for item in done.response.output for part in item.content]
        assert "".join(said).startswith(text)
        await caller.update(output_modalities=["text"])
        assert (await caller.say("Hi")).response.status == "completed"
    assert not caller.all("error")


async def test_a_turn_that_could_not_be_recognised_is_told_as_such() -> None:
    ears = FakeSpeechToText([Unavailable("turn_broke")])
    async with serving(fake_engines(ears)) as host, calling(host) as caller:
        await caller.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await caller.append(read_speech())
        failed = await caller.until("conversation.item.input_audio_transcription.failed")
        assert failed.error.message
        assert (await caller.say("Hi")).response.status == "completed"


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_telephone_sound_goes_both_ways(kind: str) -> None:
    from voice import g711
    from voice.audio import resample

    law = kind.removeprefix("audio/")
    spoken = g711.encode(resample(read_speech(), g711.TELEPHONE_RATE), law)  # type: ignore[arg-type]
    async with serving() as host, calling(host) as caller:
        await caller.update(audio={"input": {"format": {"type": kind}}, "output": {"format": {"type": kind}}})
        for start in range(0, len(spoken), 800):
            await caller.input_audio_buffer.append(
                audio=base64.b64encode(spoken[start : start + 800]).decode()
            )
        done = await caller.until("response.done")
    assert done.response.output[0].content[0].transcript == "You said: Hello there."
    sound = b"".join(base64.b64decode(event.delta) for event in caller.all("response.output_audio.delta"))
    assert len(sound) == pytest.approx(8000 * 0.05 * len("You said: Hello there."), rel=0.01)
    assert abs(g711.decode(sound, law).samples).max() > 5000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("{not json", "invalid_json", None),
        ("[1, 2]", "invalid_json", None),
        ('{"a": NaN}', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ("{}", "missing_required_parameter", "type"),
        ('{"type": "no.such.event"}', "invalid_value", "type"),
        ('{"type": ["session.update"]}', "invalid_value", "type"),
        ('{"type": "kaiwa.wake"}', "invalid_value", "type"),
        ('{"type": "input_audio_buffer.append"}', "missing_required_parameter", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "?!"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAA"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
        ('{"type": "session.update", "session": {"type": "transcription"}}', "invalid_value", "session.type"),
        ('{"type": "session.update", "session": 3}', "invalid_value", "session"),
        ('{"type": "conversation.item.create", "item": {}}', "missing_required_parameter", "item.type"),
        (
            '{"type": "conversation.item.retrieve", "item_id": "x"}',
            "item_retrieve_invalid_item_id",
            "item_id",
        ),
        ('{"type": "conversation.item.delete", "item_id": "x"}', "item_delete_invalid_item_id", "item_id"),
        (
            '{"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 0}',
            "item_truncate_invalid_item_id",
            "item_id",
        ),
        (
            '{"type": "response.create", "response": {"conversation": "none"}}',
            "invalid_value",
            "response.conversation",
        ),
    ],
)
async def test_what_cannot_be_done_is_answered_by_an_error_and_the_session_lives(
    frame: str, code: str, param: str | None
) -> None:
    async with serving() as host, calling(host) as caller:
        await caller.send_text(frame)
        error = (await caller.until("error")).error
        assert (error.code, error.param) == (code, param)
        assert (await caller.say("Hi")).response.status == "completed"
    assert len(caller.all("error")) == 1


async def test_binary_frames_are_read_as_json() -> None:
    async with serving() as host, calling(host) as caller:
        await caller.connection._connection.send(b'{"type": "input_audio_buffer.clear"}')
        await caller.until("input_audio_buffer.cleared")
        await caller.connection._connection.send(b"\xff\x00")
        assert (await caller.until("error")).error.code == "invalid_json"


async def test_an_append_over_the_limit_is_refused_and_one_at_it_taken() -> None:
    async with serving() as host, calling(host) as caller:
        await caller.update(audio={"input": {"turn_detection": None}})
        await caller.input_audio_buffer.append(audio="A" * (16 * 1024 * 1024 * 4 // 3 // 4 * 4))
        error = (await caller.until("error")).error
        assert (error.code, error.param) == ("invalid_value", "audio")
        await caller.input_audio_buffer.append(audio="A" * (15 * 1024 * 1024 * 4 // 3 // 4 * 4))
        await caller.input_audio_buffer.append(audio=base64.b64encode(bytes(480_000)).decode())
        # It is more than waits to be heard at once.
        assert (await caller.until("error")).error.code == "invalid_value"
        await caller.input_audio_buffer.clear()
        await caller.until("input_audio_buffer.cleared")
        assert (await caller.say("Hi")).response.status == "completed"


async def test_half_a_character_in_what_is_written_does_no_harm() -> None:
    async with serving() as host, calling(host) as caller:
        await caller.send_text(
            '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", '
            '"content": [{"type": "input_text", "text": "half \\ud83d"}]}}'
        )
        await caller.response.create()
        done = await caller.until("response.done")
    assert done.response.output[0].content[0].transcript == "You said: half ?"


async def test_a_sample_that_an_append_cuts_in_two_is_whole_again() -> None:
    ears = FakeSpeechToText()
    async with serving(fake_engines(ears)) as host, calling(host) as caller:
        await caller.update(audio={"input": {"turn_detection": None}})
        data = read_speech().data
        for start in range(0, len(data), 4801):
            await caller.input_audio_buffer.append(
                audio=base64.b64encode(data[start : start + 4801]).decode()
            )
        await caller.input_audio_buffer.commit()
        await caller.response.create()
        await caller.until("response.done")
    heard = b"".join(pcm.data for pcm in ears.heard)
    assert abs(Pcm(heard, 16000).samples[:3000]).max() < 50  # the silence before the speech


async def test_where_the_user_stays_silent_the_next_reply_may_come_unasked() -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 1000}
    async with serving() as host, calling(host) as caller:
        await caller.update(audio={"input": {"turn_detection": detection}})
        await caller.say("Hi")
        triggered = await caller.until("input_audio_buffer.timeout_triggered")
        committed = await caller.until("input_audio_buffer.committed")
        assert committed.item_id == triggered.item_id
        assert (await caller.until("response.done")).response.status == "completed"


async def test_no_reply_comes_unasked_once_the_client_turns_that_off() -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 1000}
    async with serving() as host, calling(host) as caller:
        await caller.update(output_modalities=["text"], audio={"input": {"turn_detection": detection}})
        await caller.say("Hi")
        await caller.update(audio={"input": {"turn_detection": None}})
        assert not await caller.listen_for(1.5)


async def test_a_client_that_does_not_read_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "voice")
    async with serving() as host, calling(host) as caller:
        await caller.create_message("Say a lot")
        flood = json.dumps({"type": "conversation.item.create", "item": LONG_MESSAGE})
        retrieval = json.dumps({"type": "conversation.item.retrieve", "item_id": "long"})
        with suppress(ConnectionClosed):
            await caller.send_text(flood)
            for _ in range(500):
                await caller.send_text(retrieval)
        with anyio.fail_after(60):
            while "reads_too_slowly" not in caplog.text:  # noqa: ASYNC110
                await anyio.sleep(0.05)


async def test_programs_come_in_by_a_key_and_are_told_before_the_upgrade_when_it_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(door=Door(keys=["secret"])) as host:
        async with calling(host, key="secret") as caller:
            await caller.say("Hi")
        server_log = logging.getLogger("uvicorn.error")  # which does not propagate
        server_log.addHandler(caplog.handler)
        caplog.set_level("ERROR", server_log.name)
        with pytest.raises(InvalidStatus) as refused:
            async with calling(host, key="wrong"):
                pass
    server_log.removeHandler(caplog.handler)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_api_key"
    assert not caplog.messages


async def test_however_a_key_is_written_its_conversations_are_counted_together() -> None:
    from websockets.asyncio.client import connect

    headers = {"Authorization": "bearer  secret"}
    async with (
        serving(door=Door(keys=["secret"]), bounds=Bounds(sessions_per_user=1)) as host,
        calling(host, key="secret"),
        connect(f"ws://{host}/v1/realtime?key=secret", additional_headers=headers, proxy=None) as socket,
    ):
        assert json.loads(await socket.recv())["error"]["code"] == "too_many_live_of_user"


async def test_browsers_give_their_key_as_a_subprotocol_which_is_not_sent_back() -> None:
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    names = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.secret"), Subprotocol("other")]
    async with (
        serving(door=Door(keys=["secret"])) as host,
        connect(f"ws://{host}/v1/realtime", subprotocols=names, proxy=None) as socket,
    ):
        assert socket.subprotocol == "realtime"
        assert json.loads(await socket.recv())["type"] == "session.created"


async def test_only_so_many_conversations_are_held_at_once() -> None:
    async with serving(bounds=Bounds(sessions=2, sessions_per_user=1)) as host:
        async with calling(host):
            with pytest.raises(AssertionError):  # no session.created
                async with calling(host):
                    pass
        async with calling(host) as caller:
            assert (await caller.say("Hi")).response.status == "completed"


async def test_a_conversation_that_lasts_too_long_is_ended_with_a_word() -> None:
    async with serving(bounds=Bounds(session_seconds=0.5)) as host, calling(host) as caller:
        error = (await caller.until("error")).error
        assert error.code == "session_expired"
        with pytest.raises(ConnectionClosed):
            await caller.next()
