// The turn's seconds: they start with its first busy phase, tick while it is busy, and stay to be read when it ends.
const BUSY = new Set(["recognising", "thinking", "writing", "speaking"]);
let startedMs = 0;
let endedMs = 0;

function showElapsed() {
  const elapsed = element.querySelector(".elapsed");
  if (!elapsed) return;
  const untilMs = endedMs || performance.now();
  elapsed.textContent = startedMs ? `${((untilMs - startedMs) / 1000).toFixed(1)} s` : "";
}

function followPhase() {
  const { phase } = props.value;
  if (BUSY.has(phase)) {
    if (!startedMs || endedMs) startedMs = performance.now();
    endedMs = 0;
  } else if (phase === "answered" || phase === "stopped") {
    endedMs = endedMs || performance.now();
  } else {
    startedMs = 0;
  }
  showElapsed();
}

watch("value", followPhase);
setInterval(() => element.isConnected && showElapsed(), 100);
