// @ts-check
/** Zero crossings of the sinc at either side: 1 ms of delay at 24 kHz, and a transition from 10 to 12 kHz. */
const ZERO_CROSSINGS = 24;
/** Of the Kaiser window: about 80 dB down in the stop band. */
const KAISER_BETA = 8;
/** Cut-off as a part of the lower rate's half, so that nothing audible folds back. */
const PASSBAND = 0.92;
/** Samples taken in at once; longer inputs go through in slices. */
const SLICE = 1024;

/**
 * Changes the sample rate of mono sound by a polyphase windowed sinc. Exact for any two rates: no drift. Nothing is
 * allocated after the constructor.
 */
export class Resampler {
  /** @param {number} fromRate Hz  @param {number} toRate Hz */
  constructor(fromRate, toRate) {
    const divisor = greatestCommonDivisor(Math.round(fromRate), Math.round(toRate));
    this.up = Math.round(toRate) / divisor;
    this.down = Math.round(fromRate) / divisor;
    const cutoff = Math.min(1, this.up / this.down) * PASSBAND;
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.taps = 2 * this.half;
    this.filters = designFilters(this.up, this.half, cutoff);
    this.history = new Float32Array(this.taps + SLICE + this.down);
    this.filled = this.half - 1;
    this.start = 0;
    this.phase = 0;
  }

  /** As if no sample had come yet. */
  reset() {
    this.history.fill(0);
    this.filled = this.half - 1;
    this.start = 0;
    this.phase = 0;
  }

  /** Samples that `length` more of them yield at most. @param {number} length */
  room(length) {
    return Math.ceil((length * this.up) / this.down) + 1;
  }

  /**
   * Convert `input`; returns how many samples were written to `output`, which needs `room(input.length)`.
   * @param {Float32Array} input  @param {Float32Array} output
   */
  process(input, output) {
    if (this.up === this.down) {
      output.set(input);
      return input.length;
    }
    let written = 0;
    for (let from = 0; from < input.length; from += SLICE) {
      const to = Math.min(from + SLICE, input.length);
      for (let index = from; index < to; index++) this.history[this.filled++] = input[index];
      written = this.drain(output, written);
    }
    return written;
  }

  /** What the last samples still owe to the output, which needs `room(half)`. @param {Float32Array} output */
  flush(output) {
    if (this.up === this.down) return 0;
    this.history.fill(0, this.filled, this.filled + this.half);
    this.filled += this.half;
    const written = this.drain(output, 0);
    this.reset();
    return written;
  }

  /** @param {Float32Array} output  @param {number} written */
  drain(output, written) {
    const { history, filters, taps, up, down } = this;
    while (this.start + taps <= this.filled) {
      let sum = 0;
      for (let tap = 0, filter = this.phase * taps, at = this.start; tap < taps; tap++) {
        sum += history[at++] * filters[filter++];
      }
      output[written++] = sum;
      this.phase += down;
      while (this.phase >= up) {
        this.phase -= up;
        this.start++;
      }
    }
    // `start` may lie beyond what has come, by less than `down` samples.
    const used = Math.min(this.start, this.filled);
    history.copyWithin(0, used, this.filled);
    this.filled -= used;
    this.start -= used;
    return written;
  }
}

/** @param {number} a  @param {number} b  @returns {number} */
function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}

/** One filter a phase, each of gain 1. @param {number} phases  @param {number} half  @param {number} cutoff */
function designFilters(phases, half, cutoff) {
  const taps = 2 * half;
  const filters = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    const filter = filters.subarray(phase * taps, (phase + 1) * taps);
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const distance = phase / phases + half - 1 - tap;
      sum += filter[tap] = sinc(cutoff * distance) * kaiser(distance / half);
    }
    for (let tap = 0; tap < taps; tap++) filter[tap] /= sum;
  }
  return filters;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param {number} x in [-1, 1] */
function kaiser(x) {
  return Math.abs(x) > 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/** Modified Bessel function of the first kind, order 0. @param {number} x */
function bessel(x) {
  let sum = 1;
  for (let term = 1, k = 1; term > 1e-10 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
