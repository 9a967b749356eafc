// The seconds of a turn: they start with it, tick while it is busy, and stay to be read when it has ended.
const BUSY = new Set(["listening", "recognising", "thinking", "writing", "speaking"]);
let phase = "ready";
let startedMs = 0;
let endedMs = 0;

function beginsTurn(next) {
  return next === "listening" || next === "recognising" || (next === "thinking" && phase !== "recognising");
}

function showElapsed() {
  const elapsed = element.querySelector(".elapsed");
  if (!elapsed) return;
  const untilMs = endedMs || performance.now();
  elapsed.textContent = startedMs ? `${((untilMs - startedMs) / 1000).toFixed(1)} s` : "";
}

function followPhase() {
  const next = props.value.phase;
  if (beginsTurn(next)) startedMs = performance.now();
  if (BUSY.has(next)) endedMs = 0;
  else if (next === "answered" || next === "stopped") endedMs ||= performance.now();
  else startedMs = 0;
  phase = next;
  showElapsed();
}

watch("value", followPhase);
setInterval(() => element.isConnected && showElapsed(), 100);
