// SPDX-License-Identifier: MIT
// What happens when something breaks: kill -9, a store that is away, a start that cannot be.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import test from "node:test";
import {
  apiJson,
  balanced,
  envelope,
  event,
  hex,
  post,
  totalsWith,
  until,
} from "../lib/client.mjs";
import { mmdb } from "../lib/mmdb.mjs";
import {
  host,
  run,
  startApart,
  startProcess,
  startServe,
  temporaryFolder,
} from "../lib/server.mjs";

const kills = Number(process.env.CB_KILLS ?? 50);
const CLIENTS = 8;

/** Sends events one after the other, each again and again under its own number until it gets a 2xx. */
class Producer {
  constructor() {
    this.ids = { visitor: hex(16), producer: hex(8) };
    this.acked = 0;
    this.sent = 0;
    this.attempts = 0;
  }

  /** Goes on until told to stop or the connection breaks. An event that got no answer is the next one to be sent. */
  async push(server, stop) {
    while (!stop.now) {
      const seq = this.acked + 1;
      this.attempts++;
      this.sent = seq;
      let answer;
      try {
        answer = await post(server, envelope([event(seq)], this.ids));
      } catch {
        return;
      }
      if (answer.status === 204) {
        this.acked = seq;
        stop.answered();
      } else {
        assert.equal(answer.status, 503, answer.text);
      }
    }
  }
}

test(`kill -9 under load right after a 204, ${kills} times: what was answered is counted once`, async (t) => {
  const dir = temporaryFolder(t);
  const producers = Array.from({ length: CLIENTS }, () => new Producer());
  let s;
  for (let round = 0; round < kills; round++) {
    s = await startServe(t, { dir });
    // What was answered before the last kill must be there, whatever was in flight may be.
    const totals = await apiJson(s, "/v1/sites/demo/totals");
    const acked = producers.reduce((n, p) => n + p.acked, 0);
    const sent = producers.reduce((n, p) => n + p.sent, 0);
    const counted = totals.events.onClick ?? 0;
    assert.ok(
      counted >= acked && counted <= sent,
      `round ${round}: ${acked} <= ${counted} <= ${sent}`,
    );
    let left = 1 + ((round * 7) % 60);
    let done;
    const reached = new Promise((resolve) => (done = resolve));
    const stop = { now: false, answered: () => --left <= 0 && done() };
    const load = producers.map((p) => p.push(s, stop));
    await reached;
    s.process.kill("SIGKILL"); // right after a 204
    await s.kill();
    stop.now = true;
    await Promise.all(load);
  }
  s = await startServe(t, { dir });
  // Each producer sends what it has no answer for; then every number was counted exactly once.
  for (const p of producers) {
    if (p.sent > p.acked) {
      assert.equal((await post(s, envelope([event(p.sent)], p.ids))).status, 204);
      p.acked = p.sent;
    }
  }
  const all = producers.reduce((n, p) => n + p.acked, 0);
  await totalsWith(s, "onClick", all);
  const books = (await balanced(s)).sites.demo;
  assert.equal(books.counted, all);
  assert.equal(books.lost, 0);
  t.diagnostic(`${kills} kills, ${all} events answered, ${books.duplicate} sent again`);
  await s.stop();
});

test("SIGTERM under load: exit 0, and what was answered is on disk", async (t) => {
  const dir = temporaryFolder(t);
  let s = await startServe(t, { dir });
  const producers = Array.from({ length: CLIENTS }, () => new Producer());
  let left = 200;
  let done;
  const reached = new Promise((resolve) => (done = resolve));
  const stop = { now: false, answered: () => --left <= 0 && done() };
  const load = producers.map((p) => p.push(s, stop));
  await reached;
  await s.stop();
  stop.now = true;
  await Promise.all(load);
  s = await startServe(t, { dir });
  const totals = await apiJson(s, "/v1/sites/demo/totals");
  // Draining answers all that it took: nothing is on disk whose sender was left without its 204.
  const acked = producers.reduce((n, p) => n + p.acked, 0);
  assert.equal(totals.events.onClick, acked);
  assert.equal((await balanced(s)).sites.demo.duplicate, 0);
  await s.stop();
});

for (const transport of ["ipc", "tcp"]) {
  test(`the store dies and comes back (${transport}): 503 with Retry-After, then the same beacon counts once`, async (t) => {
    const s = await startApart(t, { transport, ingestArgs: ["--ack-timeout", "1000"] });
    const ids = { visitor: hex(16), producer: hex(8) };
    const first = envelope([event(1)], ids);
    await until(async () => (await post(s, first)).status === 204, "taken"); // in its time
    await s.store.kill();
    const body = JSON.stringify(envelope([event(2)], ids));
    const refused = await post(s, body);
    assert.equal(refused.status, 503);
    assert.equal(refused.json().error.code, "busy");
    assert.match(refused.headers["retry-after"], /^[0-9]+$/);
    assert.equal(refused.headers["access-control-allow-origin"], "*");
    await s.restartStore();
    await until(async () => (await post(s, body)).status === 204, "taken again");
    await totalsWith(s, "onClick", 2);
    const books = (await balanced(s)).sites.demo;
    assert.equal(books.counted, 2);
    assert.equal(books.lost, 0);
    await s.stop();
  });
}

test("the store stands still: 503 in time, and the beacon counts once when it goes on", async (t) => {
  const s = await startApart(t, { ingestArgs: ["--ack-timeout", "500"] });
  const ids = { visitor: hex(16), producer: hex(8) };
  let sent = 0;
  const send = (seq) => (sent++, post(s, envelope([event(seq)], ids)));
  await until(async () => (await send(1)).status === 204, "taken"); // in its time
  s.store.signal("SIGSTOP");
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(2)));
  for (const answer of answers) {
    assert.equal(answer.status, 503);
    assert.ok(answer.headers["retry-after"]);
  }
  s.store.signal("SIGCONT");
  await until(async () => (await send(2)).status === 204, "taken again");
  await totalsWith(s, "onClick", 2);
  const books = (await balanced(s)).sites.demo;
  assert.equal(books.counted, 2);
  // Ingest sent its frames again and again: the books must show none that no client sent.
  assert.ok(books.received <= sent, `${books.received} received, ${sent} sent`);
  await s.stop();
});

test("ingest comes and goes while the store stays", async (t) => {
  const s = await startApart(t);
  for (let round = 0; round < 5; round++) {
    const ingest = await startProcess(t, ["ingest", "--link", s.link, "--ingest", `${host}:0`]);
    const answer = await post({ ingest: ingest.fields.ingest }, envelope([event(1)]));
    assert.equal(answer.status, 204);
    await (round % 2 ? ingest.kill() : ingest.stop());
  }
  await totalsWith(s, "onClick", 5);
  await balanced(s);
  await s.stop();
});

test("a start that cannot be: one sentence that names it, and the status of misuse or failure", async (t) => {
  const expect = async (code, pattern, args, options) => {
    const ended = await run(args, options);
    assert.equal(ended.code, code, `${args.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, pattern, args.join(" "));
    assert.equal(ended.stdout, "");
    const sentences = ended.stderr.split("\n").filter((line) => line.startsWith("chatbeacon: "));
    assert.equal(sentences.length, 1, ended.stderr);
  };
  const dir = temporaryFolder(t);
  const serve = (...args) => [
    "serve",
    "--ingest",
    "127.0.0.1:0",
    "--query",
    "127.0.0.1:0",
    ...args,
  ];
  await expect(2, /--nonsense/, serve("--nonsense", "1"));
  await expect(2, /--data/, ["serve", "--data"]);
  await expect(2, /--body/, serve("--body", "many"));
  await expect(2, /--ingest/, ["serve", "--data", dir, "--ingest", "nowhere"]);
  await expect(2, /--link/, ["ingest", "--link", "carrier-pigeon://x"]);
  await expect(2, /--sites/, serve("--data", join(dir, "badsite"), "--sites", "a b"));
  await expect(2, /CHATBEACON_BODY/, serve("--data", dir), { env: { CHATBEACON_BODY: "x" } });
  await expect(2, /teapot/, ["teapot"]);
  await expect(1, /--config/, serve("--config", join(dir, "not-there")));
  const geo = (file) => serve("--data", join(dir, "geo"), "--geo", join(dir, file));
  writeFileSync(join(dir, "junk.mmdb"), "no database");
  writeFileSync(join(dir, "networks.mmdb"), mmdb({ "10.0.0.0/8": "GR" }, "Test-ASN"));
  writeFileSync(join(dir, "cut.mmdb"), mmdb({ "10.0.0.0/8": "GR" }).subarray(0, 600));
  await expect(1, /--geo.*cannot be read/, geo("not-there.mmdb"));
  await expect(2, /--geo.*junk/, geo("junk.mmdb"));
  await expect(2, /--geo.*cut/, geo("cut.mmdb"));
  await expect(2, /--geo.*no database of countries/, geo("networks.mmdb"));

  const busy = net.createServer();
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  t.after(() => busy.close());
  const taken = `127.0.0.1:${busy.address().port}`;
  await expect(1, new RegExp(`${taken} is in use`), [
    "serve",
    "--data",
    join(dir, "a"),
    "--ingest",
    taken,
    "--query",
    "127.0.0.1:0",
  ]);
  await expect(1, new RegExp(`${taken} is in use`), [
    "serve",
    "--data",
    join(dir, "b"),
    "--ingest",
    "127.0.0.1:0",
    "--query",
    taken,
  ]);

  writeFileSync(join(dir, "file"), "");
  await expect(1, /--data/, serve("--data", join(dir, "file")));
  await expect(1, /--data/, serve("--data", join(dir, "no/such/parent")));
  mkdirSync(join(dir, "newer"));
  writeFileSync(join(dir, "newer", "format"), "999\n");
  await expect(1, /newer chatbeacon/, serve("--data", join(dir, "newer")));
  mkdirSync(join(dir, "odd"));
  writeFileSync(join(dir, "odd", "format"), "soup\n");
  await expect(1, /format/, serve("--data", join(dir, "odd")));
  if (process.getuid() !== 0) {
    mkdirSync(join(dir, "locked"));
    chmodSync(join(dir, "locked"), 0o500);
    await expect(1, /--data/, serve("--data", join(dir, "locked")));
  }

  const s = await startServe(t);
  await expect(1, /another chatbeacon holds/, serve("--data", s.dir));
  const second = s.ingest.replace("http://", "");
  await expect(1, new RegExp(`${second} is in use`), [
    "serve",
    "--data",
    join(dir, "c"),
    "--ingest",
    second,
    "--query",
    "127.0.0.1:0",
  ]);
  await s.stop();

  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /serve/);
  const serveHelp = await run(["serve", "--help"]);
  assert.equal(serveHelp.code, 0);
  assert.match(serveHelp.stdout, /--ack-timeout/);
  assert.match((await run(["--version"])).stdout, /^chatbeacon [0-9]+\.[0-9]+\.[0-9]+\n$/);
  assert.equal((await run([])).code, 2);
});
