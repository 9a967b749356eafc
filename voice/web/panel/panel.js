// @ts-check
import { Captions } from "./captions.js";
import { keepChoices, readChoices } from "./choices.js";
import { Conversation } from "./conversation.js";
import { Devices } from "./devices.js";
import { describeAudio, Diagnostics } from "./diagnostics.js";
import { meter, Orb } from "./orb.js";
import { Figures } from "./waterfall.js";
import { label, makeSay, name } from "./wording.js";

const INFO_MS = 9000;
/** Gradio takes some 20 ms to draw the transcript: the sound of a reply that begins at that moment goes first. */
const TRANSCRIPT_AFTER_MS = 100;
const REPLY_PLAYER = "#reply";
/** What scrolls of it. */
const TRANSCRIPT = "#transcript .bubble-wrap";
/** Within which of its end somebody reads the last line. */
const END_PX = 60;
/** What keys and clicks mean something to already. */
const TAKEN = "input, textarea, select, button, summary, a, audio, video, [contenteditable], [role=button], [role=listbox], [role=slider]";

/**
 * @typedef {object} Host  What Gradio gives to the component.
 * @property {HTMLElement} element
 * @property {Record<string, any>} props  `ticket`, `words` by language, the server's usual `patience`, and the transcript in `value`.
 * @property {() => void} transcribed  Tells Gradio that `props.value` has a new transcript.
 * @property {() => void} renew  Asks Gradio for another `ticket`.
 * @property {(prop: string, changed: () => void) => void} watch
 * @property {URL} base  The page's address.
 */

/** @param {Host} host */
export function mount(host) {
  new Panel(host);
}

class Panel {
  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    const { element, props } = host;
    this.root = this.find(".live", HTMLElement);
    this.say = makeSay(props.words);
    label(element, this.say);
    this.diagnostics = new Diagnostics();
    this.choices = readChoices({ patience: props.patience });
    const files = new URL(".", import.meta.url);
    this.conversation = new Conversation(host.base, files, this.say, this.choices, this.diagnostics);
    this.conversation.view = this;
    this.captions = new Captions(element, (item) => this.conversation.playback?.positionMs(item) ?? 0);
    this.figures = new Figures(element, this.say);
    this.devices = new Devices(this.find("select", HTMLSelectElement), this.conversation, this.say);
    this.orb = new Orb(this.find(".orb", HTMLCanvasElement));
    this.orb.measure = () => this.measure();
    this.noticeTimer = 0;
    this.heightPx = this.root.offsetHeight;
    new ResizeObserver(() => this.keepLastLine()).observe(this.root);
    /** @type {any[]} */
    this.messages = [];
    this.transcriptTimer = 0;
    this.connectButtons();
    this.connectKeys();
    this.connectPage();
    this.takeTicket();
    host.watch("ticket", () => this.takeTicket());
    this.changed();
  }

  /** @template {Element} T  @param {string} selector  @param {new () => T} type  @returns {T} */
  find(selector, type) {
    const found = this.host.element.querySelector(selector);
    if (!(found instanceof type)) throw new Error(`no ${selector}`);
    return found;
  }

  /** @param {string} selector */
  button(selector) {
    return this.find(selector, HTMLButtonElement);
  }

  takeTicket() {
    this.conversation.takeTicket(this.host.props.ticket ?? "");
    this.changed();
  }

  renew() {
    this.host.renew();
  }

  connectButtons() {
    const { conversation } = this;
    const talk = this.button(".talk");
    talk.onclick = () => this.pressTalk();
    talk.onpointerdown = ({ pointerId, button }) => {
      if (button || !conversation.pushes || conversation.status !== "live") return;
      talk.setPointerCapture(pointerId);
      conversation.press();
    };
    talk.onpointerup = talk.onpointercancel = talk.onlostpointercapture = () => conversation.release();
    talk.oncontextmenu = (event) => conversation.isOn && event.preventDefault();
    this.button(".mute").onclick = () => conversation.mute(!(conversation.muted || conversation.paused));
    this.button(".hush").onclick = () => conversation.cancel();
    this.button(".end").onclick = () => {
      conversation.end();
      talk.focus();
    };
    this.button(".adjust").onclick = () => this.toggleChoices();
    this.button(".copy").onclick = () => void this.copyDiagnostics();
    for (const input of this.host.element.querySelectorAll("input")) {
      const key = input.name === "live-mode" ? "mode" : "patience";
      input.checked = this.choices[key] === input.value;
      input.onchange = () => this.choose({ [key]: input.value });
    }
    this.devices.chosen = (deviceId) => this.choose({ deviceId });
  }

  /** Space, held, talks; on the button itself and wherever it means nothing else. */
  connectKeys() {
    const { conversation } = this;
    /** @param {KeyboardEvent} event */
    const means = (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      return event.code === "Space" && conversation.pushes && conversation.status === "live" && (target === this.button(".talk") || !target.closest(TAKEN));
    };
    document.addEventListener("keydown", (event) => {
      if (!means(event) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      if (!event.repeat) conversation.press();
    });
    document.addEventListener("keyup", (event) => {
      if (event.code !== "Space") return;
      // The click that a button makes of it is not wanted.
      if (means(event)) event.preventDefault();
      conversation.release();
    });
    window.addEventListener("blur", () => conversation.release());
    document.addEventListener("visibilitychange", () => (document.hidden ? conversation.release() : conversation.stayAudible()));
  }

  /** What else on the page speaks or listens. */
  connectPage() {
    const { conversation } = this;
    document.addEventListener("play", () => conversation.hush(), true);
    // Replies are heard through the panel while it is connected; the player of the finished one then waits to be asked.
    document.addEventListener("loadstart", ({ target }) => {
      if (target instanceof HTMLAudioElement && target.closest(REPLY_PLAYER)) target.autoplay = !conversation.isConnected;
    }, true);
    window.addEventListener("kaiwa:hush", () => conversation.hush());
    window.addEventListener("kaiwa:recording", () => conversation.pause(true));
    window.addEventListener("kaiwa:recorded", () => conversation.pause(false));
    navigator.mediaDevices?.addEventListener("devicechange", () => void conversation.lookForMicrophone());
    window.addEventListener("pagehide", () => conversation.end());
  }

  pressTalk() {
    const { conversation } = this;
    this.quiet();
    conversation.stayAudible();
    if (conversation.status === "off") void conversation.start();
    else if (conversation.status === "asleep") void conversation.wake();
    else if (!conversation.pushes && conversation.playback?.isPlaying) conversation.cancel();
  }

  /** @param {Partial<import("./choices.js").Choices>} choices */
  choose(choices) {
    void this.conversation.choose(choices);
    keepChoices(this.choices);
  }

  toggleChoices() {
    const choices = this.find(".choices", HTMLElement);
    choices.hidden = !choices.hidden;
    this.button(".adjust").setAttribute("aria-expanded", String(!choices.hidden));
  }

  /** The panel takes its room from the transcript, of which the end stays in sight if it was. */
  keepLastLine() {
    const grownPx = this.root.offsetHeight - this.heightPx;
    this.heightPx += grownPx;
    const lines = document.querySelector(TRANSCRIPT);
    if (!lines || grownPx <= 0) return;
    // The transcript may be laid out after the panel was.
    requestAnimationFrame(() => {
      const belowPx = lines.scrollHeight - lines.scrollTop - lines.clientHeight;
      if (belowPx <= grownPx + END_PX) lines.scrollTop = lines.scrollHeight;
    });
  }

  async copyDiagnostics() {
    const { conversation, diagnostics } = this;
    const { audio, connection, microphone, playback, status, phase, limits, choices } = conversation;
    const report = diagnostics.report({
      status,
      phase,
      mode: choices.mode,
      patience: choices.patience,
      limits,
      transport: connection?.kind ?? null,
      unsentBytes: connection?.transport?.queuedBytes() ?? null,
      audio: describeAudio(audio),
      microphone: microphone?.stream?.getAudioTracks().map(({ readyState, muted }) => ({ readyState, muted })) ?? null,
      buffer: playback?.buffer ?? null,
      ducks: playback?.ducks ?? null,
      answersMs: this.figures.answers,
    });
    try {
      await navigator.clipboard.writeText(report);
      this.tell("info", this.say("diagnostics_copied"));
    } catch {
      this.tell("error", this.say("diagnostics_not_copied"));
    }
  }

  // What the conversation wants shown

  /** @param {"info" | "error"} level  @param {string} text */
  tell(level, text) {
    const notice = this.find(".notice", HTMLElement);
    clearTimeout(this.noticeTimer);
    notice.classList.toggle("error", level === "error");
    // Away and back, for what is said again to be seen and heard again.
    notice.hidden = true;
    void notice.offsetHeight;
    notice.textContent = text;
    notice.hidden = false;
    if (level === "info") this.noticeTimer = setTimeout(() => this.quiet(), INFO_MS);
  }

  quiet() {
    clearTimeout(this.noticeTimer);
    this.find(".notice", HTMLElement).hidden = true;
  }

  /** What was wrong is so no more. */
  recover() {
    if (this.find(".notice", HTMLElement).classList.contains("error")) this.quiet();
  }

  /** @param {number} first  @param {any[]} messages */
  transcribe(first, messages) {
    if (first > this.messages.length) return this.diagnostics.note("transcript", `gap before ${first}`);
    this.messages = [...this.messages.slice(0, first), ...messages.map(toParts)];
    this.transcriptTimer ||= setTimeout(() => this.showTranscript(), TRANSCRIPT_AFTER_MS);
  }

  showTranscript() {
    this.transcriptTimer = 0;
    this.host.props.value = { messages: this.messages };
    this.host.transcribed();
  }

  changed() {
    const { conversation, root, say } = this;
    const { status, mood, choices, muted, paused } = conversation;
    const isOn = status !== "off";
    if (isOn && root.dataset.status === "off") this.captions.clear();
    Object.assign(root.dataset, { status, mood, mode: choices.mode });
    this.orb.mood = mood;
    const talk = this.button(".talk");
    talk.disabled = !conversation.ticket;
    name(talk, say(this.nameTalk()));
    this.write(".state", say(this.nameState()));
    const hint = this.nameHint();
    this.write(".hint", hint && say(hint));
    const mute = this.button(".mute");
    mute.disabled = status === "asleep";
    mute.setAttribute("aria-pressed", String(muted || paused));
    name(mute, say(muted || paused ? "unmute" : "mute"));
    this.button(".hush").disabled = !["thinking", "speaking"].includes(mood) && !conversation.playback?.isPlaying;
    void this.devices.refresh();
  }

  nameTalk() {
    const { status, pushes, playback } = this.conversation;
    if (status === "off") return "start";
    if (status === "asleep") return "wake";
    if (pushes) return "hold_to_talk";
    return playback?.isPlaying ? "hush" : "conversing";
  }

  nameState() {
    const { status, mood, muted, paused, pushes, talking, microphone } = this.conversation;
    if (status === "off") return "state_off";
    if (status === "starting") return "state_connecting";
    if (status === "lost") return "state_lost";
    if (mood === "listening" && (!microphone?.stream || microphone.interrupted)) return "state_deaf";
    if (mood === "listening" && (muted || paused)) return "state_muted";
    if (mood === "listening" && pushes && !talking) return "state_waiting";
    return `state_${mood}`;
  }

  nameHint() {
    const { status, pushes, muted } = this.conversation;
    if (status === "off") return "hint_off";
    if (status === "asleep") return "hint_asleep";
    if (status !== "live" || muted) return "";
    return pushes ? "hint_push" : "hint_live";
  }

  /** @param {string} selector  @param {string} text */
  write(selector, text) {
    const element = this.find(selector, HTMLElement);
    if (element.textContent !== text) element.textContent = text;
    element.hidden = !text;
  }

  /** For the orb: how loud it is, of whoever speaks. */
  measure() {
    const { microphone, playback, mood, muted, paused } = this.conversation;
    if (this.meterOf !== microphone) {
      this.meterOf = microphone;
      this.input = microphone ? meter(microphone.analyser) : () => 0;
      this.output = playback ? meter(playback.analyser) : () => 0;
    }
    const input = muted || paused || !microphone?.stream ? 0 : this.input();
    this.root.style.setProperty("--level", input.toFixed(2));
    return mood === "speaking" ? this.output() : input;
  }

  meterOf = /** @type {unknown} */ (null);
  input = () => 0;
  output = () => 0;
}

/** As Gradio's Chatbot wants messages that come from a script. @param {any} message */
function toParts(message) {
  const { content } = message;
  return typeof content === "string" ? { ...message, content: [{ type: "text", text: content }] } : message;
}
