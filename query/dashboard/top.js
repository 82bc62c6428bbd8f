// SPDX-License-Identifier: MIT
// top.js: the values of a dimension with the most events: pages, referrers, devices, …

import { byId, el, Rows, setText } from "./dom.js";

/** @typedef {{value: string, text: string, events: number, visitors: number, share: number}} Value */

/** The dimensions that can be chosen, as the report names them. */
const DIMENSIONS = [
  ["page", "Pages"],
  ["referrer", "Referrers"],
  ["country", "Countries"],
  ["language", "Languages"],
  ["device", "Devices"],
  ["browser", "Browsers"],
  ["trigger", "Triggers"],
];

export class TopPanel {
  #select = byId("top-by", HTMLSelectElement);
  #table = byId("top", HTMLTableElement);
  #empty = byId("top-empty", HTMLElement);
  #note = byId("top-note", HTMLElement);
  #rows = new Rows(
    byId("top-rows", HTMLTableSectionElement),
    (/** @type {Value} */ row) => row.value,
    makeRow,
    updateRow,
  );

  /** @param {() => void} onChoose */
  constructor(onChoose) {
    for (const [value, text] of DIMENSIONS) this.#select.append(el("option", { value }, text));
    this.#select.addEventListener("change", onChoose);
  }

  /** The dimension that is chosen. */
  get by() {
    return this.#select.value;
  }

  /** @param {import("./api.js").Breakdown} breakdown */
  show({ by, rows, other, tz, widened }) {
    if (by !== this.by) return; // another one was chosen meanwhile
    const most = rows.reduce((max, { events }) => Math.max(max, events), 0);
    const text = shorten(rows.map(({ value }) => value));
    this.#rows.show(
      rows.map((row) => ({ ...row, text: text(row.value), share: row.events / most })),
    );
    this.#table.hidden = rows.length === 0;
    this.#empty.hidden = rows.length > 0;
    const notes = [];
    if (other.events > 0) notes.push(`${other.events} events of ${other.values} others.`);
    if (widened) notes.push(`Whole days, ${tz}.`);
    setText(this.#note, notes.join(" "));
    this.#note.hidden = notes.length === 0;
  }

  clear() {
    this.#rows.show([]);
    this.#table.hidden = true;
    this.#empty.hidden = true;
    this.#note.hidden = true;
  }
}

/** Host and path of an address; anything else is all host. */
const partsOf = (/** @type {string} */ value) => {
  const [, host, path] = /^https?:\/\/([^/]*)(\/[^]*)$/.exec(value) ?? ["", value, ""];
  return { host, path };
};

/**
 * There is little room: addresses go without their scheme, and pages of one host without it.
 * @param {string[]} values
 * @returns {(value: string) => string}
 */
function shorten(values) {
  const hosts = new Set(values.map((value) => partsOf(value).host));
  return (value) => {
    const { host, path } = partsOf(value);
    return hosts.size === 1 && path ? path : host + path;
  };
}

/** @param {Value} row */
function makeRow({ value }) {
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  const name = el("span", { class: "clip", dir: "auto" });
  const events = el("td", { class: "number" });
  const visitors = el("td", { class: "number" });
  const head = el("th", { scope: "row", title: value }, bar, name);
  return { element: el("tr", {}, head, events, visitors), bar, name, events, visitors };
}

/**
 * @param {ReturnType<typeof makeRow>} row
 * @param {Value} value
 */
function updateRow(row, { text, events, visitors, share }) {
  setText(row.name, text);
  setText(row.events, String(events));
  setText(row.visitors, String(visitors));
  row.bar.style.setProperty("--share", share.toFixed(4));
}
