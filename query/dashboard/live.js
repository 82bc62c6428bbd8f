// SPDX-License-Identifier: MIT
// live.js: when the page is refreshed. About three times a second while it can be seen, later after
// failures, at once when something was chosen; never two refreshes at a time. A refresh is one small
// request unless there is something new: see app.js.

const PERIOD_MS = 300;
const GAP_MIN_MS = 200;
const BACK_OFF_MAX_MS = 10_000;

/** @typedef {"loading" | "live" | "failing" | "paused"} LiveState */

export class Live {
  /** @type {AbortController | null} */
  #flight = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #running = false;
  #failures = 0;
  #refresh;
  #onState;

  /**
   * @param {(signal: AbortSignal) => Promise<void>} refresh throws on failure; once its signal is
   *   aborted, what it does no longer counts
   * @param {(state: LiveState, problem: unknown, delay_ms: number) => void} onState
   */
  constructor(refresh, onState) {
    this.#refresh = refresh;
    this.#onState = onState;
    document.addEventListener("visibilitychange", () => this.now());
    window.addEventListener("online", () => this.now());
  }

  start() {
    this.#running = true;
    this.#failures = 0;
    this.#onState("loading", null, 0);
    this.now();
  }

  stop() {
    this.#running = false;
    this.#drop();
  }

  /** Refreshes at once, in place of what is under way: its answers are no longer wanted. */
  now() {
    if (!this.#running) return;
    this.#drop();
    if (document.visibilityState === "hidden") this.#onState("paused", null, 0);
    else void this.#run();
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#flight?.abort();
    this.#flight = null;
  }

  async #run() {
    const flight = new AbortController();
    this.#flight = flight;
    const started_ms = performance.now();
    let delay_ms = 0;
    try {
      await this.#refresh(flight.signal);
      if (flight.signal.aborted) return;
      this.#failures = 0;
      const left_ms = PERIOD_MS - (performance.now() - started_ms);
      delay_ms = Math.max(GAP_MIN_MS, left_ms);
      this.#onState("live", null, delay_ms);
    } catch (problem) {
      if (flight.signal.aborted) return;
      delay_ms = backOff(this.#failures++, problem);
      this.#onState("failing", problem, delay_ms);
    }
    this.#flight = null;
    this.#timer = setTimeout(() => this.now(), delay_ms);
  }
}

/**
 * @param {number} failures before this one
 * @param {unknown} problem
 */
function backOff(failures, problem) {
  const asked_ms =
    typeof problem === "object" && problem && "retry_after_ms" in problem
      ? Number(problem.retry_after_ms)
      : 0;
  const grown_ms = PERIOD_MS * 2 ** Math.min(failures, 8);
  return Math.min(BACK_OFF_MAX_MS, Math.max(grown_ms, asked_ms));
}
