// SPDX-License-Identifier: MIT
// element.js: what the panel is made of. Text becomes text, never HTML.

const ICONS = {
  chat: "M12 3.5c-5 0-9 3.4-9 7.7 0 2.5 1.3 4.6 3.4 6-.1 1.2-.6 2.3-1.4 3.3 1.8-.2 3.4-.8 4.7-1.8.7.1 1.5.2 2.3.2 5 0 9-3.4 9-7.7s-4-7.7-9-7.7Z",
  down: "m6 9.5 6 6 6-6",
  person: "M12 12.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.5 8c.6-3.4 3.6-5 7.5-5s6.9 1.6 7.5 5",
  send: "M12 19.5v-15M5.5 11 12 4.5l6.5 6.5",
};

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("data-icon", name);
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * What is typed runs as its letters do, and an empty field as the words around it.
 * @param {HTMLInputElement | HTMLTextAreaElement} input
 */
export function direct(input) {
  if (input.value) input.dir = "auto";
  else input.removeAttribute("dir");
}
