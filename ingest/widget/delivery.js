// SPDX-License-Identifier: MIT
// delivery.js: takes events that have their number to the server, and keeps each until the server
// has said what became of it.
//
// An event's text never changes once it is here, so it may be sent any number of times: the server
// counts it once by (producer, seq). What is not acknowledged when the page ends stays in storage
// under a key of this page, and the next page takes it over: it writes the events under its own key
// before it removes the old one, so they always have exactly one owner. A page that comes back from
// the background and finds its key gone leaves those events to the new owner.
import { toJson } from "./json.js";
import { post } from "./post.js";
import { warn } from "./warn.js";

const QUEUE_MAX = 1000; // events in memory
const KEEP_MAX = 200; // events in storage
const KEEP_BYTES = 256_000; // … and their size: the storage is the page's as well
const BATCH_EVENTS = 100;
const BATCH_BYTES = 30_000;
const KEEPALIVE_BYTES = 60_000; // browsers refuse more than 64 KiB of such requests in flight
const SILENT_TRIES = 3; // without any answer (a blocker, no network)
const SILENT_PAUSE_MS = 15_000; // after that a new event is worth one more
const BACKOFF_MAX_MS = 60_000;
const ANSWER_MS = 30_000;
const BLIND_MS = 5000; // after a sendBeacon the page waits so long before it sends the same again

/** @typedef {{ok: true} | {ok: false, code: string, message: string}} Outcome */
/**
 * @typedef {object} Item
 * @property {string} [visitor] an event without one waits for it
 * @property {string} producer
 * @property {string} json the event; fixed
 * @property {number} bytes of json
 * @property {boolean} flying on its way, not answered yet
 * @property {(outcome: Outcome) => void} [done]
 */
/** @typedef {ReturnType<typeof createDelivery>} Delivery */

/** @type {Outcome} */
export const NO_CONSENT = { ok: false, code: "no_consent", message: "the visitor refuses" };

/** @param {string} text */
function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/**
 * Whether the server itself answered, with a verdict. A network that wants a log-in first answers
 * 200 with a page of its own, and a body may be cut off: the events are not stored then.
 * @param {number} status
 * @param {any} answer
 */
function isVerdict(status, answer) {
  if (status === 200 || status === 202) return Number.isInteger(answer?.accepted ?? answer?.queued);
  return status === 204 || status >= 400;
}

/**
 * @param {{url: string, site: string, store: import("./store.js").Store, key: string}} options key:
 *   of what is left at page end, this page's own
 */
export function createDelivery({ url, site, store, key }) {
  /** @type {Item[]} not settled, oldest first */
  let queue = [];
  /** @type {Set<Item>} those that stand in storage under our key */
  let kept = new Set();
  let flyingBytes = 0;
  let batchBytes = BATCH_BYTES;
  let failures = 0; // in a row
  let silent = 0; // … of them without any answer
  let silentSince = 0;
  let fresh = false; // an event came since
  let holdUntil = 0; // no attempt before; page end ignores it unless the server said so
  let serverSaidWait = false;
  let dropped = 0; // events given up here, to be reported
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let timerAt = 0;

  /**
   * @param {Item} item
   * @param {Outcome} outcome
   */
  function settle(item, outcome) {
    if (!queue.includes(item)) return; // long since
    queue = queue.filter((other) => other !== item);
    item.done?.(outcome);
  }

  /** @param {Item[]} items of one producer */
  function envelope(items) {
    const { visitor, producer } = items[0];
    const head = toJson({ site, visitor, producer, sent: Date.now() });
    return `${head.slice(0, -1)},"events":[${items.map((item) => item.json).join()}]}`;
  }

  /**
   * The next events that may share an envelope.
   * @returns {Item[]}
   */
  function nextBatch() {
    const ready = queue.filter((item) => !item.flying && item.visitor);
    /** @type {Item[]} */
    const batch = [];
    let bytes = 0;
    for (const item of ready) {
      const fits = batch.length < BATCH_EVENTS && bytes + item.bytes <= batchBytes;
      const same = item.producer === ready[0].producer && item.visitor === ready[0].visitor;
      if (batch.length && !(fits && same)) break;
      batch.push(item);
      bytes += item.bytes;
    }
    return batch;
  }

  /** @param {number} ms */
  function schedule(ms) {
    const at = Date.now() + ms;
    if (timer !== undefined && timerAt <= at) return;
    clearTimeout(timer);
    timerAt = at;
    timer = setTimeout(() => {
      timer = undefined;
      flush();
    }, ms);
  }

  /** Another page took our events over while we were in the background. */
  function disown() {
    if (!kept.size || store.get(key) !== null) return;
    for (const item of kept) {
      if (item.flying || !queue.includes(item)) continue;
      settle(item, { ok: false, code: "handed_over", message: "another page sends it" });
    }
    kept = new Set();
  }

  /** Writes what is not settled under our key. */
  function keep() {
    let bytes = 0;
    const newest = queue.filter(({ visitor }) => visitor).slice(-KEEP_MAX);
    let first = newest.length;
    while (first && (bytes += newest[first - 1].bytes) <= KEEP_BYTES) first--;
    const fitting = newest.slice(first);
    for (let n = fitting.length; n > 0; n >>= 1) {
      const items = fitting.slice(-n);
      const record = {
        dropped: dropped + queue.length - n,
        events: items.map(({ visitor, producer, json }) => [visitor, producer, json]),
      };
      if (store.set(key, toJson(record))) {
        kept = new Set(items);
        return;
      }
    }
    store.remove(key);
    kept = new Set();
  }

  /**
   * @param {Item[]} items
   * @param {boolean} ending the page may be gone before the answer comes
   */
  function send(items, ending) {
    const body = envelope(items);
    const bytes = byteLength(body);
    flyingBytes += bytes;
    for (const item of items) item.flying = true;
    // The budget of keepalive is shared with the page; if that was why it failed, do without.
    const keepalive = flyingBytes < KEEPALIVE_BYTES && (ending || !silent);
    void post(url, body, ANSWER_MS, keepalive, (status, answer, waitMs) => {
      flyingBytes -= bytes;
      for (const item of items) item.flying = false;
      if (isVerdict(status, answer)) settleBatch(items, status, answer, waitMs);
      else {
        silent++;
        unanswered(0);
      }
      if (kept.size) keep();
      if (queue.length) schedule(0);
    });
  }

  /** @param {number} waitMs what the server asks for; 0: it says nothing */
  function unanswered(waitMs) {
    serverSaidWait = waitMs > 0;
    silentSince = Date.now();
    fresh = false;
    const ms = Math.min(BACKOFF_MAX_MS, 1000 * 2 ** failures++) * (0.5 + Math.random() / 2);
    if (silent >= SILENT_TRIES) return;
    holdUntil = Date.now() + (waitMs ? waitMs + Math.random() * 500 : ms);
    flush();
  }

  /**
   * @param {Item[]} items
   * @param {number} status
   * @param {any} answer
   * @param {number} waitMs
   */
  function settleBatch(items, status, answer, waitMs) {
    if (status === 429 || status >= 500) {
      silent = 0;
      return unanswered(waitMs);
    }
    failures = silent = holdUntil = 0;
    serverSaidWait = false;
    if (status === 413 && items.length > 1) {
      batchBytes = Math.max(1, batchBytes >> 1);
      return;
    }
    /** @type {Map<number, {code?: string, message?: string}>} */
    const refusals = new Map();
    if (Array.isArray(answer?.rejected)) {
      for (const refusal of answer.rejected) refusals.set(refusal?.index, refusal);
    }
    items.forEach((item, index) => {
      const refusal = refusals.get(index) ?? (status < 300 ? undefined : (answer?.error ?? {}));
      if (!refusal) return settle(item, { ok: true });
      const code = String(refusal.code ?? "http_" + status);
      const message = String(refusal.message ?? "an event was refused");
      warn(message, code);
      settle(item, { ok: false, code, message });
    });
  }

  function flush() {
    disown();
    if (silent >= SILENT_TRIES) {
      if (!fresh) return;
      const pauseMs = silentSince + SILENT_PAUSE_MS - Date.now();
      if (pauseMs > 0) return schedule(pauseMs);
      silent--;
    }
    const waitMs = holdUntil - Date.now();
    if (waitMs > 0) return schedule(waitMs);
    if (flyingBytes) return; // its answer comes back here
    const batch = nextBatch();
    if (batch.length) send(batch, false);
  }

  /** @param {Item[]} items */
  function land(items) {
    for (const item of items) item.flying = false;
    if (queue.length) schedule(0);
  }

  /**
   * Where no more keepalive requests are allowed. Its answer is never seen, so the events stay ours
   * and are sent again if the page lives on.
   * @param {Item[]} items
   * @returns {Item[]} those that the browser did not take
   */
  function sendBlindly(items) {
    for (const item of items) item.flying = true;
    try {
      if (navigator.sendBeacon(url, envelope(items))) {
        setTimeout(() => land(items), BLIND_MS);
        return [];
      }
    } catch {
      // As good as refused.
    }
    if (items.length === 1) return items;
    const half = items.length >> 1;
    return [...sendBlindly(items.slice(0, half)), ...sendBlindly(items.slice(half))];
  }

  return {
    key,
    /**
     * Takes an event over; it is sent within ms.
     * @param {Item} item its bytes are counted here
     * @param {number} ms
     */
    add(item, ms) {
      if (queue.length >= QUEUE_MAX) {
        const oldest = queue.find((other) => !other.flying);
        if (oldest) {
          dropped++;
          settle(oldest, { ok: false, code: "dropped", message: "too many events wait" });
        }
      }
      item.bytes = byteLength(item.json);
      queue.push(item);
      fresh = true;
      schedule(queue.length >= 20 ? 0 : ms);
    },

    /**
     * Gives the events that wait for one their visitor.
     * @param {string} visitor
     */
    identify(visitor) {
      for (const item of queue) item.visitor ??= visitor;
      if (queue.length) schedule(0);
    },

    /** Nothing of what waits is sent any more; what is on its way cannot be called back. */
    clear() {
      dropped = 0;
      kept.clear();
      for (const item of queue) settle(item, NO_CONSENT);
    },

    /** The page may end now: everything leaves as well as it can, and the rest is kept. */
    end() {
      disown();
      if (!(serverSaidWait && holdUntil > Date.now())) {
        /** @type {Item[]} */
        const refused = [];
        for (let batch = nextBatch(); batch.length; batch = nextBatch()) {
          let bytes = 300;
          for (const item of batch) bytes += item.bytes;
          // Where fetch has failed of late the other way may still be open.
          if (!silent && flyingBytes + bytes < KEEPALIVE_BYTES) send(batch, true);
          else refused.push(...sendBlindly(batch));
        }
        land(refused);
      }
      keep();
    },

    /** The network or the visitor is back. */
    resume() {
      disown();
      if (silent) {
        silent = failures = holdUntil = 0;
        schedule(0);
      } else if (queue.length && timer === undefined) {
        schedule(0);
      }
    },

    /**
     * Takes over what an earlier page left.
     * @param {Item[]} items
     * @param {number} lost events that it gave up
     */
    adopt(items, lost) {
      dropped += lost;
      for (const item of items) {
        item.bytes = byteLength(item.json);
        queue.push(item);
      }
      keep();
      schedule(0);
    },

    /** How many events were given up since it was last asked. */
    takeDropped() {
      const n = dropped;
      dropped = 0;
      return n;
    },
  };
}
