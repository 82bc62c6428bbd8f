// SPDX-License-Identifier: MIT
// chatbeacon-load against the real service: what it says of a run is so, and its audit finds one event too many.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import { dirname, join } from "node:path";
import test from "node:test";
import { api, apiJson, balanced, envelope, event, post, until } from "../lib/client.mjs";
import { binary, host, startServe, temporaryFolder } from "../lib/server.mjs";

const generator = join(dirname(binary), "chatbeacon-load");

/**
 * Runs it to its end. started: called with its process when its first line of progress came. Returns {code, stdout, stderr,
 * figures}.
 */
async function load(t, args, { started = () => {} } = {}) {
  const json = join(temporaryFolder(t), "figures");
  const child = spawn(generator, [...args, "--json", json], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => {
    if (!stderr) started(child);
    stderr += data;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  const read = () => JSON.parse(readFileSync(json, "utf8"));
  return { code, stdout, stderr, figures: stdout ? read() : undefined };
}

const target = (s) => [
  ...["--url", s.ingest, "--audit", s.query],
  ...["--token-file", join(s.dir, "admin-token")],
];

const sum = (object) => Object.values(object).reduce((a, b) => a + b, 0);

const runs = {
  "closed loop, beacons": ["--closed", "--connections", "32", "--threads", "2"],
  "open loop, beacons": ["--rate", "500", "--connections", "32", "--threads", "2"],
  "open loop, widgets": ["--mix", "widget", "--rate", "300"],
  "closed loop, batches of servers": ["--mix", "server", "--closed", "--connections", "4"],
  "open loop, all that there is": ["--mix", "mixed", "--rate", "500"],
};
for (const [name, args] of Object.entries(runs))
  test(`${name}: every acked event is counted, and the figures agree with the service's`, async (t) => {
    const s = await startServe(t, { args: ["--sites", "load0,load1,load2"] });
    const sites = ["--site", "load", "--sites", "3", "--duration", "2"];
    const { code, stdout, stderr, figures } = await load(t, [...target(s), ...sites, ...args]);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /events acked, .* counted, 0 duplicates, 0 rejected; equal/);
    assert.equal(stderr.match(/^ +[0-9]+ s .* 2xx\/s/gm)?.length, 2, stderr);
    const { ingest } = figures.lanes;
    assert.ok(ingest.status[204] > 0, JSON.stringify(ingest.status)); // how many is the machine's
    assert.equal(sum(ingest.status), ingest.status[204] + (ingest.status[200] ?? 0));
    assert.equal(ingest.unanswered, 0);
    assert.equal(ingest.accepted.count, sum(ingest.status));
    if (ingest.planned_rate) {
      assert.equal(ingest.planned, 2 * ingest.planned_rate);
      assert.ok(ingest.accepted.p50_us <= ingest.accepted.p99_us);
    }
    // What the service itself says.
    const books = (await balanced(s)).total;
    assert.equal(books.counted, ingest.events_acked);
    assert.equal(figures.audit.counted, ingest.events_acked);
    assert.equal(books.lost, 0, "a producer has a gap");
    const { events } = await apiJson(s, "/v1/sites/load0/totals");
    assert.ok(events.onWebChatLoaded > 0 && events.onClick > 0, JSON.stringify(events));
    if (args.includes("mixed")) assert.ok(figures.lanes.query.status[200] > 0);
    await s.stop();
  });

test("a dashboard's reports, and a page with plots", async (t) => {
  const s = await startServe(t);
  const html = join(temporaryFolder(t), "page");
  const { code, stdout, figures } = await load(t, [
    ...target(s),
    ...["--mix", "dashboard", "--rate", "100", "--duration", "1", "--html", html],
  ]);
  assert.equal(code, 0, stdout);
  const { planned, begun, status } = figures.lanes.query;
  assert.equal(planned, 100);
  assert.deepEqual(status, { 200: begun }); // a slow machine does not begin all
  const page = readFileSync(html, "utf8");
  assert.equal(page.match(/<svg /g).length, 2);
  assert.doesNotMatch(page, /<script|https?:/);
  await s.stop();
});

test("the audit fails when somebody else is counted under its site", async (t) => {
  const s = await startServe(t);
  const other = event(1, "onMinimize");
  // It stands still until the other event is counted: its audit comes after that.
  const intrude = async (child) => {
    child.kill("SIGSTOP");
    assert.equal((await post(s, envelope([other]))).status, 204);
    await until(async () => {
      const { text } = await api(s, "/v1/sites/demo/export");
      return text.includes(other.name);
    }, "it is counted");
    child.kill("SIGCONT");
  };
  let intruded;
  const args = [...target(s), "--rate", "200", "--duration", "2"];
  const { code, stdout, figures } = await load(t, args, {
    started: (child) => (intruded = intrude(child)),
  });
  await intruded;
  assert.equal(code, 1, stdout);
  const acked = figures.lanes.ingest.events_acked;
  const found = `the first: events in the books of demo: ${acked} acked, ${acked + 1} count`;
  assert.ok(acked > 0 && stdout.includes(`DIFFERENCES, ${found}`), stdout);
  await s.stop();
});

/** A service that is none: it answers beacons as it likes, and keeps nothing. */
function startFake(t, answer) {
  const server = http.createServer((req, res) => {
    req.resume();
    req.on("end", () => answer(res));
  });
  t.after(() => (server.close(), server.closeAllConnections()));
  return new Promise((resolve) =>
    server.listen(0, host, () => resolve({ ingest: `http://${host}:${server.address().port}` })),
  );
}

test("refusals: what is refused comes again, and one without Retry-After is told", async (t) => {
  let n = 0;
  let bare = 0;
  const answered = { 204: 0, 429: 0, 503: 0 };
  const s = await startFake(t, (res) => {
    n++;
    const status = n % 4 === 0 ? 503 : n % 4 === 1 ? 429 : 204;
    const headers = status === 429 ? { "reTRY-aFTER": "2" } : n % 8 ? {} : { "Retry-After": 1 };
    if (status === 503 && n % 8) bare++;
    answered[status]++;
    res.writeHead(status, headers).end(status === 204 ? "" : "{}");
  });
  const { code, stdout, figures } = await load(t, [
    ...["--url", s.ingest, "--rate", "400", "--duration", "1", "--connections", "8"],
  ]);
  assert.equal(code, 0, stdout);
  const { ingest } = figures.lanes;
  assert.equal(ingest.planned, 400);
  assert.equal(ingest.begun, n);
  assert.deepEqual(ingest.status, answered);
  assert.ok(bare > 0);
  assert.equal(ingest.without_retry_after, bare);
  assert.ok(ingest.sent_again > 0, "what was refused takes the place of the next new one");
  assert.equal(ingest.refused.count, answered[429] + answered[503]);
});

test("a stall is in the latency of all that should have been sent meanwhile", async (t) => {
  let held = [];
  const s = await startFake(t, (res) => (held ? held.push(res) : res.writeHead(204).end()));
  const { figures } = await load(
    t,
    ["--url", s.ingest, "--rate", "100", "--duration", "2", "--connections", "4"],
    {
      started: () => {
        for (const res of held) res.writeHead(204).end();
        held = null;
      },
    },
  );
  const { ingest } = figures.lanes;
  // Four requests were under way for the first second; the others of it could not even leave.
  assert.equal(ingest.planned, 200);
  assert.equal(ingest.status[204], ingest.begun);
  assert.ok(ingest.accepted.max_us > 900000, `max ${ingest.accepted.max_us} µs`);
  assert.ok(ingest.accepted.mean_us > 200000, `mean ${ingest.accepted.mean_us} µs`);
});

test("misuse and other machines: one sentence and status 2", async (t) => {
  for (const [args, what] of [
    [["--url", "http://192.0.2.1:80"], /--url: .*--allow-remote/],
    [["--duration", "4000"], /--duration/],
    [["--audit", "http://127.0.0.1:1"], /--token-file/],
    [["--what"], /--what/],
  ]) {
    const { code, stderr } = await load(t, args);
    assert.equal(code, 2);
    assert.match(stderr, what);
    assert.equal(stderr.trim().split("\n").length, 1);
  }
  const help = spawn(generator, ["--help"], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  help.stdout.on("data", (data) => (text += data));
  assert.equal(await new Promise((resolve) => help.on("close", resolve)), 0);
  for (const option of ["--url", "--closed", "--audit", "--html"]) assert.ok(text.includes(option));
});
