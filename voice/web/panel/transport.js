// @ts-check
/**
 * What carries events between the page and the server, whichever way there is.
 * @typedef {object} Transport
 * @property {(event: object) => void} send
 * @property {() => void} close  Nothing is told of it afterwards.
 * @property {() => number} queuedBytes  Not yet sent.
 */

/**
 * @typedef {object} TransportListener
 * @property {() => void} opened  Once.
 * @property {(event: any) => void} received
 * @property {(code: number, reason: string) => void} closed  Once, also when it could not be opened.
 */

export const PATH = "v1/realtime";
/** Before the ticket, in the place where Realtime's clients put their key. */
export const TICKET_PREFIX = "kaiwa-ticket.";

/** Closed without a close frame, as WebSockets say it. */
export const CODE_LOST = 1006;
/** The server's closing codes are 4000 + the HTTP status of the same meaning; no use to try again. */
export const CODE_REFUSED = 4400;
/** The server does not know the ticket. */
export const CODE_FORGOTTEN = 4401;
/** The server has no such way in. */
export const CODE_UNKNOWN = 4404;
