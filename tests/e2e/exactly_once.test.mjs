// SPDX-License-Identifier: MIT
// Exactly once, in bulk: every event at least three times, out of order, over many connections, while the process is killed
// again and again. Long form: CB_EXACT_EVENTS=1000000 CB_EXACT_PRODUCERS=1000000 node --test tests/e2e/exactly_once.test.mjs
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { apiJson, balanced, hex, post, until } from "../lib/client.mjs";
import { run, startServe } from "../lib/server.mjs";

const EVENTS = Number(process.env.CB_EXACT_EVENTS ?? 60000);
const PRODUCERS = Number(process.env.CB_EXACT_PRODUCERS ?? 20000);
const RESTARTS = 20;
const CONNECTIONS = 64;
const SENDS = 3;
const BATCH = 250;
const GAP_MAX = 2 ** 32; // what one producer may add to `lost`

/** Fisher and Yates; seeded, so that a failure can be had again. */
function shuffle(list, seed = 42) {
  for (let i = list.length - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const j = seed % (i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

/** A producer's numbers, cut in batches, each a list in no order. */
function batchesOf(site, numbers) {
  const ids = { site, visitor: hex(16), producer: hex(8) };
  shuffle(numbers, numbers.length);
  const batches = [];
  for (let i = 0; i < numbers.length; i += BATCH)
    batches.push({ ids, numbers: numbers.slice(i, i + BATCH) });
  return batches;
}

function body({ ids, numbers }) {
  const now = Date.now();
  const events = numbers.map((seq) => `{"seq":${seq},"name":"onClick","at":${now}}`);
  return `{"site":"${ids.site}","visitor":"${ids.visitor}","producer":"${ids.producer}","sent":${now},"events":[${events}]}`;
}

/** Sends every batch until it was answered 204, by CONNECTIONS workers. onDone is told after each. */
async function deliver(server, batches, onDone) {
  let next = 0;
  const worker = async () => {
    while (next < batches.length) {
      const text = body(batches[next++]);
      await until(
        async () => {
          try {
            return (await post(server.current, text)).status === 204;
          } catch {
            return false; // killed; the next one takes it
          }
        },
        "a batch is taken",
        120000,
      );
      onDone();
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
}

test(`${EVENTS} events × ${SENDS} over ${RESTARTS} restarts are counted exactly once`, async (t) => {
  const args = ["--sites", "demo,other,odd,high"];
  const first = await startServe(t, { args });
  const server = { current: first };
  const special = Math.floor(EVENTS / 10);
  const each = Math.floor((EVENTS - 2 * special) / 8);
  const shared = hex(8); // one producer's id under two sites: two producers
  const plan = [];
  for (let p = 0; p < 8; p++) {
    const list = batchesOf(
      p % 2 ? "other" : "demo",
      Array.from({ length: each }, (_, i) => i + 1),
    );
    if (p < 2) for (const batch of list) batch.ids = { ...batch.ids, producer: shared };
    plan.push(...list);
  }
  plan.push(
    ...batchesOf(
      "odd",
      Array.from({ length: special }, (_, i) => 2 * i + 1),
    ),
  );
  plan.push(
    ...batchesOf(
      "high",
      Array.from({ length: special }, (_, i) => 2 ** 53 - 1 - i),
    ),
  );
  const sends = shuffle(Array.from({ length: SENDS }, () => plan).flat());

  let done = 0;
  let restarts = 0;
  let restarting = Promise.resolve();
  const started = Date.now();
  await deliver(server, sends, () => {
    done++;
    if (restarts < RESTARTS && done >= ((restarts + 1) * sends.length) / (RESTARTS + 1)) {
      restarts++;
      restarting = restarting.then(async () => {
        await server.current.kill();
        server.current = await startServe(t, { args, dir: first.dir });
      });
    }
  });
  await restarting;
  const s = server.current;
  const seconds = (Date.now() - started) / 1000;

  const expected = { demo: 4 * each, other: 4 * each, odd: special, high: special };
  const lost = { demo: 0, other: 0, odd: special - 1, high: GAP_MAX };
  for (const [site, n] of Object.entries(expected)) {
    await until(
      async () => (await balanced(s)).sites[site].received >= SENDS * n,
      `all sends to ${site} are folded`,
      120000,
    );
  }
  const { sites } = await balanced(s);
  for (const [site, n] of Object.entries(expected)) {
    assert.equal(sites[site].counted, n, site);
    assert.equal(sites[site].lost, lost[site], site);
    assert.equal((await apiJson(s, `/v1/sites/${site}/totals`)).events.onClick, n, site);
  }
  const received = Object.values(sites).reduce((n, b) => n + b.received, 0);
  await s.stop();
  const verified = await run(["verify", "--data", first.dir]);
  assert.equal(verified.code, 0, verified.stderr);
  const rebuilt = await run(["rebuild", "--data", first.dir]);
  assert.equal(rebuilt.code, 0, rebuilt.stderr);
  assert.match(rebuilt.stdout, /^identical/m);
  t.diagnostic(
    `${restarts} kills, ${received} received, ${EVENTS} different, ${seconds.toFixed(1)} s`,
  );
});

test(`${PRODUCERS} live producers: memory stays, disk is counted`, async (t) => {
  const s = await startServe(t);
  const anonymous = () =>
    Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${s.pid}/status`, "utf8"))[1]) * 1024;
  const LINES = 200;
  let sent = 0;
  const before = anonymous();
  let most = before;
  const worker = async () => {
    while (sent < PRODUCERS) {
      const n = Math.min(LINES, PRODUCERS - sent);
      sent += n;
      const now = Date.now();
      const lines = Array.from(
        { length: n },
        () =>
          `{"site":"demo","visitor":"${hex(16)}","producer":"${hex(8)}","sent":${now},"events":[{"seq":1,"name":"onClick","at":${now}}]}`,
      );
      assert.equal((await post(s, lines.join("\n"), { type: "application/x-ndjson" })).status, 204);
      most = Math.max(most, anonymous());
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  await until(
    async () => (await balanced(s)).sites.demo.counted === PRODUCERS,
    "all folded",
    300000,
  );
  most = Math.max(most, anonymous());
  const disk = ["journal", "views"].map(
    (name) => statSync(join(s.dir, name, "data.mdb")).blocks * 512,
  );
  t.diagnostic(
    `memory ${(before / 2 ** 20).toFixed(0)} -> at most ${(most / 2 ** 20).toFixed(0)} MiB; ` +
      `disk: journal ${Math.round(disk[0] / PRODUCERS)}, views ${Math.round(disk[1] / PRODUCERS)} bytes a producer`,
  );
  // Not a share of the producers: what grows with them is on disk. Sanitizers keep freed memory for a while.
  assert.ok(most - before < 512 * 2 ** 20, `${most - before} bytes more`);
  await s.stop();
});
