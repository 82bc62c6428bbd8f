// SPDX-License-Identifier: MIT
// beacon.js: what happened on the page becomes an event with a number.
//
// A producer is one load of the page; it numbers its events 1, 2, 3… as they happen, so that the
// server sees each once and sees gaps. What the rate limit refuses gets no number: it is counted,
// and the count is sent as an event `dropped`.
import { randomHex } from "./store.js";

const BATCH_MS = 1000;
const SOON_MS = 50; // for what a person did: somebody may be watching the dashboard
const PRODUCER_IDLE_MS = 24 * 60 * 60 * 1000;
const RATE_PER_S = 10;
const BURST = 100;
const SPARED = BURST / 2; // pages that ask for fields all the time leave so much to the rest
const PAGE_MAX = 2048; // bytes; an address is ASCII
const TEXT_MAX = 1024; // bytes of a prop

const SOON = new Set(["onClick", "onMaximize", "onMinimize", "onTrigger", "onStartWriting"]);
SOON.add("message").add("set");

/** @typedef {ReturnType<typeof createBeacon>} Beacon */
/** @typedef {import("./delivery.js").Outcome} Outcome */
/** @typedef {Record<string, string | number | boolean>} Props */
/** @typedef {{key?: string, value?: string, props?: Props}} Detail */

/**
 * Text that survives JSON and UTF-8: lone halves of surrogate pairs are replaced.
 * @param {string} text
 */
export function wellFormed(text) {
  return text.replace(/\p{Cs}/gu, "\ufffd");
}

/**
 * Cuts text into pieces of at most TEXT_MAX bytes, between characters.
 * @param {string} text
 * @returns {string[]}
 */
export function pieces(text) {
  const out = [""];
  let bytes = 0;
  for (const character of wellFormed(text)) {
    const size = new TextEncoder().encode(character).length;
    if (bytes + size > TEXT_MAX) {
      out.push("");
      bytes = 0;
    }
    out[out.length - 1] += character;
    bytes += size;
  }
  return out;
}

/**
 * @param {Props} [props]
 * @returns {Props | undefined}
 */
function fitting(props) {
  if (!props) return undefined;
  return Object.fromEntries(
    Object.entries(props).map(([key, value]) => [
      key,
      typeof value === "string" ? pieces(value)[0] : value,
    ]),
  );
}

/** The page's address without query and fragment: those often hold secrets. */
export function pageAddress() {
  const { protocol, host, pathname } = location;
  return `${protocol}//${host}${pathname}`.slice(0, PAGE_MAX);
}

/**
 * @param {string} firstVisitor
 * @param {string} firstProducer
 * @param {import("./delivery.js").Delivery} delivery
 * @param {import("./listeners.js").Listeners} listeners
 * @param {(visitor: string) => string} renew gives the id that takes the place of one that was erased
 */
export function createBeacon(firstVisitor, firstProducer, delivery, listeners, renew) {
  let visitor = firstVisitor;
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

  /**
   * @param {string} name
   * @param {number} at
   * @param {Detail} detail
   * @param {(outcome: Outcome) => void} [done]
   */
  function number(name, at, detail, done) {
    if (at - lastAt > PRODUCER_IDLE_MS) {
      producer = randomHex(8);
      seq = 0;
    }
    lastAt = at;
    const { key, value, props } = detail;
    // JSON leaves out what is undefined.
    const event = { seq: ++seq, name, at, page: pageAddress(), key, value, props: fitting(props) };
    const sender = visitor;
    listeners.emit("onEvent", { seq: event.seq, name, key, state: "sending" });
    delivery.add(
      {
        visitor,
        producer,
        json: JSON.stringify(event),
        done(outcome) {
          const state = outcome.ok ? "stored" : "refused";
          if (!outcome.ok && outcome.code === "erased") forget(sender);
          listeners.emit("onEvent", { seq: event.seq, name, key, state });
          done?.(outcome);
        },
      },
      SOON.has(name) ? SOON_MS : BATCH_MS,
    );
  }

  /**
   * What is recorded from now on is another visitor's. What waits of the old one will be refused.
   * @param {string} erased
   */
  function forget(erased) {
    if (visitor !== erased) return;
    visitor = renew(erased);
    producer = randomHex(8);
    seq = 0;
  }

  return {
    forget,
    /**
     * Records an event; done is told, once, what became of it.
     * @param {string} name
     * @param {Detail} [detail]
     * @param {(outcome: Outcome) => void} [done]
     * @returns {boolean} false when the rate limit refused it (done was told)
     */
    record(name, detail = {}, done) {
      const now = Date.now();
      if (!allowed(name, now)) {
        limited++;
        done?.({ ok: false, code: "rate_limited", message: "too many events in a short time" });
        return false;
      }
      const lost = delivery.takeDropped();
      if (limited || lost) {
        tokens--; // it is an event as well, and may have to borrow
        number("dropped", now, { props: { limited, lost } });
        limited = 0;
      }
      number(name, now, detail, done);
      return true;
    },
  };
}
