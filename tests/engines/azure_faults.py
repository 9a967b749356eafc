"""The faults of Azure Speech, as rows of the fault table."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from tests.emulators.azure_speech import (
    END,
    STALL,
    AzureSpeechServer,
    Close,
    Drop,
    Final,
    Hearing,
    Partial,
    Saying,
    hearing,
    hum,
    say_nothing_new,
    saying,
)
from tests.emulators.loopback import Pause
from tests.engines.fault_turns import (
    KEY,
    PATIENT,
    USUAL,
    Outcome,
    Service,
    Told,
    conversing,
    meet_and_go_on,
    read,
    serving,
)
from tests.fakes import FakeChat, FakeSpeechToText, FakeTextToSpeech
from voice.engines import BadInput, Engines, Rejected, Unavailable
from voice.engines.azure_connection import SpeechResource
from voice.engines.azure_recognition import AzureSpeechToText
from voice.engines.azure_synthesis import AzureTextToSpeech
from voice.session_events import TurnEvent

TIMEOUT = 4.0
"""Where the fault is to be waited for."""


@dataclass(frozen=True)
class SpeechFault:
    """`warm`: it strikes a connection that served a turn before."""

    told: Told
    steps: tuple[Hearing | Saying, ...] = ()
    handshake: int | Pause | None = None
    refused: bool = False
    warm: bool = False

    async def meet(self, service: Service, recording: Path) -> Outcome:
        timeout_seconds = TIMEOUT if self.told in (TIMED_OUT, VOICE_FAILED, None) else PATIENT
        async with serving(AzureSpeechServer()) as server:
            resource = SpeechResource(key=KEY, host=server.host)
            if service == "hears":
                ears = AzureSpeechToText(resource, timeout_seconds=timeout_seconds)
                engines = Engines(ears, FakeChat(), FakeTextToSpeech())
            else:
                mouth = AzureTextToSpeech(resource, timeout_seconds=timeout_seconds)
                engines = Engines(FakeSpeechToText(), FakeChat(), mouth)
            async with conversing(engines) as session:

                def take_turn() -> AsyncGenerator[TurnEvent, None]:
                    if service == "hears":
                        return session.answer_recording(recording, USUAL)
                    return session.answer_text("Hello", USUAL)

                if self.warm:
                    await read(take_turn())
                if self.warm and self.handshake:
                    server.drop_connections()
                server.handshake = self.handshake
                if self.steps:
                    server.recognise, server.speak = hearing(*self.steps), saying(*self.steps)  # type: ignore[arg-type]
                if self.refused:
                    await anyio.to_thread.run_sync(server.pause_listening)

                def mend() -> None:
                    server.recognise, server.speak, server.handshake = say_nothing_new, hum, None
                    if self.refused:
                        server.resume_listening()

                return await meet_and_go_on(session, take_turn, mend)


KEY_REFUSED = (Rejected, "speech_key_refused")
UNREACHABLE = (Unavailable, "speech_unreachable")
QUOTA = (Unavailable, "speech_quota")
TIMED_OUT = (Unavailable, "speech_timeout")
REFUSED = (Rejected, "speech_refused")
VOICE_FAILED = (Unavailable, "voice_failed")
NOTHING_HEARD = (BadInput, "nothing_heard")

OF_BOTH: Mapping[str, SpeechFault] = {
    "401": SpeechFault(KEY_REFUSED, handshake=401),
    "403": SpeechFault(KEY_REFUSED, handshake=403),
    "429": SpeechFault(QUOTA, handshake=429),
    "500": SpeechFault(UNREACHABLE, handshake=500),
    "503": SpeechFault(UNREACHABLE, handshake=503),
    "refused": SpeechFault(UNREACHABLE, refused=True),
    "tcp drop": SpeechFault(UNREACHABLE, (Drop,)),
    "1011": SpeechFault(UNREACHABLE, (Close(1011, "oops"),)),
    "1007": SpeechFault(REFUSED, (Close(1007, "bad"),)),
    "1000 repeated": SpeechFault(TIMED_OUT, (Close(1000),)),
    "silent": SpeechFault(TIMED_OUT, (STALL,)),
    "stalled handshake": SpeechFault(TIMED_OUT, handshake=STALL),
}
DRIP = Pause(0.9)
OF_HEARING: Mapping[str, SpeechFault] = {
    **OF_BOTH,
    "tcp drop after a partial": SpeechFault(UNREACHABLE, (Partial("he"), Drop)),
    "1011 after a partial": SpeechFault(UNREACHABLE, (Partial("he"), Close(1011))),
    "1000 after a partial": SpeechFault(TIMED_OUT, (Partial("he"), Close(1000))),
    "stall after a partial": SpeechFault(TIMED_OUT, (Partial("he"), STALL)),
    "no match": SpeechFault(NOTHING_HEARD, (END, Final("", status="NoMatch"))),
    "initial silence": SpeechFault(NOTHING_HEARD, (END, Final("", status="InitialSilenceTimeout"))),
    "babble": SpeechFault(NOTHING_HEARD, (END, Final("", status="BabbleTimeout"))),
    "errors of the service": SpeechFault(UNREACHABLE, (Final("", status="Error"),)),
    "slow drip": SpeechFault(
        None, (END, *[each for i in range(6) for each in (DRIP, Partial("a" * (i + 1)))], Final("Aaaa."))
    ),
}
OF_SAYING: Mapping[str, SpeechFault] = {
    **OF_BOTH,
    "tcp drop after first audio": SpeechFault(VOICE_FAILED, (bytes(4800), Drop)),
    "1011 after first audio": SpeechFault(VOICE_FAILED, (bytes(4800), Close(1011))),
    "1000 after first audio": SpeechFault(VOICE_FAILED, (bytes(4800), Close(1000))),
    "stall after first audio": SpeechFault(VOICE_FAILED, (bytes(4800), STALL)),
    "slow drip": SpeechFault(None, (DRIP, bytes(960)) * 6),
}
