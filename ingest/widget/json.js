// SPDX-License-Identifier: MIT
// json.js: writes JSON as the browser would, whatever the page has done to it: old libraries give
// all arrays and objects a toJSON that writes them as text, once more.

const { stringify } = JSON;

/**
 * @param {any} value of strings, numbers, booleans, arrays and plain objects
 * @returns {string} undefined for undefined
 */
export function toJson(value) {
  if (typeof value !== "object" || !value) return stringify(value);
  const isArray = Array.isArray(value);
  const parts = [];
  for (const key of Object.keys(value)) {
    const text = toJson(value[key]);
    if (text) parts.push(isArray ? text : stringify(key) + ":" + text);
  }
  return isArray ? `[${parts}]` : `{${parts}}`;
}
