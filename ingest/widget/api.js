// SPDX-License-Identifier: MIT
// api.js: onWebChat_, the widget's JavaScript API, and the page's queue of calls from before it was
// there. What is about the visitor's fields, events and consent is done here and at once; the rest is
// the interface's (commands.js) and waits until that is there.
//
// A call never throws. What it refuses is told to the console and to the call's own `done`.
import { wellFormed } from "./text.js";
import { attempt, warn } from "./warn.js";

/** The visitor's fields and their limits in characters, as in proto/event.h. */
const FIELDS = new Map([
  ["name", 200],
  ["email", 254],
  ["phone", 40],
  ["notes", 4000],
]);
/** @typedef {import("./delivery.js").Outcome} Outcome */
/** @typedef {[code: string, message: string]} Refusal */
/**
 * @typedef {object} Widget what the API can do
 * @property {(key: string, value: string, done: (outcome: Outcome) => void) => void} setField
 * @property {(key: string) => string | undefined} getField
 * @property {() => string | undefined} status
 * @property {() => object[] | undefined} triggers
 * @property {(given: boolean) => void} setConsent
 * @property {(name: string, done: (outcome: Outcome) => void) => void} record
 * @property {(use: (face: import("./interface.js").Interface) => void) => void} withInterface
 */

/** @param {Widget} widget */
export function createApi({ withInterface, ...widget }) {
  /**
   * What set() does. Throws where a value of the page's throws as it is looked at.
   * @param {any} key
   * @param {any} value
   * @param {(outcome: Outcome | Refusal) => void} tell
   * @returns {void | Refusal}
   */
  function apply(key, value, tell) {
    const limit = key === "event" ? 64 : FIELDS.get(key);
    if (limit) {
      if (typeof value !== "string") return ["wrong_type", "a string is expected"];
      const text = wellFormed(value);
      if (text.length > limit && [...text].length > limit) {
        return ["too_long", `at most ${limit} characters are allowed`];
      }
      if (key === "event") widget.record(text, tell);
      else widget.setField(key, text, tell);
    } else if (key === "consent") {
      if (!/^[01]$/.test(value)) return ["wrong_type", "0 or 1 is expected"];
      widget.setConsent(value == 1);
      tell({ ok: true });
    } else {
      withInterface((face) => tell(face.set(key, value)));
    }
  }

  return {
    /**
     * @param {unknown} key
     * @param {unknown} value
     * @param {any} [done]
     */
    set(key, value, done) {
      /** @param {Outcome | Refusal} outcome */
      function tell(outcome) {
        if (!("ok" in outcome)) outcome = { ok: false, code: outcome[0], message: outcome[1] };
        if (!outcome.ok) warn(outcome.message, key);
        if (typeof done !== "function") return;
        try {
          done(outcome);
        } catch (error) {
          withInterface((face) => face.failed("done", error));
        }
      }
      /** @type {void | Refusal} */
      let refusal = ["wrong_type", "it cannot be read"];
      attempt(() => (refusal = apply(key, value, tell)));
      if (refusal) tell(refusal);
    },
    /**
     * @param {any} key
     * @returns {any}
     */
    get(key) {
      if (FIELDS.has(key)) return widget.getField(key);
      if (key === "status") return widget.status();
      if (key === "triggers") return widget.triggers();
      warn("there is no such key", key);
    },
    /**
     * Adds a listener beside others.
     * @param {unknown} name
     * @param {unknown} f
     * @returns {() => void} its undo
     */
    on(name, f) {
      /** @type {() => void} */
      let undo;
      withInterface((face) => (undo = face.on(name, f)));
      return () => withInterface(() => undo());
    },
  };
}

/**
 * Makes the page's onWebChat call api from now on, and does what it has queued, in order.
 * @param {ReturnType<typeof createApi>} api
 */
export function takeOver(api) {
  const page = /** @type {any} */ (window);
  const stub = page.onWebChat ?? {};
  const queue = Array.isArray(stub.ar) ? stub.ar : [];

  /** @param {any} call [key, value, done?], or ["on", [name, f]] from our snippet's on() */
  function replay(call) {
    if (!Array.isArray(call) || !call.length) return; // no length: undone meanwhile
    const [key, value, done] = call;
    if (key === "on" && Array.isArray(value)) {
      /** @type {any} */ (call).undo = api.on(value[0], value[1]);
    } else {
      api.set(key, value, done);
    }
  }

  // Each of these may be frozen by the page.
  attempt(() => (page.onWebChat_ = api));
  attempt(() => (page.onWebChat = Object.assign(stub, api)));
  // A stub that stays the page's own goes on pushing to its queue, and those in the wild do anyway.
  if (stub.set !== api.set) attempt(() => (page.onWebChat = { ar: queue, ...api }));
  const calls = [...queue];
  attempt(() => (queue.length = 0));
  attempt(() => {
    queue.push = (/** @type {any[]} */ ...late) => late.forEach(replay);
  });
  calls.forEach(replay);
}
