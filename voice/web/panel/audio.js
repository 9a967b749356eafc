// @ts-check
/** The device's own audio context, with the worklets loaded. Called in an event of the user's, who thereby allows sound. */
/** @param {URL} files  where the worklets are */
export async function openAudio(files) {
  const context = new AudioContext({ latencyHint: "interactive" });
  // Not awaited: a context that may not start yet, or is interrupted by a phone call, is heard as soon as it may be.
  const keepOn = () => context.state === "running" || context.state === "closed" || void context.resume();
  context.onstatechange = keepOn;
  keepOn();
  const worklets = ["capture-worklet.js", "playback-worklet.js"].map((name) => new URL(name, files));
  await Promise.all(worklets.map((url) => context.audioWorklet.addModule(url)));
  return context;
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
    await this.lock?.release();
    this.lock = null;
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
