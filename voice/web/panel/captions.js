// @ts-check
/** What is written without spaces between words. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}ー\p{P}\s]/u;

/** @param {string} before  @param {string} after */
export function joinWords(before, after) {
  const needsSpace = before && after && !UNSPACED.test(before.slice(-1)) && !UNSPACED.test(after[0]);
  // A full stop, unlike its Japanese sister, is followed by a space.
  const endsClause = /[.,!?;:)"”’…]$/.test(before) && !/^[\s.,!?;:)"”’…]/.test(after) && !UNSPACED.test(after[0] ?? " ");
  return before + (needsSpace || endsClause ? " " : "") + after;
}

/** What is said, while it is being said: the user's words as they are understood, the reply's as they are spoken. */
export class Captions {
  /**
   * @param {HTMLElement} element  with `.heard`, `.spoken` and the live region `.announced`
   * @param {(item: string) => number} positionMs  how much of an item was heard by now
   */
  constructor(element, positionMs) {
    this.element = element;
    this.heard = /** @type {HTMLElement} */ (element.querySelector(".heard"));
    this.spoken = /** @type {HTMLElement} */ (element.querySelector(".spoken"));
    this.announced = /** @type {HTMLElement} */ (element.querySelector(".announced"));
    this.positionMs = positionMs;
    this.turn = -1;
    this.item = "";
    /** @type {{ text: string, at_ms: number }[]} */
    this.words = [];
    /** The transcript as it comes, for voices that tell no times. */
    this.transcript = "";
    this.shown = 0;
    this.timer = 0;
  }

  /** @param {number} turn  @param {string} text  @param {boolean} final */
  hear(turn, text, final) {
    if (turn !== this.turn) this.beginReply("");
    this.turn = turn;
    this.heard.textContent = text;
    this.heard.scrollTop = this.heard.scrollHeight;
    this.heard.classList.toggle("final", final);
    this.heard.classList.remove("missed");
    if (final && text) this.announce(text);
  }

  /** The turn was not understood: what there is of it is shown to be lost. @param {number} turn */
  miss(turn) {
    if (turn < this.turn) return;
    if (turn > this.turn || !this.heard.textContent) this.hear(turn, "…", false);
    this.heard.classList.add("final", "missed");
  }

  /** @param {string} item */
  beginReply(item) {
    if (item && item === this.item) return;
    this.finish();
    this.item = item;
    this.words = [];
    this.transcript = "";
    this.shown = 0;
    this.spoken.textContent = "";
  }

  /**
   * They take the place of those that were there, and on: a voice may tell its times after they were reckoned.
   * @param {string} item  @param {{ text: string, at_ms: number }[]} words  @param {number} [first]  place of the first
   */
  addWords(item, words, first) {
    this.beginReply(item);
    this.words.splice(first ?? this.words.length, Infinity, ...words);
  }

  /** @param {string} item  @param {string} text */
  addTranscript(item, text) {
    this.beginReply(item);
    this.transcript += text;
  }

  /** The item is being heard. @param {string} item */
  follow(item) {
    if (item !== this.item || this.timer) return;
    this.timer = setInterval(() => this.show(), 60);
    this.show();
  }

  /** The item was heard to its end, or cut: nothing more of it is shown. @param {string} item  @param {boolean} whole */
  end(item, whole) {
    if (item !== this.item) return;
    this.show(whole);
    this.finish();
  }

  finish() {
    clearInterval(this.timer);
    if (this.timer && this.spoken.textContent) this.announce(this.spoken.textContent);
    this.timer = 0;
  }

  show(whole = false) {
    if (!this.words.length) {
      this.spoken.textContent = this.transcript;
    } else {
      const position = this.positionMs(this.item);
      // Times are often reckoned: a word that is due brings those before it along.
      const due = whole ? this.words.length : this.words.findLastIndex((word) => word.at_ms <= position) + 1;
      const text = this.words.slice(0, due).reduce((text, word) => joinWords(text, word.text), "");
      if (this.spoken.textContent !== text) this.spoken.textContent = text;
    }
    // The last lines stay in sight; a longer reply leaves the user's words fewer.
    for (const words of [this.heard, this.spoken]) words.scrollTop = words.scrollHeight;
  }

  clear() {
    this.beginReply("");
    this.heard.textContent = "";
    this.turn = -1;
  }

  /** Said once by screen readers, when it is complete. @param {string} text */
  announce(text) {
    this.announced.textContent = text;
  }
}
