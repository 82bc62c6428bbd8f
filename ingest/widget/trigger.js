// SPDX-License-Identifier: MIT
// trigger.js: opens the chat by itself, with a message, when a visitor has been around for a while.
//
// At most one trigger fires in a visit, and only while the operators are online. A visit ends after
// half an hour without a page.

const VISIT_IDLE_MS = 30 * 60 * 1000;

/**
 * @typedef {object} Rule
 * @property {string} id
 * @property {string} name
 * @property {string} message with which the chat opens
 * @property {string} [agent] who says it; unless given, the one of the settings
 * @property {number} delay_s
 * @property {"site" | "page"} [scope] whether the clock goes on across pages (the default) or starts
 *   anew on each
 */
/** @typedef {{start: number, last: number, fired: boolean}} Visit */

/**
 * A rule from outside, or undefined.
 * @param {any} rule
 * @returns {Rule | undefined}
 */
export function checkedRule(rule) {
  const texts = [rule?.id, rule?.name, rule?.message];
  if (!texts.every((text) => typeof text === "string" && text)) return undefined;
  if (!(rule.delay_s >= 0 && rule.delay_s <= 86_400)) return undefined;
  const { id, name, message, delay_s } = rule;
  const agent = typeof rule.agent === "string" ? rule.agent : undefined;
  return { id, name, message, agent, delay_s, scope: rule.scope === "page" ? "page" : "site" };
}

/**
 * @param {import("./store.js").Store} store of the tab
 * @param {{allowed: () => boolean, fire: (rule: Rule, elapsedS: number) => void}} widget
 */
export function createTriggers(store, widget) {
  /** @type {Rule[]} */
  const rules = [];
  let pageStart = Date.now();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @returns {Visit} */
  function visit() {
    const now = Date.now();
    /** @type {any} */
    let known;
    try {
      known = JSON.parse(store.get("visit") ?? "");
    } catch {
      // None yet, or damaged.
    }
    const goesOn = known?.start <= now && now - known.last < VISIT_IDLE_MS;
    const current = goesOn ? { ...known, last: now } : { start: now, last: now, fired: false };
    store.set("visit", JSON.stringify(current));
    return current;
  }

  function evaluate() {
    clearTimeout(timer);
    const current = visit();
    if (current.fired || !widget.allowed()) return;
    let nextMs = Infinity;
    for (const rule of rules) {
      const elapsedMs = Date.now() - (rule.scope === "page" ? pageStart : current.start);
      const leftMs = rule.delay_s * 1000 - elapsedMs;
      if (leftMs <= 0) {
        store.set("visit", JSON.stringify({ ...current, fired: true }));
        return widget.fire(rule, Math.round(elapsedMs / 1000));
      }
      nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs < Infinity) timer = setTimeout(evaluate, nextMs);
  }

  return {
    /** @param {Rule} rule */
    add(rule) {
      rules.push(rule);
      evaluate();
    },
    /** Whether this visit has had its trigger. */
    spent: () => visit().fired,
    /** Another page of the site, without a load. */
    page() {
      pageStart = Date.now();
      evaluate();
    },
    evaluate,
  };
}
