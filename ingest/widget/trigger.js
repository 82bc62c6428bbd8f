// SPDX-License-Identifier: MIT
// trigger.js: opens the chat by itself, with a message, when a visitor does what a rule waits for.
//
// All that a rule asks for must hold at once. At most one trigger fires in a visit, and only while
// the operators are online. A visit goes on across pages and tabs, and ends after half an hour
// without a page.
import { toJson } from "./json.js";
import { fits } from "./glob.js";

const VISIT_IDLE_MS = 30 * 60 * 1000;
const ACTIVITY = ["pointermove", "pointerdown", "keydown", "wheel", "touchstart", "scroll"];

/**
 * @typedef {object} Rule the rules of query/settings.c
 * @property {string} id
 * @property {string} name
 * @property {string} message with which the chat opens
 * @property {string} [agent] who says it; unless given, the one of the settings
 * @property {number} delay_s
 * @property {"site" | "page" | "urls"} [scope] whether the clock goes on across pages (the default),
 *   or starts anew on each; urls: that, and only where the address is one of these
 * @property {string[]} [urls] whole addresses or paths; * stands for anything
 * @property {number} [pages] seen in this visit, this one as well
 * @property {number} [visits] of this browser, this one as well
 * @property {number} [idle_s] without the visitor's doing anything
 * @property {boolean} [exit_intent] the pointer leaves the page by its upper edge
 * @property {string} [event] recorded on this page
 */
/** @typedef {{start: number, last: number, pages: number, visits: number, fired: boolean}} Visit */
/** @typedef {{id: string, name: string, fired: boolean, why: string[], left_s: number}} Explained */

/** What a rule may wait for, the most particular first: the first that it has is its kind. */
const KINDS = /** @type {const} */ ({
  event: "event",
  exit_intent: "exit_intent",
  idle_s: "idle",
  visits: "visits",
  pages: "pages",
});

/**
 * @param {any} n
 * @param {number} min
 * @param {number} max
 */
const within = (n, min, max) => typeof n === "number" && n >= min && n <= max;

/**
 * A rule from outside, or undefined. Throws what its getters throw.
 * @param {any} rule
 * @returns {Rule | undefined}
 */
export function checkedRule(rule) {
  const {
    id,
    name,
    message,
    agent,
    delay_s,
    scope = "site",
    urls,
    event,
    exit_intent,
  } = rule ?? {};
  for (const text of [id, name, message]) if (typeof text !== "string" || !text) return undefined;
  if (!within(delay_s, 0, 86_400)) return undefined;
  if (!["site", "page", "urls"].includes(scope)) return undefined;
  const list = Array.isArray(urls) && urls.every((url) => typeof url === "string") ? urls : [];
  if (scope === "urls" && !list.length) return undefined;
  /** @type {Rule} */
  const checked = { id, name, message, delay_s, scope };
  if (scope === "urls") checked.urls = [...list];
  if (typeof agent === "string") checked.agent = agent;
  if (typeof event === "string") checked.event = event;
  if (exit_intent === true) checked.exit_intent = true;
  for (const key of /** @type {const} */ (["pages", "visits", "idle_s"])) {
    if (rule[key] === undefined) continue;
    if (!within(rule[key], 1, 86_400)) return undefined;
    checked[key] = rule[key];
  }
  return checked;
}

/** @param {Rule} rule */
export function kindOf(rule) {
  for (const [key, kind] of Object.entries(KINDS)) if (key in rule) return kind;
  return "delay";
}

/**
 * @param {import("./store.js").Store} store
 * @param {object} widget
 * @param {() => string} widget.hindrance why nothing may be said unasked: "offline", "hidden", or ""
 * @param {(rule: Rule, elapsedS: number) => void} widget.fire
 */
export function createTriggers(store, widget) {
  /** @type {Rule[]} */
  const rules = [];
  const happened = new Set(); // names of events on this page
  let pageStart = Date.now();
  let activeAt = pageStart;
  let leaving = false;
  let firedId = ""; // here
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /**
   * @param {number} [views] pages that were seen since
   * @returns {Visit}
   */
  function visit(views = 0) {
    const now = Date.now();
    /** @type {any} */
    let known;
    try {
      known = JSON.parse(store.get("visit") ?? "");
    } catch {
      // None yet, or damaged.
    }
    const goesOn = known?.start <= now && now - known.last < VISIT_IDLE_MS;
    const current = goesOn
      ? { ...known, last: now }
      : { start: now, last: now, pages: 0, visits: (known?.visits || 0) + 1, fired: false };
    current.pages = Math.max(1, current.pages + views || 1);
    store.set("visit", toJson(current));
    return current;
  }

  /**
   * @param {Rule} rule
   * @param {Visit} current
   */
  function elapsedMs(rule, current) {
    return Date.now() - (rule.scope === "site" ? current.start : pageStart);
  }

  /**
   * What a rule still waits for, and how long until its clocks have run.
   * @param {Rule} rule
   * @param {Visit} current
   */
  function missing(rule, current) {
    /** @type {string[]} */
    const why = [];
    const delayMs = rule.delay_s * 1000 - elapsedMs(rule, current);
    const idleMs = (rule.idle_s ?? 0) * 1000 - (Date.now() - activeAt);
    if (!(rule.urls ?? [location.href]).some(fits)) why.push("url");
    if (delayMs > 0) why.push("delay");
    if (rule.idle_s && idleMs > 0) why.push("idle");
    if (current.pages < (rule.pages ?? 0)) why.push("pages");
    if (current.visits < (rule.visits ?? 0)) why.push("visits");
    if (rule.exit_intent && !leaving) why.push("exit_intent");
    if (rule.event && !happened.has(rule.event)) why.push("event");
    return { why, leftMs: Math.max(0, delayMs, rule.idle_s ? idleMs : 0) };
  }

  function evaluate() {
    clearTimeout(timer);
    const current = visit();
    if (current.fired || widget.hindrance()) return;
    let nextMs = Infinity;
    for (const rule of rules) {
      const { why, leftMs } = missing(rule, current);
      if (!why.length) {
        firedId = rule.id;
        store.set("visit", toJson({ ...current, fired: true }));
        return widget.fire(rule, Math.round(elapsedMs(rule, current) / 1000));
      }
      if (leftMs) nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs < Infinity) timer = setTimeout(evaluate, nextMs);
  }

  function active() {
    activeAt = Date.now();
  }

  /** @param {MouseEvent} event */
  function left({ clientY, relatedTarget }) {
    leaving = !relatedTarget && clientY <= 0;
    if (leaving) evaluate();
  }

  return {
    /** @param {Rule} rule one more, or another of the same id */
    add(rule) {
      const index = rules.findIndex(({ id }) => id === rule.id);
      if (index < 0) rules.push(rule);
      else rules[index] = rule;
      // Listened to only where somebody wants to know.
      if (rule.idle_s) {
        for (const type of ACTIVITY) {
          addEventListener(type, active, { passive: true, capture: true });
        }
      }
      if (rule.exit_intent) {
        document.addEventListener("mouseout", left);
        document.addEventListener("mouseover", back);
      }
      evaluate();
    },
    /** Whether this visit has had its trigger. */
    spent: () => visit().fired,
    /** Another page of the site, also without a load. */
    viewed() {
      pageStart = activeAt = Date.now();
      happened.clear();
      leaving = false;
      visit(1);
      evaluate();
    },
    /** @param {string} name of an event that was recorded */
    event(name) {
      happened.add(name);
      if (rules.some(({ event }) => event === name)) evaluate();
    },
    evaluate,
    /**
     * Of each rule: whether it has fired on this page, or why it has not until now.
     * @returns {Explained[]}
     */
    explain() {
      const current = visit();
      const hindrance = widget.hindrance();
      return rules.map((rule) => {
        const { why, leftMs } = missing(rule, current);
        if (hindrance) why.unshift(hindrance);
        const fired = rule.id === firedId;
        if (current.fired && !fired) why.unshift("spent");
        const { id, name } = rule;
        return { id, name, fired, why: fired ? [] : why, left_s: Math.ceil(leftMs / 1000) };
      });
    },
  };

  function back() {
    leaving = false;
  }
}
