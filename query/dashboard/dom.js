// SPDX-License-Identifier: MIT
// dom.js: the few things that the panels do to the page. Text goes in by textContent or a text
// node's data, never as HTML, and only where it differs: an unchanged node keeps the reader's
// selection, focus and place.

/**
 * The element of index.html with this id; its absence is our bug.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html lacks #${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  const only = node.childNodes.length === 1 ? node.firstChild : null;
  if (only instanceof Text) {
    if (only.data !== text) only.data = text;
  } else if (node.textContent !== text) {
    node.textContent = text;
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Makes the children of parent exactly these, in this order, moving as few as it can and never the
 * one that holds the focus: moving a node in the document takes the focus from it.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  const focused = wanted.find((child) => child.contains(document.activeElement));
  let place = parent.firstElementChild;
  for (const child of wanted) {
    if (child === focused)
      while (place && place !== focused) {
        const next = place.nextElementSibling;
        parent.append(place);
        place = next;
      }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

/**
 * Rows that are kept from one showing to the next, each under its key.
 * @template Item
 * @template {{element: Element}} Row
 */
export class Rows {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #parent;
  #keyOf;
  #make;
  #update;

  /**
   * @param {Element} parent
   * @param {(item: Item) => string} keyOf
   * @param {(item: Item) => Row} make
   * @param {(row: Row, item: Item) => void} update
   */
  constructor(parent, keyOf, make, update) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#make = make;
    this.#update = update;
  }

  /** @param {Item[]} items */
  show(items) {
    /** @type {Map<string, Row>} */
    const rows = new Map();
    for (const item of items) {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? this.#make(item);
      this.#update(row, item);
      rows.set(key, row);
    }
    this.#rows = rows;
    arrange(
      this.#parent,
      [...rows.values()].map((row) => row.element),
    );
  }
}
