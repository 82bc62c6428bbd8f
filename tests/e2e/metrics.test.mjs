// SPDX-License-Identifier: MIT
// --metrics: each process of the tiers apart shows what it counts, at an address of its own, and nothing else there.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { envelope, event, post, request } from "../lib/client.mjs";
import { host, run, startApart, startServe, temporaryFolder } from "../lib/server.mjs";

const METRICS = ["--metrics", `${host}:0`];

/** Of the service of metrics: it is not in openapi.json. */
const ask = (url, more) => request(url, { ...more, undescribed: true });
const page = (process) => ask(`${process.fields.metrics}/metrics`);

const counter = (text, name) => Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)?.[1]);

test("ingest and store apart show their own counters", async (t) => {
  const s = await startApart(t, { args: METRICS, ingestArgs: METRICS });
  assert.equal((await post(s, envelope([event(1)]))).status, 204);

  const ingest = await page(s.ingestProcess);
  assert.equal(ingest.status, 200);
  assert.match(ingest.headers["content-type"], /^text\/plain; version=0\.0\.4/);
  assert.equal(counter(ingest.text, "chatbeacon_ingest_events_total"), 1);
  assert.ok(counter(ingest.text, "chatbeacon_frames_acked_total") >= 1);
  assert.equal(counter(ingest.text, "chatbeacon_journal_frames_total"), 0, "those of the store");

  const store = await page(s.store);
  assert.equal(store.status, 200);
  assert.ok(counter(store.text, "chatbeacon_journal_frames_total") >= 1);
  assert.equal(counter(store.text, "chatbeacon_ingest_events_total"), 0, "those of ingest");
  await s.stop();
});

test("there is /healthz beside /metrics, and no other address or method", async (t) => {
  const s = await startServe(t, { args: METRICS });
  const { metrics } = s.fields;
  const health = await ask(`${metrics}/healthz`);
  assert.equal(health.status, 200);
  assert.deepEqual(health.json(), { status: "alive" });
  for (const path of ["/", "/metrics/", "/readyz", "/v1/balance", "/v1/events"]) {
    const answer = await ask(metrics + path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json().error.code, "not_found", path);
  }
  const answer = await ask(`${metrics}/metrics`, { method: "POST", body: "x" });
  assert.equal(answer.status, 405);
  assert.equal(answer.headers.allow, "GET, HEAD");
  const head = await ask(`${metrics}/metrics`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.text, "");
  assert.ok(Number(head.headers["content-length"]) > 1000);
  await s.stop();
});

test("each thread has a name, for top -H", async (t) => {
  const s = await startServe(t, { args: ["--ingest-threads", "2", "--query-threads", "2"] });
  const tasks = `/proc/${s.pid}/task`;
  const names = readdirSync(tasks).map((id) => readFileSync(`${tasks}/${id}/comm`, "utf8").trim());
  const ours = ["answers", "fold", "ingest/0", "ingest/1", "journal", "query/0", "query/1"];
  for (const name of ours) assert.equal(names.filter((one) => one === name).length, 1, name);
  await s.stop();
});

test("the health pages of both services say the same", async (t) => {
  const s = await startServe(t);
  assert.equal(s.fields.metrics, undefined, "off if not asked for");
  for (const base of [s.ingest, s.query]) {
    assert.deepEqual((await request(`${base}/healthz`)).json(), { status: "alive" });
  }
  await s.stop();
});

test("an address that cannot be is told at the start", async (t) => {
  const args = ["store", "--data", temporaryFolder(t), "--metrics"];
  const bad = await run([...args, "nowhere"]);
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /--metrics: "nowhere" is not HOST:PORT/);
  const s = await startServe(t, { args: METRICS });
  const taken = await run([...args, new URL(s.fields.metrics).host]);
  assert.equal(taken.code, 1);
  assert.ok(taken.stderr.includes(new URL(s.fields.metrics).host), taken.stderr);
  await s.stop();
});
