// @ts-check
/** Of one look at the level, ms. */
const HOP_MS = 4;
/** Somebody speaks when the level stands this far above the noise, dB. */
const ABOVE_NOISE_DB = 10;
/** What is below is never speech, dBFS; a microphone's gain control brings speech to about -25. */
const FAINTEST_DB = -50;
/** For this long it must stand there; a click does not. With the ramp of the volume it stays well under 60 ms. */
const SUSTAINED_MS = 20;
/** Without speech for this long, it is over. */
const QUIET_MS = 180;
/** How fast the noise floor follows a louder room (or what is left of the echo), dB/s; it follows a quieter one at once. */
const FLOOR_RISES = 12;
const FLOOR_AT_FIRST_DB = -45;

/** @typedef {"" | "onset" | "quiet"} Change */

/** Hears at once, with no model, that sound has begun at the microphone. Allocates nothing after the constructor. */
export class OnsetDetector {
  /** @param {number} rate Hz */
  constructor(rate) {
    this.hopSamples = Math.round((rate * HOP_MS) / 1000);
    /** Of a high-pass at 100 Hz, which leaves out hum and rumble. */
    this.pole = Math.exp((-2 * Math.PI * 100) / rate);
    this.last = 0;
    this.highPassed = 0;
    this.energy = 0;
    this.counted = 0;
    this.floorDb = FLOOR_AT_FIRST_DB;
    this.loudMs = 0;
    this.quietMs = 0;
    this.speaking = false;
  }

  /** @param {Float32Array} samples  @returns {Change} */
  feed(samples) {
    /** @type {Change} */
    let change = "";
    for (let index = 0; index < samples.length; index++) {
      this.highPassed = this.pole * (this.highPassed + samples[index] - this.last);
      this.last = samples[index];
      this.energy += this.highPassed * this.highPassed;
      if (++this.counted === this.hopSamples) change = this.judge() || change;
    }
    return change;
  }

  /** @returns {Change} */
  judge() {
    const levelDb = 10 * Math.log10(this.energy / this.counted + 1e-10);
    this.energy = 0;
    this.counted = 0;
    const loud = levelDb > Math.max(this.floorDb + ABOVE_NOISE_DB, FAINTEST_DB);
    this.floorDb = Math.min(levelDb > this.floorDb ? this.floorDb + (FLOOR_RISES * HOP_MS) / 1000 : levelDb, -20);
    // One weak hop between strong ones is part of a voice.
    this.loudMs = loud ? this.loudMs + HOP_MS : Math.max(0, this.loudMs - 2 * HOP_MS);
    this.quietMs = loud ? 0 : this.quietMs + HOP_MS;
    if (!this.speaking && this.loudMs >= SUSTAINED_MS) {
      this.speaking = true;
      return "onset";
    }
    if (this.speaking && this.quietMs >= QUIET_MS) {
      this.speaking = false;
      this.loudMs = 0;
      return "quiet";
    }
    return "";
  }
}
