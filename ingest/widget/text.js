// SPDX-License-Identifier: MIT
// text.js: text as events can hold it.

const TEXT_MAX = 1024; // bytes of a prop

/**
 * Text that survives JSON and UTF-8: lone halves of surrogate pairs are replaced.
 * @param {string} text
 */
export function wellFormed(text) {
  return text.replace(/[\ud800-\udfff]/gu, "\ufffd");
}

/**
 * Cuts text into pieces of at most TEXT_MAX bytes, between characters.
 * @param {string} text
 * @returns {string[]}
 */
export function pieces(text) {
  const out = [""];
  let bytes = 0;
  for (const character of wellFormed(text)) {
    const size = new TextEncoder().encode(character).length;
    if (bytes + size > TEXT_MAX) {
      out.push("");
      bytes = 0;
    }
    out[out.length - 1] += character;
    bytes += size;
  }
  return out;
}
