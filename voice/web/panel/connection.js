// @ts-check
import { openLane } from "./lane.js";
import { openSocket } from "./socket.js";
import { CODE_REFUSED, CODE_UNKNOWN } from "./transport.js";

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;
/** A connection that ends sooner has failed like one that never opened: the server takes it and breaks at once. */
const STEADY_MS = 5000;
/** Failures of a socket that never opened, before the other way is tried. */
const PATIENCE = 2;

/**
 * @typedef {"connecting" | "open" | "lost" | "refused" | "blocked"} Status
 * `refused`: the server does not want it, code and reason tell why. `blocked`: neither way leads to the server, though
 * the page itself can be had. After these two nothing more is tried.
 */

/** Keeps the page connected: reconnects, and falls back to HTTP where WebSockets can't pass. */
export class Connection {
  /**
   * @param {URL} base  @param {string} ticket  @param {URL} page  some small file of this server's
   * @param {{ received: (event: any) => void, changed: (status: Status, code: number, reason: string) => void }} listener
   */
  constructor(base, ticket, page, listener) {
    this.base = base;
    this.ticket = ticket;
    this.page = page;
    this.listener = listener;
    this.kind = "socket";
    /** @type {Status} */
    this.status = "connecting";
    this.opened = 0;
    this.failures = 0;
    this.openedAtMs = Infinity;
    /** @type {import("./transport.js").Transport | null} */
    this.transport = null;
    this.timer = 0;
    this.hurry = () => this.status === "lost" && this.open();
    addEventListener("online", this.hurry);
    this.open();
  }

  /** Lost when not open: what is said while there is no connection is not said later. @param {object} event */
  send(event) {
    if (this.status === "open") this.transport?.send(event);
  }

  close() {
    removeEventListener("online", this.hurry);
    clearTimeout(this.timer);
    this.transport?.close();
    this.transport = null;
  }

  open() {
    clearTimeout(this.timer);
    this.transport?.close();
    const open = this.kind === "socket" ? openSocket : openLane;
    this.transport = open(this.base, this.ticket, {
      opened: () => {
        this.opened++;
        this.openedAtMs = performance.now();
        this.change("open");
      },
      received: (event) => this.listener.received(event),
      closed: (code, reason) => void this.recover(code, reason),
    });
  }

  /** @param {number} code  @param {string} reason */
  async recover(code, reason) {
    if (performance.now() - this.openedAtMs >= STEADY_MS) this.failures = 0;
    this.openedAtMs = Infinity;
    this.failures++;
    if (isRefusal(code) && !(this.kind === "lane" && code === CODE_UNKNOWN)) return this.give("refused", code, reason);
    if (!this.opened && this.failures >= PATIENCE && (await this.servesPage())) {
      if (this.kind === "lane") return this.give("blocked", code, reason);
      this.kind = "lane";
      this.failures = 0;
      return this.transport && this.open();
    }
    if (!this.transport) return;
    this.change("lost", code, reason);
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.failures - 1));
    this.timer = setTimeout(() => this.open(), pauseMs * (0.8 + 0.4 * Math.random()));
  }

  /** @param {Status} status  @param {number} code  @param {string} reason */
  give(status, code, reason) {
    if (!this.transport) return;
    this.close();
    this.change(status, code, reason);
  }

  async servesPage() {
    try {
      return (await fetch(this.page, { cache: "no-store", signal: AbortSignal.timeout(4000) })).ok;
    } catch {
      return false;
    }
  }

  /** @param {Status} status */
  change(status, code = 0, reason = "") {
    this.status = status;
    this.listener.changed(status, code, reason);
  }
}

/** @param {number} code */
function isRefusal(code) {
  return code >= CODE_REFUSED && code < CODE_REFUSED + 100;
}
