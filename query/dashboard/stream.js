// SPDX-License-Identifier: MIT
// stream.js: a site's live stream, read by fetch (EventSource cannot send the token): opened again when
// it breaks off, from the last event on, later after each failure.

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;
const SILENT_MAX_MS = 20_000; // something comes each second, or a comment within 15 s

/**
 * @typedef {import("./api.js").LiveEvent} LiveEvent
 * @typedef {"off" | "opening" | "open" | "waiting"} StreamState
 */

export class Stream {
  /** @type {AbortController | null} */
  #flight = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #last = "";
  #failures = 0;
  #open;
  #onEvent;
  #onState;

  /**
   * @param {object} calls
   * @param {(last: string, signal: AbortSignal) => AsyncIterable<LiveEvent | null>} calls.open what
   *   comes behind the event with that id (empty: from now on); null is a comment
   * @param {(event: LiveEvent) => void} calls.onEvent
   * @param {(state: StreamState, problem: unknown) => void} calls.onState
   */
  constructor({ open, onEvent, onState }) {
    this.#open = open;
    this.#onEvent = onEvent;
    this.#onState = onState;
  }

  get running() {
    return this.#flight !== null || this.#timer !== undefined;
  }

  /** Where it is not running: goes on behind the last event. */
  start() {
    if (!this.running) void this.#run();
  }

  /** Ends it; the next start goes on where it was. */
  pause() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flight?.abort();
    this.#flight = null;
    this.#failures = 0;
    this.#onState("off", null);
  }

  /** Ends it; the next start begins anew. */
  stop() {
    this.pause();
    this.#last = "";
  }

  async #run() {
    const flight = new AbortController();
    this.#flight = flight;
    this.#timer = undefined;
    this.#onState("opening", null);
    /** @type {unknown} */
    let problem = null;
    let silent = watchdog(flight);
    try {
      for await (const event of this.#open(this.#last, flight.signal)) {
        if (this.#flight !== flight) return;
        clearTimeout(silent);
        silent = watchdog(flight);
        if (event) this.#take(event);
      }
    } catch (thrown) {
      problem = thrown;
    } finally {
      clearTimeout(silent);
    }
    if (this.#flight !== flight) return;
    this.#flight = null;
    const wait_ms = delay(this.#failures++, problem);
    this.#timer = setTimeout(() => void this.#run(), wait_ms);
    this.#onState("waiting", problem);
  }

  /** @param {LiveEvent} event */
  #take(event) {
    if (event.id) this.#last = event.id;
    if (event.event === "counts") {
      this.#failures = 0;
      this.#onState("open", null);
    }
    this.#onEvent(event);
  }
}

/** @param {AbortController} flight */
const watchdog = (flight) => setTimeout(() => flight.abort(), SILENT_MAX_MS);

/**
 * Spread, so that all who lost their stream together do not come back together.
 * @param {number} failures before this one
 * @param {unknown} problem
 */
function delay(failures, problem) {
  const asked_ms =
    typeof problem === "object" && problem && "retry_after_ms" in problem
      ? Number(problem.retry_after_ms)
      : 0;
  const grown_ms = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 8));
  return Math.max(asked_ms, grown_ms * (0.5 + Math.random() / 2));
}
