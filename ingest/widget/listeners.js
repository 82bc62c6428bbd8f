// SPDX-License-Identifier: MIT
// listeners.js: who wants to hear of what. The page's code runs here and nowhere else: whatever it
// throws is caught and told to onError, so that neither the widget nor the page stops.

/** @typedef {(detail?: any) => void} Listener */
/** @typedef {ReturnType<typeof createListeners>} Listeners */

const CALLBACKS = [
  "onClick",
  "onMaximize",
  "onMinimize",
  "onTrigger",
  "onStartWriting",
  "onWebChatLoaded",
  "onEvent",
  "onError",
];

/**
 * The name under which a callback is kept, or undefined. The prose of the API document says
 * onMinimized.
 * @param {unknown} name
 */
export function callbackName(name) {
  if (name === "onMinimized") return "onMinimize";
  return CALLBACKS.find((known) => known === name);
}

export function createListeners() {
  /** @type {Map<string, Listener>} the one that set() put there: the last wins */
  const callbacks = new Map();
  /** @type {Map<string, Set<{f: Listener}>>} those of on() */
  const added = new Map(CALLBACKS.map((name) => [name, new Set()]));
  let loaded = false;

  /**
   * Calls the page's code.
   * @param {string} where
   * @param {Listener} f
   * @param {any} [detail]
   */
  function call(where, f, detail) {
    try {
      // An async callback fails later, in its promise.
      const result = /** @type {any} */ (f(detail));
      if (typeof result?.catch === "function") {
        result.catch((/** @type {unknown} */ error) => failed(where, error));
      }
    } catch (error) {
      failed(where, error);
    }
  }

  /**
   * @param {string} where
   * @param {unknown} error
   */
  function failed(where, error) {
    if (where === "onError" || !emit("onError", { where, error })) {
      console.error(`onWebChat: ${where} failed:`, error);
    }
  }

  /**
   * Tells everyone who listens; false when nobody does.
   * @param {string} name
   * @param {any} [detail]
   */
  function emit(name, detail) {
    if (name === "onWebChatLoaded") loaded = true;
    const all = [...(added.get(name) ?? [])].map((entry) => entry.f);
    const callback = callbacks.get(name);
    if (callback) all.unshift(callback);
    for (const f of all) call(name, f, detail);
    return all.length > 0;
  }

  /**
   * @param {string} name
   * @param {Listener} f
   */
  function late(name, f) {
    if (name === "onWebChatLoaded" && loaded) call(name, f);
  }

  return {
    failed,
    emit,
    /**
     * @param {string} name of CALLBACKS
     * @param {Listener} f
     */
    replace(name, f) {
      callbacks.set(name, f);
      late(name, f);
    },
    /**
     * @param {string} name of CALLBACKS
     * @param {Listener} f
     * @returns {() => void} its undo
     */
    add(name, f) {
      const entry = { f }; // the same function may be added twice, and each undone once
      added.get(name)?.add(entry);
      late(name, f);
      return () => void added.get(name)?.delete(entry);
    },
  };
}
