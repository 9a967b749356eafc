"""The captions of a reply, run in Chromium as the page runs them."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visit
from tests.browser.panel_steps import live_app
from voice.web.panel import VERSION

pytestmark = pytest.mark.slow


def test_captions_leave_no_word_out_where_a_voice_was_faster_than_reckoned(visit: Visit) -> None:
    with live_app() as app:
        page = visit(app.address)
        shown = page.evaluate(f"""async () => {{
            const {{ Captions }} = await import("{app.address}/kaiwa/{VERSION}/captions.js");
            const element = document.createElement("div");
            element.innerHTML = '<p class="heard"></p><p class="spoken"></p><p class="announced"></p>';
            let now = 0;
            const captions = new Captions(element, () => now);
            captions.addWords("one", [{{ text: "Take", at_ms: 0 }}, {{ text: "this", at_ms: 300 }}, {{ text: "one.", at_ms: 600 }}]);
            captions.addWords("one", [{{ text: "Not", at_ms: 400 }}, {{ text: "that.", at_ms: 700 }}]);
            return [100, 450, 800].map((ms) => {{
                now = ms;
                captions.show();
                return captions.spoken.textContent;
            }});
        }}""")
        page.close()

    assert shown == ["Take", "Take this one. Not", "Take this one. Not that."]


def test_words_told_late_are_not_shown_twice_and_a_turn_not_understood_is_marked(visit: Visit) -> None:
    with live_app() as app:
        page = visit(app.address)
        shown = page.evaluate(f"""async () => {{
            const {{ Captions }} = await import("{app.address}/kaiwa/{VERSION}/captions.js");
            const element = document.createElement("div");
            element.innerHTML = '<p class="heard"></p><p class="spoken"></p><p class="announced"></p>';
            const captions = new Captions(element, () => 500);
            captions.addTranscript("one", "Take this.");
            captions.addWords("one", [{{ text: "Take", at_ms: 0 }}, {{ text: "this.", at_ms: 300 }}], 0);
            captions.addWords("one", [{{ text: "Take", at_ms: 0 }}, {{ text: "this.", at_ms: 400 }}], 0);
            captions.show();
            const said = captions.spoken.textContent;
            captions.hear(1, "What", false);
            captions.miss(1);
            const missed = [captions.heard.textContent, captions.heard.className];
            captions.miss(2);
            const unheard = captions.heard.textContent;
            captions.hear(3, "And now?", true);
            captions.miss(2);
            return [said, missed, unheard, captions.heard.textContent, captions.heard.className];
        }}""")
        page.close()

    assert shown == ["Take this.", ["What", "heard final missed"], "…", "And now?", "heard final"]
