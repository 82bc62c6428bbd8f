// SPDX-License-Identifier: MIT
// interface.js: the entry of the script that comes after the first one: the chat, its panel and its
// triggers. An interface may be newer than what loads it (see assets.h), by a version.
import { createChat } from "./chat.js";
import { createCommands } from "./commands.js";
import { takeOver } from "./leftovers.js";
import { createListeners } from "./listeners.js";
import { pieces } from "./text.js";
import { checkedRule, createTriggers, kindOf } from "./trigger.js";

/** @typedef {ReturnType<typeof createInterface>} Interface */
/** @typedef {import("./delivery.js").Outcome} Outcome */
/**
 * @typedef {object} Visitor
 * @property {(key: string) => string | undefined} get
 * @property {(key: string, value: string, done: (outcome: Outcome) => void, source?: string) => void} set
 * @property {import("./fields.js").Fields["set"]} earlier for what an earlier page set
 * @property {(given: boolean) => void} setConsent
 */

/** What onWebChatLoaded says of the visit. */
function arrival() {
  /** @type {import("./beacon.js").Props} */
  const props = { language: navigator.language, width: innerWidth, height: innerHeight };
  try {
    const { host } = new URL(document.referrer);
    if (host !== location.host) props.referrer = host;
  } catch {
    // No referrer.
  }
  const query = new URLSearchParams(location.search);
  for (const name of ["utm_source", "utm_medium", "utm_campaign"]) {
    const value = query.get(name);
    if (value) props[name] = pieces(value)[0];
  }
  return props;
}

/**
 * @param {import("./beacon.js").Beacon} beacon
 * @param {import("./delivery.js").Delivery} delivery
 * @param {import("./store.js").Store} store
 * @param {Visitor} visitor
 */
export function createInterface(beacon, delivery, store, visitor) {
  const listeners = createListeners();
  const chat = createChat(beacon, listeners, {
    ...visitor,
    agreed: () => store.get("consent") !== null,
  });
  const triggers = createTriggers(store, {
    hindrance: () => (chat.mayInterrupt() ? "" : chat.status() === "online" ? "hidden" : "offline"),
    fire(trigger, elapsed) {
      const { id, name, message, agent } = trigger;
      const rule = kindOf(trigger);
      chat.say(message, agent);
      chat.happened(
        "onTrigger",
        { id, name, rule, elapsed },
        { id, name, rule, url: location.href, elapsed },
      );
      chat.setOpen(true);
    },
  });
  const leftovers = takeOver(store, delivery, ({ name, key, value }, item) => {
    if (name === "set") item.done = visitor.earlier(key, value, true);
  });
  addEventListener("storage", ({ key, newValue }) => {
    // The visitor has decided in another tab.
    if (key === store.prefix + "consent" && newValue) visitor.setConsent(true);
    if (key === store.prefix + "visitor" && newValue === null) visitor.setConsent(false);
  });

  return {
    ...createCommands(listeners, chat, triggers),
    failed: listeners.failed,
    /** @param {{name: string, state: string}} event of the beacon */
    heard(event) {
      listeners.emit("onEvent", event);
      if (event.state === "sending") triggers.event(event.name);
    },
    explain: triggers.explain,
    viewed: triggers.viewed,
    /**
     * What the server says, at first or later.
     * @param {"online" | "offline"} status
     * @param {import("./boot.js").Settings} settings
     */
    configure(status, settings) {
      chat.configure(status, settings);
      for (const rule of Array.isArray(settings.triggers) ? settings.triggers : []) {
        const checked = checkedRule(rule);
        if (checked) triggers.add(checked);
      }
      triggers.evaluate();
    },
    /** Puts it into the page: it is loaded. */
    async attach() {
      await leftovers; // they hold fields that are newer than the boot's
      chat.attach(arrival());
      triggers.evaluate();
    },
  };
}
