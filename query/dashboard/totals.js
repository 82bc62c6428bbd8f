// SPDX-License-Identifier: MIT
// totals.js: the three tiles and the table of events by name.
//
// The elements with data-total and data-event hold the count alone, in plain digits: tests and
// scripts read them.

import { byId, el, Rows, setText } from "./dom.js";
import { countText } from "./format.js";

/** @typedef {{name: string, count: number, share: number}} EventCount */

export class TotalsPanel {
  #empty = byId("events-empty", HTMLElement);
  #table = byId("events", HTMLTableElement);
  #rows = new Rows(
    byId("event-rows", HTMLTableSectionElement),
    (/** @type {EventCount} */ event) => event.name,
    makeRow,
    updateRow,
  );

  /** @param {import("./api.js").Totals} totals */
  show(totals) {
    const counts = Object.entries(totals.events);
    const all = counts.reduce((sum, [, count]) => sum + count, 0);
    const most = counts.reduce((max, [, count]) => Math.max(max, count), 0);
    this.#tile("events", String(all));
    this.#tile("visitors", countText(totals.visitors));
    this.#tile("sessions", String(totals.sessions));
    const events = counts.map(([name, count]) => ({
      name,
      count,
      share: most > 0 ? count / most : 0,
    }));
    events.sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
    this.#rows.show(events);
    this.#empty.hidden = events.length > 0;
    this.#table.hidden = events.length === 0;
  }

  clear() {
    for (const name of ["events", "visitors", "sessions"]) this.#tile(name, "–");
    this.#rows.show([]);
    this.#table.hidden = true;
    this.#empty.hidden = true;
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #tile(name, text) {
    const tile = document.querySelector(`[data-total="${name}"]`);
    if (tile) setText(tile, text);
  }
}

/** @param {EventCount} event */
function makeRow(event) {
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  const name = el("span", { class: "clip" }, event.name);
  const count = el("td", { class: "number", "data-event": event.name });
  const head = el("th", { scope: "row", title: event.name }, bar, name);
  return { element: el("tr", {}, head, count), bar, count };
}

/**
 * @param {ReturnType<typeof makeRow>} row
 * @param {EventCount} event
 */
function updateRow(row, event) {
  setText(row.count, String(event.count));
  row.bar.style.setProperty("--share", event.share.toFixed(4));
}
