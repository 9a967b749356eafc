"""Conversations for `voice.turns`, as data: what happens, and what is to be done about it."""

from __future__ import annotations

from tests.turns.scripts import Replies, Scenario
from voice.turns.events import (
    Cancelled,
    Cleared,
    Committed,
    FinalTranscript,
    IdlePassed,
    Patience,
    PauseScored,
    Phase,
    PlaybackEnded,
    ReplyAsked,
    ReplyEnded,
    ReplyFailed,
    ReplyJoined,
    ReplyReady,
    Rules,
    RulesChanged,
    TalkPressed,
    TalkReleased,
    TranscriptFailed,
    Woken,
)

PUSH_TO_TALK = Rules(hands_free=False)
MUTED = Rules(muted=True)
AT_ONCE = Rules(weighs_interruptions=False)
NO_REPLIES = Rules(replies=False)
BY_SOUND = Rules(scores_pauses=True)

GREETING = (
    ("speech", 1000, 2000),
    ("partial", 1600, "hello"),
    ("partial", 2300, "hello there"),
    ("final", 3016, "Hello there."),
)
"""A turn, answered by reply 1, which is heard from 3016 on, by default for two seconds."""
TYPED = ("tell", 1000, ReplyJoined(1))
"""A typed line, answered by reply 1, which is heard from 1500 on."""
ANSWERED = (
    "open 1",
    "started 1",
    "prepare 1 to 1: hello there",
    "stopped 1",
    "close 1",
    "keep 1: Hello there.",
    "release 1",
)

# Rows are easier to read here than one line for each event.
# fmt: off
SCENARIOS = (
    # Plain turns
    Scenario(
        "a turn in English is answered",
        GREETING,
        (*ANSWERED,),
    ),
    Scenario(
        "a turn in Japanese is answered",
        (
            ("speech", 1000, 2400), ("partial", 2000, "明日の天気は"), ("partial", 2700, "明日の天気はどうですか"),
            ("final", 3416, "明日の天気はどうですか？"),
        ),
        (
            "open 1", "started 1", "prepare 1 to 1: 明日の天気はどうですか", "stopped 1", "close 1",
            "keep 1: 明日の天気はどうですか？", "release 1",
        ),
    ),
    Scenario(
        "two turns are answered one after the other",
        (*GREETING, ("speech", 7000, 8000), ("partial", 8300, "and now"), ("final", 9600, "And now?")),
        (
            *ANSWERED, "open 2", "started 2", "prepare 2 to 2: and now", "stopped 2", "close 2",
            "keep 2: And now?", "release 2",
        ),
    ),
    Scenario(
        "a turn without partial transcripts is answered from its final one",
        (("speech", 1000, 2000), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
    ),
    Scenario(
        "without eager replies nothing is prepared before the final transcript",
        GREETING,
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
        rules=Rules(eager=False),
    ),
    Scenario(
        "a single click is no speech",
        (("speech", 1000, 1064),),
        (),
    ),
    Scenario(
        "noise without words is nothing",
        (("speech", 1000, 1500), ("final", 2400, "")),
        ("open 1", "started 1", "stopped 1", "close 1", "forget 1"),
    ),

    # Where a turn ends
    Scenario(
        "a hesitation in mid-sentence does not end the turn",
        (
            ("speech", 1000, 1800), ("partial", 2100, "I would like to"), ("speech", 2900, 3600),
            ("partial", 3300, "I would like to go"), ("partial", 3900, "I would like to go home"),
            ("final", 5000, "I would like to go home."),
        ),
        (
            "open 1", "started 1", "prepare 1 to 1: I would like to go home", "@4288 stopped 1", "close 1",
            "keep 1: I would like to go home.", "release 1",
        ),
    ),
    Scenario(
        "a trailing particle waits longer",
        (("speech", 1000, 1800), ("partial", 2100, "今日は"), ("final", 4000, "今日は")),
        (
            "open 1", "started 1", "@3296 stopped 1", "close 1", "prepare 1 to 1: 今日は", "keep 1: 今日は",
            "release 1",
        ),
    ),
    Scenario(
        "a filler waits longer",
        (
            ("speech", 1000, 1800), ("partial", 2100, "えーと"), ("speech", 2900, 3600),
            ("partial", 3900, "えーと明日ですか"), ("final", 4700, "えーと、明日ですか"),
        ),
        (
            "open 1", "started 1", "prepare 1 to 1: えーと明日ですか", "@4096 stopped 1", "close 1",
            "keep 1: えーと、明日ですか", "release 1",
        ),
    ),
    Scenario(
        "a finished sentence is over soon",
        (("speech", 1000, 1800), ("partial", 2100, "お願いします"), ("final", 2600, "お願いします。")),
        (
            "open 1", "started 1", "prepare 1 to 1: お願いします", "@2304 stopped 1", "close 1",
            "keep 1: お願いします。", "release 1",
        ),
    ),
    Scenario(
        "a quick conversation is over sooner",
        (("speech", 1000, 1800), ("partial", 2100, "お願いします"), ("final", 2600, "お願いします。")),
        (
            "open 1", "started 1", "prepare 1 to 1: お願いします", "@2112 stopped 1", "close 1",
            "keep 1: お願いします。", "release 1",
        ),
        rules=Rules(patience=Patience.QUICK),
    ),
    Scenario(
        "a patient conversation waits",
        (("speech", 1000, 1800), ("partial", 2100, "お願いします"), ("final", 3200, "お願いします。")),
        (
            "open 1", "started 1", "prepare 1 to 1: お願いします", "@2720 stopped 1", "close 1",
            "keep 1: お願いします。", "release 1",
        ),
        rules=Rules(patience=Patience.PATIENT),
    ),
    Scenario(
        "a told silence ends the turn, whatever was said",
        (("speech", 1000, 1800), ("partial", 2100, "I would like to"), ("final", 2600, "I would like to")),
        (
            "open 1", "started 1", "@2208 stopped 1", "close 1", "prepare 1 to 1: I would like to",
            "keep 1: I would like to", "release 1",
        ),
        rules=Rules(silence_ms=400),
    ),
    Scenario(
        "a partial transcript that comes in the pause is judged at once",
        (
            ("speech", 1000, 1800), ("partial", 1900, "お願い"), ("partial", 2480, "お願いします", 1800),
            ("final", 2900, "お願いします。"),
        ),
        (
            "open 1", "started 1", "prepare 1 to 1: お願い", "@2304 stopped 1", "close 1", "drop 1",
            "prepare 2 to 1: お願いします", "keep 1: お願いします。", "release 2",
        ),
    ),
    Scenario(
        "words that lag behind do not end the turn early",
        (
            ("speech", 1000, 3000), ("partial", 1800, "そうですか", 1500),
            ("final", 4100, "そうですか、でも明日は"),
        ),
        (
            "open 1", "started 1", "@3680 stopped 1", "close 1", "keep 1: そうですか、でも明日は", "prepare 1 to 1",
            "release 1",
        ),
    ),

    # How it sounds
    Scenario(
        "a turn that sounds complete needs less silence",
        (*GREETING[:3], ("score", 2250, 1.0), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "@2144 score 1", "prepare 1 to 1: hello there", "stopped 1", "@2496 close 1",
            "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a turn that sounds incomplete is given more silence",
        (*GREETING[:3], ("score", 2250, 0.0), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "@2144 score 1", "prepare 1 to 1: hello there", "stopped 1", "@2976 close 1",
            "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a turn without a hint ends as by its words",
        (*GREETING[:3], ("score", 2800, 1.0), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "@2144 score 1", "prepare 1 to 1: hello there", "stopped 1", "@2688 close 1",
            "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "who hangs on a particle is given time, however it sounds",
        (
            ("speech", 1000, 2000), ("partial", 2100, "明日は", 2000), ("score", 2250, 1.0),
            ("final", 4000, "明日は"),
        ),
        (
            "open 1", "started 1", "score 1", "stopped 1", "@3488 close 1", "prepare 1 to 1: 明日は",
            "keep 1: 明日は", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a hint of one pause says nothing about the next",
        (
            ("speech", 1000, 2000), ("score", 2210, 0.0), ("speech", 2300, 3000),
            ("partial", 3100, "hello there", 3000), ("final", 4000, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2144 score 1", "@3136 score 1", "prepare 1 to 1: hello there", "stopped 1",
            "@3680 close 1", "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a hint that comes when the user speaks again is ignored",
        (
            ("speech", 1000, 2000), ("speech", 2300, 3000), ("score", 2600, 1.0),
            ("partial", 3050, "hello there", 3000), ("final", 4000, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2144 score 1", "@3136 score 1", "prepare 1 to 1: hello there", "stopped 1",
            "@3680 close 1", "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a late hint about an earlier pause is ignored in the next",
        (
            ("speech", 1000, 2000), ("speech", 2300, 3000), ("partial", 3100, "hello there", 3000),
            ("tell", 3200, PauseScored(1, 1984, 1.0)), ("final", 4000, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2144 score 1", "@3136 score 1", "prepare 1 to 1: hello there", "stopped 1",
            "@3680 close 1", "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a hint is forgotten with its pause, also where no further one is asked for",
        (
            ("speech", 1000, 2000), ("score", 2210, 0.0), ("speech", 2300, 3000), ("tell", 2500, RulesChanged(Rules())),
            ("partial", 3100, "hello there", 3000), ("final", 4000, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2144 score 1", "prepare 1 to 1: hello there", "stopped 1", "@3680 close 1",
            "keep 1: Hello there.", "release 1",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "a hint about a dead turn is ignored",
        (
            *GREETING, ("tell", 3050, PauseScored(1, 2016, 1.0)), ("speech", 7000, 8000),
            ("tell", 8300, PauseScored(1, 8000, 1.0)), ("final", 9600, "And now?"),
        ),
        (
            "open 1", "started 1", "score 1", *ANSWERED[2:], "open 2", "started 2", "score 2", "stopped 2",
            "@8704 close 2", "keep 2: And now?", "prepare 2 to 2", "release 2",
        ),
        rules=BY_SOUND,
    ),
    Scenario(
        "where a fixed silence ends turns, nobody asks how they sound",
        GREETING,
        (*ANSWERED,),
        rules=Rules(scores_pauses=True, silence_ms=500),
    ),
    Scenario(
        "nobody asks how a turn sounds that a button ends",
        (
            ("tell", 1000, TalkPressed(1000)), ("speech", 1100, 2000), ("tell", 3000, TalkReleased(3000)),
            ("final", 3500, "Hello."),
        ),
        ("open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello.", "prepare 1 to 1", "release 1"),
        rules=Rules(scores_pauses=True, hands_free=False),
    ),

    # Eager replies
    Scenario(
        "a reply that was prepared on other words is dropped",
        (("speech", 1000, 2000), ("partial", 2300, "hello bear"), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "@2304 prepare 1 to 1: hello bear", "stopped 1", "close 1", "drop 1",
            "keep 1: Hello there.", "@3040 prepare 2 to 1", "@3040 release 2",
        ),
    ),
    Scenario(
        "a better partial transcript prepares anew",
        (
            ("speech", 1000, 2000), ("partial", 2250, "hello bear"), ("partial", 2350, "hello there"),
            ("final", 3016, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2272 prepare 1 to 1: hello bear", "drop 1",
            "@2368 prepare 2 to 1: hello there", "stopped 1", "close 1", "keep 1: Hello there.",
            "@3040 release 2",
        ),
    ),
    Scenario(
        "going on with new words drops what was prepared",
        (
            ("speech", 1000, 2000), ("partial", 2300, "hello there"), ("speech", 2450, 3000),
            ("partial", 2900, "hello there my"), ("partial", 3300, "hello there my friend"),
            ("final", 4100, "Hello there, my friend."),
        ),
        (
            "open 1", "started 1", "@2304 prepare 1 to 1: hello there", "drop 1",
            "@3328 prepare 2 to 1: hello there my friend", "stopped 1", "close 1",
            "keep 1: Hello there, my friend.", "@4128 release 2",
        ),
    ),
    Scenario(
        "going on without new words keeps what was prepared",
        (
            ("speech", 1000, 2000), ("partial", 2300, "hello there"), ("speech", 2450, 2600),
            ("partial", 2900, "hello there"), ("final", 4100, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2304 prepare 1 to 1: hello there", "stopped 1", "close 1",
            "keep 1: Hello there.", "@4128 release 1",
        ),
    ),
    Scenario(
        "no more replies are prepared in vain than allowed",
        (
            ("speech", 1000, 2000), ("partial", 2200, "a b"), ("partial", 2250, "a c"),
            ("partial", 2300, "a d"), ("partial", 2350, "a e"), ("final", 3016, "A f."),
        ),
        (
            "open 1", "started 1", "@2208 prepare 1 to 1: a b", "drop 1", "@2272 prepare 2 to 1: a c",
            "drop 2", "stopped 1", "close 1", "keep 1: A f.", "@3040 prepare 3 to 1", "@3040 release 3",
        ),
        rules=Rules(eager_replies=2),
    ),
    Scenario(
        "where the engine does not tell of which sound a partial is, the pause tells",
        (("speech", 1000, 2000), ("partial", 2200, "hello there", None), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "@2336 prepare 1 to 1: hello there", "stopped 1", "close 1",
            "keep 1: Hello there.", "@3040 release 1",
        ),
    ),
    Scenario(
        "a partial that comes after the turn's end still prepares the reply",
        (("speech", 1000, 2000), ("partial", 2300, "お願いします", 1900), ("final", 3016, "お願いします。")),
        (
            "open 1", "started 1", "stopped 1", "close 1", "@2304 prepare 1 to 1: お願いします",
            "keep 1: お願いします。", "@3040 release 1",
        ),
        rules=Rules(silence_ms=200),
    ),
    Scenario(
        "a reply that was ready early is heard with the final transcript",
        GREETING,
        (
            "open 1", "started 1", "@2304 prepare 1 to 1: hello there", "stopped 1", "close 1",
            "keep 1: Hello there.", "@3040 release 1",
        ),
        replies=Replies(first_ms=100),
    ),

    # Interruptions
    Scenario(
        "words over the reply stop it",
        (
            *GREETING, ("speech", 3500, 5000), ("partial", 4000, "no not that"),
            ("partial", 5300, "no not that one"), ("final", 6016, "No, not that one."),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4000 started 2", "@4000 cut 1, interrupted",
            "prepare 2 to 2: no not that one", "stopped 2", "close 2", "keep 2: No, not that one.",
            "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "speech stops the reply at once where nothing is weighed",
        (
            *GREETING, ("speech", 3500, 5000), ("partial", 5300, "no not that one"),
            ("final", 6016, "No, not that one."),
        ),
        (
            *ANSWERED, "open 2", "@3584 started 2", "@3584 cut 1, interrupted",
            "prepare 2 to 2: no not that one", "stopped 2", "close 2", "keep 2: No, not that one.",
            "release 2",
        ),
        rules=AT_ONCE, replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a long speech stops the reply before any word of it is known",
        (*GREETING, ("speech", 3500, 5000), ("final", 6016, "No, not that one.")),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4096 started 2", "@4096 cut 1, interrupted", "stopped 2",
            "close 2", "keep 2: No, not that one.", "prepare 2 to 2", "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a cough does not stop the reply",
        (*GREETING, ("speech", 3500, 3630)),
        (*ANSWERED, "open 2", "forget 2"),
    ),
    Scenario(
        "a door does not stop the reply for long",
        (*GREETING, ("speech", 3500, 3900)),
        (*ANSWERED, "open 2", "@3648 hold 1", "@4576 resume 1", "forget 2"),
    ),
    Scenario(
        "a back-channel does not stop the reply for long",
        (*GREETING, ("speech", 3500, 3900), ("partial", 3950, "うん")),
        (*ANSWERED, "open 2", "@3648 hold 1", "@4224 resume 1", "forget 2"),
    ),
    Scenario(
        "a back-channel whose words come late does not stop the reply for long",
        (*GREETING, ("speech", 3500, 3900), ("partial", 4250, "uh-huh")),
        (*ANSWERED, "open 2", "@3648 hold 1", "@4256 resume 1", "forget 2"),
    ),
    Scenario(
        "a stop word stops the reply, however short",
        (*GREETING, ("speech", 3500, 3900), ("partial", 4100, "待って"), ("final", 4900, "待って。")),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4128 started 2", "@4128 cut 1, interrupted",
            "prepare 2 to 2: 待って", "stopped 2", "close 2", "keep 2: 待って。", "release 2",
        ),
        replies=Replies(words="少し待ってください"),
    ),
    Scenario(
        "a stop word stops the reply even if a busy recogniser has it only after the reply went on",
        (*GREETING, ("speech", 3500, 3900), ("partial", 4900, "stop"), ("final", 5300, "Stop!")),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4576 resume 1", "@4928 started 2",
            "@4928 cut 1, interrupted", "prepare 2 to 2: stop", "stopped 2", "close 2", "keep 2: Stop!",
            "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a back-channel that a busy recogniser has late does not stop the reply",
        (*GREETING, ("speech", 3500, 3900), ("partial", 4900, "uh-huh")),
        (*ANSWERED, "open 2", "@3648 hold 1", "@4576 resume 1", "forget 2"),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a back-channel with words behind it stops the reply",
        (
            *GREETING, ("speech", 3500, 4600), ("partial", 3900, "うん"), ("partial", 4300, "うんでも明日"),
            ("partial", 4900, "うんでも明日は雨ですか"), ("final", 5500, "うん、でも明日は雨ですか？"),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4320 started 2", "@4320 cut 1, interrupted",
            "prepare 2 to 2: うんでも明日は雨ですか", "stopped 2", "close 2", "keep 2: うん、でも明日は雨ですか？", "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "the reply's own echo does not stop it",
        (
            *GREETING, ("speech", 3500, 4500), ("partial", 3900, "the"),
            ("partial", 4200, "the weather will be"), ("partial", 4800, "the weather will be fine"),
        ),
        (*ANSWERED, "open 2", "@3648 hold 1", "@4800 resume 1", "forget 2"),
        replies=Replies(words="The weather will be fine tomorrow.", lasts_ms=3000),
    ),
    Scenario(
        "a reply that was found to echo is not held for its echo again",
        (
            *GREETING, ("speech", 3500, 4500), ("partial", 4000, "the weather"),
            ("partial", 4800, "the weather will be fine"), ("speech", 5400, 6400),
            ("partial", 6100, "tomorrow in"), ("partial", 6700, "tomorrow in all off Japan"),
        ),
        (*ANSWERED, "open 2", "@3648 hold 1", "@4800 resume 1", "forget 2", "open 3", "forget 3"),
        replies=Replies(words="The weather will be fine tomorrow, in all of Japan.", lasts_ms=5000),
    ),
    Scenario(
        "words over an echo stop the reply",
        (
            *GREETING, ("speech", 3500, 4500), ("partial", 4000, "the weather"),
            ("partial", 4800, "the weather will be fine"), ("speech", 5400, 7400),
            ("partial", 6100, "tomorrow in"), ("partial", 7100, "tomorrow in all tell me about monday"),
            ("final", 8500, "Tell me about Monday."),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4800 resume 1", "forget 2", "open 3", "@7104 started 3",
            "@7104 cut 1, interrupted", "stopped 3", "close 3", "keep 3: Tell me about Monday.",
            "prepare 2 to 3", "release 2",
        ),
        replies=Replies(words="The weather will be fine tomorrow, in all of Japan.", lasts_ms=9000),
    ),
    Scenario(
        "who says yeah and then goes on has interrupted with all of it",
        (
            *GREETING, ("speech", 3500, 3900), ("partial", 4200, "yeah"), ("speech", 4350, 5300),
            ("partial", 5000, "yeah but when is it"), ("partial", 5600, "yeah but when is it", 5300),
            ("final", 6300, "Yeah, but when is it?"),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4224 resume 1", "@4480 hold 1", "@5024 started 2",
            "@5024 cut 1, interrupted", "prepare 2 to 2: yeah but when is it", "stopped 2", "close 2",
            "keep 2: Yeah, but when is it?", "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "words said to nobody while a reply is cancelled are a turn",
        (
            *GREETING, ("speech", 3500, 4500), ("tell", 3700, Cancelled()), ("partial", 4800, "yes"),
            ("final", 5500, "Yes."),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@3712 cut 1", "@3712 started 2", "prepare 2 to 2: yes",
            "stopped 2", "close 2", "keep 2: Yes.", "release 2",
        ),
    ),
    Scenario(
        "rules that stop weighing stop the reply that is held",
        (*GREETING, ("speech", 3500, 4500), ("tell", 3700, RulesChanged(AT_ONCE)), ("final", 5500, "Stop.")),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@3712 started 2", "@3712 cut 1, interrupted", "stopped 2",
            "close 2", "keep 2: Stop.", "prepare 2 to 2", "release 2",
        ),
    ),
    Scenario(
        "one of the reply's words, said by itself, stops it",
        (*GREETING, ("speech", 3500, 3900), ("partial", 4200, "coffee"), ("final", 4900, "Coffee.")),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4224 started 2", "@4224 cut 1, interrupted",
            "prepare 2 to 2: coffee", "stopped 2", "close 2", "keep 2: Coffee.", "release 2",
        ),
        replies=Replies(words="Would you like tea or coffee?", lasts_ms=9000),
    ),
    Scenario(
        "what interrupts and then repeats the reply is the reply's echo",
        (*GREETING, ("speech", 3500, 4500), ("final", 5300, "The weather will be fine.")),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4096 started 2", "@4096 cut 1, interrupted", "stopped 2",
            "close 2", "forget 2",
        ),
        replies=Replies(words="The weather will be fine tomorrow.", lasts_ms=9000),
    ),
    Scenario(
        "two coughs, and then words",
        (
            *GREETING, ("speech", 3400, 3500), ("speech", 3700, 3830), ("speech", 4700, 5700),
            ("partial", 5100, "tell me more"), ("final", 6700, "Tell me more."),
        ),
        (
            *ANSWERED, "open 2", "forget 2", "open 3", "@4832 hold 1", "@5120 started 3",
            "@5120 cut 1, interrupted", "stopped 3", "close 3", "keep 3: Tell me more.", "prepare 2 to 3",
            "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a held reply is interrupted after all by the words that come in the pause",
        (
            *GREETING, ("speech", 3500, 3900), ("partial", 4300, "what about friday"),
            ("final", 4900, "What about Friday?"),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4320 started 2", "@4320 cut 1, interrupted",
            "prepare 2 to 2: what about friday", "stopped 2", "close 2", "keep 2: What about Friday?",
            "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a resumed reply is interrupted later",
        (
            *GREETING, ("speech", 3500, 3900), ("partial", 4200, "yeah"), ("speech", 4600, 5600),
            ("partial", 5000, "but when"), ("partial", 5900, "but when is it"),
            ("final", 6500, "But when is it?"),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4224 resume 1", "forget 2", "open 3", "@4736 hold 1",
            "@5024 started 3", "@5024 cut 1, interrupted", "prepare 2 to 3: but when is it", "stopped 3",
            "close 3", "keep 3: But when is it?", "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "the reply to an interruption is interrupted",
        (
            *GREETING, ("speech", 3500, 4500), ("partial", 4000, "no not that"),
            ("partial", 4800, "no not that one"), ("final", 5300, "No, not that one."), ("speech", 6000, 7000),
            ("partial", 6500, "what else"), ("final", 7800, "What else?"),
        ),
        (
            *ANSWERED, "open 2", "@3648 hold 1", "@4000 started 2", "@4000 cut 1, interrupted",
            "prepare 2 to 2: no not that one", "stopped 2", "close 2", "keep 2: No, not that one.",
            "release 2", "open 3", "@6144 hold 2", "@6528 started 3", "@6528 cut 2, interrupted", "stopped 3",
            "close 3", "keep 3: What else?", "prepare 3 to 3", "release 3",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "speech does not stop the reply where it must not, and is answered after it",
        (
            *GREETING, ("speech", 3500, 4500), ("partial", 4800, "tell me more"),
            ("final", 5300, "Tell me more."),
        ),
        (
            *ANSWERED, "open 2", "@3584 started 2", "stopped 2", "close 2", "keep 2: Tell me more.",
            "prepare 2 to 2", "release 2",
        ),
        rules=Rules(interrupts=False), replies=Replies(lasts_ms=4000),
    ),
    Scenario(
        "an answer that begins before the question is over is a turn",
        (*GREETING, ("speech", 4900, 5300), ("partial", 5600, "yes"), ("final", 6200, "Yes.")),
        (
            *ANSWERED, "open 2", "@5024 started 2", "prepare 2 to 2: yes", "stopped 2", "close 2",
            "keep 2: Yes.", "release 2",
        ),
    ),
    Scenario(
        "an answer that ends shortly before the question does is a turn",
        (*GREETING, ("speech", 4600, 4900), ("partial", 5200, "yes"), ("final", 6300, "Yes.")),
        (
            *ANSWERED, "open 2", "@4736 hold 1", "@5216 resume 1", "@5504 started 2", "prepare 2 to 2: yes",
            "stopped 2", "close 2", "keep 2: Yes.", "release 2",
        ),
    ),

    # Going on while a reply is thought of
    Scenario(
        "who goes on before the final transcript is answered once",
        (
            *GREETING[:3], ("speech", 2750, 4000), ("final", 3016, "Hello there."),
            ("partial", 3200, "how are"), ("partial", 4300, "how are you"), ("final", 5000, "How are you?"),
        ),
        (
            "open 1", "@1088 started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1", "open 2",
            "keep 1: Hello there.", "@3200 started 2", "drop 1", "prepare 2 to 2: how are you", "stopped 2",
            "close 2", "keep 2: How are you?", "release 2",
        ),
    ),
    Scenario(
        "who goes on before the reply is heard is answered once",
        (
            *GREETING, ("speech", 3050, 4000), ("partial", 3500, "how are"), ("partial", 4300, "how are you"),
            ("final", 5000, "How are you?"),
        ),
        (
            "open 1", "@1088 started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1", "open 2", "hold 1", "@3520 started 2", "cut 1, interrupted", "stopped 2", "close 2",
            "keep 2: How are you?", "prepare 2 to 2", "release 2",
        ),
        rules=Rules(eager=False), replies=Replies(first_ms=1500),
    ),
    Scenario(
        "a noise before the reply is heard costs nothing",
        (*GREETING, ("speech", 3100, 3400)),
        (
            "open 1", "@1088 started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1", "open 2", "hold 1", "resume 1", "forget 2",
        ),
        rules=Rules(eager=False), replies=Replies(first_ms=1000),
    ),
    Scenario(
        "a back-channel before the reply is heard costs nothing",
        (*GREETING, ("speech", 3100, 3500), ("partial", 3700, "うん")),
        (
            "open 1", "@1088 started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1", "open 2", "hold 1", "resume 1", "forget 2",
        ),
        rules=Rules(eager=False), replies=Replies(first_ms=1000),
    ),
    Scenario(
        "what seemed to go on and was nothing leaves the older words their reply",
        (*GREETING, ("speech", 3100, 4200), ("final", 5100, "")),
        (
            "open 1", "@1088 started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1", "open 2", "hold 1", "@3680 started 2", "cut 1, interrupted", "stopped 2", "close 2",
            "forget 2", "prepare 2 to 1", "release 2",
        ),
        rules=Rules(eager=False), replies=Replies(first_ms=2000),
    ),
    Scenario(
        "an older final transcript that comes late is kept, and answered with the newer",
        (
            *GREETING[:3], ("speech", 2750, 4000), ("partial", 3300, "how are"),
            ("final", 4100, "Hello there.", 1), ("partial", 4300, "how are you"),
            ("final", 5000, "How are you?"),
        ),
        (
            "open 1", "@1088 started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1", "open 2",
            "@3328 started 2", "drop 1", "keep 1: Hello there.", "prepare 2 to 2: how are you", "stopped 2",
            "close 2", "keep 2: How are you?", "release 2",
        ),
    ),
    Scenario(
        "final transcripts in the wrong order are both kept and answered together",
        (
            *GREETING[:3], ("speech", 2750, 4000), ("partial", 3300, "how are"),
            ("final", 4900, "How are you?", 2), ("final", 5100, "Hello there.", 1),
        ),
        (
            "open 1", "@1088 started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1", "open 2",
            "@3328 started 2", "drop 1", "stopped 2", "close 2", "keep 2: How are you?",
            "keep 1: Hello there.", "prepare 2 to 2", "release 2",
        ),
    ),

    # What fails
    Scenario(
        "a transcript that fails ends the turn",
        (*GREETING[:3], ("lost", 3016), ("speech", 5000, 6000), ("final", 7000, "Once more.")),
        (
            "open 1", "started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1", "drop 1", "open 2",
            "started 2", "stopped 2", "close 2", "keep 2: Once more.", "prepare 2 to 2", "release 2",
        ),
    ),
    Scenario(
        "a transcript that fails in mid-speech ends the turn, until the next speech",
        (("speech", 1000, 4000), ("lost", 2000), ("speech", 5000, 6000), ("final", 7000, "Once more.")),
        (
            "open 1", "started 1", "stopped 1", "forget 1", "open 2", "started 2", "stopped 2", "close 2",
            "keep 2: Once more.", "prepare 1 to 2", "release 1",
        ),
    ),
    Scenario(
        "a reply that fails before anything is heard ends the turn",
        GREETING,
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
        rules=Rules(eager=False), replies=Replies(failing={1: None}),
    ),
    Scenario(
        "a reply that fails before it is due is tried anew when it is",
        GREETING,
        (
            "open 1", "started 1", "prepare 1 to 1: hello there", "drop 1", "stopped 1", "close 1",
            "keep 1: Hello there.", "prepare 2 to 1", "release 2",
        ),
        replies=Replies(first_ms=300, failing={1: None}),
    ),
    Scenario(
        "a reply that fails midway is heard so far",
        GREETING,
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
        rules=Rules(eager=False), replies=Replies(failing={1: 700}),
    ),
    Scenario(
        "a failed transcript after one that goes on leaves the older words their reply",
        (*GREETING, ("speech", 3100, 4200), ("lost", 5100)),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1", "open 2", "hold 1", "started 2", "cut 1, interrupted", "stopped 2", "close 2",
            "prepare 2 to 1", "release 2",
        ),
        rules=Rules(eager=False), replies=Replies(first_ms=2000),
    ),
    Scenario(
        "late output of turns and replies that are over changes nothing",
        (
            *GREETING, ("final", 3100, "Hello bear.", 1), ("tell", 3200, TranscriptFailed(1)),
            ("tell", 3300, ReplyReady(7)), ("tell", 3400, PlaybackEnded(0)), ("tell", 6000, ReplyReady(1)),
            ("tell", 6050, ReplyFailed(1)), ("tell", 6100, PlaybackEnded(1)), ("tell", 6200, ReplyEnded(1)),
            ("tell", 6300, FinalTranscript(9, "Nobody.")),
        ),
        (*ANSWERED,),
    ),

    # Buttons and programs
    Scenario(
        "push to talk takes what is said while pressed",
        (
            ("speech", 500, 900), ("tell", 1000, TalkPressed(1000)), ("speech", 1100, 1700),
            ("speech", 3900, 4400), ("partial", 4700, "hello there"), ("tell", 4800, TalkReleased(4800)),
            ("final", 5000, "Hello there."),
        ),
        (
            "open 1", "started 1", "stopped 1", "close 1", "prepare 1 to 1: hello there",
            "keep 1: Hello there.", "release 1",
        ),
        rules=PUSH_TO_TALK,
    ),
    Scenario(
        "pressing the button cuts the reply",
        (
            ("tell", 1000, TalkPressed(1000)), ("tell", 2000, TalkReleased(2000)), ("final", 2300, "Hello."),
            ("tell", 3500, TalkPressed(3500)), ("tell", 4500, TalkReleased(4500)),
            ("final", 5000, "Stop that."),
        ),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello.", "prepare 1 to 1", "release 1",
            "open 2", "started 2", "cut 1, interrupted", "stopped 2", "close 2", "keep 2: Stop that.",
            "prepare 2 to 2", "release 2",
        ),
        rules=PUSH_TO_TALK, replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "pressing the button before the reply is heard, and saying nothing, leaves the words their reply",
        (
            ("tell", 1000, TalkPressed(1000)), ("tell", 2000, TalkReleased(2000)), ("final", 2300, "Hello."),
            ("tell", 2400, TalkPressed(2400)), ("tell", 2500, TalkReleased(2500)), ("final", 2700, ""),
        ),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello.", "prepare 1 to 1", "release 1",
            "open 2", "started 2", "cut 1, interrupted", "stopped 2", "close 2", "forget 2", "prepare 2 to 1",
            "release 2",
        ),
        rules=PUSH_TO_TALK,
    ),
    Scenario(
        "a commit is kept and not answered",
        (("tell", 2000, Committed(2000, 0)), ("final", 2500, "Hello there.")),
        ("open 1", "close 1", "keep 1: Hello there."),
        rules=PUSH_TO_TALK,
    ),
    Scenario(
        "a reply asked for right after a commit waits for its words",
        (("tell", 2000, Committed(2000, 0)), ("tell", 2010, ReplyAsked(1)), ("final", 2500, "Hello there.")),
        ("open 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1", "release 1"),
        rules=PUSH_TO_TALK,
    ),
    Scenario(
        "a commit in mid-speech ends the utterance, and who speaks on begins another",
        (
            ("speech", 1000, 3000), ("tell", 2000, Committed(2000, 0)), ("final", 2500, "Hello"),
            ("final", 3900, "there."),
        ),
        (
            "open 1", "started 1", "stopped 1", "close 1", "open 2", "started 2", "keep 1: Hello", "stopped 2",
            "close 2", "keep 2: there.", "prepare 1 to 2", "release 1",
        ),
    ),
    Scenario(
        "clearing in mid-speech forgets the utterance, and who speaks on begins another",
        (("speech", 1000, 3000), ("tell", 2000, Cleared(2000)), ("final", 3900, "there.")),
        (
            "open 1", "started 1", "stopped 1", "forget 1", "open 2", "started 2", "stopped 2", "close 2",
            "keep 2: there.", "prepare 1 to 2", "release 1",
        ),
    ),
    Scenario(
        "without replies a turn is kept, and answered when a reply is asked for",
        (*GREETING, ("tell", 4000, ReplyAsked(1))),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
        rules=NO_REPLIES,
    ),
    Scenario(
        "a reply asked for cuts the one under way",
        (*GREETING, ("tell", 3500, ReplyAsked(2))),
        (*ANSWERED, "cut 1", "prepare 2", "release 2"),
    ),
    Scenario(
        "a greeting is a reply to nobody",
        (("tell", 100, ReplyAsked(1)),),
        ("prepare 1", "release 1"),
    ),
    Scenario(
        "a cancelled reply is silent, and the next turn is answered",
        (*GREETING, ("tell", 3500, Cancelled()), ("speech", 5000, 6000), ("final", 7000, "Hello again.")),
        (
            *ANSWERED, "cut 1", "open 2", "started 2", "stopped 2", "close 2", "keep 2: Hello again.",
            "prepare 2 to 2", "release 2",
        ),
    ),
    Scenario(
        "what is cancelled before its words are final gets no reply",
        (*GREETING[:3], ("tell", 2800, Cancelled()), ("final", 3016, "Hello there.")),
        (
            "open 1", "started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1", "drop 1",
            "keep 1: Hello there.",
        ),
    ),
    Scenario(
        "cancelling leaves a turn that is being heard",
        (
            ("speech", 1000, 2000), ("partial", 2300, "hello there"), ("tell", 2350, Cancelled()),
            ("final", 3016, "Hello there."),
        ),
        (*ANSWERED,),
    ),

    # Rules that change, and nobody there
    Scenario(
        "switching hands free off in mid-speech ends the turn there",
        (
            ("speech", 1000, 4000), ("tell", 2000, RulesChanged(PUSH_TO_TALK)),
            ("final", 2500, "Hello there."),
        ),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
    ),
    Scenario(
        "switching hands free off while an interruption is weighed lets the reply go on",
        (*GREETING, ("speech", 3500, 4500), ("tell", 3800, RulesChanged(PUSH_TO_TALK))),
        (*ANSWERED, "open 2", "hold 1", "resume 1", "forget 2"),
    ),
    Scenario(
        "switching hands free on while the button is pressed lets silence end the turn",
        (
            ("tell", 1000, TalkPressed(1000)), ("speech", 1100, 2000), ("tell", 1500, RulesChanged(Rules())),
            ("tell", 2500, TalkReleased(2500)), ("final", 3500, "Hello there."),
        ),
        (
            "open 1", "started 1", "stopped 1", "close 1", "keep 1: Hello there.", "prepare 1 to 1",
            "release 1",
        ),
        rules=PUSH_TO_TALK,
    ),
    Scenario(
        "more patience in mid-pause counts at once",
        (
            ("speech", 1000, 1800), ("partial", 2100, "お願いします"),
            ("tell", 2200, RulesChanged(Rules(patience=Patience.PATIENT))), ("final", 3200, "お願いします。"),
        ),
        (
            "open 1", "started 1", "prepare 1 to 1: お願いします", "stopped 1", "close 1", "keep 1: お願いします。",
            "release 1",
        ),
    ),
    Scenario(
        "who is silent for long is asked, and then left alone",
        (
            ("tell", 1000, IdlePassed()), ("tell", 2000, IdlePassed()), ("speech", 3000, 4000),
            ("tell", 5000, IdlePassed()),
        ),
        ("ask whether there", "sleep"),
        settles_as=Phase.ASLEEP,
    ),
    Scenario(
        "who speaks after having been asked is asked anew",
        (
            ("tell", 1000, IdlePassed()), *GREETING, ("tell", 9000, IdlePassed()),
            ("tell", 10000, IdlePassed()),
        ),
        (
            "ask whether there", "open 1", "started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1",
            "keep 1: Hello there.", "release 1", "ask whether there", "sleep",
        ),
        settles_as=Phase.ASLEEP,
    ),
    Scenario(
        "who wakes it is heard again",
        (
            ("tell", 1000, IdlePassed()), ("tell", 2000, IdlePassed()), ("tell", 2500, Woken()),
            ("speech", 3000, 4000), ("final", 5000, "Hello again."),
        ),
        (
            "ask whether there", "sleep", "open 1", "started 1", "stopped 1", "close 1",
            "keep 1: Hello again.", "prepare 1 to 1", "release 1",
        ),
    ),
    Scenario(
        "who is muted is not asked, and left alone all the same",
        (("tell", 1000, IdlePassed()), ("tell", 2000, IdlePassed())),
        ("@2016 sleep",),
        rules=MUTED, settles_as=Phase.ASLEEP,
    ),
    Scenario(
        "who presses to talk is not asked, and left alone all the same",
        (("tell", 1000, IdlePassed()), ("tell", 2000, IdlePassed())),
        ("@2016 sleep",),
        rules=PUSH_TO_TALK, settles_as=Phase.ASLEEP,
    ),
    Scenario(
        "who was silent while muted is asked before being left alone",
        (
            ("tell", 1000, IdlePassed()), ("tell", 1500, RulesChanged(Rules())), ("tell", 2000, IdlePassed()),
            ("tell", 3000, IdlePassed()),
        ),
        ("@2016 ask whether there", "@3008 sleep"),
        rules=MUTED, settles_as=Phase.ASLEEP,
    ),
    Scenario(
        "who is silent with the button held down is not left alone",
        (
            ("tell", 1000, TalkPressed(1000)), ("tell", 2000, IdlePassed()), ("tell", 3000, IdlePassed()),
            ("tell", 4000, TalkReleased(4000)), ("final", 4500, ""),
        ),
        ("open 1", "started 1", "stopped 1", "close 1", "forget 1"),
        rules=PUSH_TO_TALK,
    ),
    Scenario(
        "nobody is asked while a reply is heard",
        (*GREETING, ("tell", 3500, IdlePassed())),
        (*ANSWERED,),
    ),

    # Replies that are made elsewhere, to typed lines
    Scenario(
        "a cough does not stop the reply to a typed line",
        (TYPED, ("speech", 3500, 3630)),
        ("release 1", "open 1", "forget 1"),
        replies=Replies(lasts_ms=5000),
    ),
    Scenario(
        "a door does not stop the reply to a typed line for long",
        (TYPED, ("speech", 3500, 3900)),
        ("release 1", "open 1", "@3648 hold 1", "@4576 resume 1", "forget 1"),
        replies=Replies(lasts_ms=5000),
    ),
    Scenario(
        "a back-channel does not stop the reply to a typed line for long",
        (TYPED, ("speech", 3500, 3900), ("partial", 3950, "uh-huh")),
        ("release 1", "open 1", "@3648 hold 1", "@4224 resume 1", "forget 1"),
        replies=Replies(lasts_ms=5000),
    ),
    Scenario(
        "the echo of the reply to a typed line does not stop it",
        (
            TYPED, ("speech", 3500, 4500), ("partial", 3900, "the"),
            ("partial", 4200, "the weather will be"), ("partial", 4800, "the weather will be fine"),
        ),
        ("release 1", "open 1", "@3648 hold 1", "@4800 resume 1", "forget 1"),
        replies=Replies(words="The weather will be fine tomorrow.", lasts_ms=5000),
    ),
    Scenario(
        "words over the reply to a typed line stop it",
        (
            TYPED, ("speech", 3500, 5000), ("partial", 4000, "no not that"),
            ("partial", 5300, "no not that one"), ("final", 6016, "No, not that one."),
        ),
        (
            "release 1", "open 1", "@3648 hold 1", "@4000 started 1", "@4000 cut 1, interrupted",
            "prepare 2 to 1: no not that one", "stopped 1", "close 1", "keep 1: No, not that one.",
            "release 2",
        ),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "words stop the reply to a typed line before it is heard, and what they were nothing of is answered again",
        (
            TYPED, ("speech", 1700, 2900), ("partial", 2200, "and then"), ("partial", 3100, ""),
            ("final", 4200, ""),
        ),
        (
            "release 1", "open 1", "hold 1", "started 1", "cut 1, interrupted", "stopped 1", "close 1",
            "forget 1", "prepare 2", "release 2",
        ),
        replies=Replies(first_ms=2000),
    ),
    Scenario(
        "a recording that is interrupted before its words are known is not answered",
        (
            ("tell", 1000, ReplyJoined(1, is_known=False)), ("speech", 1100, 2300), ("partial", 1600, "stop that"),
            ("partial", 2600, ""), ("final", 3600, ""), ("tell", 4000, ReplyJoined(1)),
        ),
        (
            "release 1", "open 1", "hold 1", "started 1", "cut 1, interrupted", "stopped 1", "close 1", "forget 1",
        ),
        replies=Replies(first_ms=2000),
    ),
    Scenario(
        "a recording whose words are known is answered though it was interrupted",
        (
            ("tell", 1000, ReplyJoined(1, is_known=False)), ("tell", 1500, ReplyJoined(1)), ("speech", 1700, 2900),
            ("partial", 2200, "and then"), ("partial", 3100, ""), ("final", 4200, ""),
        ),
        (
            "release 1", "open 1", "hold 1", "started 1", "cut 1, interrupted", "stopped 1", "close 1",
            "forget 1", "prepare 2", "release 2",
        ),
        replies=Replies(first_ms=2000),
    ),
    Scenario(
        "a greeting that noise interrupts before it is heard is not answered",
        (
            ("tell", 1000, ReplyAsked(1, answers=False)), ("speech", 1100, 2300), ("final", 3600, ""),
        ),
        (
            "prepare 1", "release 1", "open 1", "hold 1", "started 1", "cut 1, interrupted", "stopped 1",
            "close 1", "forget 1",
        ),
        replies=Replies(first_ms=2000),
    ),
    Scenario(
        "a typed line takes the place of a live reply",
        (*GREETING, ("tell", 4000, ReplyJoined(2))),
        (*ANSWERED, "@4000 cut 1", "@4000 release 2"),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "a typed line takes the place of the reply to another",
        (TYPED, ("tell", 3000, ReplyJoined(2))),
        ("release 1", "@3008 cut 1", "@3008 release 2"),
        replies=Replies(lasts_ms=9000),
    ),
    Scenario(
        "what was said before a typed line is answered after it, when its words are known only then",
        (("speech", 1000, 2000), ("tell", 2800, ReplyJoined(1)), ("final", 3016, "Hello there.")),
        ("open 1", "started 1", "stopped 1", "close 1", "@2816 release 1", "keep 1: Hello there.",
         "prepare 2 to 1", "release 2"),
    ),
    Scenario(
        "a typed line takes the place of a reply that was prepared",
        (
            ("speech", 1000, 2000), ("partial", 2300, "hello there"), ("tell", 2800, ReplyJoined(2)),
            ("final", 3016, "Hello there."),
        ),
        (
            "open 1", "started 1", "prepare 1 to 1: hello there", "stopped 1", "close 1", "@2816 drop 1",
            "@2816 release 2", "keep 1: Hello there.", "prepare 3 to 1", "release 3",
        ),
    ),
    Scenario(
        "who speaks on as a typed line is answered is heard out first, and then answered too",
        (
            ("speech", 1000, 3000), ("tell", 2000, ReplyJoined(1)), ("partial", 3300, "hello there"),
            ("final", 4016, "Hello there."),
        ),
        (
            "open 1", "started 1", "@2016 release 1", "@2016 hold 1", "stopped 1", "close 1", "@3680 resume 1",
            "keep 1: Hello there.", "prepare 2 to 1", "release 2",
        ),
        replies=Replies(lasts_ms=3000),
    ),
    Scenario(
        "pressing to talk stops the reply to a typed line",
        (TYPED, ("tell", 3000, TalkPressed(3000)), ("tell", 4000, TalkReleased(4000)), ("final", 4500, "Hi.")),
        (
            "release 1", "open 1", "started 1", "@3008 cut 1, interrupted", "stopped 1", "close 1",
            "keep 1: Hi.", "prepare 2 to 1", "release 2",
        ),
        rules=PUSH_TO_TALK, replies=Replies(lasts_ms=5000),
    ),
    Scenario(
        "the reply to a typed line that fails in its midst ends the turn",
        (TYPED,),
        ("release 1",),
        replies=Replies(failing={1: 500}),
    ),
    Scenario(
        "the reply to a typed line that fails altogether ends the turn",
        (TYPED,),
        ("release 1",),
        replies=Replies(failing={1: None}),
    ),
    Scenario(
        "the reply to a typed line is stopped by the button",
        (TYPED, ("tell", 3000, Cancelled())),
        ("release 1", "@3008 cut 1"),
        replies=Replies(lasts_ms=5000),
    ),
    Scenario(
        "who types after having been asked is asked anew",
        (
            ("tell", 1000, IdlePassed()), ("tell", 2000, ReplyJoined(1)), ("tell", 8000, IdlePassed()),
            ("tell", 9000, IdlePassed()),
        ),
        ("ask whether there", "release 1", "@8000 ask whether there", "@9024 sleep"),
        settles_as=Phase.ASLEEP,
    ),
)
# fmt: on
