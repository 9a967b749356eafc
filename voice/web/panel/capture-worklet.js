// @ts-check
/**
 * "kaiwa-capture": the microphone's sound, at any rate, as frames for the wire.
 *
 * Out: { type: "frame", pcm: ArrayBuffer }   20 ms of 16-bit 24 kHz mono; transferred
 *      { type: "onset" } { type: "quiet" }   sound began, or ended, at the microphone
 * In:  { type: "recycle", pcm: ArrayBuffer } a frame's memory, back for the next one; transferred
 */
import { OnsetDetector } from "./onset.js";
import { WIRE_RATE } from "./pcm.js";
import { Resampler } from "./resampler.js";

const FRAME_SAMPLES = WIRE_RATE / 50;
/** Of a block; browsers may one day give more than 128. */
const BLOCK_SAMPLES = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, WIRE_RATE);
    this.onset = new OnsetDetector(sampleRate);
    this.converted = new Float32Array(this.resampler.room(BLOCK_SAMPLES));
    /** @type {Int16Array<ArrayBuffer>[]} */
    this.spare = Array.from({ length: 8 }, () => new Int16Array(FRAME_SAMPLES));
    this.frame = new Int16Array(FRAME_SAMPLES);
    this.filled = 0;
    this.port.onmessage = ({ data }) => {
      if (data.type === "recycle") this.spare.push(new Int16Array(data.pcm));
    };
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const samples = inputs[0][0];
    if (!samples) return true;
    const change = this.onset.feed(samples);
    if (change) this.port.postMessage({ type: change });
    const count = this.resampler.process(samples, this.converted);
    for (let index = 0; index < count; index++) {
      const sample = Math.max(-1, Math.min(1, this.converted[index]));
      this.frame[this.filled++] = Math.round(sample * 32767);
      if (this.filled === FRAME_SAMPLES) this.sendFrame();
    }
    return true;
  }

  sendFrame() {
    const pcm = this.frame.buffer;
    this.port.postMessage({ type: "frame", pcm }, [pcm]);
    this.frame = this.spare.pop() ?? new Int16Array(FRAME_SAMPLES);
    this.filled = 0;
  }
}

registerProcessor("kaiwa-capture", Capture);
