// @ts-check
/** The wait on a line that has been late, by however little: it will be later still. */
const SHORT_MS = 100;
/**
 * The wait on one that has been later than that, and the longest gap that is taken for the line's: people leave some 200 ms
 * between two turns (Stivers et al. 2009, in ten languages), and a gap above is mostly a reply that is not yet written.
 */
const LONG_MS = 200;
/** Items that are remembered: a line that was bad for a moment is forgiven after so many replies. */
const REMEMBERED = 8;

/**
 * When the chunks of one item came, beside when they were due had it begun to play with its first one.
 * Whoever begins later by the worst delay never runs dry: this is the rule of the buffer, and all that it learns from.
 */
export class Arrivals {
  constructor() {
    this.startMs = 0;
    this.firstMs = 0;
    this.comeMs = 0;
    this.lateMs = 0;
  }

  /** @param {number} nowMs  @param {number} lengthMs */
  add(nowMs, lengthMs) {
    const lateMs = nowMs - this.startMs - this.comeMs;
    if (!this.comeMs || lateMs > LONG_MS) {
      // The beginning, or a pause that no buffer bridges: the item begins anew.
      this.startMs = nowMs - this.comeMs;
      this.firstMs = lengthMs;
    } else this.lateMs = Math.max(this.lateMs, lateMs);
    this.comeMs += lengthMs;
  }

  /**
   * Whether it plays that far behind its first chunk, or so much lies ready beyond a chunk like that.
   * @param {number} nowMs  @param {number} playedMs  @param {number} targetMs
   */
  isReady(nowMs, playedMs, targetMs) {
    return Math.max(nowMs - this.startMs - playedMs, this.comeMs - this.firstMs - playedMs) >= targetMs;
  }
}

/**
 * How long the beginning of an item waits: not at all, until the line has been late. With two steps, whatever the line does
 * within the longer one interrupts the sound of a session twice at most.
 */
export class JitterBuffer {
  constructor() {
    /** Of the last items. @type {Arrivals[]} */
    this.known = [];
  }

  /** One more item comes. */
  begin() {
    const arrivals = new Arrivals();
    this.known.push(arrivals);
    this.known.splice(0, this.known.length - REMEMBERED);
    return arrivals;
  }

  get targetMs() {
    const worstMs = this.known.reduce((worst, { lateMs }) => Math.max(worst, lateMs), 0);
    if (!worstMs) return 0;
    return worstMs < SHORT_MS ? SHORT_MS : LONG_MS;
  }
}
