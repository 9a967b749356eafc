// @ts-check
import { readLatencyMs } from "./audio.js";
import { decodeSamples, WIRE_RATE } from "./pcm.js";
import { Resampler } from "./resampler.js";

const DUCKED = 0.25;
const DUCK_WITHIN_MS = 15;
const RISE_WITHIN_MS = 160;
/** Of a reply's beginning: the browser's echo cancellation takes a moment to know its sound. */
const UNDUCKED_MS = 300;
/** If the server makes nothing of a sound that ducked the reply, the volume comes back after this. */
const DUCK_AT_MOST_MS = 700;

/**
 * @typedef {{ item: string, ms: number, started: boolean, ended: boolean }} Played  `ms` have been heard of the item.
 * @typedef {object} PlaybackListener
 * @property {(played: Played) => void} played
 * @property {(items: { item: string, ms: number }[]) => void} cut  What was dropped before it ended.
 */

/** Plays the replies' items through the worklet. */
export class Playback {
  /** @param {AudioContext} context  its playback worklet loaded  @param {PlaybackListener} listener */
  constructor(context, listener) {
    this.context = context;
    this.listener = listener;
    this.node = new AudioWorkletNode(context, "kaiwa-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.analyser = new AnalyserNode(context, { fftSize: 512 });
    this.node.connect(this.analyser).connect(context.destination);
    this.node.port.onmessage = ({ data }) => this.take(data);
    this.resampler = new Resampler(WIRE_RATE, context.sampleRate);
    /** What is queued or being played, in order. @type {Set<string>} */
    this.items = new Set();
    /** What is over: nothing of it is ever played again. @type {Set<string>} */
    this.over = new Set();
    /** The item being heard, and how far. */
    this.now = { item: "", ms: 0, atSeconds: 0 };
    this.resampling = "";
    this.held = false;
    /** What is held before anything of it has come. */
    this.heldAhead = "";
    this.duckTimer = 0;
    this.ducks = 0;
    this.buffer = { queuedMs: 0, targetMs: 0, underruns: 0 };
  }

  /** Between a sample's leaving the worklet and its being heard. */
  get latencyMs() {
    return readLatencyMs(this.context);
  }

  /** Whether something can be heard, or soon will. */
  get isPlaying() {
    return this.items.size > 0;
  }

  /** How much of an item was heard, this moment. @param {string} item */
  positionMs(item) {
    if (item !== this.now.item) return 0;
    const since = this.held || !this.items.has(item) ? 0 : 1000 * (this.context.currentTime - this.now.atSeconds);
    return this.now.ms + Math.max(0, since);
  }

  /** @param {string} item  @param {string} audio */
  add(item, audio) {
    if (this.over.has(item)) return;
    this.items.add(item);
    if (this.heldAhead === item) this.hold(item);
    if (this.resampling !== item) this.resampler.reset();
    this.resampling = item;
    const samples = decodeSamples(audio);
    const converted = new Float32Array(this.resampler.room(samples.length));
    this.post(item, converted.slice(0, this.resampler.process(samples, converted)));
  }

  /** No more of an item comes. @param {string} item */
  end(item) {
    // What was dropped has no end: the worklet would take the rest of its sound for a new beginning.
    if (!this.items.has(item) || this.over.has(item)) return;
    if (this.resampling === item) {
      const rest = new Float32Array(this.resampler.room(this.resampler.half));
      this.post(item, rest.slice(0, this.resampler.flush(rest)));
      this.resampling = "";
    }
    this.node.port.postMessage({ type: "end", item });
  }

  /** No more of anything comes; what is there is played to its end, and nothing of it again. */
  endAll() {
    this.resume();
    for (const item of this.items) {
      this.end(item);
      this.over.add(item);
    }
  }

  /** Stop at once, and drop all there is. `cut` is told what it was. */
  clear() {
    if (!this.isPlaying) return;
    this.items.forEach((item) => this.over.add(item));
    this.node.port.postMessage({ type: "clear" });
    this.held = false;
    this.rise();
  }

  /** Be silent in the midst of an item, or before it begins. @param {string} item */
  hold(item) {
    this.heldAhead = this.items.has(item) ? "" : item;
    if (this.heldAhead) return;
    clearTimeout(this.duckTimer);
    this.held = true;
    this.node.port.postMessage({ type: "hold" });
  }

  resume() {
    this.held = false;
    this.heldAhead = "";
    this.rise();
    this.node.port.postMessage({ type: "resume" });
  }

  /** Somebody may be interrupting: softer, until it is known. */
  duck() {
    if (!this.isPlaying || this.held || this.positionMs(this.now.item) < UNDUCKED_MS) return;
    this.ducks++;
    this.setGain(DUCKED, DUCK_WITHIN_MS);
    this.duckTimer = setTimeout(() => this.rise(), DUCK_AT_MOST_MS);
  }

  rise() {
    this.setGain(1, RISE_WITHIN_MS);
  }

  /** @param {number} gain  @param {number} ms */
  setGain(gain, ms) {
    clearTimeout(this.duckTimer);
    this.node.port.postMessage({ type: "gain", gain, ms });
  }

  /** @param {string} item  @param {Float32Array} samples */
  post(item, samples) {
    if (samples.length) this.node.port.postMessage({ type: "audio", item, samples }, [samples.buffer]);
  }

  /** @param {any} message */
  take(message) {
    if (message.type === "buffer") this.buffer = message;
    else if (message.type === "cleared") this.takeCleared(message.items);
    else this.takePlayed(message);
  }

  /** @param {{ item: string, samples: number }[]} items */
  takeCleared(items) {
    const cut = items.map(({ item, samples }) => ({ item, ms: this.heardMs(samples) }));
    for (const { item, ms } of cut) {
      this.items.delete(item);
      if (item === this.now.item) this.now.ms = ms;
    }
    this.listener.cut(cut);
  }

  /** @param {{ item: string, samples: number, started: boolean, ended: boolean, contextTime: number }} report */
  takePlayed({ item, samples, started, ended, contextTime }) {
    const latencyMs = this.latencyMs;
    const ms = ended ? this.lengthMs(samples) : this.heardMs(samples);
    if (ended) this.over.add(item);
    // The report is true once the samples have come out of the loudspeaker.
    const waitMs = samples && !ended ? 0 : latencyMs;
    setTimeout(() => {
      this.now = { item, ms, atSeconds: contextTime + (samples ? 0 : latencyMs / 1000) };
      if (ended) this.items.delete(item);
      this.listener.played({ item, ms, started, ended });
    }, waitMs);
  }

  /** @param {number} samples */
  lengthMs(samples) {
    return Math.round((1000 * samples) / this.context.sampleRate);
  }

  /** @param {number} samples  that left the worklet */
  heardMs(samples) {
    return Math.max(0, Math.round(this.lengthMs(samples) - this.latencyMs));
  }
}
