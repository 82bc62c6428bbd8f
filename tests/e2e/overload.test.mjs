// SPDX-License-Identifier: MIT
// More than the service can take, and clients that mean no good: bounded memory, honest answers, and nobody else is hurt.
// CB_OVERLOAD_SECONDS: how long each pressure lasts, 8 by default, 60 in the long form.
import assert from "node:assert/strict";
import test from "node:test";
import {
  api,
  apiJson,
  balanced,
  envelope,
  event,
  hex,
  post,
  request,
  until,
} from "../lib/client.mjs";
import { startApart, startServe } from "../lib/server.mjs";
import { hostile, keepSlow } from "../lib/slow.mjs";
import {
  anonymousBytes,
  ask,
  hasAddressSanitizer,
  open,
  requestBytes,
  watchMemory,
} from "../lib/wire.mjs";

const SECONDS = Number(process.env.CB_OVERLOAD_SECONDS ?? 8);
const KB = 1024;
const MB = 1024 * KB;
const CONNECTION_BYTES = 64 * KB; // of memory that one may cost, beside its body
const BODY_BYTES = 64 * KB; // the default of --body
// The sanitizer's freed memory is kept from use for a while unless it is told not to; redzones and shadow remain.
process.env.ASAN_OPTIONS = [
  process.env.ASAN_OPTIONS,
  "quarantine_size_mb=0:thread_local_quarantine_size_kb=0",
]
  .filter(Boolean)
  .join(":");
const bound = (pid, bytes) => bytes * (hasAddressSanitizer(pid) ? 1.5 : 1);
const mb = (bytes) => (bytes / MB).toFixed(1);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const quantile = (list, q) =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? 0;

/** Waits until n events of demo are counted, not one more, and returns its books, which balance. */
async function booksWith(server, n) {
  const books = await until(async () => {
    const demo = (await balanced(server)).sites.demo;
    return demo.counted >= n && demo;
  }, `${n} events in the books`);
  assert.equal(books.counted, n);
  return books;
}

/**
 * A connection that keeps as many single-event beacons under way as it may (64), each with a number of its own, and sends
 * one that was refused again, at once, until it is taken: a client without any manners.
 */
class Flood {
  /** seen: status → how many, of all floods. */
  constructor(server, { from, window = 64, seen }) {
    Object.assign(this, { server, from, window, seen });
    this.ids = { visitor: hex(16), producer: hex(8) };
    this.sent = []; // the numbers whose answer is due, in order
    this.next = 0;
    this.taken = 0;
    this.stopping = false;
  }

  async start() {
    this.wire = await open(this.server.ingest, {
      localAddress: this.from,
      answered: (answer) => this.answered(answer),
    });
    this.wire.ended.then(() => this.fail?.(new Error("the service closed a good client")));
    for (let i = 0; i < this.window; i++) this.send(++this.next);
    this.flush();
  }

  send(seq) {
    this.sent.push(seq);
    const body = JSON.stringify(envelope([event(seq)], this.ids));
    (this.buffer ??= []).push(requestBytes("/v1/events", { body }));
  }

  /** What came up in this turn leaves in one write. */
  flush() {
    if (this.buffer) this.wire.send(Buffer.concat(this.buffer));
    this.buffer = undefined;
  }

  answered({ status, headers }) {
    const seq = this.sent.shift();
    this.seen[status] = (this.seen[status] ?? 0) + 1;
    if (status === 204) {
      this.taken++;
      if (!this.stopping) this.send(++this.next);
    } else {
      if (!/^[1-9][0-9]*$/.test(headers["retry-after"] ?? ""))
        this.seen["without Retry-After"] = (this.seen["without Retry-After"] ?? 0) + 1;
      this.send(seq);
    }
    if (this.sent.length === 0) this.done?.();
    this.soon ??= setImmediate(() => {
      this.soon = undefined;
      this.flush();
    });
  }

  /** No further numbers; resolves when all that were begun are taken. */
  stop() {
    this.stopping = true;
    return new Promise((resolve, reject) => {
      this.done = resolve;
      this.fail = reject;
      if (this.sent.length === 0) resolve();
    }).finally(() => {
      this.fail = undefined;
      this.wire.destroy();
    });
  }
}

/** A connection that pours large bodies in and does not wait for the disk (ack=queued); goes on when one is refused. */
async function pourQueued(server, from, seen, stop) {
  const ids = { site: "bulk", visitor: hex(16), producer: hex(8) };
  const page = "https://shop.example/" + "x".repeat(1900);
  let seq = 0;
  const beacon = () => {
    const events = Array.from({ length: 8 }, () => event(++seq, "onClick", { page }));
    wire.send(
      requestBytes("/v1/events?ack=queued", { body: JSON.stringify(envelope(events, ids)) }),
    );
  };
  const wire = await open(server.ingest, {
    localAddress: from,
    answered: ({ status }) => {
      seen[status] = (seen[status] ?? 0) + 1;
      if (!stop.now) beacon();
      else wire.destroy();
    },
  });
  for (let i = 0; i < 4; i++) beacon();
  return wire;
}

/**
 * The store runs a part of the time only: what comes in meanwhile must wait, or be refused. Now and then it stands for longer
 * than an ack may take. Returns for how many ms it ran.
 */
async function stutter(store, seconds) {
  const end = Date.now() + seconds * 1000;
  let ran = 0;
  for (let i = 1; Date.now() < end; i++) {
    store.signal("SIGSTOP");
    await pause(i % 6 ? 300 : 1500);
    store.signal("SIGCONT");
    const begin = performance.now();
    await pause(150);
    ran += performance.now() - begin;
  }
  return ran;
}

test(`overload for ${SECONDS} s: only 2xx, 429 and 503, bounded memory, each 2xx counted once`, async (t) => {
  const HELD = 256 * KB;
  const CONNECTIONS = 256;
  const s = await startApart(t, {
    args: ["--sites", "demo,bulk"],
    ingestArgs: [
      "--held",
      "256K",
      "--connections",
      `${CONNECTIONS}`,
      "--ack-timeout",
      "1000",
    ].concat(["--address-rate", "500", "--rate-burst", "1"]),
  });
  // One good beacon each, so that what is made once is made before memory is measured.
  assert.equal((await post(s, envelope([event(1)]))).status, 204);
  const pid = s.ingestProcess.pid;
  const before = anonymousBytes(pid);
  const memory = watchMemory(pid);
  const seen = {};
  // Many addresses, and one that wants more than its rate on 16 connections.
  const floods = Array.from(
    { length: 112 },
    (_, i) => new Flood(s, { from: `127.0.1.${1 + Math.max(0, i - 15)}`, seen, window: 64 }),
  );
  await Promise.all(floods.map((flood) => flood.start()));
  const stop = { now: false };
  const queued = {};
  const poured = await Promise.all(
    Array.from({ length: 32 }, (_, i) => pourQueued(s, `127.0.2.${1 + i}`, queued, stop)),
  );
  const taken = () => floods.reduce((n, flood) => n + flood.taken, 0);
  const answers = () => Object.values(seen).reduce((a, b) => a + b, 0);
  // First with the store running all the time, for comparison.
  const calmBegin = performance.now();
  await pause(1500);
  const capacity = taken() / (performance.now() - calmBegin);
  const [takenBefore, answersBefore] = [taken(), answers()];
  const ran = await stutter(s.store, SECONDS);
  const goodput = taken() - takenBefore;
  const attempts = answers() - answersBefore;
  stop.now = true;
  await Promise.all(floods.map((flood) => flood.stop()));
  await Promise.all(poured.map((wire) => wire.ended));
  const grown = memory.stop() - before;

  // Frames under way and those that builders are kept for, connections with their bodies, and what the allocator keeps.
  const allowed = bound(
    pid,
    3 * HELD + 8 * 512 * KB + CONNECTIONS * (CONNECTION_BYTES + BODY_BYTES),
  );
  assert.ok(grown < allowed, `${mb(grown)} MB more memory, ${mb(allowed)} allowed`);

  // The pressure is off: the first beacon is taken.
  const start = performance.now();
  const first = await ask(s.ingest, "/v1/events", {
    from: "127.0.3.1",
    body: JSON.stringify(envelope([event(1)])),
  });
  assert.equal(first.status, 204, "the first beacon after the overload");
  const recoveryMs = performance.now() - start;

  for (const statuses of [seen, queued])
    for (const status of Object.keys(statuses))
      assert.ok(["202", "204", "429", "503"].includes(status), `answered ${status}`);
  assert.ok(seen[503] > 0, "the store's queue was never full: no overload");
  assert.ok(seen[429] > 0, "nobody was over his rate");
  assert.ok(queued[202] > 0 && queued[503] > 0);

  // What a 2xx was said for was never sent again. So it is among these, and once:
  const numbers = floods.reduce((n, flood) => n + flood.next, 0) + 2;
  const books = await booksWith(s, numbers);
  assert.equal(books.lost, 0);
  assert.deepEqual(books.rejected, {});
  assert.equal((await apiJson(s, "/v1/sites/demo/totals")).events.onClick, numbers);

  t.diagnostic(
    `${attempts} answers while the store ran ${Math.round(ran)} ms, ${goodput} of them 204: ` +
      `${(attempts / Math.max(1, goodput)).toFixed(1)} × was offered, ` +
      `${((100 * goodput) / (ran * capacity)).toFixed(0)} % of what a store that runs all the time takes in that time; ` +
      `in all ${JSON.stringify(seen)}, queued ${JSON.stringify(queued)}; ` +
      `${books.duplicate} sent again though they were kept; memory +${mb(grown)} of ${mb(allowed)} MB; ` +
      `taken again after ${recoveryMs.toFixed(0)} ms`,
  );
  await s.stop();
});

/** A good client: one beacon after the other, each must be taken. */
async function good(server, times, stop) {
  const ids = { visitor: hex(16), producer: hex(8) };
  for (let seq = 1; !stop.now; seq++) {
    const start = performance.now();
    const answer = await post(server, envelope([event(seq)], ids));
    times.push(performance.now() - start);
    assert.equal(answer.status, 204, `a good client: ${answer.text}`);
  }
}

async function metric(server, name) {
  const { text } = await api(server, "/metrics");
  return Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)[1]);
}

test(`1,000 slow connections at all times for ${SECONDS} s: closed by their deadlines, bounded memory, good clients served`, async (t) => {
  const s = await startServe(t, { args: ["--request-timeout", "1", "--idle-timeout", "4"] });
  const calm = [];
  const untilCalm = { now: false };
  const calmClients = Array.from({ length: 4 }, () => good(s, calm, untilCalm));
  await until(() => calm.length > 200, "a good client alone");
  untilCalm.now = true;
  await Promise.all(calmClients);

  const pid = s.pid;
  const before = anonymousBytes(pid);
  const memory = watchMemory(pid);
  const times = [];
  const stop = { now: false };
  const clients = Array.from({ length: 4 }, () => good(s, times, stop));
  const slow = keepSlow(s.ingest);
  t.after(() => {
    stop.now = true;
    slow.destroy();
  });
  await until(() => slow.total() >= 1000, "1,000 connections");
  await pause(SECONDS * 1000);
  slow.stop();
  // They still drip, and do not read: only the service ends them.
  const ended = slow.ended.then(() => true);
  const endStart = performance.now();
  await until(() => Promise.race([ended, pause(100)]), "all slow connections closed", 30000);
  const endMs = performance.now() - endStart;
  stop.now = true;
  await Promise.all(clients);
  const grown = memory.stop() - before;

  const { tries, statuses } = slow;
  assert.deepEqual(Object.keys(statuses), ["408"], JSON.stringify(statuses));
  assert.ok((await metric(s, "chatbeacon_http_deadlines_total")) >= statuses[408] + tries.reader);
  assert.ok(times.length > 0);
  await booksWith(s, calm.length + times.length);
  const allowed = bound(pid, 1000 * CONNECTION_BYTES + hostile.body.n * BODY_BYTES);
  t.diagnostic(
    `${JSON.stringify(tries)} slow connections, the last closed after ${endMs.toFixed(0)} ms; memory +${mb(grown)} of ` +
      `${mb(allowed)} MB (${(grown / 1000 / KB).toFixed(0)} KB a connection); good clients: ${times.length} beacons, ` +
      `p99 ${quantile(times, 0.99).toFixed(1)} ms, alone ${quantile(calm, 0.99).toFixed(1)} ms`,
  );
  assert.ok(grown < allowed, `${mb(grown)} MB more memory, ${mb(allowed)} allowed`);
  await s.stop();
});

test("floods behind a request that waits: not read, and answered when the store goes on", async (t) => {
  const FLOODS = 200;
  const s = await startApart(t, { ingestArgs: ["--ack-timeout", "20000"] });
  assert.equal((await post(s, envelope([event(1)]))).status, 204);
  const pid = s.ingestProcess.pid;
  const before = anonymousBytes(pid);
  const flood = Buffer.concat(Array(16000).fill(requestBytes("/healthz", { method: "GET" })));
  s.store.signal("SIGSTOP");
  const memory = watchMemory(pid);
  const answers = [];
  const wires = await Promise.all(
    Array.from({ length: FLOODS }, () => {
      const first = [];
      answers.push(first);
      return open(s.ingest, { answered: ({ status }) => first.length || first.push(status) });
    }),
  );
  for (const wire of wires) {
    wire.send(requestBytes("/v1/events", { body: JSON.stringify(envelope([event(1)])) }));
    wire.send(flood);
  }
  // Meanwhile the others are served. When nothing moves any more, the flood has come as far as it gets.
  let left = -1;
  const times = [];
  await until(async () => {
    const start = performance.now();
    assert.equal((await request(`${s.ingest}/healthz`)).status, 200);
    times.push(performance.now() - start);
    const now = wires.reduce(
      (n, wire) => n + wire.socket.bytesWritten - wire.socket.writableLength,
      0,
    );
    const still = now === left;
    left = now;
    return still && times.length > 100;
  }, "the floods stand still");
  assert.deepEqual(new Set(answers.map((list) => list.length)), new Set([0]));
  const grown = memory.stop() - before;
  const allowed = bound(pid, FLOODS * (CONNECTION_BYTES + BODY_BYTES));
  t.diagnostic(
    `${FLOODS} floods of ${mb(flood.length)} MB; memory +${mb(grown)} of ${mb(allowed)} MB; ` +
      `others' p99 ${quantile(times, 0.99).toFixed(1)} ms`,
  );
  assert.ok(grown < allowed, `${mb(grown)} MB more memory, ${mb(allowed)} allowed`);
  s.store.signal("SIGCONT");
  await until(() => answers.every((list) => list.length), "the first answer of each");
  for (const [status] of answers) assert.equal(status, 204);
  wires.forEach((wire) => wire.destroy());
  assert.equal((await post(s, envelope([event(1)]))).status, 204);
  await booksWith(s, FLOODS + 2);
  await s.stop();
});
