// SPDX-License-Identifier: MIT
// leftovers.js: what earlier pages could not send is taken over by this one, under its old numbers.
//
// Pages that load at the same time must not all take it. A lock keeps them apart, and is held for a
// moment longer, since another process sees late what was removed from the storage. Where there are
// no locks (pages without https) such events may be sent twice; the server counts them once.
import { attempt } from "./warn.js";

const HOLD_MS = 1000;

/**
 * @param {import("./store.js").Store} store
 * @param {import("./delivery.js").Delivery} delivery
 * @param {(event: any, item: import("./delivery.js").Item) => void} taken told of each event
 */
function inherit(store, delivery, taken) {
  for (const key of store.keys("left:")) {
    if (key === delivery.key) continue;
    /** @type {{dropped?: number, events?: unknown[][]} | undefined} */
    const record = attempt(() => JSON.parse(store.get(key) ?? ""));
    /** @type {import("./delivery.js").Item[]} */
    const items = [];
    attempt(() => {
      for (const [visitor, producer, json] of /** @type {string[][]} */ (record?.events)) {
        if (!/^[0-9a-f]{32}\/[0-9a-f]{16}$/.test(`${visitor}/${producer}`)) continue;
        const item = { visitor, producer, json, bytes: 0, flying: false };
        taken(JSON.parse(json), item);
        items.push(item);
      }
    });
    // First it is kept under our key: at no moment is it under none.
    delivery.adopt(items, Number(record?.dropped) || 0);
    store.remove(key);
  }
}

/**
 * Resolves when nothing is left that this page is to take.
 * @param {Parameters<typeof inherit>} what
 * @returns {Promise<void>}
 */
export async function takeOver(...what) {
  const { locks } = navigator;
  if (!locks) return inherit(...what);
  await new Promise((done) => {
    const holding = locks.request(what[0].prefix + "left", { ifAvailable: true }, async (lock) => {
      if (lock) inherit(...what); // else another page is taking it
      done(undefined);
      if (lock) await new Promise((later) => setTimeout(later, HOLD_MS));
    });
    // Where the page's origin may have no locks.
    holding.catch(() => done(inherit(...what)));
  });
}
