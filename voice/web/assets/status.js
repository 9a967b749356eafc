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

// A reply whose player was paused, refused or emptied is not being spoken, and will not end.
const SILENT_LOOKS = 10;
let silentLooks = 0;

function isSilent() {
  const player = document.querySelector("#reply audio");
  if (!player) return true;
  const mayBegin = player.autoplay && player.currentTime === 0 && player.readyState < HTMLMediaElement.HAVE_ENOUGH_DATA;
  return player.ended || (player.paused && !mayBegin);
}

function look() {
  if (!element.isConnected) return;
  showElapsed();
  silentLooks = phase === "speaking" && isSilent() ? silentLooks + 1 : 0;
  if (silentLooks < SILENT_LOOKS) return;
  silentLooks = 0;
  props.value = { ...props.value, phase: "answered", text: props.value.afterwards };
}

watch("value", followPhase);
setInterval(look, 100);
