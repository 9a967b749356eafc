"""Where speech begins and ends, frame by frame: the rule of `voice.listening.find_runs`, for sound that still comes."""

from __future__ import annotations

from dataclasses import dataclass

from voice.turns.events import Frame

LASTS = 0.3
"""Of the threshold: down to there speech, once begun, goes on. 0.15 at the usual 0.5, as in `voice.listening`."""
SHORTEST_PAUSE_MS = 100
"""Less is a stop consonant inside a word (silero-vad's default)."""
SHORTEST_SPEECH_MS = 96
"""A murmured "un" is three frames of speech, while clicks reach none (`voice.listening`)."""


@dataclass(frozen=True, slots=True)
class VoiceEdges:
    """What the frames so far tell. Moments in ms, as `Frame.at_ms`."""

    at_ms: int = 0
    """The end of the last frame."""
    began_ms: int | None = None
    """Where the sound that goes on began; it is speech only once it has lasted (`is_speech`)."""
    quiet_ms: int | None = None
    """Since when that sound is quiet, for too short yet to be over."""
    strong_ms: int = 0
    """Of that sound: how much is surely a voice."""
    ended_ms: int = 0
    """Where the last speech ended."""

    @property
    def is_speech(self) -> bool:
        if self.began_ms is None:
            return False
        end_ms = self.at_ms if self.quiet_ms is None else self.quiet_ms
        return end_ms - self.began_ms >= SHORTEST_SPEECH_MS

    @property
    def is_strong(self) -> bool:
        """Whether the last frame sounds like a voice: speech, or perhaps its first moment."""
        return self.began_ms is not None and self.quiet_ms is None

    @property
    def silence_ms(self) -> int:
        """Since speech ended; 0 while it lasts. Sound too short for speech is silence."""
        return 0 if self.is_speech else self.at_ms - self.ended_ms

    def hear(self, frame: Frame, threshold: float) -> VoiceEdges:
        """As it is after `frame`. One that is not newer than the last changes nothing."""
        at_ms, probability = frame.at_ms, frame.probability
        if at_ms <= self.at_ms:
            return self
        start_ms = at_ms - frame.length_ms
        began_ms, quiet_ms = self.began_ms, self.quiet_ms
        if probability >= threshold:
            began_ms = start_ms if began_ms is None else began_ms
            return VoiceEdges(at_ms, began_ms, None, self.strong_ms + frame.length_ms, self.ended_ms)
        if began_ms is None:
            return VoiceEdges(at_ms, ended_ms=self.ended_ms)
        if quiet_ms is None and probability < LASTS * threshold:
            quiet_ms = start_ms
        if quiet_ms is None or start_ms - quiet_ms < SHORTEST_PAUSE_MS:
            return VoiceEdges(at_ms, began_ms, quiet_ms, self.strong_ms, self.ended_ms)
        long_enough = quiet_ms - began_ms >= SHORTEST_SPEECH_MS
        return VoiceEdges(at_ms, ended_ms=quiet_ms if long_enough else self.ended_ms)
