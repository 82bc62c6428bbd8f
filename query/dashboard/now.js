// SPDX-License-Identifier: MIT
// now.js: what happens at this moment: who is online, events of this minute and the last one, and the
// newest events as they come. Names, pages and values in it were written by strangers.

import { byId, el, Rows, setAttribute, setText } from "./dom.js";
import { formatFull, formatTime } from "./format.js";

/**
 * @typedef {import("./api.js").LiveEvent} LiveEvent
 * @typedef {import("./api.js").LiveRow} LiveRow
 * @typedef {{id: string, row: LiveRow | null, text: string}} Line row null: a gap
 */

const LINES_MAX = 30;
const GAPS = {
  busy: "More came than can be shown here.",
  behind: "Some came while this page was not connected.",
  trimmed: "Some came that are not kept any more.",
  unknown: "",
};

export class NowPanel {
  #mark = byId("now-mark", HTMLElement);
  #empty = byId("now-empty", HTMLElement);
  #numbers = new Map(
    ["online", "current", "minute"].map((name) => [name, byId(`now-${name}`, HTMLElement)]),
  );
  #rows = new Rows(
    byId("now-rows", HTMLOListElement),
    (/** @type {Line} */ line) => line.id,
    makeLine,
    () => {},
  );
  /** @type {Line[]} the newest first */
  #lines = [];
  #due = false;

  /** @param {LiveEvent} event */
  take(event) {
    if (event.event === "counts") {
      const { online, current, minute } = event.data;
      this.#number("online", online);
      this.#number("current", current.events);
      this.#number("minute", minute.events);
    } else if (event.event === "event") {
      this.#add({ id: event.id, row: event.data, text: "" });
    } else if (event.event === "gap" && GAPS[event.data.reason]) {
      this.#add({ id: `gap ${event.id}`, row: null, text: GAPS[event.data.reason] });
    }
  }

  /**
   * @param {import("./stream.js").StreamState} state
   */
  mark(state) {
    const texts = { off: "", opening: "Connecting", open: "Live", waiting: "Reconnecting" };
    const kinds = { off: "", opening: "", open: "good", waiting: "failing" };
    setText(this.#mark, texts[state]);
    setAttribute(this.#mark, "data-state", kinds[state]);
    this.#empty.hidden = this.#lines.length > 0 || state !== "open";
  }

  clear() {
    this.#lines = [];
    for (const number of this.#numbers.values()) setText(number, "–");
    this.#draw();
  }

  /**
   * @param {string} name
   * @param {number} value
   */
  #number(name, value) {
    const number = this.#numbers.get(name);
    if (number) setText(number, String(value));
  }

  /** @param {Line} line */
  #add(line) {
    this.#lines = [line, ...this.#lines].slice(0, LINES_MAX);
    this.#empty.hidden = true;
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => this.#draw()); // once for all that came together
  }

  #draw() {
    this.#due = false;
    this.#rows.show(this.#lines);
  }
}

/** @param {Line} line */
function makeLine({ row, text }) {
  if (!row) return { element: el("li", { class: "now-gap muted" }, text) };
  const when = el(
    "time",
    { datetime: new Date(row.at).toISOString(), title: formatFull(row.at) },
    formatTime(row.at),
  );
  const said = detailOf(row);
  const detail = el("span", { class: "clip muted", dir: "auto", title: said }, said);
  const name = el("b", { class: "clip", dir: "auto", title: row.name }, row.name);
  return { element: el("li", {}, when, name, detail) };
}

/** @param {LiveRow} row */
function detailOf(row) {
  if (row.key !== undefined)
    return row.value === undefined ? row.key : `${row.key}: ${row.value || "(empty)"}`;
  if (!row.page) return "";
  const [, path] = /^[a-z]+:\/\/[^/?#]*(.*)$/i.exec(row.page) ?? [];
  return path || row.page;
}
