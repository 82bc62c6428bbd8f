// SPDX-License-Identifier: MIT
// desk.js: the switch by which an operator says that they are there. While it is on, the service is
// told so every few seconds, and a site whose status is automatic is online. Nothing is stored: when
// the page goes, the lease ends by itself.

import { byId, setAttribute, setText } from "./dom.js";

const RENEW_MS = 5000; // until the service says how often
const SLACK_MS = 500; // a beat that comes a little early counts

/** @typedef {import("./api.js").Presence} Presence */

export class Desk {
  #field = byId("desk-field", HTMLElement);
  #button = byId("desk", HTMLButtonElement);
  #note = byId("desk-note", HTMLElement);
  /** @type {AbortController | null} */
  #flight = null;
  #on = false;
  #allowed = false;
  #renew_ms = RENEW_MS;
  #told_ms = -Infinity;
  #tell;

  /**
   * @param {(signal: AbortSignal) => Promise<Presence>} tell renews the lease of the chosen site
   * @param {() => void} onSwitch
   */
  constructor(tell, onSwitch) {
    this.#tell = tell;
    this.#button.addEventListener("click", () => {
      this.#on = !this.#on;
      this.#again();
      onSwitch();
    });
    setInterval(() => this.beat(), 1000);
    this.#draw("");
  }

  get on() {
    return this.#on && this.#allowed;
  }

  /** @param {boolean} allowed whether the token may say so at all */
  allow(allowed) {
    this.#allowed = allowed;
    this.#field.hidden = !allowed;
  }

  /** Another site, or nobody: whoever was there says so again. */
  reset() {
    this.#on = false;
    this.#again();
  }

  /** Time goes on: called each second, by a timer or by what comes from the service (a browser lets
   * the timers of hidden pages run once a minute). */
  beat() {
    if (!this.on || this.#flight) return;
    if (performance.now() - this.#told_ms >= this.#renew_ms - SLACK_MS) void this.#renew();
  }

  #again() {
    this.#flight?.abort();
    this.#flight = null;
    this.#told_ms = -Infinity;
    this.#draw("");
    this.beat();
  }

  async #renew() {
    const flight = new AbortController();
    this.#flight = flight;
    this.#told_ms = performance.now();
    let note = "";
    try {
      const { mode, status, renew_ms } = await this.#tell(flight.signal);
      this.#renew_ms = renew_ms;
      note = mode === "automatic" ? `Pages see: ${status}` : `Status is set to ${status}`;
    } catch (problem) {
      note = problem instanceof Error ? problem.message : "Something went wrong.";
    }
    if (this.#flight !== flight) return;
    this.#flight = null;
    this.#draw(note);
  }

  /** @param {string} note */
  #draw(note) {
    setAttribute(this.#button, "aria-checked", String(this.#on));
    setText(this.#note, note);
  }
}
