// SPDX-License-Identifier: MIT
// api.js: onWebChat_, the widget's JavaScript API, and the page's queue of calls from before it was
// there.
//
// A call never throws. What it refuses is told to the console and to the call's own `done`.
import { wellFormed } from "./beacon.js";
import { CALLBACKS, callbackName, warn } from "./listeners.js";
import { checkedRule } from "./trigger.js";

/** The visitor's fields and their limits in characters, as in proto/event.h. */
const FIELDS = new Map([
  ["name", 200],
  ["email", 254],
  ["phone", 40],
  ["notes", 4000],
]);

/** @typedef {import("./delivery.js").Outcome} Outcome */
/**
 * @typedef {object} Widget what the API can do
 * @property {(key: string, value: string, done: (outcome: Outcome) => void) => void} setField
 * @property {(key: string) => string | undefined} getField
 * @property {() => string | undefined} status
 * @property {(language: string) => void} setLanguage
 * @property {(open: boolean) => void} setOpen
 * @property {(shown: boolean) => void} setShown
 * @property {(rule: import("./trigger.js").Rule) => boolean} addTrigger
 */

/** @param {unknown} value */
function isSwitch(value) {
  return ["number", "string"].includes(typeof value) && /^[01]$/.test(String(value));
}

/**
 * @param {Widget} widget
 * @param {import("./listeners.js").Listeners} listeners
 */
export function createApi(widget, listeners) {
  /**
   * @param {unknown} key
   * @param {unknown} value
   * @param {unknown} [done]
   * @returns {void}
   */
  function set(key, value, done) {
    /** @param {Outcome} outcome */
    const tell = (outcome) => {
      if (typeof done === "function") {
        listeners.call(`done of set(${String(key)})`, /** @type {any} */ (done), outcome);
      }
    };
    /**
     * @param {string} code
     * @param {string} message
     */
    const refuse = (code, message) => {
      warn(`set(${String(key)}): ${message}`);
      tell({ ok: false, code, message });
    };

    const limit = FIELDS.get(/** @type {string} */ (key));
    const callback = callbackName(key);
    if (limit !== undefined) {
      if (typeof value !== "string") return refuse("wrong_type", "a string is expected");
      const text = wellFormed(value);
      if (text.length > limit && [...text].length > limit) {
        return refuse("too_long", `at most ${limit} characters are allowed`);
      }
      return widget.setField(/** @type {string} */ (key), text, tell);
    }
    if (callback) {
      if (typeof value !== "function") return refuse("wrong_type", "a function is expected");
      listeners.replace(callback, /** @type {any} */ (value));
    } else if (key === "max" || key === "show") {
      if (!isSwitch(value)) return refuse("wrong_type", "0 or 1 is expected");
      (key === "max" ? widget.setOpen : widget.setShown)(Number(value) === 1);
    } else if (key === "language") {
      if (typeof value !== "string") return refuse("wrong_type", "a string is expected");
      widget.setLanguage(value);
    } else if (key === "trigger") {
      const rule = checkedRule(value);
      if (!rule) return refuse("wrong_type", "{id, name, delay_s, message} is expected");
      if (!widget.addTrigger(rule)) {
        return refuse("spent", "this visit has had its trigger");
      }
    } else {
      return refuse("unknown_key", "there is no such key");
    }
    tell({ ok: true });
  }

  return {
    set,
    /**
     * @param {unknown} key
     * @returns {string | undefined}
     */
    get(key) {
      if (key === "status") return widget.status();
      if (typeof key === "string" && FIELDS.has(key)) return widget.getField(key);
      warn(`get(${String(key)}): there is no such key`);
      return undefined;
    },
    /**
     * Adds a listener beside others.
     * @param {unknown} name
     * @param {unknown} f
     * @returns {() => void} its undo
     */
    on(name, f) {
      const known = callbackName(name);
      if (known && typeof f === "function") {
        return listeners.add(known, /** @type {any} */ (f));
      }
      warn(`on(${String(name)}): one of ${CALLBACKS.join(", ")} and a function are expected`);
      return () => {};
    },
  };
}

/**
 * Makes the page's onWebChat call api from now on, and does what it has queued, in order.
 * @param {ReturnType<typeof createApi>} api
 */
export function takeOver(api) {
  const page = /** @type {any} */ (window);
  const stub = (page.onWebChat ??= {});
  const queue = Array.isArray(stub.ar) ? stub.ar : [];

  /** @param {any} call [key, value, done?], or ["on", [name, f]] from our snippet's on() */
  function replay(call) {
    if (!Array.isArray(call) || call.length === 0) return; // length 0: undone meanwhile
    const [key, value, done] = call;
    if (key === "on" && Array.isArray(value)) {
      /** @type {any} */ (call).undo = api.on(value[0], value[1]);
    } else {
      api.set(key, value, done);
    }
  }

  const calls = queue.splice(0);
  try {
    Object.assign(stub, api);
    // Stubs in the wild keep the array and push to it.
    queue.push = (/** @type {any[]} */ ...late) => {
      late.forEach(replay);
      return 0;
    };
  } catch {
    // Frozen by the page: its stub finds onWebChat_ by itself.
  }
  calls.forEach(replay);
}
