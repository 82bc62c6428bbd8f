// SPDX-License-Identifier: MIT
// 1,000 clients that no service wants: they drip, ask nothing, or read nothing. Each that is closed is followed by another.
import { open, requestBytes } from "./wire.mjs";

const BODY_KEPT = 40000;
const DRIP_MS = 100;
const PHASES = 50; // each client drips at a moment of its own, as a thousand strangers would
const HEAD = Buffer.from("POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 60000\r\n");

/** What each kind says first; it then drips, or says nothing more, or reads nothing. */
export const hostile = {
  head: { n: 400, begin: () => HEAD, drip: "X" },
  body: {
    n: 400,
    begin: () => Buffer.concat([HEAD, Buffer.from("\r\n"), Buffer.alloc(BODY_KEPT, 32)]),
    drip: " ",
  },
  idle: { n: 150, begin: () => "" },
  // Enough for answers that no socket's buffers take.
  reader: {
    n: 50,
    begin: () =>
      Buffer.concat(Array(2000).fill(requestBytes("/clientchat/demo", { method: "GET" }))),
    drip: "GET", // who does not read learns of the end by writing only
  },
};

/**
 * Keeps them all open. Returns {tries: kind → how many were opened, statuses: status → how often it was answered, total(),
 * stop(), ended}: after stop() no others follow, but those that are open drip on until the service ends them; destroy() ends
 * them at once.
 */
export function keepSlow(url) {
  const slow = { tries: {}, statuses: {}, total: () => 0 };
  const wires = new Set();
  let stopping = false;
  let phases = 0;
  let phase = 0;
  const keep = async (kind, { begin, drip }) => {
    while (!stopping) {
      const wire = await open(url, {
        reads: kind !== "reader",
        answered: ({ status }) => (slow.statuses[status] = (slow.statuses[status] ?? 0) + 1),
      });
      slow.tries[kind] = (slow.tries[kind] ?? 0) + 1;
      wire.drip = drip;
      wire.phase = phases++ % PHASES;
      wires.add(wire);
      wire.send(begin());
      await wire.ended;
      wires.delete(wire);
    }
  };
  const dripping = setInterval(() => {
    phase = (phase + 1) % PHASES;
    for (const wire of wires) if (wire.drip && wire.phase === phase) wire.send(wire.drip);
  }, DRIP_MS / PHASES);
  const kept = Object.entries(hostile).flatMap(([kind, what]) =>
    Array.from({ length: what.n }, () => keep(kind, what)),
  );
  slow.total = () => Object.values(slow.tries).reduce((a, b) => a + b, 0);
  slow.stop = () => (stopping = true);
  slow.ended = Promise.all(kept);
  slow.destroy = () => {
    stopping = true;
    clearInterval(dripping);
    for (const wire of wires) wire.destroy();
  };
  return slow;
}
