// @ts-check
/**
 * @typedef {object} Choices
 * @property {"hands_free" | "push_to_talk"} mode
 * @property {"quick" | "balanced" | "patient"} patience
 * @property {string} deviceId  "" for the system's own choice
 */

const KEY = "kaiwa.live";
/** @type {Choices} */
const USUAL = { mode: "hands_free", patience: "balanced", deviceId: "" };

/** What was chosen on this device the last time. @param {Partial<Choices>} usual  of this server @returns {Choices} */
export function readChoices(usual) {
  try {
    return { ...USUAL, ...usual, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...USUAL, ...usual };
  }
}

/** @param {Choices} choices */
export function keepChoices(choices) {
  try {
    localStorage.setItem(KEY, JSON.stringify(choices));
  } catch {
    // A private window may keep nothing.
  }
}
