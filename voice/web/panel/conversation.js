// @ts-check
import { ScreenLight, canPlay, keepOn, openAudio, pausePlayers } from "./audio.js";
import { Connection } from "./connection.js";
import { Microphone, MicrophoneError, openMicrophone } from "./microphone.js";
import { encodeBase64, WIRE_RATE } from "./pcm.js";
import { Playback } from "./playback.js";
import { obey } from "./server-events.js";
import { CODE_FORGOTTEN } from "./transport.js";

const SILENT_FRAME = encodeBase64(new ArrayBuffer((2 * WIRE_RATE) / 50));
/** Kept of what is said before the connection first opens, in frames of 20 ms. */
const BACKLOG_FRAMES = 150;
/** For another ticket to come. */
const RENEWAL_MS = 10_000;
/** Who presses to talk has often begun before. */
const LEAD_IN_FRAMES = 15;
/** Who lets go has often not quite ended. */
const LEAD_OUT_MS = 80;

/**
 * @typedef {"off" | "starting" | "live" | "lost" | "asleep"} Status
 * @typedef {object} View  What shows the conversation.
 * @property {() => void} changed
 * @property {(level: "info" | "error", text: string) => void} tell
 * @property {() => void} recover
 * @property {() => void} renew  Asks for another ticket.
 * @property {(first: number, messages: any[]) => void} transcribe
 * @property {import("./captions.js").Captions} captions
 * @property {import("./waterfall.js").Figures} figures
 */

/** A live conversation: from the microphone to the server, and from there to the loudspeaker. */
export class Conversation {
  /**
   * @param {URL} base  the page's  @param {URL} files  this folder's  @param {import("./wording.js").Say} say
   * @param {import("./choices.js").Choices} choices  @param {import("./diagnostics.js").Diagnostics} diagnostics
   */
  constructor(base, files, say, choices, diagnostics) {
    this.base = base;
    this.files = files;
    this.say = say;
    this.choices = choices;
    this.diagnostics = diagnostics;
    /** @type {View} */
    this.view = /** @type {any} */ (null);
    this.ticket = "";
    /** Whether another ticket was asked for, since the server knew none of this page's any more. */
    this.renewed = false;
    this.renewal = 0;
    /** @type {Status} */
    this.status = "off";
    this.phase = "listening";
    this.muted = false;
    /** The server has said why it ends. */
    this.wasTold = false;
    /** The recorder has the microphone. */
    this.paused = false;
    this.talking = false;
    this.limits = {};
    /** @type {AudioContext | null} */
    this.audio = null;
    /** @type {Microphone | null} */
    this.microphone = null;
    /** @type {Playback | null} */
    this.playback = null;
    /** @type {Connection | null} */
    this.connection = null;
    /** Frames that wait for the connection, or for the button. @type {string[]} */
    this.waiting = [];
    /** The response each item is of. @type {Map<string, string>} */
    this.responses = new Map();
    this.screen = new ScreenLight();
    /** Changes with each start, sleep and end: whoever waited in between sees it. */
    this.round = 0;
    /** The round in which the microphone is being asked for to wake up; 0 for none. */
    this.waking = 0;
  }

  get isOn() {
    return this.status !== "off";
  }

  get isConnected() {
    return this.connection?.status === "open";
  }

  get pushes() {
    return this.choices.mode === "push_to_talk";
  }

  // What the user does

  /** In an event of the user's. */
  async start() {
    if (this.isOn || !this.ticket) return;
    // Audio worklets, like microphones, are kept from pages without TLS: the browser is not to blame.
    if (!isSecureContext) return this.explain(new MicrophoneError("insecure", "no secure context"));
    if (!canPlay()) return this.view.tell("error", this.say("audio_unsupported"));
    const round = ++this.round;
    this.phase = "listening";
    this.become("starting");
    const opening = openMicrophone(this.choices.deviceId);
    // Looked at below, after what may fail before.
    opening.catch(() => {});
    const release = () => void opening.then((stream) => stream.getTracks().forEach((track) => track.stop()), () => {});
    try {
      const audio = await openAudio(this.files);
      if (round !== this.round) {
        release();
        return void audio.close();
      }
      this.audio = audio;
      this.playback = new Playback(this.audio, { played: (played) => this.tellPlayed(played), cut: (items) => this.tellCut(items) });
      this.microphone = new Microphone(this.audio, {
        framed: (audio) => this.sendFrame(audio),
        noticed: (change) => this.notice(change),
        interrupted: (isOver) => void this.sitOut(isOver),
        unplugged: () => void this.replaceMicrophone(),
      });
      const stream = await opening;
      if (round !== this.round) return release();
      this.microphone.attach(stream);
    } catch (error) {
      release();
      if (round !== this.round) return;
      this.end();
      return this.explain(error);
    }
    pausePlayers();
    void this.screen.keep(true);
    this.connect();
  }

  connect() {
    this.connection = new Connection(this.base, this.ticket, new URL("panel.js", this.files), {
      received: (event) => {
        this.renewed = false;
        obey(this, event);
      },
      changed: (status, code, reason) => this.follow(status, code, reason),
    });
  }

  end() {
    this.round++;
    clearTimeout(this.renewal);
    this.renewal = 0;
    this.renewed = false;
    this.connection?.close();
    this.microphone?.release();
    void this.audio?.close();
    void this.screen.keep(false);
    this.connection = this.microphone = this.playback = this.audio = null;
    this.waiting = [];
    this.talking = this.muted = this.paused = false;
    this.view.captions.finish();
    this.become("off");
  }

  async wake() {
    const { round } = this;
    if (this.waking === round) return;
    this.waking = round;
    const isOpen = await this.openMicrophone(this.choices.deviceId);
    if (this.waking === round) this.waking = 0;
    if (!isOpen) return;
    void this.screen.keep(true);
    this.phase = "listening";
    if (this.connection) {
      this.send({ type: "kaiwa.wake" });
      this.become("live");
    } else {
      this.become("starting");
      this.connect();
    }
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    this.paused = false;
    this.sendMode();
    this.view.changed();
  }

  /** The recorder listens, or has stopped. @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    if (paused) this.hush();
    this.sendMode();
    this.view.changed();
  }

  /** The user, or the page, is there again. */
  stayAudible() {
    if (this.audio) keepOn(this.audio);
  }

  /** Silence, at once; the conversation goes on. */
  hush() {
    this.playback?.clear();
  }

  /** No more of this reply. */
  cancel() {
    this.hush();
    this.send({ type: "response.cancel" });
  }

  press() {
    if (!this.pushes || this.talking || this.status !== "live") return;
    this.talking = true;
    this.hush();
    this.send({ type: "kaiwa.talk", pressed: true });
    this.sendWaiting();
    this.view.changed();
  }

  release() {
    if (!this.talking) return;
    setTimeout(() => {
      this.talking = false;
      this.send({ type: "kaiwa.talk", pressed: false });
      this.view.changed();
    }, LEAD_OUT_MS);
  }

  /** @param {Partial<import("./choices.js").Choices>} choices */
  async choose(choices) {
    const { deviceId } = this.choices;
    this.release();
    Object.assign(this.choices, choices);
    this.waiting = [];
    this.sendMode();
    if (this.microphone?.stream && deviceId !== this.choices.deviceId) await this.openMicrophone(this.choices.deviceId);
    this.view.changed();
  }

  // The microphone

  /** Whether it is open now. @param {string} deviceId */
  async openMicrophone(deviceId) {
    const { round } = this;
    try {
      const stream = await openMicrophone(deviceId);
      if (this.microphone && round === this.round) {
        this.microphone.attach(stream);
        return true;
      }
      // The conversation ended or fell asleep while the browser asked: nobody listens to it any more.
      stream.getTracks().forEach((track) => track.stop());
    } catch (error) {
      if (round === this.round) this.explain(error);
    }
    return false;
  }

  /** It was unplugged: there may be another. */
  async replaceMicrophone() {
    this.diagnostics.note("microphone", "unplugged");
    this.microphone?.release();
    this.view.tell("error", this.say("microphone_unplugged"));
    this.view.changed();
    if (await this.openMicrophone("")) this.view.tell("info", this.say("microphone_replaced", { name: this.microphone?.label ?? "" }));
    this.view.changed();
  }

  /** The device needs the microphone for something else, as for a phone call. @param {boolean} isOver */
  async sitOut(isOver) {
    this.diagnostics.note("microphone", isOver ? "given back" : "taken away");
    if (!isOver) this.view.tell("error", this.say("microphone_interrupted"));
    this.view.changed();
    if (!isOver) return;
    this.stayAudible();
    const stream = this.microphone?.stream;
    // The same stream may go on as if it were live, and be silent: iOS. One that is asked for anew is not.
    if (await this.openMicrophone(this.choices.deviceId)) this.view.recover();
    else if (this.microphone?.stream === stream) this.microphone?.release();
    this.view.changed();
  }

  /** A device came or went. */
  async lookForMicrophone() {
    if (this.microphone && !this.microphone.stream && this.status === "live") await this.replaceMicrophone();
  }

  /** @param {string} audio */
  sendFrame(audio) {
    this.diagnostics.count("frames");
    const quiet = this.muted || this.paused;
    if (this.pushes && !this.talking) return this.keepFrame(quiet ? SILENT_FRAME : audio, LEAD_IN_FRAMES);
    // What is said while there is no connection is lost: said again later, it would be out of place.
    if (this.status === "starting") return this.keepFrame(audio, BACKLOG_FRAMES);
    this.append(quiet ? SILENT_FRAME : audio);
  }

  /** @param {string} audio  @param {number} most */
  keepFrame(audio, most) {
    this.waiting.push(audio);
    if (this.waiting.length > most) this.waiting.shift();
  }

  sendWaiting() {
    this.waiting.forEach((audio) => this.append(audio));
    this.waiting = [];
  }

  /** @param {string} audio */
  append(audio) {
    this.send({ type: "input_audio_buffer.append", audio });
  }

  /** The ear at the microphone: an interruption is felt before the server knows. @param {"onset" | "quiet"} change */
  notice(change) {
    if (this.pushes || this.muted || this.paused) return;
    if (change === "onset") this.playback?.duck();
    else if (!this.playback?.held) this.playback?.rise();
  }

  // The connection

  /** @param {object} event */
  send(event) {
    this.connection?.send(event);
  }

  sendMode() {
    const { mode, patience } = this.choices;
    this.send({ type: "kaiwa.mode", mode, patience, muted: this.muted || this.paused });
  }

  /** @param {import("./connection.js").Status} status  @param {number} code  @param {string} reason */
  follow(status, code, reason) {
    this.diagnostics.note(`connection ${status}`, code ? `${this.connection?.kind ?? ""} ${code} ${reason}` : this.connection?.kind);
    if (status === "open") return this.arrive();
    if (status === "lost") return this.lose();
    if (code === CODE_FORGOTTEN && !this.renewed) return this.renew();
    this.fail(status, code);
  }

  /** @param {import("./connection.js").Status} status  @param {number} code */
  fail(status, code) {
    this.end();
    if (status === "blocked") this.view.tell("error", this.say("connection_blocked"));
    else if (!this.wasTold) this.view.tell("error", this.say(code === CODE_FORGOTTEN ? "ticket_unknown" : "connection_ended"));
  }

  /** A page that was open for hours, or before the server began anew, is forgotten: it asks to be known again, once. */
  renew() {
    this.renewed = true;
    this.lose();
    if (this.status === "asleep") return;
    this.renewal = setTimeout(() => this.fail("refused", CODE_FORGOTTEN), RENEWAL_MS);
    this.view.renew();
  }

  /** @param {string} ticket */
  takeTicket(ticket) {
    this.ticket = ticket;
    if (!this.renewal) return;
    clearTimeout(this.renewal);
    this.renewal = 0;
    this.connect();
  }

  lose() {
    this.playback?.endAll();
    this.talking = false;
    if (this.status === "asleep") {
      // The server would take who comes back for somebody who is awake.
      this.connection?.close();
      this.connection = null;
    } else if (this.status === "live") this.become("lost");
  }

  arrive() {
    const first = this.status === "starting";
    if (!first) this.diagnostics.count("reconnections");
    if (this.connection?.kind === "lane" && first) this.view.tell("info", this.say("connection_lane"));
    this.wasTold = false;
    // Of a new connection, whatever went on when the one before was lost.
    this.phase = "listening";
    this.sendMode();
    if (!first) this.send({ type: "kaiwa.return" });
    this.become("live");
    if (first && !this.pushes) this.sendWaiting();
  }

  /** @param {string} phase */
  enter(phase) {
    this.phase = phase;
    if (phase === "asleep") {
      if (this.status !== "asleep") this.round++;
      this.microphone?.release();
      void this.screen.keep(false);
      this.become("asleep");
    } else this.view.changed();
  }

  /** @param {import("./playback.js").Played} played */
  tellPlayed({ item, ms, started, ended }) {
    this.send({ type: "kaiwa.played", item_id: item, ms, started, ended });
    if (ended) this.view.captions.end(item, true);
    else this.view.captions.follow(item);
    this.view.changed();
  }

  /** @param {{ item: string, ms: number }[]} items */
  tellCut(items) {
    for (const { item, ms } of items) {
      this.diagnostics.count("cuts");
      this.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: ms });
      this.view.captions.end(item, false);
    }
    this.view.changed();
  }

  // All else

  /** @param {Status} status */
  become(status) {
    this.status = status;
    this.view.changed();
  }

  /** @param {unknown} error */
  explain(error) {
    this.diagnostics.note("microphone", error);
    const trouble = error instanceof MicrophoneError ? error.trouble : "failed";
    this.view.tell("error", this.say(`microphone_${trouble}`));
  }

  /** What the orb shows. @returns {import("./orb.js").Mood} */
  get mood() {
    if (this.status === "off" || this.status === "asleep") return this.status;
    if (this.status !== "live") return "connecting";
    if (this.talking) return "hearing";
    if (this.playback?.isPlaying && !this.playback.held && this.phase !== "hearing") return "speaking";
    return /** @type {import("./orb.js").Mood} */ (this.phase === "speaking" ? "thinking" : this.phase);
  }
}
