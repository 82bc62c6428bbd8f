// SPDX-License-Identifier: MIT
// beacon.js: what happened on the page becomes an event with a number.
//
// A producer is one load of the page; it numbers its events 1, 2, 3… as they happen, so that the
// server sees each once and sees gaps. What the rate limit refuses gets no number: it is counted,
// and the count is sent as an event `dropped`.
import { NO_CONSENT } from "./delivery.js";
import { toJson } from "./json.js";
import { randomHex } from "./store.js";

const BATCH_MS = 1000;
const SOON_MS = 50; // for what a person did: somebody may be watching the dashboard
const PRODUCER_IDLE_MS = 24 * 60 * 60 * 1000;
const RATE_PER_S = 10;
const BURST = 100;
const SPARED = BURST / 2; // pages that ask for fields all the time leave so much to the rest
const PAGE_MAX = 2048; // bytes; an address is ASCII

const SOON = /^(on(?!WebChatLoaded)|message|set$)/;

/** @typedef {ReturnType<typeof createBeacon>} Beacon */
/** @typedef {import("./delivery.js").Outcome} Outcome */
/** @typedef {Record<string, string | number | boolean>} Props */
/** @typedef {{key?: string, value?: string, props?: Props}} Detail */

/** The page's address without query and fragment: those often hold secrets. */
export function pageAddress() {
  return (location.origin + location.pathname).slice(0, PAGE_MAX);
}

/**
 * @param {string} firstProducer
 * @param {import("./delivery.js").Delivery} delivery
 * @param {object} options
 * @param {(event: {seq: number, name: string, key?: string, state: string}) => void} options.heard
 *   told of each event: first "sending", then "stored" or "refused"
 * @param {(visitor: string) => string} options.renew gives the id that takes the place of one that
 *   was erased
 * @param {() => boolean} options.silent whether nothing may be recorded: the visitor refuses
 */
export function createBeacon(firstProducer, delivery, { heard, renew, silent }) {
  /** @type {string | undefined} */
  let visitor;
  let producer = firstProducer;
  let seq = 0;
  let lastAt = Date.now();
  let tokens = BURST;
  let refilledAt = lastAt;
  let limited = 0;

  /**
   * @param {string} name
   * @param {number} now
   */
  function allowed(name, now) {
    // The clock may step back: no tokens then.
    tokens = Math.min(BURST, tokens + (Math.max(0, now - refilledAt) / 1000) * RATE_PER_S);
    refilledAt = now;
    if (name === "get" ? tokens <= SPARED : tokens < 1) return false;
    tokens--;
    return true;
  }

  function newProducer() {
    producer = randomHex(8);
    seq = 0;
  }

  /**
   * @param {string} name
   * @param {number} at
   * @param {Detail} detail
   * @param {(outcome: Outcome) => void} [done]
   */
  function number(name, at, detail, done) {
    if (at - lastAt > PRODUCER_IDLE_MS) newProducer();
    lastAt = at;
    const { key, value, props } = detail;
    // JSON leaves out what is undefined.
    const event = { seq: ++seq, name, at, page: pageAddress(), key, value, props };
    heard({ seq: event.seq, name, key, state: "sending" });
    /** @type {import("./delivery.js").Item} */
    const item = {
      visitor,
      producer,
      json: toJson(event),
      bytes: 0,
      flying: false,
      done(outcome) {
        const state = outcome.ok ? "stored" : "refused";
        if (!outcome.ok && outcome.code === "erased") erased(item.visitor);
        heard({ seq: event.seq, name, key, state });
        done?.(outcome);
      },
    };
    delivery.add(item, SOON.test(name) ? SOON_MS : BATCH_MS);
  }

  /**
   * What is recorded from now on is another visitor's. What waits of the old one will be refused.
   * @param {string | undefined} old
   */
  function erased(old) {
    if (!old || visitor !== old) return;
    visitor = renew(old);
    newProducer();
  }

  return {
    erased,
    /** Whose the events are; undefined while they wait for that. */
    visitor: () => visitor,
    /**
     * What was recorded until now, and is from now on, is this visitor's.
     * @param {string} id
     */
    identify(id) {
      visitor = id;
      delivery.identify(id);
    },
    /** Knows of no visitor any more; what waits is not sent. */
    forget() {
      visitor = undefined;
      newProducer();
      delivery.clear();
    },
    /**
     * Records an event; done is told, once, what became of it.
     * @param {string} name
     * @param {Detail} [detail]
     * @param {(outcome: Outcome) => void} [done]
     */
    record(name, detail = {}, done) {
      const now = Date.now();
      if (silent()) return done?.(NO_CONSENT);
      if (!allowed(name, now)) {
        limited++;
        return done?.({ ok: false, code: "rate_limited", message: "too many events at once" });
      }
      const lost = delivery.takeDropped();
      if (limited || lost) {
        tokens--; // it is an event as well, and may have to borrow
        number("dropped", now, { props: { limited, lost } });
        limited = 0;
      }
      number(name, now, detail, done);
    },
  };
}
