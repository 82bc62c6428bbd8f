// SPDX-License-Identifier: MIT
// commands.js: what a page's set() and on() do to the interface: callbacks, and the chat itself.
import { callbackName } from "./listeners.js";
import { checkedRule } from "./trigger.js";
import { warn } from "./warn.js";

/** @typedef {import("./delivery.js").Outcome} Outcome */
/** @typedef {import("./api.js").Refusal} Refusal */

/**
 * @param {import("./listeners.js").Listeners} listeners
 * @param {import("./chat.js").Chat} chat
 * @param {ReturnType<typeof import("./trigger.js").createTriggers>} triggers
 */
export function createCommands(listeners, chat, triggers) {
  /** @type {Record<string, (on: boolean) => void>} */
  const switches = {
    max: chat.setOpen,
    show(on) {
      chat.setShown(on);
      triggers.evaluate();
    },
  };

  /**
   * Throws what looking at the value throws: it is the page's and may be anything.
   * @param {any} key
   * @param {any} value
   * @returns {Outcome | Refusal}
   */
  function apply(key, value) {
    const callback = callbackName(key);
    if (callback) {
      if (typeof value !== "function") return ["wrong_type", "a function is expected"];
      listeners.replace(callback, value);
    } else if (key === "max" || key === "show") {
      if (!/^[01]$/.test(value)) return ["wrong_type", "0 or 1 is expected"];
      switches[key](value == 1);
    } else if (key === "language") {
      if (typeof value !== "string") return ["wrong_type", "a string is expected"];
      chat.setLanguage(value);
    } else if (key === "trigger") {
      const rule = checkedRule(value);
      if (!rule) return ["wrong_type", "{id, name, delay_s, message, …} is expected"];
      if (triggers.spent()) return ["spent", "this visit has had its trigger"];
      triggers.add(rule);
    } else {
      return ["unknown_key", "there is no such key"];
    }
    return { ok: true };
  }

  return {
    /**
     * @param {unknown} key
     * @param {unknown} value
     * @returns {Outcome | Refusal}
     */
    set(key, value) {
      try {
        return apply(key, value);
      } catch {
        return ["wrong_type", "it cannot be read"];
      }
    },
    /**
     * @param {unknown} name
     * @param {unknown} f
     * @returns {() => void} its undo
     */
    on(name, f) {
      const known = callbackName(name);
      if (known && typeof f === "function") {
        return listeners.add(known, /** @type {any} */ (f));
      }
      warn("a callback's name and a function are expected", name);
      return () => {};
    },
  };
}
