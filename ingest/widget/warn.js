// SPDX-License-Identifier: MIT
// warn.js: what goes wrong is said on the console, and stops nothing.

/**
 * @param {string} message
 * @param {unknown} [about]
 */
export function warn(message, about = "") {
  console.warn("onWebChat: " + message, about);
}

/**
 * Does what the page or the browser may forbid; undefined when it does.
 * @template T
 * @param {() => T} f
 */
export function attempt(f) {
  try {
    return f();
  } catch {
    return undefined;
  }
}
