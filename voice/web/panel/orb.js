// @ts-check
/**
 * The state of the conversation at a glance: a ball of ink that breathes, within a brushed ring that listens.
 * @typedef {"off" | "connecting" | "listening" | "hearing" | "thinking" | "speaking" | "asleep"} Mood
 */

/** How each mood looks: colour, how large the ball, how strong the ring, breaths a second, how open the ring. */
const LOOKS = {
  off: { tone: "calm", ball: 0.62, ring: 0.5, breath: 0.1, gap: 0.09, level: 0 },
  connecting: { tone: "calm", ball: 0.56, ring: 0.7, breath: 0.3, gap: 0.45, level: 0 },
  listening: { tone: "calm", ball: 0.6, ring: 0.9, breath: 0.16, gap: 0.07, level: 0.6 },
  hearing: { tone: "warm", ball: 0.58, ring: 1, breath: 0.2, gap: 0.03, level: 1 },
  thinking: { tone: "calm", ball: 0.5, ring: 0.9, breath: 0.45, gap: 0.62, level: 0 },
  speaking: { tone: "calm", ball: 0.66, ring: 0.8, breath: 0.22, gap: 0.02, level: 1 },
  asleep: { tone: "pale", ball: 0.5, ring: 0.4, breath: 0.06, gap: 0.12, level: 0 },
};
/** Of the way to a new look that is gone in a second, as 1 - e^-rate. */
const EASING = 6;
/** Thirty pictures a second, whatever the screen can do: more cost half of a slow phone and look no different. */
const PICTURE_MS = 30;
const STROKES = 5;
const POINTS = 120;

export class Orb {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {Mood} */
    this.mood = "off";
    this.look = { ...LOOKS.off, warmth: 0, paleness: 0 };
    /** What is heard or said right now: 0 to 1, asked for at every picture. @type {() => number} */
    this.measure = () => 0;
    this.level = 0;
    this.turned = 0;
    this.breathed = 0;
    this.lastMs = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.draw = this.draw.bind(this);
    new ResizeObserver(() => this.fit()).observe(canvas);
    requestAnimationFrame(this.draw);
  }

  fit() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (side) this.canvas.width = this.canvas.height = side;
  }

  /** @param {number} nowMs */
  draw(nowMs) {
    if (!this.canvas.isConnected) return;
    requestAnimationFrame(this.draw);
    const seconds = Math.min(0.1, (nowMs - this.lastMs) / 1000);
    if (nowMs - this.lastMs < this.pauseMs) return;
    this.lastMs = nowMs;
    this.move(this.still.matches ? 1 : seconds);
    this.paint();
  }

  /** Between two pictures: where motion is not wanted, now and then one shows the level and the mood. */
  get pauseMs() {
    if (this.still.matches) return 200;
    return this.mood === "off" || this.mood === "asleep" ? 45 : PICTURE_MS;
  }

  /** @param {number} seconds */
  move(seconds) {
    const goal = LOOKS[this.mood];
    const part = 1 - Math.exp(-EASING * seconds);
    const { look } = this;
    for (const key of /** @type {const} */ (["ball", "ring", "breath", "gap", "level"])) look[key] += (goal[key] - look[key]) * part;
    look.warmth += (Number(goal.tone === "warm") - look.warmth) * part;
    look.paleness += (Number(goal.tone === "pale") - look.paleness) * part;
    const measured = this.measure() * look.level;
    this.level += (measured - this.level) * (1 - Math.exp(-(measured > this.level ? 30 : 9) * seconds));
    if (this.still.matches) return;
    this.breathed += seconds * look.breath * 2 * Math.PI;
    this.turned += seconds * (0.12 + 3.2 * Math.max(0, look.gap - 0.1));
  }

  paint() {
    const { context, canvas, look } = this;
    const radius = canvas.width / 2;
    const style = getComputedStyle(canvas);
    const calm = style.getPropertyValue("--orb-calm");
    const warm = style.getPropertyValue("--orb-warm");
    const pale = style.getPropertyValue("--orb-pale");
    context.clearRect(0, 0, canvas.width, canvas.height);
    const breath = this.still.matches ? 0 : Math.sin(this.breathed);
    const layers = /** @type {[string, number][]} */ ([[calm, 1], [warm, look.warmth], [pale, look.paleness]]);
    for (const [colour, alpha] of layers) {
      if (alpha < 0.02) continue;
      this.paintGlow(colour, alpha, radius);
      this.paintRing(colour, alpha, radius, breath);
      this.paintBall(colour, alpha, radius * (look.ball + 0.018 * breath + (this.mood === "speaking" ? 0.1 : 0.03) * this.level));
    }
  }

  /** @param {string} colour  @param {number} alpha  @param {number} radius */
  paintGlow(colour, alpha, radius) {
    const { context } = this;
    const glow = context.createRadialGradient(radius, radius, radius * 0.4, radius, radius, radius);
    glow.addColorStop(0, colour);
    glow.addColorStop(1, "transparent");
    context.globalAlpha = alpha * (0.1 + 0.3 * this.level);
    context.fillStyle = glow;
    context.fillRect(0, 0, 2 * radius, 2 * radius);
  }

  /** @param {string} colour  @param {number} alpha  @param {number} size */
  paintBall(colour, alpha, size) {
    const { context, canvas } = this;
    const centre = canvas.width / 2;
    const style = getComputedStyle(canvas);
    context.globalAlpha = alpha;
    context.beginPath();
    context.arc(centre, centre, size, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    const light = context.createRadialGradient(centre - size * 0.35, centre - size * 0.45, 0, centre, centre, size * 1.05);
    light.addColorStop(0, style.getPropertyValue("--orb-light"));
    light.addColorStop(0.65, "transparent");
    light.addColorStop(1, style.getPropertyValue("--orb-shade"));
    context.fillStyle = light;
    context.fill();
  }

  /**
   * Strokes of one brush, a little apart: they open while it thinks, and wave with what is said.
   * @param {string} colour  @param {number} alpha  @param {number} radius  @param {number} breath
   */
  paintRing(colour, alpha, radius, breath) {
    const { context, look, level } = this;
    const open = look.gap * 2 * Math.PI;
    const middle = radius * (0.82 + 0.012 * breath);
    context.strokeStyle = colour;
    context.lineCap = "round";
    for (let stroke = 0; stroke < STROKES; stroke++) {
      const apart = (stroke - (STROKES - 1) / 2) * radius * 0.012;
      context.globalAlpha = alpha * look.ring * (0.5 - 0.07 * stroke);
      context.lineWidth = radius * (0.034 - 0.004 * stroke);
      context.beginPath();
      const from = this.turned + open / 2 + stroke * 0.06;
      const to = this.turned + 2 * Math.PI - open / 2 - stroke * 0.11;
      for (let point = 0; point <= POINTS; point++) {
        const angle = from + ((to - from) * point) / POINTS;
        const wave =
          Math.sin(3 * angle + 1.7 * this.breathed + stroke) * 0.6 + Math.sin(5 * angle - 2.3 * this.breathed + 2 * stroke) * 0.4;
        const distance = middle + apart + radius * (0.006 + 0.09 * level) * wave;
        context.lineTo(radius + distance * Math.cos(angle), radius + distance * Math.sin(angle));
      }
      context.stroke();
    }
  }
}

/** Makes a function that tells how loud it is: 0 for silence, 1 for a loud voice. @param {AnalyserNode} analyser */
export function meter(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  return () => {
    analyser.getFloatTimeDomainData(samples);
    let energy = 0;
    for (const sample of samples) energy += sample * sample;
    const levelDb = 10 * Math.log10(energy / samples.length + 1e-10);
    return Math.max(0, Math.min(1, (levelDb + 55) / 45));
  };
}
