"""What the words that are said over a reply weigh: an interruption, or only a sign of listening, or the reply's own echo."""

from __future__ import annotations

import re
from enum import Enum

from voice.turns.wording import normalise


class Weight(Enum):
    NO_WORDS = "no words"
    BACK_CHANNEL = "back-channel"
    """A sign of listening: "uh-huh", うん."""
    ECHO = "echo"
    """The reply's own words, out of the loudspeaker."""
    MAYBE_ECHO = "maybe echo"
    """So few of the reply's words that the user may as well have said them."""
    WORDS = "words"


ECHO_SHARE = 0.7
"""Of the letters, taken by threes, that are the reply's: recognisers make mistakes in what a loudspeaker says."""
SURE_LETTERS = 12
SURE_WIDE_LETTERS = 6
"""The same in scripts without spaces. So much of a reply, some three words, nobody repeats by chance."""
ECHO_LETTERS = 600
"""Of the reply, that may still echo: 40 s of English. Older words are the user's."""


def weigh_words(text: str, spoken: str) -> Weight:
    """What `text` weighs, said over a reply of which `spoken` was heard so far ("" when nothing can echo)."""
    words = normalise(text)
    if not words:
        return Weight.NO_WORDS
    if _BACK_CHANNEL.fullmatch(words):
        return Weight.BACK_CHANNEL
    if _STOP.fullmatch(words):
        return Weight.WORDS
    letters, echo = words.replace(" ", ""), normalise(spoken[-ECHO_LETTERS:]).replace(" ", "")
    sure = SURE_LETTERS if letters.isascii() else SURE_WIDE_LETTERS
    # The end is weighed by itself, too: who interrupts an echo says something else.
    if not echo or min(_share(letters, echo), _share(letters[-sure:], echo)) < ECHO_SHARE:
        return Weight.WORDS
    return Weight.ECHO if len(letters) >= sure else Weight.MAYBE_ECHO


def _share(letters: str, echo: str) -> float:
    """How much of `letters` is in `echo`, by three neighbours at a time."""
    threes = [letters[i : i + 3] for i in range(max(1, len(letters) - 2))]
    return sum(three in echo for three in threes) / len(threes)


_BACK_CHANNEL = re.compile(
    r"(?:(?:"
    r"う+[ーん]+|んー*|ん+|はー?い|は[ぁあ]+い?|ええ+|えー|へ[ーえぇ]+|ほ[ーおぉう]+|ふ[ーぅう]*ん+|そう(?:です|なん(?:です|だ)?|だ|か)?(?:か|ね|よ|よね|ねえ)*"
    r"|なるほど(?:です)?(?:ね)?|たしかに|確かに|わかりました|分かりました|わかった|分かった|了解(?:です)?|ですよね|だよね|ですね|あ[ーぁあっ]*|お[ーぉ]+|まじ(?:で)?|すごい(?:ね|です)?"
    r"|u+h+ hu+h|uhhuh|u+h+|mm+ ?hm+|m+h?m+|h+m+|ye+a+h+|yep|yup|yes|ok|okay|k|right|sure|i see|got it|a+h+|o+h+|wow|cool|nice|great"
    r"|good|true|exactly|really|alright|all right|of course|i know|interesting"
    r")\s*)+"
)
_STOP = re.compile(
    r"(?:(?:ストップ|止めて|とめて|やめて|待って|まって|ちょっと(?:待って|まって)?|もういい(?:です|よ)?|いいから|違う|ちがう|違います|いや|静かに|黙って|ください"
    r"|stop(?: it)?|wait|hold on|hang on|no|nope|quiet|shut up|enough|pause|cancel|hey|excuse me|sorry|please|be"
    r")\s*)+"
)
