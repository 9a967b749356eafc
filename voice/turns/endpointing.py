"""How long a pause must be to end the user's turn, judged by the words so far, and by their sound where that is known.

A turn that sounds finished is over soon; one that hangs on a particle, a conjunction or a filler is given time.
Recognisers punctuate partial transcripts late or never, so the last words count more than the marks behind them.
"""

from __future__ import annotations

import re
from enum import Enum

from voice.turns.events import Patience
from voice.turns.wording import normalise


class Ending(Enum):
    """What the words so far end like."""

    FINISHED = "finished"
    UNCLEAR = "unclear"
    UNFINISHED = "unfinished"


SILENCE_MS = {
    # Silence alone needs 1,200 ms to cut off only 5 % of Japanese turns, the best models 321 ms (Azure and smart-turn
    # figures); people answer each other after 200 ms, and find a second slow.
    Patience.QUICK: {Ending.FINISHED: 300, Ending.UNCLEAR: 450, Ending.UNFINISHED: 1000},
    Patience.BALANCED: {Ending.FINISHED: 500, Ending.UNCLEAR: 700, Ending.UNFINISHED: 1500},
    Patience.PATIENT: {Ending.FINISHED: 900, Ending.UNCLEAR: 1300, Ending.UNFINISHED: 2500},
}
"""ms of silence that end a turn."""


SOUNDS_COMPLETE, SOUNDS_INCOMPLETE = 0.7, 1.4
"""How much of that silence a turn needs that surely sounds complete, or surely does not."""


def silence_needed_ms(text: str, patience: Patience, completeness: float | None = None) -> int:
    """How many ms of silence end a turn of these words; "" when none are known.

    `completeness`: the probability that it is complete by its sound; None when nothing is known of that.
    """
    ending = ending_of(text)
    needed_ms = SILENCE_MS[patience][ending]
    if completeness is None or ending is Ending.UNFINISHED:
        # Who hangs on a particle has not finished, however it sounds (`python -m bench.smart_turn`).
        return needed_ms
    return round(needed_ms * (SOUNDS_INCOMPLETE + (SOUNDS_COMPLETE - SOUNDS_INCOMPLETE) * completeness))


def ending_of(text: str) -> Ending:
    """What `text` ends like, in Japanese and English by its words, in other languages by its punctuation."""
    text = text.rstrip()
    words = normalise(text)
    if not words:
        return Ending.UNCLEAR
    if text.endswith(_QUESTION_MARKS):
        return Ending.FINISHED
    if text.endswith(_COMMAS):
        return Ending.UNFINISHED
    by_words = _japanese(words) if _JAPANESE.search(words[-1]) else _english(words.split())
    if by_words is Ending.UNCLEAR and text.endswith(_STOPS):
        return Ending.FINISHED
    return by_words


_QUESTION_MARKS = ("?", "？", "؟")
_STOPS = (".", "!", "。", "！", "．", "।", "」", "』")
_COMMAS = (",", "、", "，", "､", ":", ";", "…", "...", "-", "—", "・")

_JAPANESE = re.compile("[\u3041-\u30ff]")
"""Kana; a sentence that ends in Han may be Chinese, and tells nothing in either language."""

_JA_PHRASE = re.compile(
    r"(?:こんにち[はわ]|こんばん[はわ]|はじめまして|初めまして|ありがとう(?:ね)?|おはよう|おやすみ|さようなら|じゃあね|またね|またあとで"
    r"|もしもし|(?:^|\s)では|それでは|いただきます|ごちそうさま|すみません|ごめん(?:なさい|ね)?|お願い|おねがい"
    r"|大丈夫|だいじょうぶ|もういい|いいえ|はい|うん|ええ|ううん|なるほど|そう)$"
)
_JA_FILLER = re.compile(
    r"(?:え+[ーっと]+ね?|え[ーっ]*と[ーね]*|え[ーっ]*っと[ーね]*|あ[ーの]*の[ーうね]*|そのー+|その[ーう]+|う[ーん]*ー+ん*|うーんと?|んー+と?"
    r"|ま[あぁー]+|なんか|なんていうか|何ていうか|なんというか|何というか|こう|ええと[ーね]*|ほら)$"
)
_JA_REQUEST = re.compile(
    r"(?:教え|おしえ|待っ|まっ|見せ|みせ|聞かせ|聞い|やめ|止め|助け|手伝っ|調べ|話し|言っ|読ん|書い|直し|訳し|歌っ|考え|探し|始め|続け)て$"
)
_JA_UNFINISHED = re.compile(
    r"(?:[はがをにでとへもや]|[てで](?:は|も)|から|けど|けれど|けども|けれども|だけど|ですけど|ので|のに|んで|[たな]ら|れば|[てで]"
    r"|とか|たり|ながら|ために|まで|より|だけ|ば|し|そして|それから|それで|それと|だから|でも|しかし|ただ|あと|また|つまり|例えば|たとえば"
    r"|もし|まず|ところで|という|っていう|みたいな|ような|とき|時|場合|なので|ですので|ですし|ますし|なんですが|の方|のほう)$"
)
_JA_FINISHED = re.compile(
    r"(?:です|ます|でした|ました|ません|ましょう|でしょう|だろう|ください|下さい|くださいませ|ですか|ますか|のか|かな|かしら|か"
    r"|[よねなわぞ]|だよね|じゃん|じゃない|だ|だった|たい|ない|なかった|[したべえけめれせてねげっい]た|んだ|いい|よろしく|ほしい|欲しい|くれる|もらえる"
    r"|なに|なん|どこ|いつ|だれ|どれ|どう|なぜ|どうして|いくら|いくつ|って何|の)$"
)


def _japanese(words: str) -> Ending:
    if _JA_PHRASE.search(words):
        return Ending.FINISHED
    if _JA_FILLER.search(words):
        return Ending.UNFINISHED
    if _JA_REQUEST.search(words):
        return Ending.UNCLEAR
    # 「なに」「いつも」「だれと」: only the questions that end in a particle's letter are finished.
    if re.search(r"(?:なに|だれ|どれ)$", words):
        return Ending.FINISHED
    if _JA_UNFINISHED.search(words):
        return Ending.UNFINISHED
    return Ending.FINISHED if _JA_FINISHED.search(words) else Ending.UNCLEAR


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILLERS = _words("um umm uh uhh er erm hmm hm like well so")
_CONJUNCTIONS = _words(
    "and but or because cause if when while although though since unless until whether than that"
)
_HANGING = _words(
    # Articles and their like, forms of to be and auxiliaries, subjects, and prepositions that hardly ever end a question.
    "a an the my your his her its our their this these those some any every each another very really quite "
    "is are was were am be been being im youre hes shes were theyre ive youve weve theyve ill youll id "
    "can could will would shall should may might must do does did have has had "
    "i he she we they who which whose "
    "of to from into onto upon for with without at by in on about between through during as per via toward towards"
)
_QUESTION = _words(
    "what whats where wheres when whens who whos whose which why how hows is are was were do does did can could will would "
    "should shall may have has am isnt arent dont doesnt didnt cant couldnt wont wouldnt"
)
_PHRASES = _words(
    "yes yeah yep no nope ok okay sure right exactly thanks hello hi hey bye goodbye please stop wait sorry great good fine nothing"
)
_STRANDED = _words("to from for with at in on about of by")
"""A question may end in these: "where are you from"."""
_BEFORE_YOU = _CONJUNCTIONS | _words("can could do did will would should")
"""After these a verb must follow: "can you"; but "how are you", "what about you"."""
_SHORTEST_QUESTION = 3
"""Words."""


def _english(words: list[str]) -> Ending:
    last = words[-1]
    is_question = words[0] in _QUESTION and len(words) >= _SHORTEST_QUESTION
    if words[-2:] in (
        ["thank", "you"],
        ["about", "you"],
        ["i", "do"],
        ["i", "did"],
        ["think", "so"],
        ["hope", "so"],
    ):
        return Ending.FINISHED
    if words[0] in {"where", "what", "who", "which", "whats", "wheres"} and is_question and last in _STRANDED:
        return Ending.UNCLEAR
    if last == "you" and words[-2:-1] and words[-2] in _BEFORE_YOU:
        return Ending.UNFINISHED
    if last in _FILLERS | _CONJUNCTIONS | _HANGING:
        return Ending.UNFINISHED
    if last in _PHRASES or is_question:
        return Ending.FINISHED
    return Ending.UNCLEAR
