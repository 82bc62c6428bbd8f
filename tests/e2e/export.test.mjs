// SPDX-License-Identifier: MIT
// GET /v1/sites/{site}/export over the transport in CB_TRANSPORT: every counted event once, in order, while more pour
// in; cut and resumed; read slowly, or not at all; and the same in CSV.
import assert from "node:assert/strict";
import http from "node:http";
import test from "node:test";
import { api, apiJson, balanced, envelope, hex, post, until } from "../lib/client.mjs";
import { start } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const PRODUCERS = 8;
const EVENTS = 20000; // of the site that is exported
const BATCH = 50;
const EXPORT = "/v1/sites/demo/export";

// What must come back as it was, and what a spreadsheet must not run.
const HOSTILE = [
  "=1+1",
  "+44 1",
  "-1",
  "@SUM(A1)",
  "'quoted'",
  'a "b", c',
  "two\r\nlines",
  "\ttab",
  "Σοφία \u2028 <b>",
  "",
];

/** The n-th event of a producer. A server's has no visitor, so no fields. */
function eventOf(seq, at, visitor) {
  const text = HOSTILE[seq % HOSTILE.length];
  const page = `https://shop.example/${seq}?q="a",b`;
  if (visitor && seq % 10 === 3) return { seq, name: "set", at, page, key: "notes", value: text };
  if (visitor && seq % 10 === 7) return { seq, name: "get", at, key: "name" };
  const props = { text, n: seq, half: seq + 0.5, yes: seq % 2 === 0, filler: "x".repeat(400) };
  return { seq, name: seq % 2 ? "onClick" : "cart.filled", at, page, props };
}

/** Posts every event at least once, a third of them twice, over several connections; another site's in between. */
class Load {
  constructor(server) {
    this.server = server;
    this.sent = new Map(); // "producer seq" → event
    this.visitors = new Set();
    this.producers = Array.from({ length: PRODUCERS }, (_, i) => ({
      producer: hex(8),
      visitor: i === 0 ? undefined : hex(16), // one of them is a server
      seq: 0,
    }));
  }

  async #post(body) {
    await until(async () => {
      const answer = await post(this.server, body);
      assert.ok(answer.status === 204 || answer.status === 503, answer.text);
      return answer.status === 204;
    }, "a 204");
  }

  async #run(p, each) {
    for (let i = 0; p.seq < each; i++) {
      const events = [];
      while (events.length < BATCH) events.push(eventOf(++p.seq, Date.now(), p.visitor));
      const body = envelope(events, { producer: p.producer, visitor: p.visitor });
      for (const e of events) this.sent.set(`${p.producer} ${e.seq}`, e);
      if (p.visitor) this.visitors.add(p.visitor);
      await this.#post(body);
      if (i % 3 === 0) await this.#post(body);
      if (i % 5 === 0) await this.#post({ ...body, site: "shop" });
    }
  }

  /** Until each producer has sent so many events. */
  async run(each) {
    await Promise.all(this.producers.map((p) => this.#run(p, each)));
  }
}

/** An answer as it comes. Resolves to http's response. */
function open(server, path) {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${server.token}` };
    const req = http.get(server.query + path, { agent: false, headers }, resolve);
    req.on("error", reject);
  });
}

async function exported(server, query = "") {
  const answer = await api(server, EXPORT + query);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers["content-type"], /^application\/x-ndjson/);
  const lines = answer.text.split("\n");
  assert.equal(lines.pop(), "", "the last line is whole");
  return { end: Number(answer.headers["x-export-end"]), lines };
}

const cursorOf = (line) => {
  const row = JSON.parse(line);
  return `${row.position}-${row.index}`;
};

/** Each row was sent so, stands there once, and behind the one before it. Returns the keys. */
function judged(load, { end, lines }) {
  const found = new Set();
  let last = { position: 0, index: 0 };
  for (const line of lines) {
    const row = JSON.parse(line);
    const key = `${row.producer} ${row.seq}`;
    const e = load.sent.get(key);
    assert.ok(e, `${key} was never sent`);
    assert.ok(!found.has(key), `${key} twice`);
    found.add(key);
    assert.ok(
      row.position > last.position || (row.position === last.position && row.index > last.index),
      `${line} behind ${JSON.stringify(last)}`,
    );
    assert.ok(row.position <= end);
    last = row;
    assert.equal(row.site, "demo");
    assert.equal(row.name, e.name);
    assert.equal(row.page, e.page ?? null);
    assert.equal(row.key, e.key);
    assert.equal(row.value, e.value);
    assert.deepEqual(row.props, e.props ?? {});
    assert.ok(row.at <= row.received && Math.abs(row.at - e.at) < 60000);
    assert.ok(row.visitor === null || /^[0-9a-f]{32}$/.test(row.visitor));
    assert.ok(!load.visitors.has(row.visitor), "the visitor's id is nobody's to see");
  }
  return found;
}

/** RFC 4180, to rows of cells. */
function parseCsv(text) {
  const rows = [];
  let row = [];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at++; ; at++) {
        assert.ok(at < text.length, "a quote is not closed");
        if (text[at] !== '"') cell += text[at];
        else if (text[at + 1] === '"') cell += text[at++];
        else break;
      }
      at++;
    } else {
      const end = at + text.slice(at, at + 5000).search(/,|\r\n/);
      cell = text.slice(at, end);
      assert.doesNotMatch(cell, /["\r\n]/);
      at = end;
    }
    row.push(cell);
    if (text[at] === ",") {
      at++;
    } else {
      assert.equal(text.slice(at, at + 2), "\r\n");
      at += 2;
      rows.push(row);
      row = [];
    }
  }
  assert.deepEqual(row, []);
  return rows;
}

test(`export over ${transport}`, async (t) => {
  let s = await start(t, transport, { args: ["--sites", "demo,shop"] });
  const load = new Load(s);
  let whole;

  await t.test("an empty site", async () => {
    assert.deepEqual((await exported(s)).lines, []);
    assert.equal((await api(s, `${EXPORT}?format=csv`)).text.split("\r\n").length, 2);
  });

  await t.test("while events pour in: each once, in order, up to its end", async () => {
    const during = [];
    const counted = async (n) => (await apiJson(s, "/v1/balance")).sites.demo.counted >= n;
    await load.run(EVENTS / PRODUCERS / 4);
    await until(() => counted(EVENTS / 4), "a quarter");
    const loading = load.run(EVENTS / PRODUCERS);
    let ended = false;
    loading.finally(() => (ended = true)).catch(() => {});
    // As many as there is time for, two at a time; all begin under load.
    do during.push(...(await Promise.all([exported(s), exported(s)])));
    while (!ended);
    await loading;
    await until(() => counted(EVENTS), "all");
    whole = await exported(s);
    assert.equal(judged(load, whole).size, EVENTS);
    assert.equal(whole.lines.length, EVENTS);
    for (const { end, lines } of during) {
      assert.ok(lines.length >= EVENTS / 4 && end <= whole.end);
      assert.deepEqual(lines, whole.lines.slice(0, lines.length));
      if (lines.length < EVENTS)
        assert.ok(JSON.parse(whole.lines[lines.length]).position > end, "up to its end");
    }
    const { demo, shop } = (await balanced(s)).sites;
    assert.ok(demo.duplicate > EVENTS / 4 && shop.counted > 0, "duplicates, and another site");
  });

  await t.test("a cursor goes on behind any row, to the same end or to now", async () => {
    const until_ = `&until=${whole.end}`;
    for (const n of [1, BATCH - 1, BATCH, 7777, EVENTS - 1, EVENTS]) {
      const rest = await exported(s, `?cursor=${cursorOf(whole.lines[n - 1])}${until_}`);
      assert.equal(rest.end, whole.end);
      assert.deepEqual(rest.lines, whole.lines.slice(n));
    }
    const pages = [];
    for (let n = 0; n < EVENTS; n = pages.length) {
      const at = n ? `&cursor=${cursorOf(pages[n - 1])}` : "";
      pages.push(...(await exported(s, `?limit=2347${at}${until_}`)).lines);
      assert.equal(pages.length, Math.min(n + 2347, EVENTS));
    }
    assert.deepEqual(pages, whole.lines);
    // An answer that broke off in the middle, in the middle of a row.
    const res = await open(s, EXPORT);
    let text = "";
    for await (const chunk of res) {
      text += chunk.toString("latin1");
      if (text.length > 1000000) break;
    }
    const had = text.slice(0, text.lastIndexOf("\n")).split("\n").length;
    assert.ok(had < EVENTS);
    const rest = await exported(s, `?cursor=${cursorOf(whole.lines[had - 1])}${until_}`);
    assert.deepEqual(rest.lines, whole.lines.slice(had));
  });

  await t.test("CSV has the same rows, and no formula", async () => {
    const answer = await api(s, `${EXPORT}?format=csv&until=${whole.end}`);
    assert.match(answer.headers["content-type"], /^text\/csv/);
    const [titles, ...rows] = parseCsv(answer.text);
    assert.equal(rows.length, EVENTS);
    const back = (cell) => (cell.startsWith("'") ? cell.slice(1) : cell);
    rows.forEach((cells, i) => {
      const row = JSON.parse(whole.lines[i]);
      assert.equal(cells.length, titles.length);
      cells.forEach((cell) => assert.doesNotMatch(cell, /^[=+\-@\t\r\n]/));
      for (const [j, title] of titles.entries()) {
        const want = title === "props" ? JSON.stringify(row.props) : String(row[title] ?? "");
        const got = title === "props" ? JSON.stringify(JSON.parse(cells[j])) : back(cells[j]);
        assert.equal(got, want, `${title} of ${whole.lines[i]}`);
      }
    });
  });

  await t.test("readers that stand still hold nobody up, and get all in the end", async () => {
    const slow = await Promise.all(Array.from({ length: 6 }, () => open(s, EXPORT)));
    for (let i = 0; i < 20; i++) {
      assert.ok((await apiJson(s, "/v1/sites/demo/totals")).events.onClick > 0);
    }
    assert.equal((await exported(s, "?limit=10")).lines.length, 10);
    for (const res of slow) {
      const chunks = [];
      for await (const chunk of res) chunks.push(chunk);
      assert.deepEqual(Buffer.concat(chunks).toString().trimEnd().split("\n"), whole.lines);
    }
  });

  await t.test("clients that go away leave nothing behind", async () => {
    // More than there may be at a time.
    for (let i = 0; i < 12; i++) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => open(s, EXPORT)));
      for (const res of answers) {
        assert.ok(res.statusCode === 200 || res.statusCode === 503);
        res.on("error", () => {});
        res.destroy();
      }
    }
    const most = await until(async () => {
      const { text } = await api(s, "/metrics");
      const open_ = Number(/^chatbeacon_http_connections (\d+)$/m.exec(text)[1]);
      return open_ < 40 && open_; // those that the tests keep alive
    }, "the connections are gone");
    assert.ok(most > 0);
    assert.deepEqual((await exported(s, `?until=${whole.end}`)).lines, whole.lines);
  });

  await t.test("what is wrong is named, and HEAD tells the end", async () => {
    for (const [field, value] of [
      ["format", "xml"],
      ["cursor", "12-"],
      ["cursor", "0-0"],
      ["until", "-1"],
      ["limit", "0"],
      ["from", "soon"],
      ["since", "1"],
    ]) {
      const answer = await api(s, `${EXPORT}?${field}=${value}`);
      assert.equal(answer.status, 400);
      assert.equal(answer.json().error.field, field);
    }
    assert.equal((await api(s, EXPORT, null)).status, 401);
    assert.equal((await api(s, "/v1/sites/nowhere/export")).status, 404);
    const head = await fetch(s.query + EXPORT, {
      method: "HEAD",
      headers: { Authorization: `Bearer ${s.token}` },
    });
    assert.equal(head.status, 200);
    assert.ok(Number(head.headers.get("x-export-end")) >= whole.end);
    assert.equal(await head.text(), "");
  });

  await t.test("a range of time", async () => {
    const rows = whole.lines.map((line) => JSON.parse(line));
    const minute = Math.floor(rows[EVENTS / 2].at / 60000) * 60000;
    const until_ = `until=${whole.end}`;
    const early = await exported(s, `?to=${minute}&${until_}`);
    const late = await exported(s, `?from=${minute}&${until_}`);
    assert.equal(early.lines.length, rows.filter((row) => row.at < minute).length);
    assert.equal(late.lines.length, rows.filter((row) => row.at >= minute).length);
    assert.equal(early.lines.length + late.lines.length, EVENTS);
  });

  await t.test("after a restart it is the same", async () => {
    await s.stop();
    s = await start(t, transport, { args: ["--sites", "demo,shop"], dir: s.dir });
    assert.deepEqual((await exported(s, `?until=${whole.end}`)).lines, whole.lines);
    await s.stop();
  });
});
