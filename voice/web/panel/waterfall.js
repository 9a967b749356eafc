// @ts-check
/**
 * What a turn took, in ms after the true end of speech; null for what did not happen.
 * @typedef {Record<string, number | null>} Times
 */

/** The stages of a turn: name of the text, from when to when. */
const STAGES = /** @type {[string, string, string][]} */ ([
  ["stage_turn_over", "", "turn_over_ms"],
  ["stage_transcript", "", "final_transcript_ms"],
  ["stage_first_token", "chat_asked_ms", "first_token_ms"],
  ["stage_first_phrase", "first_token_ms", "first_phrase_ms"],
  ["stage_first_audio", "first_phrase_ms", "first_audio_ms"],
  ["stage_heard", "released_ms", "heard_ms"],
]);
const SVG = "http://www.w3.org/2000/svg";
const ROW = 22;
const LABELS = 138;
const NUMBERS = 64;
const KEPT = 40;

/** Draws where the time of the last turn went, and how long each turn of the session took to be answered. */
export class Figures {
  /** @param {HTMLElement} element  with `.waterfall` and `.turns`  @param {import("./wording.js").Say} say */
  constructor(element, say) {
    this.waterfall = /** @type {HTMLElement} */ (element.querySelector(".waterfall"));
    this.turns = /** @type {HTMLElement} */ (element.querySelector(".turns"));
    this.total = /** @type {HTMLElement} */ (element.querySelector(".total"));
    this.say = say;
    /** By turn, as the figures of one come in several parts. @type {Map<number, Times>} */
    this.times = new Map();
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.waterfall);
  }

  /** Of the drawings, px; they are drawn for the room there is, so that their texts stay legible. */
  get width() {
    return this.waterfall.clientWidth;
  }

  /** @param {Times} times */
  add(times) {
    const turn = Number(times.turn);
    this.times.set(turn, { ...this.times.get(turn), ...times });
    for (const oldest of [...this.times.keys()].slice(0, -KEPT)) this.times.delete(oldest);
    this.draw();
  }

  draw() {
    const last = [...this.times.values()].pop();
    if (!last || !this.width) return;
    this.drawWaterfall(last);
    this.drawTurns();
  }

  /** From the end of speech to the first sound, of each turn that was answered. */
  get answers() {
    return [...this.times.values()].map(answeredMs).filter((ms) => ms !== null);
  }

  /** @param {Times} times */
  drawWaterfall(times) {
    const rows = STAGES.flatMap(([text, from, to]) => {
      const end = times[to];
      return end == null ? [] : [{ label: this.say(text), from: (from && times[from]) || 0, to: end }];
    });
    const first = Math.min(0, ...rows.map(({ from }) => from));
    const last = Math.max(1, ...rows.map(({ to }) => to));
    const scale = (this.width - LABELS - NUMBERS) / (last - first);
    const svg = makeSvg("svg", { viewBox: `0 0 ${this.width} ${rows.length * ROW + 4}`, role: "img" });
    svg.append(makeText("title", {}, rows.map(({ label, from, to }) => `${label}: ${Math.round(to - from)} ms`).join(", ")));
    const zero = LABELS - first * scale;
    svg.append(makeSvg("line", { x1: zero, x2: zero, y1: 0, y2: rows.length * ROW, class: "axis" }));
    rows.forEach(({ label, from, to }, index) => {
      const y = index * ROW + 3;
      const x = LABELS + (from - first) * scale;
      const width = Math.max(2, (to - from) * scale);
      svg.append(
        makeText("text", { x: LABELS - 10, y: y + 12, "text-anchor": "end" }, label),
        makeSvg("rect", { x, y: y + 2, width, height: ROW - 10, rx: 3, class: `stage stage-${index}` }),
        makeText("text", { x: x + width + 6, y: y + 12, class: "number" }, `${Math.round(to - from)} ms`),
      );
    });
    this.waterfall.replaceChildren(svg);
  }

  /** @param {number} ms */
  tellTime(ms) {
    return ms < 1000 ? this.say("milliseconds", { number: Math.round(ms) }) : this.say("seconds", { number: (ms / 1000).toFixed(1) });
  }

  drawTurns() {
    const { answers } = this;
    if (!answers.length) return;
    const height = 70;
    const most = Math.max(...answers) * 1.1;
    const pitch = Math.min(26, this.width / answers.length);
    const median = [...answers].sort((a, b) => a - b)[answers.length >> 1];
    const svg = makeSvg("svg", { viewBox: `0 0 ${this.width} ${height}`, role: "img" });
    const summary = this.say("figures_summary", { turns: answers.length, median: this.tellTime(median) });
    svg.append(makeText("title", {}, summary));
    answers.forEach((ms, index) => {
      const bar = (ms / most) * height;
      const rect = makeSvg("rect", { x: index * pitch + 2, y: height - bar, width: pitch - 4, height: bar, rx: 3, class: "turn" });
      rect.append(makeText("title", {}, `${Math.round(ms)} ms`));
      svg.append(rect);
    });
    const y = height - (median / most) * height;
    svg.append(makeSvg("line", { x1: 0, x2: this.width, y1: y, y2: y, class: "median" }));
    this.turns.replaceChildren(svg);
    this.total.textContent = summary;
  }
}

/** @param {Times} times  @returns {number | null} */
function answeredMs(times) {
  return times.heard_ms ?? times.released_ms ?? null;
}

/** @param {string} tag  @param {Record<string, string | number>} attributes */
function makeSvg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** @param {string} tag  @param {Record<string, string | number>} attributes  @param {string} text */
function makeText(tag, attributes, text) {
  const element = makeSvg(tag, attributes);
  element.textContent = text;
  return element;
}
