// SPDX-License-Identifier: MIT
// glob.js: whether the page's address is one that a rule names.
//
// In time that grows with the address and the pattern alone, whatever they are: no regular
// expression is made of the pattern.

/**
 * @param {string} text
 * @param {string} pattern in which * stands for any characters, also none
 */
export function matches(text, pattern) {
  const [first, ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let from = first.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}

/**
 * A pattern that begins with / is for the path alone, of any host. The query counts where the
 * pattern has one, the fragment never does.
 * @param {string} pattern
 */
export function fits(pattern) {
  const { origin, pathname, search } = location;
  const host = pattern.startsWith("/") ? "" : origin;
  return matches(host + pathname + (pattern.includes("?") ? search : ""), pattern);
}
