from __future__ import annotations

from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.phrases import FIRST_PHRASE, LATER_PHRASES, Boundary, PhraseSplitter, find_boundary, split_phrases

CODE = "I have put the code in the transcript."
CODE_JA = "コードは画面に表示しています。"

SENTENCES: list[tuple[str, list[str]]] = [
    # Sentences, and the early first clause.
    ("Sure, I can help with that. What do you need?", ["Sure, I can help with that.", "What do you need?"]),
    ("Yes. Of course! Really?", ["Yes.", "Of course!", "Really?"]),
    ("Yes, of course, I can.", ["Yes, of course,", "I can."]),
    ("One moment please, I look. Then, after that, we go.", ["One moment please,", "I look.", "Then, after that, we go."]),
    ("What?! No... Yes.", ["What?!", "No...", "Yes."]),
    ("no capitals here. none at all", ["no capitals here.", "none at all"]),
    # Full stops that end no sentence.
    ("Mr. and Mrs. Smith met Dr. Who.", ["Mr. and Mrs. Smith met Dr. Who."]),
    ("Fruit, e.g. Fuji apples, is good.", ["Fruit, e.g. Fuji apples,", "is good."]),
    ("The U.S. Army came. It left.", ["The U.S. Army came.", "It left."]),
    ("J. R. R. Tolkien wrote it.", ["J. R. R. Tolkien wrote it."]),
    ("So do I. The end.", ["So do I.", "The end."]),
    ("Pi is 3.14. Not 3.15.", ["Pi is 3.14.", "Not 3.15."]),
    ("We meet at 10 a.m. on Monday.", ["We meet at 10 a.m. on Monday."]),
    ("We meet at 10 a.m. Be there.", ["We meet at 10 a.m.", "Be there."]),
    ("It is 9:30. Late.", ["It is 9:30.", "Late."]),
    ("Use Python 3.10.2 now. It works.", ["Use Python 3.10.2 now.", "It works."]),
    ("Open app.py and README.md. Then run it.", ["Open app.py and README.md.", "Then run it."]),
    ("Write to me@example.com. Thanks.", ["Write to me@example.com.", "Thanks."]),
    ("No. 5 is alive. No. That is wrong.", ["No. 5 is alive.", "No.", "That is wrong."]),
    ("Apples, pears, etc. are fruit.", ["Apples, pears,", "etc. are fruit."]),
    ("We sell pens etc. Come in.", ["We sell pens etc.", "Come in."]),
    ("It costs 1,000,000 yen.", ["It costs 1,000,000 yen."]),
    ("Yahoo!ニュースを見ました。", ["Yahoo!ニュースを見ました。"]),
    # Ellipses.
    ("Well... let me see.", ["Well... let me see."]),
    ("Well… I think so.", ["Well…", "I think so."]),
    ("うーん……そうですね。はい。", ["うーん……そうですね。", "はい。"]),
    # Quotes and brackets belong to their sentence.
    ('He said "Stop. Now." and left. Bye.', ['He said "Stop. Now."', "and left.", "Bye."]),
    ("“Stop!” he said.", ["“Stop!” he said."]),
    ("It works (really. It does). Good.", ["It works (really. It does).", "Good."]),
    ('She said "yes." He nodded.', ['She said "yes."', "He nodded."]),
    ("A (never closed. But it goes on and on until the bracket is forgotten. See. Good.", [
        "A (never closed. But it goes on and on until the bracket is forgotten.", "See.", "Good."]),
    # Japanese.
    ("そうですね、今日は晴れです。明日は雨でしょう。", ["そうですね、", "今日は晴れです。", "明日は雨でしょう。"]),
    ("はい、わかりました。", ["はい、わかりました。"]),
    ("本当ですか？！すごい！", ["本当ですか？！", "すごい！"]),
    ("「はい。」と彼は言った。そして帰った。", ["「はい。」と彼は言った。", "そして帰った。"]),
    ("「はい。」彼は言った。", ["「はい。」", "彼は言った。"]),
    ("彼は『走れ。急げ。』と叫んだ。", ["彼は『走れ。急げ。』と叫んだ。"]),
    ("（注：これは例です。本番ではありません。）以上。", ["（注：これは例です。本番ではありません。）", "以上。"]),
    ("そうですか?はい。", ["そうですか?", "はい。"]),
    ("価格は1,000円、重さは3.5キロです。", ["価格は1,000円、", "重さは3.5キロです。"]),
    ("二、三日かかります。", ["二、三日かかります。"]),
    ("全角の３．１４です。", ["全角の３．１４です。"]),
    ("Mr.田中です。よろしく。", ["Mr.田中です。", "よろしく。"]),
    ("改行です\n次の行です", ["改行です", "次の行です"]),
    # Lines, paragraphs, lists.
    ("A line that is\nwrapped here.\n\nNext", ["A line that is wrapped here.", "Next"]),
    ("Title\nText", ["Title", "Text"]),
    ("1. First. Second.\n2. Third.", ["1. First.", "Second.", "2. Third."]),
    ("- apples\n- pears\n* plums", ["apples", "pears", "plums"]),
    ("・りんご\n・みかん", ["りんご", "みかん"]),
    ("- [ ] open\n- [x] done", ["open", "done"]),
    # Markdown and HTML.
    ("# A title\ntext", ["A title", "text"]),
    ("This is **very** _good_ ~~bad~~ `code`.", ["This is very good bad code."]),
    ("これは**重要**です。", ["これは重要です。"]),
    ("2 * 3 = 6 and 2*3 is snake_case.", ["2 * 3 = 6 and 2*3 is snake_case."]),
    ("> quoted\n\n---\n\nafter", ["quoted", "after"]),
    ("See [the docs](https://x.org/a 'T') now.", ["See the docs now."]),
    ("See [the docs](https://x.org/a_(b)) now.", ["See the docs now."]),
    ("![A cat](cat.png 'x') sleeps.", ["A cat sleeps."]),
    ("Go to https://x.org/a?b=1. Then www.y.org.", ["Go to the link.", "Then the link."]),
    ("詳しくはhttps://x.org/aをご覧ください。", ["詳しくはリンクをご覧ください。"]),
    ("Look:\n```python\nprint('a. b')\n```\nDone.", ["Look:", CODE, "Done."]),
    ("例です。\n~~~\nx\n~~~\n以上。", ["例です。", CODE_JA, "以上。"]),
    ("Before.\n```\nnever closed", ["Before.", CODE]),
    ("| a | b |\n|---|---|\n| 1 | 2 |\nAfter.", ["I have put the table in the transcript.", "After."]),
    ("Fish &amp; <b>chips</b><!-- no --> &lt;3", ["Fish & chips <3"]),
    ("A<script>alert('x')</script>B<br>C", ["AB", "C"]),
    ("<think>hm. so</think>Hello.", ["Hello."]),
    ("if a < b and c > d, then e <3", ["if a < b and c > d,", "then e <3"]),
    ("Nice 👍🏽 one 👨‍👩‍👧 🇯🇵 1️⃣ ❤️!", ["Nice one !"]),
    ("A fact[^1] is\u200b true 【4:0†source】.\n\n[^1]: A note.", ["A fact is true .", "A note."]),
    (r"So \(x \times y\) and $a^2$ cost $5.", ["So x × y and a^2 cost $5."]),
    (r"\*not emphasis\*", ["*not emphasis*"]),
    # Nothing to say.
    ("", []),
    ("...", []),
    ("🎉\n\n---\n", []),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "phrases"), SENTENCES, ids=[reply[:30] for reply, _ in SENTENCES])
def test_a_reply_becomes_these_phrases(reply: str, phrases: list[str]) -> None:
    assert list(split_phrases([reply])) == phrases
    assert list(split_phrases(reply)) == phrases


@pytest.mark.parametrize(
    ("fed", "first"),
    [
        ("Sure, I can help with that. W", "Sure, I can help with that."),
        ("Yes, of course, I", "Yes, of course,"),
        ("そうですね、今", "そうですね、"),
        ("はい。次", "はい。"),
        ("# Title\n", "Title"),
        ("Look:\n\n", "Look:"),
        ("`x` is a variable. I", "x is a variable."),
        ("**Hello.** N", "Hello."),
    ],
)
def test_a_phrase_is_out_as_soon_as_it_is_certain(fed: str, first: str) -> None:
    splitter = PhraseSplitter()
    assert splitter.feed(fed[:-1]) == []
    assert splitter.feed(fed[-1]) == [first]


@pytest.mark.parametrize(
    "mark", ["[", "<", "**", "`", "(", "「", '"', "](", "<a ", "\\(", "$x", "&", "![", "【", "<a b='"]
)
def test_a_mark_that_is_never_closed_does_not_delay_speech_for_long(mark: str) -> None:
    splitter = PhraseSplitter()
    fed = splitter.feed("It is " + mark)
    for _ in range(45):  # 720 characters: the longest that anything but a link's target is waited for
        fed += splitter.feed("word word. Then ")
    assert fed


def test_a_long_first_sentence_is_cut_sooner_than_later_ones() -> None:
    long = "so it goes on with nothing to stop at or to hold it " * 12
    first, second = islice(split_phrases([long]), 2)
    assert len(first) <= FIRST_PHRASE[Boundary.WORD] + 10 < len(second) <= LATER_PHRASES[Boundary.WORD] + 10


def test_a_long_japanese_sentence_is_cut_after_a_particle() -> None:
    phrases = list(split_phrases(["今日は天気が良いので公園に出かけて友達と昼食を食べる予定" * 10]))
    assert len(phrases) > 2
    assert all(phrase[-1] in "はがをにでとも" for phrase in phrases[:-1])


def test_a_long_sentence_is_cut_before_a_conjunction_rather_than_anywhere() -> None:
    reply = "The quick brown fox who lives in these dark woods jumps over dogs because they sleep"
    assert list(split_phrases([reply]))[1].startswith("because")


@pytest.mark.parametrize(
    ("text", "gap", "after", "boundary"),
    [
        ("Hi.", " ", "T", Boundary.SENTENCE),
        ("Hi", "", ".", Boundary.NONE),
        ("はい。", "", "」", Boundary.NONE),
        ("Well,", " ", "t", Boundary.CLAUSE),
        ("a", " ", "b", Boundary.WORD),
        ("1", " ", "0", Boundary.NONE),
        ("これは", "", "猫", Boundary.WORD),
        ("これは", "", "ね", Boundary.NONE),
        ("a", "\n", "b", Boundary.WORD),
        ("a", "\n", "B", Boundary.SENTENCE),
    ],
)
def test_a_boundary_depends_on_what_surrounds_it(text: str, gap: str, after: str, boundary: Boundary) -> None:
    assert find_boundary(text, gap, after) is boundary


NASTY = (
    '* ** *** _ __ ~~ ~ ` `` ``` ~~~ # ## > - + 1. 2) | |-| || [ ] ]( ) ![ [^1] [^1]: <b> </b> <br> <a href=" < > <! <!-- --> '
    "<script> </script> <think> </think> <pre> <table> </table> &amp; &lt; &#x1F600; &#42; & ; http https:// http://x.org/ "
    "www. www.x.org h ht w me@x.org a.b 3.14 1,000 9:30 10 a.m. Mr. U.S. e.g. No. ... … …… 。 、 ！ ？ 「 」 『 』 （ ） 【 】 【1†s】 . , ! ? : ; "
    "\" ' ( \\ \\( \\) \\[ \\] $ $$ \\frac{1}{2} はい です と 日本語 カタカナ 猫 word Word and because the AI 👍 👍🏽 👨‍👩‍👧 🇯🇵 1️⃣ #️⃣ ❤️ "
    "\ud83d \ude00 \ufe0f \u200d \u20e3 \u200b \0 é が ﾊﾟ 한국어"
)
FRAGMENTS = st.sampled_from(NASTY.split(" ")) | st.sampled_from(
    [
        " ",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "\u3000",
        "\u2029",
        "- ",
        "# ",
        "1. ",
        "> ",
        "\n```\n",
        "\n| a |\n",
        "\n---\n",
    ]
)
REPLIES = st.lists(FRAGMENTS | st.text(max_size=4) | st.text("ab *`<[。", max_size=40), max_size=60).map(
    "".join
)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@settings(max_examples=1000, deadline=None)
@given(REPLIES, st.lists(st.integers(0, 10_000), max_size=12))
def test_whatever_the_cuts_the_same_phrases_come_out(reply: str, places: list[int]) -> None:
    whole = list(split_phrases([reply]))
    assert list(split_phrases(reply)) == whole
    assert list(split_phrases(cut(reply, places))) == whole


@settings(max_examples=300, deadline=None)
@given(REPLIES)
def test_every_phrase_has_a_sound_and_no_loose_ends(reply: str) -> None:
    for phrase in split_phrases([reply]):
        assert any(map(str.isalnum, phrase))
        assert phrase == " ".join(phrase.split())
        assert not any("\ud800" <= char <= "\udfff" for char in phrase)


ORDINARY = (
    "word Word and because the Mr. U.S. e.g. 3.14 1,000 9:30 a.py me@x.org ... … . , ! ? ; : ' \" ( ) 。 、 ！ ？ 「 」 （ ） はい です と "
    "日本語 カタカナ 猫が 長い文章を書くことは"
)
PLAIN = st.lists(
    st.sampled_from(ORDINARY.split())
    | st.sampled_from([" ", " ", "\n", "\n\n"])
    | st.text("abc あいう漢字。、. ,", max_size=30),
    max_size=80,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(PLAIN)
def test_of_plain_text_no_character_is_lost_or_doubled(text: str) -> None:
    spoken = "".join(split_phrases([text])).replace(" ", "")
    rest = "".join(text.split()).removeprefix(spoken)
    assert spoken + rest == "".join(text.split())
    assert not any(map(str.isalnum, rest))


MARKED = st.sampled_from(
    [
        ("word", "word"), ("**bold**", "bold"), ("_it_", "it"), ("***x***", "x"), ("~~old~~", "old"), ("`a*b`", "a*b"),
        ("[text](http://x.org/a)", "text"), ("[**b**](u \"t\")", "b"), ("![alt](i.png)", "alt"), ("https://x.org/?q=1", "the link"),
        ("&amp;", "&"), ("&#65;", "A"), ("<b>b</b>", "b"), ("<a href='x.y'>a</a>", "a"), ("😀", ""), ("👨‍👩‍👧", ""),
        ("fact[^1]", "fact"), ("<!-- - -->", ""), ("日本", "日本"), ("**です**", "です"), ("\\*", "*"), ("a<b", "a<b"), ("AT&T", "AT&T"),
        ("<https://x.org>", "the link"), ("U+1F600", "U+1F600"), ("<style>p. q</style>", ""), ("x_y", "x_y"), ("3.14", "3.14"),
    ]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(MARKED, max_size=40))
def test_of_marked_up_text_exactly_what_is_meant_is_spoken(parts: list[tuple[str, str]]) -> None:
    reply = "I am here " + " ".join(marked for marked, _ in parts) + " and there"
    meant = "I am here " + " ".join(plain for _, plain in parts) + " and there"
    spoken = "".join(split_phrases([reply])).replace("リンク", "the link")
    assert spoken.replace(" ", "") == meant.replace(" ", "")


@pytest.mark.parametrize(
    "repeated",
    ["*", "<", "(", "[", "`", "](", "<a ", "- ", "\\(", "\\[", "&", "$a", "。", "a", "「", "\n|", "|"],
)
def test_hostile_text_is_worked_off_with_a_bounded_hold_back(repeated: str) -> None:
    hostile = repeated * (20_000 // len(repeated))
    splitter = PhraseSplitter()
    for char in hostile:
        splitter.feed(char)
    assert list(splitter.feed("\n\n" + "Well, well. " * 60 + "Hello there.\n\nX"))[-1] == "Hello there."
