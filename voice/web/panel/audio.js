// @ts-check
/** The device's own audio context, with the worklets loaded. Called in an event of the user's, who thereby allows sound. */
/** @param {URL} files  where the worklets are */
export async function openAudio(files) {
  const context = new AudioContext({ latencyHint: "interactive" });
  // Safari's "interrupted", as by a phone call, is let be: to resume it then is an error that can leave the context for
  // ever silent. When the call is over Safari resumes it, or makes it "suspended".
  context.onstatechange = () => context.state === "suspended" && keepOn(context);
  keepOn(context);
  const worklets = ["capture-worklet.js", "playback-worklet.js"].map((name) => new URL(name, files));
  await Promise.all(worklets.map((url) => context.audioWorklet.addModule(url)));
  return context;
}

/** Let it be heard as soon as it may be: called when the user or the page is there again. @param {AudioContext} context */
export function keepOn(context) {
  if (context.state === "running" || context.state === "closed") return;
  // Not awaited, and no error: a context that may not start yet tells so by its state.
  context.resume().catch(() => {});
}

/**
 * To ask Firefox on Linux for `outputLatency` can freeze the page for ever: it holds the audio graph's lock while it asks
 * the process that has the sound server's connection, and that one may be waiting for the graph (seen with 153 on PulseAudio).
 */
const MUST_NOT_ASK = /Linux.*Firefox\//.test(navigator.userAgent);
/** What it was there, where asking went well: 8 to 40. */
const UNASKED_LATENCY_MS = 30;

/** Between a sample's leaving the worklet and its being heard. @param {AudioContext} context */
export function readLatencyMs(context) {
  if (MUST_NOT_ASK) return UNASKED_LATENCY_MS;
  return 1000 * ((context.outputLatency || 0) + (context.baseLatency || 0));
}

export function canPlay() {
  return "AudioContext" in window && "audioWorklet" in AudioContext.prototype;
}

/** Silence every player of the page, for two voices at once can't be understood. */
export function pausePlayers() {
  for (const player of document.querySelectorAll("audio")) player.pause();
}

/** Keeps a phone's screen on while somebody talks, for a sleeping page hears nothing. */
export class ScreenLight {
  constructor() {
    /** @type {WakeLockSentinel | null} */
    this.lock = null;
    this.wanted = false;
    // The browser lets go whenever the page is hidden.
    document.addEventListener("visibilitychange", () => void this.renew());
  }

  /** @param {boolean} on */
  async keep(on) {
    this.wanted = on;
    if (on) return this.renew();
    // Given up before the browser takes it back: whoever wants one meanwhile asks for another.
    const { lock } = this;
    this.lock = null;
    await lock?.release();
  }

  async renew() {
    if (!this.wanted || this.isHeld || document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    try {
      const lock = await navigator.wakeLock.request("screen");
      // Meanwhile the conversation may have ended, or another have been granted.
      if (this.wanted && !this.isHeld) this.lock = lock;
      else await lock.release();
    } catch {
      // A phone low on power refuses.
    }
  }

  get isHeld() {
    return this.lock !== null && !this.lock.released;
  }
}
