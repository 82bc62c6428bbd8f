// SPDX-License-Identifier: MIT
// widget.js: where the page's script begins. Finds out where it was loaded from, puts the parts
// together and starts them, once per page.
import { createApi, takeOver } from "./api.js";
import { createBeacon } from "./beacon.js";
import { boot } from "./boot.js";
import { createChat } from "./chat.js";
import { createDelivery } from "./delivery.js";
import { createFields } from "./fields.js";
import { createListeners, warn } from "./listeners.js";
import { watchPages } from "./pages.js";
import { createStore, randomHex, visitorId } from "./store.js";
import { checkedRule, createTriggers } from "./trigger.js";

/**
 * The origin that served this script: events go there. Undefined when it cannot be told.
 * @param {string} site
 * @returns {string | undefined}
 */
function originOf(site) {
  // Only there while the script runs for the first time, and not in modules.
  const script =
    document.currentScript ??
    [...document.scripts].find(({ src }) => src.includes("/clientchat/" + site));
  const src = /** @type {HTMLScriptElement | undefined} */ (script)?.src;
  return src ? new URL(src).origin : undefined;
}

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
    if (value) props[name] = value;
  }
  return props;
}

/**
 * @param {string} site
 * @param {string} origin
 */
function start(site, origin) {
  const page = /** @type {any} */ (window);
  if (page.onWebChat_) return; // the script was included twice

  const store = createStore("localStorage", `cb:${site}:`);
  const visitor = visitorId(store);
  const producer = randomHex(8);
  const listeners = createListeners();
  const url = origin + "/v1/events";
  const delivery = createDelivery({ url, site, store, key: "left:" + producer });
  const beacon = createBeacon(visitor, producer, delivery, listeners, (erased) =>
    visitorId(store, erased),
  );
  const fields = createFields();
  for (const { event, item } of delivery.inherit()) {
    if (event.name === "set") item.done = fields.set(event.key, event.value);
  }

  /**
   * @param {string} key
   * @param {string} value
   * @param {(outcome: import("./delivery.js").Outcome) => void} done
   * @param {string} [source] "form", unless the page set it
   */
  function setField(key, value, done, source) {
    const settle = fields.set(key, value);
    beacon.record("set", { key, value, props: source ? { source } : undefined }, (outcome) => {
      settle(outcome);
      done(outcome);
    });
  }

  const chat = createChat(beacon, listeners, { get: fields.get, set: setField });
  const triggers = createTriggers(createStore("sessionStorage", `cb:${site}:`), {
    allowed: chat.mayInterrupt,
    fire({ id, name, message, agent }, elapsed) {
      const rule = "delay";
      chat.say(message, agent);
      chat.happened(
        "onTrigger",
        { id, name, rule, elapsed },
        { id, name, rule, url: location.href, elapsed },
      );
      chat.setOpen(true);
    },
  });

  const api = createApi(
    {
      setField,
      getField(key) {
        beacon.record("get", { key });
        return fields.get(key) ?? (chat.status() ? "" : undefined);
      },
      status: chat.status,
      setLanguage: chat.setLanguage,
      setOpen: chat.setOpen,
      setShown(shown) {
        chat.setShown(shown);
        triggers.evaluate();
      },
      addTrigger(rule) {
        if (triggers.spent()) return false;
        triggers.add(rule);
        return true;
      },
    },
    listeners,
  );

  page.onWebChat_ = api;
  watchPages(() => {
    beacon.record("page");
    triggers.page();
  });
  takeOver(api);

  let attached = false;
  void boot(
    origin + "/v1/boot",
    { site, visitor },
    async (answer) => {
      if (answer) fields.boot(answer.visitor);
      if (answer?.erased) beacon.forget(visitor);
      chat.configure(answer?.status ?? "offline", answer?.settings ?? {});
      if (!attached) {
        attached = true;
        if (!document.body) {
          await new Promise((loaded) => addEventListener("DOMContentLoaded", loaded));
        }
        chat.attach(arrival());
      }
      for (const rule of answer?.triggers ?? []) {
        const checked = checkedRule(rule);
        if (checked) triggers.add(checked);
      }
      triggers.evaluate();
    },
    (message) => warn(`the widget stays away: ${message}`),
  );

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") delivery.end();
    else delivery.resume();
  });
  addEventListener("pagehide", () => delivery.end());
  addEventListener("pageshow", () => delivery.resume());
  addEventListener("online", () => delivery.resume());
}

/** @param {string} site */
function load(site) {
  const origin = originOf(site);
  if (!origin) return warn("load it with <script src>");
  const tab = /** @type {Document & {prerendering?: boolean}} */ (document);
  if (tab.prerendering) {
    // Perhaps nobody will ever see this page; until then the page's queue takes the calls.
    tab.addEventListener("prerenderingchange", () => start(site, origin), { once: true });
  } else {
    start(site, origin);
  }
}

// The server puts the site's name here as it serves the script.
load("__CHATBEACON_SITE__");
