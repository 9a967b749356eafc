"""Text and how it is to be said, as Azure's SSML. No text can inject markup or break the document. Pure."""

from __future__ import annotations

import re
import unicodedata
from xml.sax.saxutils import escape, quoteattr

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, not even escaped (https://www.w3.org/TR/xml/#charsets); lone surrogates among it."""

_UNSPEAKABLE = ("Cc", "Cs", "Co", "Cn")
"""Unicode categories with nothing to say: control characters, surrogates, private use, unassigned."""


def speakable(text: str) -> str:
    """`text` on one line, without what no voice can say; empty where no letter, digit or symbol with a name is left."""
    text = "".join(" " if unicodedata.category(c) in _UNSPEAKABLE else c for c in text)
    text = " ".join(_NO_XML.sub(" ", text).split())
    return text if any(c.isalnum() for c in text) else ""


def make_ssml(text: str, voice: str, locale: str, speed: float = 1.0, style: str = "") -> str:
    """The document that says `text`.

    `voice`: as "ja-JP-NanamiNeural". `locale`: as "ja-JP". `speed`: a factor, 1.0 is the voice's own. `style`: one that
    the voice offers, as "chat"; "" for its own.
    """
    content = escape(_NO_XML.sub("", text).replace("\r", " "))
    if speed != 1.0:
        content = f'<prosody rate="{speed:.2f}">{content}</prosody>'
    if style:
        content = f"<mstts:express-as style={_quote(style)}>{content}</mstts:express-as>"
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        f'xmlns:mstts="https://www.w3.org/2001/mstts" xml:lang={_quote(locale)}>'
        f"<voice name={_quote(voice)}>{content}</voice></speak>"
    )


def _quote(value: str) -> str:
    return quoteattr(_NO_XML.sub("", value))
