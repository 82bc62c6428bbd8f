// SPDX-License-Identifier: MIT
// delivery.js: takes events that have their number to the server, and keeps each until the server
// has said what became of it.
//
// An event's text never changes once it is here, so it may be sent any number of times: the server
// counts it once by (producer, seq). What is not acknowledged when the page ends stays in storage
// under a key of this page, and the next page takes it over: it writes the events under its own key
// before it removes the old one, so they always have exactly one owner. A page that comes back from
// the background and finds its key gone leaves those events to the new owner.
import { warn } from "./listeners.js";

const QUEUE_MAX = 1000; // events in memory
const KEEP_MAX = 200; // events in storage
const KEEP_BYTES = 256_000; // … and their size: the storage is the page's as well
const BATCH_EVENTS = 100;
const BATCH_BYTES = 30_000;
const KEEPALIVE_BYTES = 60_000; // browsers refuse more than 64 KiB of such requests in flight
const SILENT_TRIES = 3; // without any answer (a blocker, no network)
const SILENT_PAUSE_MS = 300_000;
const BACKOFF_MAX_MS = 60_000;
const ANSWER_MS = 30_000;
const BLIND_MS = 5000; // after a sendBeacon the page waits so long before it sends the same again

/** @typedef {{ok: true} | {ok: false, code: string, message: string}} Outcome */
/**
 * @typedef {object} Item
 * @property {string} visitor
 * @property {string} producer
 * @property {string} json the event; fixed
 * @property {number} bytes of json
 * @property {boolean} flying on its way, not answered yet
 * @property {(outcome: Outcome) => void} [done]
 */
/** @typedef {ReturnType<typeof createDelivery>} Delivery */

/** @param {string} text */
function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {string | null} header */
function retryAfterMs(header) {
  if (!header) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Math.min(Math.max(ms || 0, 0), 3_600_000);
}

/**
 * Whether the server itself answered, with a verdict. A network that wants a log-in first answers
 * 200 with a page of its own, and a body may be cut off: the events are not stored then.
 * @param {Response} response
 * @param {any} answer
 */
function isVerdict({ status }, answer) {
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
    queue = queue.filter((other) => other !== item);
    item.done?.(outcome);
  }

  /** @param {Item[]} items of one producer */
  function envelope(items) {
    const { visitor, producer } = items[0];
    const head = JSON.stringify({ site, visitor, producer, sent: Date.now() });
    return `${head.slice(0, -1)},"events":[${items.map((item) => item.json).join()}]}`;
  }

  /**
   * The next events that may share an envelope.
   * @returns {Item[]}
   */
  function nextBatch() {
    const ready = queue.filter((item) => !item.flying);
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
    if (!store.lasting) return;
    let bytes = 0;
    const newest = [...queue].reverse().slice(0, KEEP_MAX);
    const fitting = newest.filter((item) => (bytes += item.bytes) <= KEEP_BYTES).reverse();
    for (let n = fitting.length; n > 0; n >>= 1) {
      const items = fitting.slice(-n);
      const record = {
        dropped: dropped + queue.length - n,
        events: items.map(({ visitor, producer, json }) => [visitor, producer, json]),
      };
      if (store.set(key, JSON.stringify(record))) {
        kept = new Set(items);
        return;
      }
    }
    store.remove(key);
    kept = new Set();
  }

  /** @param {number} ms */
  function hold(ms) {
    holdUntil = Date.now() + ms;
    schedule(ms);
  }

  function backoffMs() {
    return Math.min(BACKOFF_MAX_MS, 1000 * 2 ** failures++) * (0.5 + Math.random() / 2);
  }

  /**
   * @param {Item[]} items
   * @param {boolean} ending the page may be gone before the answer comes
   */
  async function send(items, ending) {
    const body = envelope(items);
    const bytes = byteLength(body);
    flyingBytes += bytes;
    for (const item of items) item.flying = true;
    /** @type {Response | undefined} */
    let response;
    /** @type {any} */
    let answer;
    try {
      response = await fetch(url, {
        method: "POST",
        body, // a string: text/plain, so that the browser asks no permission first
        credentials: "omit",
        // The budget of such requests is shared with the page; if that was why it failed, do without.
        keepalive: flyingBytes < KEEPALIVE_BYTES && (ending || !silent),
        signal: AbortSignal.timeout?.(ANSWER_MS),
      });
      if (response.status !== 204) answer = await response.json();
    } catch {
      // No answer, or one that is not JSON.
    }
    if (response && !isVerdict(response, answer)) response = undefined;
    flyingBytes -= bytes;
    for (const item of items) item.flying = false;
    settleBatch(items, response, answer);
    if (kept.size) keep();
    if (queue.some((item) => !item.flying)) schedule(0);
  }

  /**
   * @param {Item[]} items
   * @param {Response | undefined} response
   * @param {any} answer
   */
  function settleBatch(items, response, answer) {
    const status = response?.status ?? 0;
    if (!response || status === 429 || status >= 500) {
      const waitMs = retryAfterMs(response?.headers.get("Retry-After") ?? null);
      serverSaidWait = waitMs > 0;
      silent = response ? 0 : silent + 1;
      silentSince = Date.now();
      const ms = backoffMs();
      if (silent < SILENT_TRIES) hold(waitMs ? waitMs + Math.random() * 500 : ms);
      return;
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
      const refusal = refusals.get(index) ?? (response.ok ? undefined : (answer?.error ?? {}));
      if (!refusal) return settle(item, { ok: true });
      const code = String(refusal.code ?? "http_" + status);
      const message = String(refusal.message ?? "the server refused it");
      warn(`an event was refused: ${code}: ${message}`);
      settle(item, { ok: false, code, message });
    });
  }

  function flush() {
    disown();
    if (silent >= SILENT_TRIES) {
      if (Date.now() - silentSince < SILENT_PAUSE_MS) return;
      silent = 0;
    }
    const waitMs = holdUntil - Date.now();
    if (waitMs > 0) return schedule(waitMs);
    if (flyingBytes) return; // its answer comes back here
    const batch = nextBatch();
    if (batch.length) void send(batch, false);
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
    /**
     * Takes an event over; it is sent within ms.
     * @param {Omit<Item, "flying" | "bytes">} item
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
      queue.push({ ...item, bytes: byteLength(item.json), flying: false });
      schedule(queue.length >= 20 ? 0 : ms);
    },

    /** The page may end now: everything leaves as well as it can, and the rest is kept. */
    end() {
      disown();
      if (!(serverSaidWait && holdUntil > Date.now())) {
        /** @type {Item[]} */
        const refused = [];
        for (let batch = nextBatch(); batch.length; batch = nextBatch()) {
          const bytes = batch.reduce((sum, item) => sum + item.bytes, 300);
          if (flyingBytes + bytes < KEEPALIVE_BYTES) void send(batch, true);
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
     * Takes over what earlier pages left.
     * @returns {{event: Record<string, any>, item: Item}[]} those events, oldest first
     */
    inherit() {
      const keys = store.keys("left:").filter((other) => other !== key);
      /** @type {{event: Record<string, any>, item: Item}[]} */
      const taken = [];
      for (const other of keys) {
        try {
          const record = JSON.parse(store.get(other) ?? "");
          dropped += Number(record.dropped) || 0;
          for (const [visitor, producer, json] of record.events.slice(-KEEP_MAX)) {
            if (!/^[0-9a-f]{32}\/[0-9a-f]{16}$/.test(`${visitor}/${producer}`)) continue;
            const item = { visitor, producer, json, bytes: byteLength(json), flying: false };
            taken.push({ event: JSON.parse(json), item });
            queue.push(item);
          }
        } catch {
          // Not ours, or damaged: removed below.
        }
      }
      if (queue.length) {
        keep();
        schedule(0);
      }
      for (const other of keys) store.remove(other);
      return taken.sort((a, b) => a.event.at - b.event.at);
    },

    /** How many events were given up since it was last asked. */
    takeDropped() {
      const n = dropped;
      dropped = 0;
      return n;
    },
  };
}
