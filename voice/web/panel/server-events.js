// @ts-check
import { pausePlayers } from "./audio.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */

/** Do what the server says: the Realtime protocol's events, and this server's own. @param {Conversation} conversation  @param {any} event */
export function obey(conversation, event) {
  const { playback, view, diagnostics } = conversation;
  switch (event.type) {
    case "response.output_audio.delta":
      return play(conversation, event);
    case "response.output_audio_transcript.delta":
      return view.captions.addTranscript(event.item_id, event.delta);
    case "response.output_audio.done":
      return playback?.end(event.item_id);
    case "response.done":
      return finish(conversation, event.response);
    case "input_audio_buffer.speech_started":
      return conversation.hush();
    case "error":
      return diagnostics.note("error", `${event.error?.code ?? ""} ${event.error?.message ?? ""}`);
    case "kaiwa.phase":
      return conversation.enter(event.phase);
    case "kaiwa.caption":
      if (event.failed) return view.captions.miss(event.turn);
      if (event.final && event.text) recover(conversation);
      return view.captions.hear(event.turn, event.text, event.final);
    case "kaiwa.words":
      return view.captions.addWords(event.item_id, event.words, event.first);
    case "kaiwa.hold":
      diagnostics.count("holds");
      return playback?.hold(event.item_id);
    case "kaiwa.resume":
      return playback?.resume();
    case "kaiwa.cut":
      return playback?.items.has(event.item_id) && conversation.hush();
    case "kaiwa.transcript":
      if (!event.first && !event.messages.length) view.captions.clear();
      return view.transcribe(event.first, event.messages);
    case "kaiwa.notice":
      conversation.wasTold = event.level === "error";
      return view.tell(event.level, event.text);
    case "kaiwa.metrics":
      return view.figures.add(event);
    case "kaiwa.limits":
      conversation.limits = event;
  }
}

/** The next of a reply's sound. @param {Conversation} conversation  @param {any} event */
function play(conversation, { item_id: item, response_id: response, delta }) {
  const { paused, playback, responses } = conversation;
  recover(conversation);
  if (paused) return;
  responses.set(item, response);
  if (!playback?.isPlaying) pausePlayers();
  playback?.add(item, delta);
}

/** What the server said to be wrong is so no more. @param {Conversation} conversation */
function recover(conversation) {
  if (!conversation.wasTold) return;
  conversation.wasTold = false;
  conversation.view.recover();
}

/** Nothing more of a response comes. @param {Conversation} conversation  @param {any} response */
function finish(conversation, { id, status }) {
  const { playback, responses } = conversation;
  const items = [...(playback?.items ?? [])].filter((item) => responses.get(item) === id);
  if (status === "cancelled" && items.length) conversation.hush();
  else items.forEach((item) => playback?.end(item));
}
