// SPDX-License-Identifier: MIT
// chat.js: the state of the chat: open, shown, online, in which language. What happens to it becomes
// an event and a callback, whoever caused it.
import { createPanel } from "./panel.js";
import { pieces } from "./text.js";

/** @typedef {ReturnType<typeof createChat>} Chat */
/** @typedef {import("./delivery.js").Outcome} Outcome */
/**
 * @typedef {object} Visitor the fields of the visitor, for the form before a chat, and their consent
 * @property {(key: string) => string | undefined} get
 * @property {(key: string, value: string, done: (outcome: Outcome) => void, source: string) => void} set
 * @property {() => boolean} agreed
 * @property {(given: boolean) => void} setConsent
 */

/**
 * @param {import("./beacon.js").Beacon} beacon
 * @param {import("./listeners.js").Listeners} listeners
 * @param {Visitor} visitor
 */
export function createChat(beacon, listeners, visitor) {
  /** @type {import("./panel.js").Panel | undefined} */
  let panel;
  let shown = true; // as the page wants it
  let open = false;
  let wantsOpen = false; // takes effect when it is seen
  let writing = false;
  let language = "";
  /** @type {import("./boot.js").Settings} */
  let settings = {};
  /** @type {"online" | "offline" | undefined} */
  let status;

  /** @type {import("./panel.js").Actions} */
  const actions = {
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
      parts.forEach((part, i) => {
        beacon.record("message", { props: { text: part } }, (outcome) => {
          if (outcome.ok) parts[i] = "";
          // Another page of this browser sends it, and its answer will not be seen here.
          else if (outcome.code === "handed_over") return;
          if (--waiting === 0) settled(parts.join(""));
        });
      });
    },
    field: (key) => visitor.get(key) ?? "",
    setField(key, value, settled) {
      visitor.set(
        key,
        value,
        (outcome) => settled(outcome.ok || outcome.code === "handed_over"),
        "form",
      );
    },
    consent(given) {
      visitor.setConsent(given);
      if (given) update();
      else setOpen(false, true);
    },
  };

  /**
   * @param {string} name
   * @param {import("./beacon.js").Props} [props]
   * @param {any} [detail] for the page's callback
   */
  function happened(name, props, detail) {
    beacon.record(name, { props });
    listeners.emit(name, detail);
  }

  /** Whether the visitor may see it. */
  const seen = () => shown && !(settings.hide_when_offline === true && status !== "online");

  /**
   * @param {boolean} wanted
   * @param {boolean} byPerson
   */
  function setOpen(wanted, byPerson) {
    wantsOpen = wanted;
    if (open === wanted || !panel || (wanted && !seen())) return;
    open = wanted;
    panel.open(open, byPerson);
    happened(open ? "onMaximize" : "onMinimize");
  }

  function update() {
    show(seen());
    setOpen(wantsOpen, false);
  }

  /** @param {boolean} visible */
  function show(visible) {
    panel?.update({
      settings,
      language,
      online: status === "online",
      shown: visible,
      asks: settings.consent_needed === true && !visitor.agreed(),
    });
  }

  // The page may have been told what the panel asks: then what waited for it is stored.
  listeners.add("onEvent", ({ state }) => {
    if (settings.consent_needed && state === "stored") update();
  });

  return {
    happened,
    status: () => status,
    /** Whether something may be said to the visitor unasked. */
    mayInterrupt: () => !!panel && seen() && status === "online",
    /** @param {boolean} wanted */
    setOpen: (wanted) => setOpen(wanted, false),
    /** @param {boolean} wanted */
    setShown(wanted) {
      shown = wanted;
      update();
    },
    /** @param {string} wanted l1, l2, or the code of a language; "" goes by the browser's */
    setLanguage(wanted) {
      language = wanted;
      update();
    },
    /**
     * @param {"online" | "offline"} newStatus
     * @param {import("./boot.js").Settings} newSettings
     */
    configure(newStatus, newSettings) {
      status = newStatus;
      settings = newSettings;
      update();
    },
    /**
     * Puts the chat into the page: it is loaded. What the page asked for until now takes effect.
     * Comes after the first configure().
     * @param {import("./beacon.js").Props} props of the event
     */
    attach(props) {
      panel = createPanel(actions);
      show(false); // until the page, which may want to hide it, has heard of it
      happened("onWebChatLoaded", props);
      update();
    },
    /**
     * Says something that the visitor did not write; only when mayInterrupt.
     * @param {string} text
     * @param {string} [agent] who says it; unless given, the one of the settings
     */
    say(text, agent) {
      panel?.say(text, agent);
    },
  };
}
