// @ts-check
import { CODE_LOST, PATH, TICKET_PREFIX } from "./transport.js";

const OPEN_WITHIN_MS = 4000;
/** Of sound that could not be sent, about three seconds: the network is gone, though nobody has said so. */
const STUCK_BYTES = 200_000;

/**
 * The usual way: a WebSocket.
 * @param {URL} base  @param {string} ticket  @param {import("./transport.js").TransportListener} listener
 * @returns {import("./transport.js").Transport}
 */
export function openSocket(base, ticket, listener) {
  const url = new URL(PATH, base);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, ["realtime", TICKET_PREFIX + ticket]);
  const timer = setTimeout(() => end(CODE_LOST, "timeout"), OPEN_WITHIN_MS);
  let over = false;

  /** @param {number} code  @param {string} reason */
  function end(code, reason) {
    if (over) return;
    close();
    listener.closed(code, reason);
  }

  function close() {
    over = true;
    clearTimeout(timer);
    removeEventListener("offline", leave);
    socket.close();
  }

  const leave = () => end(CODE_LOST, "offline");
  addEventListener("offline", leave);
  socket.onopen = () => {
    clearTimeout(timer);
    listener.opened();
  };
  socket.onmessage = ({ data }) => {
    if (!over) listener.received(JSON.parse(data));
  };
  socket.onclose = ({ code, reason }) => end(code, reason);

  return {
    send(event) {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (socket.bufferedAmount > STUCK_BYTES) end(CODE_LOST, "stuck");
      else socket.send(JSON.stringify(event));
    },
    close,
    queuedBytes: () => socket.bufferedAmount,
  };
}
