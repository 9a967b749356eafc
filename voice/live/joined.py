"""The reply to a typed line or a recording: the session writes and speaks it, the live conversation lets it be heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from voice.live.events import ReplyCalled, ReplySpoke, ReplyWrote
from voice.live.reply import Reply
from voice.session import Session
from voice.session_events import Failed, Finished, Heard, ReplyGrew, Spoke, Stopped, TurnEvent
from voice.speaking import PhraseBegun
from voice.turns.events import ReplyEnded, ReplyFailed, ReplyReady


class JoinedReply(Reply):
    """Whoever makes it tells it of the session's turn; its line and its item are the session's."""

    def __init__(
        self,
        number: int,
        item: str,
        session: Session,
        tell: Callable[[ReplyReady | ReplyEnded | ReplyFailed], None],
        pass_on: Callable[[Reply, ReplyWrote | ReplySpoke | ReplyCalled], None],
    ) -> None:
        """`item`: what it will be in the conversation."""
        super().__init__(number, None, None, tell, pass_on, lambda reply: None)
        self.item = item
        self.aloud, self.mute = True, False
        self.said = ""
        """What it answers; "" as long as that is not known."""
        self.asked_item = ""
        """Where that stands already, though the session has not written it down."""
        self.failed = False
        self.is_written = False
        """Whether the session has written it down, and will no more."""
        self.cut_ms: float | None = None
        """So much of it was heard, if it was cut."""
        self.interrupted = False
        """Cut by the user's voice."""
        self._session = session
        self._phrases = self._phrases_with_sound = 0

    @property
    def status(self) -> Literal["completed", "failed", "incomplete"]:
        return "failed" if self.failed else "completed"

    def follow(self, event: TurnEvent) -> None:
        """What the session tells of its turn."""
        match event:
            case Heard(text=text):
                self.said = text
            case ReplyGrew(text=text):
                self.text = text
            case PhraseBegun():
                self._phrases += 1
                self._take(event)
            case Spoke(speech=speech):
                self._phrases_with_sound = speech.number + 1
                self._take(speech)
            case Failed():
                self.failed = True
            case Finished():
                self._end()
            case Stopped():
                self.is_written = True
            case _:
                pass

    def stop(self) -> None:
        super().stop()
        if not self.is_written:
            self._session.cancel()

    def _end(self) -> None:
        self.is_written = True
        if self._stopped:
            return
        # What its voice failed to say is there to be read; what has no sound, as a smile, is no failure.
        self.mute = self.failed and self._phrases > self._phrases_with_sound
        self.spoken.finish()
        self.ended = True
        self._tell(ReplyFailed(self.number) if self.failed else ReplyEnded(self.number))
