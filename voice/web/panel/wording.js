// @ts-check
/**
 * The panel's texts in the reader's language.
 * @typedef {(key: string, blanks?: Record<string, string | number>) => string} Say
 */

/** @param {Record<string, Record<string, string>>} languages  @returns {Say} */
export function makeSay(languages) {
  const wanted = navigator.languages.map((language) => language.split("-")[0].toLowerCase());
  const words = languages[wanted.find((language) => language in languages) ?? "en"];
  return (key, blanks = {}) => words[key].replace(/\{(\w+)\}/g, (_, blank) => String(blanks[blank]));
}

/** Fill in what the template leaves to the language. @param {HTMLElement} element  @param {Say} say */
export function label(element, say) {
  for (const labelled of element.querySelectorAll("[data-text]")) {
    labelled.textContent = say(/** @type {HTMLElement} */ (labelled).dataset.text ?? "");
  }
  for (const labelled of element.querySelectorAll("[data-name]")) {
    name(/** @type {HTMLElement} */ (labelled), say(/** @type {HTMLElement} */ (labelled).dataset.name ?? ""));
  }
}

/** A button's name, for screen readers and as its tip. @param {HTMLElement} element  @param {string} text */
export function name(element, text) {
  element.setAttribute("aria-label", text);
  element.title = text;
}
