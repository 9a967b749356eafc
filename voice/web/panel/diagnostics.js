// @ts-check
import { readLatencyMs } from "./audio.js";

const KEPT = 30;

/** What somebody who looks for a fault wants to know. No words of the conversation, no ticket, no device's own name. */
export class Diagnostics {
  constructor() {
    this.beganAt = new Date();
    /** @type {Record<string, number>} */
    this.counts = {};
    /** @type {{ seconds: number, what: string, detail: string }[]} */
    this.log = [];
  }

  /** @param {string} what */
  count(what, by = 1) {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  /** @param {string} what  @param {unknown} detail */
  note(what, detail = "") {
    const seconds = Math.round((Date.now() - this.beganAt.getTime()) / 100) / 10;
    this.log.push({ seconds, what, detail: String(detail).slice(0, 300) });
    this.log.splice(0, this.log.length - KEPT);
  }

  /** @param {object} present  what is so at this moment */
  report(present) {
    return JSON.stringify(
      {
        time: new Date().toISOString(),
        browser: navigator.userAgent,
        languages: navigator.languages,
        screen: `${innerWidth}x${innerHeight}@${devicePixelRatio}`,
        secure: isSecureContext,
        online: navigator.onLine,
        ...present,
        counts: this.counts,
        log: this.log,
      },
      null,
      2,
    );
  }
}

/** Of an audio context. @param {AudioContext | null} context */
export function describeAudio(context) {
  if (!context) return null;
  const { state, sampleRate: rateHz } = context;
  return { state, rateHz, latencyMs: Math.round(10 * readLatencyMs(context)) / 10 };
}
