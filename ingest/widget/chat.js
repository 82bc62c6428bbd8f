// SPDX-License-Identifier: MIT
// chat.js: the state of the chat: open, shown, online, in which language. What happens to it becomes
// an event and a callback, whoever caused it.
import { pieces } from "./beacon.js";
import { createPanel } from "./panel.js";
import { textsOf } from "./texts.js";

/** @typedef {ReturnType<typeof createChat>} Chat */

/**
 * @param {import("./beacon.js").Beacon} beacon
 * @param {import("./listeners.js").Listeners} listeners
 */
export function createChat(beacon, listeners) {
  let ready = false; // in the page
  let shown = true;
  let open = false;
  let wantsOpen = false; // takes effect when shown
  let writing = false;
  let language = "l1";
  /** @type {import("./boot.js").Boot["texts"]} */
  let settings = {};
  /** @type {"online" | "offline" | undefined} */
  let status;

  const panel = createPanel({
    click() {
      happened("onClick");
      setOpen(!open, true);
    },
    minimize: () => setOpen(false, true),
    write() {
      if (writing) return;
      writing = true;
      happened("onStartWriting");
    },
    send(text, settled) {
      writing = false;
      const parts = pieces(text);
      let waiting = parts.length;
      let ok = true;
      for (const part of parts) {
        beacon.record("message", { props: { text: part } }, (outcome) => {
          ok &&= outcome.ok;
          if (--waiting === 0) settled(ok);
        });
      }
    },
  });

  /**
   * @param {string} name
   * @param {import("./beacon.js").Props} [props]
   * @param {any} [detail] for the page's callback
   */
  function happened(name, props, detail) {
    beacon.record(name, { props });
    listeners.emit(name, detail);
  }

  /**
   * @param {boolean} wanted
   * @param {boolean} byPerson
   */
  function setOpen(wanted, byPerson) {
    wantsOpen = wanted;
    if (open === wanted || !ready || (wanted && !shown)) return;
    open = wanted;
    panel.open(open, byPerson);
    happened(open ? "onMaximize" : "onMinimize");
  }

  function update() {
    panel.update(textsOf(settings, language), status === "online");
  }

  /** @param {boolean} wanted */
  function setShown(wanted) {
    shown = wanted;
    panel.show(shown && ready);
    if (shown) setOpen(wantsOpen, false);
  }

  update();
  return {
    happened,
    status: () => status,
    /** Whether something may be said to the visitor unasked. */
    mayInterrupt: () => ready && shown && status === "online",
    /** @param {boolean} wanted */
    setOpen: (wanted) => setOpen(wanted, false),
    setShown,
    /** @param {string} wanted */
    setLanguage(wanted) {
      language = wanted;
      update();
    },
    /**
     * @param {"online" | "offline"} newStatus
     * @param {import("./boot.js").Boot["texts"]} newSettings
     */
    configure(newStatus, newSettings) {
      status = newStatus;
      settings = newSettings;
      update();
    },
    /**
     * Puts the chat into the page: it is loaded. What the page asked for until now takes effect.
     * @param {import("./beacon.js").Props} props of the event
     */
    attach(props) {
      panel.attach();
      ready = true;
      panel.show(shown);
      happened("onWebChatLoaded", props);
      setShown(shown);
    },
    /** @param {string} text */
    say(text) {
      panel.say(text, textsOf(settings, language).agent);
    },
  };
}
