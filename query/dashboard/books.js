// SPDX-License-Identifier: MIT
// books.js: the site's books, and whether they balance. `received` is counted apart from the rest,
// so the mark is a real check and not a sum that cannot fail.

import { byId, el, Rows, setAttribute, setText } from "./dom.js";

/**
 * @typedef {import("./api.js").Books} Books
 * @typedef {{key: string, label: string, count: number, kind: string}} Line
 */

export class BooksPanel {
  #mark = byId("books-mark", HTMLElement);
  #note = byId("books-note", HTMLElement);
  #rows = new Rows(
    byId("books-rows", HTMLTableSectionElement),
    (/** @type {Line} */ line) => line.key,
    makeRow,
    (row, line) => setText(row.count, String(line.count)),
  );

  /**
   * @param {Books} books
   * @param {import("./api.js").Balance} balance
   */
  show(books, balance) {
    const rejected = sum(books.rejected);
    const off = books.received - books.counted - books.duplicate - rejected;
    this.#rows.show([
      line("received", "Received", books.received, "sum"),
      line("counted", "Counted", books.counted),
      line("duplicate", "Duplicate", books.duplicate),
      line("rejected", "Rejected", rejected),
      ...reasons(books.rejected),
      line("lost", "Lost on the way", books.lost, "apart"),
    ]);
    setAttribute(this.#mark, "data-state", off === 0 ? "good" : "bad");
    setText(this.#mark, off === 0 ? "✓ Balanced" : `✗ Off by ${Math.abs(off)}`);

    const sites = Object.values(balance.sites);
    const stray =
      sum(balance.total.rejected) - sites.reduce((all, site) => all + sum(site.rejected), 0);
    this.#note.hidden = stray <= 0;
    setText(this.#note, `${stray} more were rejected that belong to no known site.`);
  }

  clear() {
    this.#rows.show([]);
    setText(this.#mark, "");
    this.#mark.removeAttribute("data-state");
    this.#note.hidden = true;
  }
}

/** @param {Record<string, number>} counts */
const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);

/**
 * @param {Record<string, number>} rejected
 * @returns {Line[]}
 */
function reasons(rejected) {
  return Object.entries(rejected)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .map(([code, count]) => line(`rejected.${code}`, code, count, "reason"));
}

/**
 * @param {string} key
 * @param {string} label
 * @param {number} count
 * @param {string} [kind]
 * @returns {Line}
 */
const line = (key, label, count, kind = "part") => ({
  key,
  label,
  count,
  kind,
});

/** @param {Line} line */
function makeRow({ key, label, kind }) {
  const count = el("td", { class: "number", "data-books": key });
  const head = el("th", { scope: "row" }, label);
  return { element: el("tr", { "data-kind": kind }, head, count), count };
}
