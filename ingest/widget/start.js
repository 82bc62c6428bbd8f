// SPDX-License-Identifier: MIT
// start.js: where the page's script begins. Finds out where it was loaded from, puts the parts
// together and starts them, once per page. The user interface comes in a script of its own, after
// this one; what is done with it until then waits.
import { createApi, takeOver } from "./api.js";
import { createBeacon } from "./beacon.js";
import { boot } from "./boot.js";
import { createDelivery } from "./delivery.js";
import { createFields } from "./fields.js";
import interfaceAddress from "./interface.js?url";
import { watchPages } from "./pages.js";
import { createStore, randomHex, visitorId } from "./store.js";
import { warn } from "./warn.js";

const PATH = "/clientchat/";
const INTERFACE_TRIES = 4;
const WAITING_MAX = 1000; // an interface may never come

/** @typedef {import("./interface.js").Interface} Interface */
/** @typedef {import("./delivery.js").Outcome} Outcome */

/**
 * @param {string} base of the server's addresses
 * @param {string} site
 * @param {boolean} consentNeeded
 */
function run(base, site, consentNeeded) {
  const page = /** @type {any} */ (window);
  if (page.onWebChat_) return; // the script was included twice

  const store = createStore(`cb:${site}:`);
  const producer = randomHex(8);
  const delivery = createDelivery({
    url: base + "/v1/events",
    site,
    store,
    key: "left:" + producer,
  });
  /** @type {boolean | undefined} what the page or the visitor said, here or on an earlier page */
  let consent = store.get("consent") ? true : undefined;
  let remembering = false;
  const beacon = createBeacon(producer, delivery, {
    heard: (event) => withInterface((there) => there.heard(event)),
    renew: (erased) => visitorId(store, erased),
    silent: () => consent === false,
  });
  const fields = createFields();
  /** @type {"online" | "offline" | undefined} */
  let status;
  /** @type {import("./boot.js").Settings} */
  let settings = {};
  /** @type {typeof import("./interface.js").createInterface | undefined} */
  let createInterface;
  /** @type {Interface | undefined} */
  let face;
  /** @type {((face: Interface) => void)[]} */
  const waiting = [];

  /** @param {(face: Interface) => void} use called when the interface is there */
  function withInterface(use) {
    if (face) use(face);
    else if (waiting.length < WAITING_MAX) waiting.push(use);
  }

  /** Begins or ends to remember and to send, as the site and the visitor want it. */
  function applyConsent() {
    const may = consent ?? !consentNeeded;
    if (may && !remembering) {
      store.open();
      beacon.identify(visitorId(store));
    }
    if (may && consent) store.set("consent", "1");
    if (!may) {
      if (remembering || consent === false) {
        beacon.forget();
        fields.clear();
      }
      store.clear();
    }
    remembering = may;
  }

  /** @param {boolean} given */
  function setConsent(given) {
    consent = given;
    applyConsent();
  }

  /**
   * @param {string} key
   * @param {string} value
   * @param {(outcome: Outcome) => void} done
   * @param {string} [source] "form", unless the page set it
   */
  function setField(key, value, done, source) {
    const settle = fields.set(key, value);
    beacon.record("set", { key, value, props: source ? { source } : undefined }, (outcome) => {
      settle(outcome);
      done(outcome);
    });
  }

  takeOver(
    createApi({
      setField,
      getField(key) {
        beacon.record("get", { key });
        return fields.get(key) ?? (status ? "" : undefined);
      },
      status: () => status,
      triggers: () => face?.explain(),
      setConsent,
      record: (name, done) => void beacon.record(name, {}, done),
      withInterface,
    }),
  );
  applyConsent();
  watchPages(() => {
    beacon.record("page");
    withInterface(({ viewed }) => viewed());
  });

  /** Puts the interface into the page once it, the site's status and the page's body are there. */
  function attach() {
    if (!createInterface || !status) return;
    if (!document.body) return addEventListener("DOMContentLoaded", attach, { once: true });
    if (face) return face.configure(status, settings);
    const visitor = { get: fields.get, set: setField, earlier: fields.set, setConsent };
    face = createInterface(beacon, delivery, store, visitor);
    for (const use of waiting) use(face);
    face.configure(status, settings);
    face.attach();
  }

  /** @param {number} tries before this one */
  async function loadInterface(tries) {
    try {
      // An import that failed may be remembered by its address.
      const part = await import(base + interfaceAddress + (tries ? "?" + tries : ""));
      createInterface = part.createInterface;
    } catch (error) {
      if (tries < INTERFACE_TRIES) setTimeout(loadInterface, 1000 * 4 ** tries, tries + 1);
      else warn(`its interface did not load: ${error}`);
    }
    attach();
  }
  void loadInterface(0);

  /** @type {string | undefined} */
  let asked;
  boot(
    base + "/v1/boot",
    () => ({ site, visitor: (asked = beacon.visitor()) }),
    (answer) => {
      if (answer) {
        if (answer.erased) beacon.erased(asked);
        if (asked === beacon.visitor()) fields.boot(answer.visitor);
        consentNeeded = answer.consent_needed === true;
        applyConsent();
      }
      settings = answer ?? {};
      status = answer?.status === "online" ? "online" : "offline";
      attach();
    },
  );

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) delivery.end();
    else delivery.resume();
  });
  addEventListener("pagehide", delivery.end);
  addEventListener("pageshow", delivery.resume);
  addEventListener("online", delivery.resume);
}

/** @param {boolean} consentNeeded what the site's settings say as the script is served */
export function start(consentNeeded) {
  // Only there while the script runs for the first time, and not in modules. A page's element of
  // that name would stand before it.
  const { currentScript } = document;
  const script =
    currentScript?.tagName === "SCRIPT"
      ? currentScript
      : [...document.querySelectorAll("script")].find(({ src }) => src.includes(PATH));
  const src = /** @type {HTMLScriptElement | undefined} */ (script)?.src ?? "";
  const [base, site] = src.split(/[?#]/)[0].split(PATH);
  if (!site) return warn("load it with <script src>");
  const begin = () => run(base, site, consentNeeded);
  const tab = /** @type {Document & {prerendering?: boolean}} */ (document);
  // Perhaps nobody will ever see this page; until then the page's queue takes the calls.
  if (tab.prerendering) tab.addEventListener("prerenderingchange", begin, { once: true });
  else begin();
}
