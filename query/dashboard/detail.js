// SPDX-License-Identifier: MIT
// detail.js: one visitor in a dialog, kept up to date while it is open.

import { byId, el, setAttribute, setText } from "./dom.js";
import { formatFull } from "./format.js";
import { nameOf } from "./visitors.js";

/** @typedef {import("./api.js").Visitor} Visitor */

export class DetailPanel {
  #dialog = byId("detail", HTMLDialogElement);
  #title = byId("detail-title", HTMLElement);
  #message = byId("detail-message", HTMLElement);
  #fields = byId("detail-fields", HTMLElement);
  #visitor = "";
  #texts = {
    name: this.#text("Name"),
    email: this.#text("Email"),
    phone: this.#text("Phone"),
    notes: this.#text("Notes", "notes"),
    events: this.#text("Events"),
    sessions: this.#text("Sessions"),
    visitor: this.#text("Key", "code"),
  };
  #first = this.#time("First seen");
  #last = this.#time("Last seen");

  constructor() {
    byId("detail-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    // A click on the backdrop has the dialog as its target, and so has one on its padding.
    this.#dialog.addEventListener("click", (event) => {
      if (event.target !== this.#dialog) return;
      const box = this.#dialog.getBoundingClientRect();
      const inside =
        event.clientX >= box.left &&
        event.clientX <= box.right &&
        event.clientY >= box.top &&
        event.clientY <= box.bottom;
      if (!inside) this.#dialog.close();
    });
    this.#dialog.addEventListener("close", () => (this.#visitor = ""));
  }

  /** The key of the visitor on show; empty while the dialog is closed. */
  get visitor() {
    return this.#visitor;
  }

  /** @param {Visitor} visitor as the list has it */
  open(visitor) {
    this.#visitor = visitor.visitor;
    this.show(visitor);
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** @param {Visitor} visitor */
  show(visitor) {
    if (visitor.visitor !== this.#visitor) return;
    setText(this.#title, nameOf(visitor));
    setText(this.#message, "");
    for (const [key, { head, body }] of Object.entries(this.#texts)) {
      const value = visitor[/** @type {keyof Visitor} */ (key)];
      setText(body, value === undefined || value === "" ? "–" : String(value));
      const absent = key === "sessions" && value === undefined;
      head.hidden = absent;
      body.hidden = absent;
    }
    setMoment(this.#first, visitor.first_seen);
    setMoment(this.#last, visitor.last_seen);
  }

  /** @param {string} message */
  fail(message) {
    setText(this.#message, message);
  }

  clear() {
    this.#dialog.close();
    for (const time of [this.#first, this.#last]) time.textContent = "";
    setText(this.#title, "");
    for (const { body } of Object.values(this.#texts)) setText(body, "");
  }

  /**
   * @param {string} label
   * @param {string} [kind]
   */
  #text(label, kind = "short") {
    const head = el("dt", {}, label);
    const body = el("dd", { class: kind, dir: "auto" });
    this.#fields.append(head, body);
    return { head, body };
  }

  /** @param {string} label */
  #time(label) {
    const time = el("time");
    this.#fields.append(el("dt", {}, label), el("dd", {}, time));
    return time;
  }
}

/**
 * @param {HTMLTimeElement} time
 * @param {number} ms
 */
function setMoment(time, ms) {
  setText(time, formatFull(ms));
  setAttribute(time, "datetime", new Date(ms).toISOString());
}
