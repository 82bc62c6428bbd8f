// SPDX-License-Identifier: MIT
// visitors.js: the visitor list, its search and its pages. All texts in it were written by
// strangers.
//
// The service gives the last seen first, and visitors only ever move up. So a refresh reads the
// first page again and puts it before what was loaded behind it; the cursor of the last page stays
// good. When the two no longer touch (more than a page of visitors came by), the list starts anew.

import { byId, el, Rows, setAttribute, setText } from "./dom.js";
import { formatFull, formatMoment } from "./format.js";

/**
 * @typedef {import("./api.js").Visitor} Visitor
 * @typedef {import("./api.js").VisitorPage} VisitorPage
 */

const TYPING_MS = 250;

/** What a visitor is called where no name was given. */
export const nameOf = (/** @type {Visitor} */ visitor) =>
  visitor.name || visitor.email || `Visitor ${visitor.visitor.slice(0, 8)}`;

export class VisitorsPanel {
  #search = byId("search", HTMLInputElement);
  #more = byId("more", HTMLButtonElement);
  #empty = byId("visitors-empty", HTMLElement);
  #table = byId("visitors", HTMLTableElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  /** @type {AbortController | null} */
  #loading = null;
  /** @type {Visitor[]} */
  #visitors = [];
  /** @type {string | null} */
  #next = null;
  #paged = false;
  #loaded = false;
  #failed = "";
  #q = "";
  #now_ms = 0;
  #rows;
  #load;

  /**
   * @param {object} calls
   * @param {() => void} calls.onSearch the search is another one: refresh
   * @param {(visitor: Visitor) => void} calls.onOpen
   * @param {(cursor: string, signal: AbortSignal) => Promise<VisitorPage>} calls.load the page behind
   */
  constructor({ onSearch, onOpen, load }) {
    this.#load = load;
    this.#rows = new Rows(
      byId("visitor-rows", HTMLTableSectionElement),
      (/** @type {Visitor} */ visitor) => visitor.visitor,
      (visitor) => makeRow(visitor, onOpen),
      (row, visitor) => updateRow(row, visitor, this.#now_ms),
    );
    const apply = () => {
      clearTimeout(this.#typing);
      const q = this.#search.value.trim();
      if (q === this.#q) return;
      this.#q = q;
      this.#startAnew();
      onSearch();
    };
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(apply, TYPING_MS);
    });
    this.#search.addEventListener("change", apply);
    this.#more.addEventListener("click", () => void this.#loadMore());
  }

  /** What is searched for; empty for all. */
  get q() {
    return this.#q;
  }

  /**
   * @param {VisitorPage} first the first page, read again
   * @param {number} now_ms
   */
  show(first, now_ms) {
    this.#now_ms = now_ms;
    this.#loaded = true;
    const fresh = new Set(first.rows.map((row) => row.visitor));
    const behind = this.#visitors.filter((row) => !fresh.has(row.visitor));
    const touching = behind.length < this.#visitors.length;
    if (this.#paged && touching && first.next !== null) {
      this.#visitors = [...first.rows, ...behind];
    } else {
      this.#startAnew();
      this.#visitors = first.rows;
      this.#next = first.next;
    }
    this.#draw();
  }

  /**
   * Time goes on for what is on show.
   * @param {number} now_ms
   */
  tick(now_ms) {
    this.#now_ms = now_ms;
    if (this.#visitors.length) this.#draw();
  }

  /** The list is of something else now: what was loaded of the old one no longer counts. */
  reset() {
    this.#startAnew();
    this.#visitors = [];
    this.#next = null;
    this.#loaded = false;
    this.#draw();
  }

  clear() {
    clearTimeout(this.#typing);
    this.#search.value = "";
    this.#q = "";
    this.reset();
  }

  #startAnew() {
    this.#loading?.abort();
    this.#loading = null;
    this.#paged = false;
    this.#failed = "";
  }

  async #loadMore() {
    if (this.#next === null || this.#loading) return;
    const flight = new AbortController();
    this.#loading = flight;
    this.#failed = "";
    this.#draw();
    try {
      const page = await this.#load(this.#next, flight.signal);
      if (flight.signal.aborted) return;
      const known = new Set(this.#visitors.map((row) => row.visitor));
      const added = page.rows.filter((row) => !known.has(row.visitor));
      this.#visitors = [...this.#visitors, ...added];
      this.#next = page.next;
      this.#paged = true;
      this.#onward(added[0]);
    } catch (problem) {
      if (flight.signal.aborted) return;
      this.#failed = problem instanceof Error ? problem.message : "";
    }
    this.#loading = null;
    this.#draw();
  }

  /**
   * After the last page the button goes away: whoever pressed it by key goes on at what it brought.
   * @param {Visitor | undefined} visitor
   */
  #onward(visitor) {
    if (this.#next !== null || !visitor || document.activeElement !== this.#more) return;
    this.#draw();
    const rows = [...this.#table.querySelectorAll("tr[data-visitor]")];
    const row = rows.find((one) => one.getAttribute("data-visitor") === visitor.visitor);
    row?.querySelector("button")?.focus();
  }

  #draw() {
    this.#rows.show(this.#visitors);
    const none = this.#visitors.length === 0;
    this.#table.hidden = none;
    this.#more.hidden = this.#next === null;
    setAttribute(this.#more, "aria-disabled", String(this.#loading !== null));
    setText(this.#more, none ? "Search further back" : "More");
    setText(this.#empty, this.#failed || this.#emptyText(none));
  }

  /** @param {boolean} none */
  #emptyText(none) {
    if (!none || !this.#loaded) return "";
    if (this.#next !== null) return "No match among the latest visitors.";
    return this.#q ? "No visitor matches." : "No visitors yet.";
  }
}

/**
 * @param {Visitor} visitor
 * @param {(visitor: Visitor) => void} onOpen
 */
function makeRow(visitor, onOpen) {
  const cell = (/** @type {string} */ kind) => el("td", { class: kind, dir: "auto" });
  const open = el("button", {
    type: "button",
    class: "link clip",
    dir: "auto",
  });
  const sub = el("span", { class: "sub clip", dir: "auto" });
  const email = cell("roomy clip");
  const phone = cell("roomy clip");
  const first = el("time");
  const last = el("time");
  const events = el("td", { class: "number" });
  const element = el(
    "tr",
    { "data-visitor": visitor.visitor },
    el("th", { scope: "row" }, open, sub),
    email,
    phone,
    el("td", { class: "roomy" }, first),
    el("td", {}, last),
    events,
  );
  const row = {
    element,
    open,
    sub,
    email,
    phone,
    first,
    last,
    events,
    visitor,
  };
  element.addEventListener("click", (event) => {
    // The whole row opens the detail, but marking text in it does not.
    const marking = getSelection()?.isCollapsed === false;
    if (event.target === open || !marking) onOpen(row.visitor);
  });
  return row;
}

/**
 * @param {ReturnType<typeof makeRow>} row
 * @param {Visitor} visitor
 * @param {number} now_ms
 */
function updateRow(row, visitor, now_ms) {
  row.visitor = visitor;
  setText(row.open, nameOf(visitor));
  setAttribute(row.open, "title", nameOf(visitor));
  row.open.classList.toggle("unnamed", !visitor.name);
  setText(row.sub, visitor.name ? visitor.email || "" : "");
  for (const [cell, text] of /** @type {const} */ ([
    [row.email, visitor.email || ""],
    [row.phone, visitor.phone || ""],
  ])) {
    setText(cell, text);
    setAttribute(cell, "title", text);
  }
  setMoment(row.first, visitor.first_seen, now_ms);
  setMoment(row.last, visitor.last_seen, now_ms);
  setText(row.events, String(visitor.events));
}

/**
 * @param {HTMLTimeElement} time
 * @param {number} ms
 * @param {number} now_ms
 */
function setMoment(time, ms, now_ms) {
  setText(time, formatMoment(ms, now_ms));
  setAttribute(time, "datetime", new Date(ms).toISOString());
  setAttribute(time, "title", formatFull(ms));
}
