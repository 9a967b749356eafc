// @ts-check
/** The wire's sample rate, Hz. Its samples are 16-bit little-endian, mono, in base64. */
export const WIRE_RATE = 24000;

/** @param {ArrayBuffer} pcm */
export function encodeBase64(pcm) {
  return btoa(String.fromCharCode(...new Uint8Array(pcm)));
}

/** Samples in [-1, 1). @param {string} text */
export function decodeSamples(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length >> 1 }, (_, index) => view.getInt16(2 * index, true) / 32768);
}
