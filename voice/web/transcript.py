"""The transcript's lines as messages of a `gr.Chatbot`. What people and models wrote is data: no HTML or image of it runs."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TypedDict

from markdown_it import MarkdownIt

from voice import texts
from voice.session import Line

_CODE = re.compile(
    r"(^ {0,3}(?:```|~~~)[^`\n]*\n.*?(?:^ {0,3}(?:```|~~~)[ \t]*$|\Z)|(?<![`\\])(`+)(?!`)[^\n]+?(?<!`)\2(?!`))",
    re.DOTALL | re.MULTILINE,
)
"""Fenced blocks and code spans."""
_PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
_MARKS = re.compile(r"[\\`*_\[\]|~]|^#|^[-+](?=\s)|(?<=^\d)[.)]", re.MULTILINE)
"""What would be taken for Markdown: marks anywhere; headings and lists at the start of a line."""


class ChatMessage(TypedDict):
    role: str
    content: str


def render_transcript(lines: Sequence[Line], language: str) -> list[ChatMessage]:
    """One message a line; a line that was stopped or failed says so. `language`: of the interface."""
    return [
        ChatMessage(role=line.role, content=content)
        for line in lines
        if (content := _render_line(line, language)) or line.role == "user"
    ]


def _render_line(line: Line, language: str) -> str:
    parts = [quote(line.text) if line.role == "user" else defuse(line.text)]
    if line.error:
        sentence = texts.say(line.error.sentence, language, **line.error.details)
        parts.append(f"<small>{quote(sentence)}</small>")
    for switch in line.notes:
        sentence = texts.say(
            "engine_switched", language, preferred=switch.preferred, answered=switch.answered
        )
        parts.append(f"<small>{quote(sentence)}</small>")
    if line.stopped and not line.error:
        parts.append(f"<small>({texts.words_of(language).stopped_mark})</small>")
    return "\n\n".join(filter(None, parts))


def quote(text: str) -> str:
    """Markdown that shows `text` to the letter."""
    return _MARKS.sub(r"\\\g<0>", html.escape(text, quote=False))


def defuse(markdown: str) -> str:
    """The same Markdown without HTML, and without images, which a browser would fetch from wherever they point.

    Code keeps every character: what renders it escapes it. Where that would let something through, because the marks
    of code are not what they seem, all is escaped.
    """
    outside_and_code = _CODE.split(markdown)
    kept = "".join(
        part if index % 3 == 1 else _escape(part)
        for index, part in enumerate(outside_and_code)
        if index % 3 < 2
    )
    return _escape(markdown) if _is_live(kept) else kept


def _escape(text: str) -> str:
    return html.escape(text, quote=False).replace("![", "!\\[")


def _is_live(markdown: str) -> bool:
    tokens = _PARSER.parse(markdown)
    inline = (child for token in tokens for child in token.children or ())
    return any(token.type in {"html_block", "html_inline", "image"} for token in (*tokens, *inline))
