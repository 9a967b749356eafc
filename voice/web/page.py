"""The Gradio Blocks page: record or type, read the conversation, hear the reply."""

from __future__ import annotations

import gradio as gr

from voice import texts
from voice.engines import Engines
from voice.session import Limits, Preferences
from voice.turns.events import Patience
from voice.web.engine_board import make_engine_board
from voice.web.figures import Figures
from voice.web.page_events import PageEvents
from voice.web.panel import make_panel
from voice.web.programs import add_endpoints
from voice.web.status import make_status_line
from voice.web.tickets import Tickets

FILES_ARE_KEPT_SECONDS = 600
"""How long recordings and spoken replies lie in Gradio's cache: enough to replay or download the last ones."""
SWEEP_SECONDS = 60
"""Between two looks for files that are older."""
SESSIONS_ARE_KEPT_SECONDS = 4 * 3600
"""Idle conversations of open tabs. A closed tab's goes an hour later, by Gradio's own rule: a phone that put the tab
to sleep finds its conversation again."""
SPEEDS = (0.5, 2.0)
NATIVE_PLAYER = gr.WaveformOptions(show_recording_waveform=False)
"""The browser's own audio player: slim, known to everybody, fit for keyboards and screen readers."""

SILENCE = "{__type__: 'update', value: null, playback_position: 0}"
"""For the player, in the browser: away with the sound, and with the position that Gradio would start the next one at."""
HUSH = "dispatchEvent(new Event('kaiwa:hush'))"
"""For the live panel, in the browser: away with the sound."""

I18N = gr.I18n(**{language: texts.label_page(language) for language in texts.INTERFACE})

HEADER = """
<header class="brand">
  <span class="mark" aria-hidden="true">会話</span>
  <h1>Kaiwa</h1>
</header>
"""


def build_page(
    engines: Engines,
    limits: Limits,
    defaults: Preferences,
    tickets: Tickets | None = None,
    figures: Figures | None = None,
    patience: Patience = Patience.BALANCED,
) -> gr.Blocks:
    """The page, to be launched by `serving.launch`. `tickets`: where the live panel gets its own from."""
    events = PageEvents(engines, limits, defaults, tickets or Tickets(), figures or Figures())
    with gr.Blocks(
        title="会話 Kaiwa",
        fill_height=True,
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(SWEEP_SECONDS, FILES_ARE_KEPT_SECONDS),
    ) as page:
        session = gr.State(None, time_to_live=SESSIONS_ARE_KEPT_SECONDS)
        gr.HTML(HEADER)
        with gr.Row(elem_id="main"):
            with gr.Column(scale=3, min_width=320, elem_id="talk"):
                panel = make_panel(patience)
                transcript = gr.Chatbot(
                    elem_id="transcript",
                    label=I18N("transcript"),
                    show_label=False,
                    placeholder=I18N("welcome"),
                    buttons=["copy", "copy_all"],
                    feedback_options=None,
                    latex_delimiters=[],
                    allow_tags=False,
                    height="100%",
                    min_height=280,
                )
                with gr.Row(elem_id="now"):
                    status = make_status_line()
                    stop = gr.Button(
                        I18N("stop"), variant="stop", size="sm", elem_id="stop", min_width=90, scale=0
                    )
                reply = gr.Audio(
                    label=I18N("reply_sound"),
                    elem_id="reply",
                    interactive=False,
                    autoplay=True,
                    format="wav",
                    buttons=["download"],
                    waveform_options=NATIVE_PLAYER,
                )
                with gr.Row(elem_id="compose"):
                    recorder = gr.Audio(
                        label=I18N("record"),
                        elem_id="recorder",
                        sources=["microphone", "upload"],
                        type="filepath",
                        editable=False,
                        scale=2,
                        min_width=300,
                    )
                    message = gr.Textbox(
                        label=I18N("type"),
                        placeholder=I18N("type_here"),
                        elem_id="message",
                        lines=1,
                        max_lines=5,
                        submit_btn=True,
                        scale=3,
                        min_width=300,
                    )
            with gr.Column(scale=1, min_width=260, elem_id="options"):
                language = gr.Dropdown(
                    [(I18N(f"language_{name}"), name) for name in texts.SPOKEN_LANGUAGES],
                    value=defaults.language or "auto",
                    label=I18N("language"),
                )
                persona = gr.Dropdown(
                    [(I18N(f"persona_{name}"), name) for name in texts.PERSONAS],
                    value=defaults.persona,
                    allow_custom_value=True,
                    label=I18N("persona"),
                    info=I18N("persona_info"),
                )
                voice = gr.Dropdown(
                    [(I18N("automatic"), ""), *((v.label, v.name) for v in engines.text_to_speech.voices())],
                    value=defaults.voice,
                    label=I18N("voice"),
                    info=I18N("voice_info"),
                )
                speed = gr.Slider(*SPEEDS, value=defaults.speed, step=0.05, label=I18N("speed"))
                hear_voice = gr.Button(I18N("hear_voice"), size="sm", elem_id="hear-voice")
                sample = gr.Audio(
                    label=I18N("voice_sample"),
                    elem_id="sample",
                    interactive=False,
                    autoplay=True,
                    buttons=[],
                    waveform_options=NATIVE_PLAYER,
                )
                clear = gr.Button(I18N("clear"), size="sm", elem_id="clear")
                board = make_engine_board()

        screen = [session, transcript, status, recorder, message, reply]
        choices = [session, language, voice, speed, persona]
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        many = {"trigger_mode": "multiple", **quiet}

        page.load(events.wake, [session], [session, status, board, panel], **quiet)
        page.unload(events.leave)
        gr.on(
            [recorder.start_recording, recorder.upload, stop.click, clear.click, transcript.clear],
            None,
            None,
            [reply],
            js=f"() => ({HUSH}, {SILENCE})",
            **quiet,
        )
        message.submit(
            None,
            [message],
            [reply],
            js=f"(text) => text.trim() ? ({HUSH}, {SILENCE}) : {{__type__: 'update'}}",
            **quiet,
        )
        recorder.start_recording(
            events.listen, [session], [session, transcript, status], queue=False, **quiet
        )
        gr.on(
            [recorder.stop_recording, recorder.upload],
            events.take_recording,
            [recorder, *choices],
            screen,
            **many,
        )
        message.submit(events.take_message, [message, *choices], screen, **many)
        stop.click(events.stop, [session], screen, queue=False, **quiet)
        gr.on([clear.click, transcript.clear], events.clear, [session], screen, queue=False, **quiet)
        persona.change(events.prepare, choices, **quiet)
        gr.on(
            [component.change for component in (language, voice, speed, persona)],
            events.choose,
            choices,
            trigger_mode="always_last",
            **quiet,
        )
        panel.renew(events.renew, [session], [session, panel], **quiet)
        panel.transcript(None, [panel], [transcript], js="(value) => [value.messages]", **quiet)
        recorder.start_recording(
            None, None, None, js="() => dispatchEvent(new Event('kaiwa:recording'))", **quiet
        )
        gr.on(
            [recorder.stop_recording, recorder.clear],
            None,
            js="() => dispatchEvent(new Event('kaiwa:recorded'))",
            **quiet,
        )
        hear_voice.click(events.hear_voice, [voice, speed, language], sample, **quiet)
        reply.stop(
            None,
            [status],
            [status],
            js="(now) => now.phase === 'speaking' ? {...now, phase: 'answered', text: now.afterwards} : now",
            **quiet,
        )
        add_endpoints(events, session, choices[1:])
    page.queue(default_concurrency_limit=None)
    return page
