// @ts-check
/**
 * Where WebSockets can't pass: plain HTTP. Both ways carry the same events as the socket, one JSON object a line.
 *
 *   GET  v1/realtime/lane       a response without end; its first line is { type: "kaiwa.lane", lane }
 *   POST v1/realtime/lane/LANE  the page's events of the last 150 ms, one request at a time, so that they keep their order
 *
 * Both bear the header `Authorization: Bearer kaiwa-ticket.TICKET`. An empty line says only that the lane is alive.
 * When the server ends it, the last line is { type: "kaiwa.closed", code, reason }, as a WebSocket's close.
 */
import { CODE_LOST, PATH, TICKET_PREFIX } from "./transport.js";

const GATHER_MS = 150;
/** A proxy that gathers the response is no use. */
const OPEN_WITHIN_MS = 6000;
/** Of events that could not be sent, some ten seconds of sound: the way is blocked. The server takes a megabyte at once. */
const STUCK_BYTES = 600_000;
/** Without a line from the server for so long, it is gone. */
const SILENT_MS = 40_000;

/**
 * @param {URL} base  @param {string} ticket  @param {import("./transport.js").TransportListener} listener
 * @returns {import("./transport.js").Transport}
 */
export function openLane(base, ticket, listener) {
  const headers = { Authorization: `Bearer ${TICKET_PREFIX}${ticket}` };
  const address = new URL(`${PATH}/lane`, base);
  const abort = new AbortController();
  /** @type {string[]} */
  let waiting = [];
  let lane = "";
  let posting = false;
  let over = false;
  const timer = setInterval(post, GATHER_MS);
  let watchdog = setTimeout(() => end(CODE_LOST, "timeout"), OPEN_WITHIN_MS);

  /** @param {number} code  @param {string} reason */
  function end(code, reason) {
    if (over) return;
    close();
    listener.closed(code, reason);
  }

  function close() {
    over = true;
    clearInterval(timer);
    clearTimeout(watchdog);
    abort.abort();
  }

  async function post() {
    if (!lane || posting || !waiting.length) return;
    posting = true;
    const body = waiting.join("\n");
    waiting = [];
    try {
      const response = await fetch(`${address}/${lane}`, { method: "POST", headers, body, signal: abort.signal });
      if (!response.ok) end(4000 + response.status, response.statusText);
    } catch (error) {
      end(CODE_LOST, String(error));
    }
    posting = false;
  }

  /** @param {string} line */
  function take(line) {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => end(CODE_LOST, "silent"), SILENT_MS);
    if (!line.trim() || over) return;
    const event = JSON.parse(line);
    if (event.type === "kaiwa.closed") end(event.code, event.reason);
    else if (event.type !== "kaiwa.lane") listener.received(event);
    else {
      lane = event.lane;
      listener.opened();
    }
  }

  async function read() {
    const response = await fetch(address, { headers, signal: abort.signal, cache: "no-store" });
    if (!response.ok || !response.body) return end(4000 + response.status, response.statusText);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return end(CODE_LOST, "ended");
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(take);
    }
  }

  read().catch((error) => end(CODE_LOST, String(error)));
  const queuedBytes = () => waiting.reduce((sum, line) => sum + line.length, 0);
  return {
    send(event) {
      waiting.push(JSON.stringify(event));
      if (queuedBytes() > STUCK_BYTES) end(CODE_LOST, "stuck");
    },
    close,
    queuedBytes,
  };
}
