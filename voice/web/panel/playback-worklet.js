// @ts-check
/**
 * "kaiwa-playback": plays items one after the other, each from its chunks, and tells how much of them was played.
 *
 * In:  { type: "audio", item, samples: Float32Array }  the next chunk of an item, at the context's rate; transferred
 *      { type: "end", item }                           no more chunks of it come
 *      { type: "gain", gain, ms }                      volume 0..1, reached within ms
 *      { type: "hold" } { type: "resume" }             be silent in the midst of it, and go on there
 *      { type: "clear" }                               drop all that came before this message
 * Out: { type: "played", item, samples, started, ended, contextTime }  at its first sample, every 250 ms, at its end
 *      { type: "cleared", items: [{ item, samples }] } what was dropped, and how much of it was played; samples at the
 *                                                      context's rate
 *      { type: "buffer", queuedMs, targetMs, underruns } with each report
 *
 * An item begins as soon as the jitter buffer lets it (`jitter.js`), or when all of it is there.
 */
import { JitterBuffer } from "./jitter.js";

/** Of the gate that opens and closes at hold, resume and clear; long enough not to click. */
const GATE_MS = 8;
const REPORT_MS = 250;

/**
 * @typedef {{ item: string, chunks: Float32Array[], offset: number, queued: number, played: number, ended: boolean,
 *   arrivals: import("./jitter.js").Arrivals }} Item */

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {Item[]} */
    this.items = [];
    this.buffer = new JitterBuffer();
    this.waiting = true;
    this.underruns = 0;
    this.gain = 1;
    this.gainGoal = 1;
    this.gainStep = 1;
    this.gate = 1;
    this.held = false;
    /** How many items, from the front, are to be dropped once the gate is closed. */
    this.doomed = 0;
    this.lastSample = 0;
    this.sinceReport = 0;
    this.port.onmessage = ({ data }) => this.obey(data);
  }

  /** @param {any} message */
  obey(message) {
    if (message.type === "audio") this.enqueue(message.item, message.samples);
    else if (message.type === "end") this.endItem(message.item);
    else if (message.type === "gain") {
      this.gainGoal = message.gain;
      this.gainStep = Math.abs(message.gain - this.gain) / Math.max(1, (message.ms * sampleRate) / 1000);
    } else if (message.type === "hold") this.held = true;
    else if (message.type === "resume") this.held = false;
    else if (message.type === "clear") {
      this.doomed = this.items.length;
      this.held &&= this.doomed > 0;
    }
  }

  /** @param {string} name  @param {Float32Array} samples */
  enqueue(name, samples) {
    let item = this.items.slice(this.doomed).find(({ item }) => item === name);
    if (!item) {
      item = { item: name, chunks: [], offset: 0, queued: 0, played: 0, ended: false, arrivals: this.buffer.begin() };
      this.items.push(item);
    }
    item.chunks.push(samples);
    item.queued += samples.length;
    item.arrivals.add(1000 * currentTime, toMs(samples.length));
  }

  /** @param {string} name */
  endItem(name) {
    for (const item of this.items) if (item.item === name) item.ended = true;
  }

  /** @param {Float32Array[][]} _  @param {Float32Array[][]} outputs */
  process(_, outputs) {
    const [first, ...others] = outputs[0];
    const gateStep = 1000 / (GATE_MS * sampleRate);
    for (let index = 0; index < first.length; index++) {
      const closing = this.held || this.doomed > 0;
      this.gate = Math.max(0, Math.min(1, this.gate + (closing ? -gateStep : gateStep)));
      if (closing && (this.gate === 0 || this.waiting)) {
        if (this.doomed) this.drop();
        first[index] = 0;
        continue;
      }
      first[index] = this.next() * this.gate * this.gain;
      const toGoal = this.gainGoal - this.gain;
      this.gain = Math.abs(toGoal) <= this.gainStep ? this.gainGoal : this.gain + Math.sign(toGoal) * this.gainStep;
    }
    for (const other of others) other.set(first);
    this.sinceReport += first.length;
    if (this.items.length && !this.waiting && this.sinceReport >= (REPORT_MS * sampleRate) / 1000) {
      this.report(this.items[0]);
    }
    return true;
  }

  /** The next sample of what is queued; what rings out when there is none. */
  next() {
    let item = this.items[0];
    while (item && !item.queued && item.ended) {
      this.report(item, true);
      this.items.shift();
      item = this.items[0];
      this.waiting = true;
    }
    if (!item) return this.ringOut();
    if (!item.queued) this.waiting = true;
    if (this.waiting && !this.isReady(item)) return this.ringOut();
    if (!item.played) this.report(item);
    else if (this.waiting) this.underruns++;
    this.waiting = false;
    return (this.lastSample = this.take(item));
  }

  /** @param {Item} item */
  take(item) {
    const chunk = item.chunks[0];
    const sample = chunk[item.offset++];
    if (item.offset === chunk.length) {
      item.chunks.shift();
      item.offset = 0;
    }
    item.queued--;
    item.played++;
    return sample;
  }

  /** @param {Item} item */
  isReady({ queued, ended, played, arrivals }) {
    return queued > 0 && (ended || arrivals.isReady(1000 * currentTime, toMs(played), this.buffer.targetMs));
  }

  ringOut() {
    return (this.lastSample *= 0.99);
  }

  drop() {
    const items = this.items.splice(0, this.doomed).map(({ item, played }) => ({ item, samples: played }));
    this.doomed = 0;
    this.held = false;
    this.waiting = true;
    this.lastSample = 0;
    this.port.postMessage({ type: "cleared", items });
  }

  /** @param {Item} item  @param {boolean} ended */
  report(item, ended = false) {
    this.sinceReport = 0;
    const { item: name, played: samples } = item;
    this.port.postMessage({ type: "played", item: name, samples, started: samples > 0 || !ended, ended, contextTime: currentTime });
    const queued = this.items.reduce((sum, { queued }) => sum + queued, 0);
    const queuedMs = Math.round(toMs(queued));
    this.port.postMessage({ type: "buffer", queuedMs, targetMs: Math.round(this.buffer.targetMs), underruns: this.underruns });
  }
}

/** @param {number} samples */
function toMs(samples) {
  return (1000 * samples) / sampleRate;
}

registerProcessor("kaiwa-playback", Playback);
