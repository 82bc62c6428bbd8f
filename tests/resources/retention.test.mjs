// SPDX-License-Identifier: MIT
// --raw-bytes: single events go when they take too much, what was counted stays; also where the map was full before.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { api, apiJson, balanced, post, request, until } from "../lib/client.mjs";
import { exportOf } from "../lib/oracle.mjs";
import { run, startServe, temporaryFolder } from "../lib/server.mjs";
import { bulky, resumes } from "./rig.mjs";

const MB = 1024 * 1024;
const MAP = ["--map", "16M", "--body", "512K", "--ack-timeout", "500"];
const FULL_MS = 120000;
const EVENTS = 200;

const one = () => bulky(EVENTS, { visitor: "11".repeat(16) });

/** Posts until `enough` events were taken, or some requests one after the other were refused: {acked, busy, refused}. */
async function pour(server, enough = Infinity) {
  let acked = 0;
  let busy = 0;
  let refused = 0;
  const began = performance.now();
  const client = async () => {
    while (acked < enough && refused < 8) {
      assert.ok(performance.now() - began < FULL_MS, "in time");
      const answer = await post(server, one());
      if (answer.status === 204) {
        acked += EVENTS;
        refused = 0;
      } else {
        assert.equal(answer.status, 503, answer.text);
        assert.match(answer.headers["retry-after"], /^[0-9]+$/);
        busy++;
        if (enough === Infinity) refused++;
        // Refused for want of time, not of room: it goes on.
        const slow = refused >= 8 && (await request(`${server.ingest}/readyz`)).status === 200;
        if (slow) refused = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, client));
  return { acked, busy };
}

/** What was refused may be there too, where only its answer came too late. */
async function counted(server, acked) {
  await until(async () => {
    const totals = await apiJson(server, "/v1/sites/demo/totals");
    return (totals.events.bulk ?? 0) >= acked;
  }, `${acked} events are counted`);
  return (await balanced(server)).sites.demo;
}

async function metric(server, name) {
  const { text } = await api(server, "/metrics");
  return Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)[1]);
}

async function sound(dir) {
  const verified = await run(["verify", "--data", dir, "--map", "16M"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const rebuilt = await run(["rebuild", "--data", dir, "--map", "16M"]);
  assert.equal(rebuilt.code, 0, rebuilt.stdout + rebuilt.stderr);
  assert.match(rebuilt.stdout, /identical/);
}

test("a full map is free again once the oldest may go", async (t) => {
  const dir = temporaryFolder(t);
  const full = await startServe(t, { dir, args: MAP });
  const { acked, busy } = await pour(full);
  assert.ok(busy > 0);
  assert.equal((await request(`${full.ingest}/readyz`)).status, 503);
  const before = await counted(full, acked);
  await full.stop();
  const freed = await startServe(t, { dir, args: [...MAP, "--raw-bytes", "4M"] });
  const resumed_ms = await resumes(freed, 20000);
  assert.equal((await request(`${freed.ingest}/readyz`)).status, 200);
  const more = await pour(freed, 20000);
  const after = await counted(freed, before.counted + more.acked);
  assert.ok(after.counted >= before.counted + more.acked);
  await freed.stop();
  await sound(dir);
  t.diagnostic(
    `${acked} events until 503; taken again ${resumed_ms.toFixed(0)} ms after the start, and ${more.acked} more`,
  );
});

test("three times the map goes through it, each event counted", async (t) => {
  const dir = temporaryFolder(t);
  const server = await startServe(t, { dir, args: [...MAP, "--raw-bytes", "6M"] });
  const enough = Math.ceil((48 * MB) / 500);
  const { acked, busy } = await pour(server, enough);
  const books = await counted(server, acked);
  assert.equal(books.lost, 0);
  const trimmed = await metric(server, "chatbeacon_journal_trimmed_total");
  assert.ok(trimmed > 0);
  assert.ok(statSync(join(dir, "journal", "data.mdb")).size <= 16 * MB);
  // What is kept can be read, from its first row on; what is gone is said to be gone.
  const first = await metric(server, "chatbeacon_journal_first_position"); // more may go meanwhile
  const rows = await until(() => exportOf(server, "demo"), "an export that no trim overtakes");
  assert.ok(rows.length > 0 && rows.length < acked, `${rows.length} rows`);
  assert.ok(rows[0].position >= first);
  const old = await api(server, "/v1/sites/demo/export?cursor=1-0");
  assert.equal(old.status, 410);
  assert.equal(old.json().error.code, "gone");
  await server.stop();
  await sound(dir);
  t.diagnostic(
    `${acked} events of 500 bytes answered 2xx, ${busy} requests 503, ${trimmed} frames went, ${rows.length} events kept`,
  );
});

test("--raw-days keeps what is younger", async (t) => {
  const server = await startServe(t, { args: ["--raw-days", "30", "--body", "512K"] });
  const { acked } = await pour(server, 400);
  await counted(server, acked);
  assert.equal(await metric(server, "chatbeacon_journal_first_position"), 1);
  assert.equal((await exportOf(server, "demo")).length, acked);
  await server.stop();
});
