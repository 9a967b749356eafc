"""A live conversation in the Realtime protocol's words: what a client's events ask for, and what it is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar

import anyio
from anyio.lowlevel import checkpoint
from openai.types.realtime import (
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    OutputAudioBufferClearEvent,
    ResponseCancelEvent,
)
from pydantic import BaseModel

from voice import texts
from voice.engines import EngineError
from voice.live import LiveLimits, LiveSession, ReplyWish
from voice.live.events import (
    FinalHeard,
    HearingFailed,
    LiveEvent,
    PhaseChanged,
    ReplyCalled,
    ReplyDone,
    ReplySpoke,
    ReplyStarted,
    ReplyWrote,
    SpeechStarted,
    SpeechStopped,
    TurnTimes,
    UtteranceCommitted,
)
from voice.session import Preferences, Session
from voice.turns.events import Cancelled, Cleared, Committed, Phase, Rules, RulesChanged
from voice.web.realtime.audio import AppendReader
from voice.web.realtime.events import (
    CLIENT_EVENTS,
    ItemCreate,
    Refused,
    ResponseCreate,
    ServerEvent,
    SessionUpdate,
    make_error,
    make_event,
    make_id,
    parse_event,
    read_object,
    show,
)
from voice.web.realtime.idle import IdleTimer
from voice.web.realtime.items import Items, make_utterance
from voice.web.realtime.replies import Replies
from voice.web.realtime.response import read_metadata
from voice.web.realtime.session import AUTO_VOICE, AudioOutput, ServerVad, Setup

log = logging.getLogger(__name__)

SHORTEST_COMMIT_MS = 100
SILENCE_KEPT_MS = 2_500
"""A little more than what a hands-free session keeps of sound in which nobody spoke."""


class Talk:
    """One client's. Whoever makes it calls `begin`, runs `run`, and calls `end`."""

    kinds: ClassVar[Mapping[str, type[BaseModel]]] = CLIENT_EVENTS

    def __init__(
        self,
        session: Session,
        send: Callable[[ServerEvent], None],
        rules: Rules,
        limits: LiveLimits,
        seconds: float,
        observe: Callable[[LiveEvent], None],
        model: str = "kaiwa",
        tells_times: bool = False,
    ) -> None:
        """`rules`: what the protocol has no words for. `seconds`: how long it may last. `model`: as the client calls it.

        `observe`: is told what happens, before the client. `tells_times`: whether the client wants `kaiwa.metrics`.
        """
        self.session = session
        self.send = send
        self._observe = observe
        self._tells_times = tells_times
        self.setup = Setup(id=make_id("sess"), model=model, expires_at=int(time.time() + seconds))
        self._usual_rules = rules
        self._preferences = session.preferences
        self.live = LiveSession(session, self.tell, self.choose_rules(), limits)
        self.items = Items(session.conversation)
        self.replies = Replies(self.items)
        self._reader = AppendReader()
        self._hears_speech = False
        self._idle = IdleTimer(self._end_idleness)
        self._idle_from_ms = 0

    def choose_rules(self) -> Rules:
        return self.setup.read_rules(self._usual_rules)

    def begin(self) -> None:
        """The client is there; nothing is told before."""
        self.send(make_event("session.created", session=self.setup.show()))

    async def run(self) -> None:
        """Converse until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._idle.run)
            await self.live.run()

    def end(self) -> None:
        """The client is gone."""

    async def take(self, message: str | bytes) -> None:
        """What the client sent. Whatever it is, the conversation goes on."""
        name: object = None
        try:
            fields = read_object(message)
            name = fields.get("event_id")
            event = parse_event(fields, self.kinds)
            if isinstance(event, InputAudioBufferAppendEvent):
                await self._append(event.audio)
            else:
                self.carry_out(event)
        except Refused as refused:
            self.send(make_error(refused, name))
        except EngineError as error:
            sentence = texts.say(error.sentence, self.session.language, **error.details)
            self.send(make_error(Refused("invalid_value", sentence), name))
        except Exception:
            log.exception("A client's event broke")
            self.send(make_error(Refused("server_error", "The server failed at this event."), name))

    def carry_out(self, event: BaseModel) -> None:
        """Do what the client asks for, by any event but an append.

        Raises:
            Refused: it cannot be done.
            EngineError: likewise.
        """
        match event:
            case SessionUpdate():
                self._update(event.session)
            case InputAudioBufferCommitEvent():
                self._commit()
            case InputAudioBufferClearEvent():
                self._reader.clear()
                self._hears_speech = False
                self.live.tell(Cleared(self.live.heard_ms))
                self.send(make_event("input_audio_buffer.cleared"))
            case OutputAudioBufferClearEvent():
                self.send(make_event("output_audio_buffer.cleared", response_id=self.cancel(None)))
            case ItemCreate():
                item, before = self.items.create(event.item, event.previous_item_id)
                self.send(make_event("conversation.item.added", item=item, previous_item_id=before))
                self.send(make_event("conversation.item.done", item=item, previous_item_id=before))
            case ConversationItemRetrieveEvent():
                self._retrieve(event.item_id)
            case ConversationItemTruncateEvent():
                self._truncate(event)
            case ConversationItemDeleteEvent():
                self._delete(event.item_id)
            case ResponseCreate():
                self._ask(event.response or {})
            case ResponseCancelEvent():
                self.cancel(event.response_id)

    def tell(self, event: LiveEvent) -> None:
        """What happened in the conversation."""
        self._observe(event)
        self.show(event)

    def show(self, event: LiveEvent) -> None:
        """Put it on the wire."""
        match event:
            case PhaseChanged(phase=phase):
                self._watch_idleness(phase)
            case SpeechStarted(item=item, at_ms=at_ms):
                self._hears_speech = True
                from_ms = max(at_ms - self.live.rules.prefix_ms, 0)
                self._tell_speech("started", item_id=item, audio_start_ms=from_ms)
            case SpeechStopped(item=item, at_ms=at_ms):
                self._tell_speech("stopped", item_id=item, audio_end_ms=at_ms)
            case UtteranceCommitted(item=item):
                self._hears_speech = False
                self._tell_committed(item)
            case FinalHeard(item=item, text=text, seconds=seconds):
                self.items.put(make_utterance(item, text))
                usage = {"type": "duration", "seconds": seconds}
                self._tell_transcription("completed", item, transcript=text, usage=usage)
            case HearingFailed(item=item, error=error):
                self.items.put(make_utterance(item, ""))
                message = texts.say(error.sentence, self.language, **error.details)
                problem = {"type": "server_error", "code": error.sentence, "message": message}
                self._tell_transcription("failed", item, error=problem)
            case ReplyStarted() | ReplyWrote() | ReplySpoke() | ReplyCalled() | ReplyDone():
                self.send_all(self.replies.follow(event, self.setup, self.language))
            case TurnTimes() if self._tells_times:
                self.send(make_event("kaiwa.metrics", **asdict(event)))
            case _:
                pass

    @property
    def language(self) -> str:
        return self.session.language

    def send_all(self, events: Iterable[ServerEvent]) -> None:
        for event in events:
            self.send(event)

    def _update(self, changes: Mapping[str, Any]) -> None:
        before = self.setup.audio.input
        self.setup = self._change_setup(changes, "session")
        after = self.setup.audio.input
        if after.format != before.format:
            self._reader.clear()
        if after.turn_detection != before.turn_detection:
            self._hears_speech = False
            self._idle.stop()  # what is wanted now counts from the next reply on
            self.live.tell(RulesChanged(self.choose_rules()))
        self.live.wish = self.setup.read_wish()
        self.session.preferences = self.choose_preferences()
        self.send(make_event("session.updated", session=self.setup.show()))

    def choose_preferences(self) -> Preferences:
        """What the session has no words for stays as the server's settings have it."""
        output, transcription = self.setup.audio.output, self.setup.audio.input.transcription
        language = transcription.language if transcription else None
        return replace(
            self._preferences,
            voice=self._choose_voice(output),
            speed=output.speed,
            language=language.split("-")[0].lower() if language else self._preferences.language,
        )

    async def _append(self, audio: str) -> None:
        pieces = await self._reader.read(audio, self.setup.audio.input.format)
        self.live.check_room(sum(piece.seconds for piece in pieces))
        for number, piece in enumerate(pieces):
            if number:
                await checkpoint()  # everybody else's turn, in the midst of a long one
            self.live.hear(piece)

    def _commit(self) -> None:
        waiting = self.live.untaken_ms
        detects = self.setup.audio.input.turn_detection is not None
        if detects and not self._hears_speech and waiting <= SILENCE_KEPT_MS:
            waiting = 0  # what is kept is silence, in case that somebody speaks
        if waiting < SHORTEST_COMMIT_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least {SHORTEST_COMMIT_MS} ms of "
                f"audio, but buffer only has {waiting} ms of audio.",
            )
        self.live.tell(Committed(self.live.heard_ms, self.live.heard_ms - waiting))

    def _retrieve(self, name: str) -> None:
        item = self.items.find(name)
        if item is None:
            raise Refused("item_retrieve_invalid_item_id", f"There is no item {show(name)}.", "item_id")
        self.send(make_event("conversation.item.retrieved", item=item))

    def _truncate(self, event: ConversationItemTruncateEvent) -> None:
        name = event.item_id
        item = self.items.find(name)
        if item is None and not self.items.is_gone(name):
            raise Refused("item_truncate_invalid_item_id", f"There is no item {show(name)}.", "item_id")
        if item is not None:
            try:
                text = self.live.cut_item(name, max(event.audio_end_ms, 0))
            except KeyError as exc:
                raise Refused(
                    "unsupported_content_type",
                    "Only model output audio messages can be truncated, and of those the last ones.",
                    "item_id",
                ) from exc
            self.replies.cut(name, text)
        self.send(
            make_event(
                "conversation.item.truncated",
                item_id=name,
                content_index=event.content_index,
                audio_end_ms=event.audio_end_ms,
            )
        )

    def _delete(self, name: str) -> None:
        if not self.items.is_gone(name):
            if self.items.find(name) is None:
                raise Refused("item_delete_invalid_item_id", f"There is no item {show(name)}.", "item_id")
            self.items.remove(name)
        self.send(make_event("conversation.item.deleted", item_id=name))

    def _ask(self, wanted: Mapping[str, Any]) -> None:
        if self.replies.active is not None:
            raise Refused(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self.replies.active}. Wait until the "
                "response is finished before creating a new one.",
            )
        if wanted.get("conversation") == "none" or wanted.get("input") is not None:
            raise Refused(
                "invalid_value",
                "Only responses to the conversation are made here, none beside it.",
                "response.conversation",
            )
        setup = self._change_setup(wanted, "response")
        self.send_all(self.replies.expect(setup, read_metadata(wanted)))
        # A program has its reply by now; what it plays of it is for it to say, by a truncation.
        self.end_playback()
        self.live.ask_reply(self._read_wish(setup))

    def _read_wish(self, setup: Setup) -> ReplyWish:
        """Of one reply. Where it changes nothing about the voice, what was chosen for all replies stays."""
        usual, output = self.setup.audio.output, setup.audio.output
        wish = setup.read_wish()
        if output.voice != usual.voice:
            wish = replace(wish, voice=self._choose_voice(output))
        if output.speed != usual.speed:
            wish = replace(wish, speed=output.speed)
        return wish

    def _change_setup(self, changes: Mapping[str, Any], where: str) -> Setup:
        """The session with these changes; a voice that this server has not, as one of another service, is none of them."""
        setup = self.setup.update(changes, where)
        name = setup.audio.output.voice_name
        if name == AUTO_VOICE or any(
            name == voice.name for voice in self.session.engines.text_to_speech.voices()
        ):
            return setup
        return setup.update({"audio": {"output": {"voice": self.setup.audio.output.voice}}})

    def _choose_voice(self, output: AudioOutput) -> str:
        """For the engine."""
        return self._preferences.voice if output.voice_name == AUTO_VOICE else output.voice_name

    def end_playback(self) -> None:
        """Take the last reply, all of which was sent, for heard."""
        if self.replies.last_done is not None:
            self.live.report_played(self.replies.last_done, 1 << 40, ended=True)

    def cancel(self, name: str | None) -> str:
        """The id of the response that is cancelled."""
        active = self.replies.active
        if active is None or name not in {None, active}:
            raise Refused(
                "response_cancel_not_active", "Cancellation failed: no active response found", "response_id"
            )
        self.live.tell(Cancelled())
        return active

    def _watch_idleness(self, phase: Phase) -> None:
        detection = self.setup.audio.input.turn_detection
        if phase is not Phase.LISTENING or not isinstance(detection, ServerVad):
            self._idle.stop()
        elif detection.idle_timeout_ms is not None and self.replies.last_done is not None:
            self._idle_from_ms = self.live.heard_ms
            self._idle.wind_up(detection.idle_timeout_ms)

    def _end_idleness(self) -> None:
        """The silence since the last reply is the user's turn."""
        name = make_id("item")
        heard = {"audio_start_ms": self._idle_from_ms, "audio_end_ms": self.live.heard_ms}
        self.send(make_event("input_audio_buffer.timeout_triggered", item_id=name, **heard))
        self._tell_committed(name)
        if self.replies.active is None:
            self._ask({})

    def _tell_speech(self, what: str, **fields: Any) -> None:
        if self.setup.audio.input.turn_detection is not None:
            self.send(make_event(f"input_audio_buffer.speech_{what}", **fields))

    def _tell_committed(self, name: str) -> None:
        item = make_utterance(name)
        before = self.items.put(item)
        self.send(make_event("input_audio_buffer.committed", item_id=name, previous_item_id=before))
        self.send(make_event("conversation.item.added", item=item, previous_item_id=before))
        self.send(make_event("conversation.item.done", item=item, previous_item_id=before))

    def _tell_transcription(self, what: str, name: str, **fields: Any) -> None:
        if self.setup.audio.input.transcription is not None:
            kind = f"conversation.item.input_audio_transcription.{what}"
            self.send(make_event(kind, item_id=name, content_index=0, **fields))
