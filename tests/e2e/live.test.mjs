// SPDX-License-Identifier: MIT
// GET /v1/sites/{site}/live over the transport in CB_TRANSPORT: each event once and soon, counts, what each role sees, resuming,
// gaps and where they are exported, clients that do not read, and how streams end.
import assert from "node:assert/strict";
import test from "node:test";
import {
  api,
  apiJson,
  envelope,
  event,
  hex,
  noise,
  post,
  request,
  until,
  write,
} from "../lib/client.mjs";
import { watch } from "../lib/live.mjs";
import { start } from "../lib/server.mjs";
import { open } from "../lib/wire.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const args = (...list) => (transport === "inproc" ? { args: list } : { queryArgs: list });

const idOf = ({ position, index }) => `${position}-${index}`;

async function send(server, body) {
  await until(async () => {
    const { status, text } = await post(server, body);
    assert.ok(status === 204 || status === 503, text);
    return status === 204;
  }, "a 204");
  return Date.now();
}

async function exported(server, { query = "", token = server.token, site = "demo" } = {}) {
  const answer = await api(server, `/v1/sites/${site}/export${query}`, token);
  assert.equal(answer.status, 200, answer.text);
  return answer.text
    .split("\n")
    .filter((line) => line)
    .map((line) => JSON.parse(line));
}

async function makeToken(server, role, site = "demo") {
  const answer = await write(server, "POST /v1/tokens", { role, site, name: role });
  assert.equal(answer.status, 201, answer.text);
  return answer.json();
}

const metric = async (server, name) =>
  Number(
    new RegExp(`^chatbeacon_${name} (\\d+)$`, "m").exec((await api(server, "/metrics")).text)[1],
  );

test("an event is on every stream of its site within a second of its 204, and in the counts", async (t) => {
  const server = await start(t, transport, { args: ["--sites", "demo,shop"] });
  const before = event(1, "onWebChatLoaded");
  await send(server, envelope([before]));
  await until(async () => (await exported(server)).length === 1, "folded");
  const streams = await Promise.all([1, 2, 3].map(() => watch(server)));
  const shop = await watch(server, "shop");
  for (const stream of [...streams, shop]) await until(() => stream.counts(), "first counts");
  assert.equal(streams[0].counts().day.events, 1);

  const visitor = hex(16);
  for (let seq = 1; seq <= 10; seq++) {
    const done = await send(server, envelope([event(seq)], { visitor }));
    for (const stream of streams) {
      await until(() => stream.rows().length === seq, `event ${seq}`);
      // By the service's clock, which the counts before it show: when they are read is the machine's.
      const row = stream.events.findLastIndex((e) => e.event === "event");
      const { data } = stream.events.slice(0, row).findLast((e) => e.event === "counts");
      assert.ok(data.t - done <= 1000, `event ${seq} came after ${data.t - done} ms`);
    }
  }
  await send(server, envelope([event(1)], { visitor, site: "shop" }));
  await until(() => shop.rows().length === 1, "the other site's own");

  const want = (await exported(server)).slice(1);
  for (const stream of streams) {
    await until(() => stream.counts().day.events === 11, "the day's counts");
    assert.deepEqual(stream.rows(), want);
    const { online, day, minute, current } = stream.counts();
    assert.equal(online, 2);
    assert.deepEqual([day.visitors, day.sessions, day.tz], [2, 2, "UTC"]);
    assert.equal(current.t - minute.t, 60000);
    const series = `/v1/sites/demo/timeseries?grain=minute&from=${minute.t}&to=${current.t + 60000}`;
    const sums = (points) => points.reduce((sum, { events }) => sum + events, 0);
    assert.equal(sums([minute, current]), sums((await apiJson(server, series)).points));
    stream.events
      .filter(({ event: name }) => name === "event")
      .forEach(({ id, data }) => assert.equal(id, idOf(data)));
  }
  assert.equal(shop.rows().length, 1);
  // Counts come once a second, whatever happens.
  const ticks = () => streams[0].events.filter((e) => e.event === "counts").map((e) => e.data.t);
  const first = ticks().length;
  await until(() => ticks().length >= first + 4, "four more counts");
  const [one, two, three, four] = ticks().slice(first);
  assert.ok(four - one > 1900, `three seconds in ${four - one} ms`); // one may be late, by a second at most
  const least = Math.min(two - one, three - two, four - three);
  assert.ok(least < 1500, `a second of ${least} ms`);
  assert.equal(await metric(server, "live_streams"), 4);
  [...streams, shop].forEach((stream) => stream.close());
  await until(async () => (await metric(server, "live_streams")) === 0, "the streams are gone");
});

test("the day is the site's, and a day that changes zone follows", async (t) => {
  const server = await start(t, transport);
  const stream = await watch(server);
  await until(() => stream.counts()?.day.tz === "UTC", "UTC");
  const answer = await write(server, "PUT /v1/sites/demo/settings", { zone: "Asia/Kolkata" });
  assert.equal(answer.status, 200, answer.text);
  await send(server, envelope([event(1)]));
  await until(() => stream.counts().day.tz === "Asia/Kolkata", "the site's zone");
  assert.equal((stream.counts().day.t + 5.5 * 3600000) % 86400000, 0);
});

test("each role sees what its export shows", async (t) => {
  const server = await start(t, transport);
  const streams = [];
  for (const role of ["viewer", "operator", "admin"]) {
    const { token } = await makeToken(server, role);
    streams.push({ token, stream: await watch(server, "demo", { token }) });
  }
  await send(
    server,
    envelope([
      event(1, "set", { key: "name", value: "=Ann" }),
      event(2, "message", { props: { text: "secret" } }),
      event(3, "onTrigger", { props: { id: "t", n: 1 } }),
    ]),
  );
  for (const { token, stream } of streams) {
    await until(() => stream.rows().length === 3, "its events");
    assert.deepEqual(stream.rows(), await exported(server, { token }));
  }
  const [viewer, operator, admin] = streams.map(({ stream }) => JSON.stringify(stream.rows()));
  assert.ok(!viewer.includes("Ann") && !viewer.includes("secret"));
  assert.ok(operator.includes("=Ann") && operator.includes("secret") && !/producer/.test(operator));
  assert.ok(admin.includes("producer"));
});

test("streams that break off and resume get each event once, in order, while more pour in", async (t) => {
  // Several threads, each with a reader of its own: what was seen on one goes on behind another.
  const server = await start(t, transport, args("--query-threads", "4"));
  const EACH = 60;
  const senders = Array.from({ length: 4 }, () => ({ visitor: hex(16), producer: hex(8) }));
  const readers = Array.from({ length: 5 }, (_, i) => ({
    every: 3 + 4 * i,
    rows: [],
    done: false,
  }));
  let last = Infinity;
  const reading = readers.map(async (reader) => {
    let id = "0";
    while (!reader.done) {
      const stream = await watch(server, "demo", { last: id });
      const enough = () => {
        reader.done = reader.rows.length + stream.rows().length >= last;
        return reader.done || stream.rows().length >= reader.every;
      };
      await until(enough, "some events");
      stream.close();
      await stream.ended;
      // What came is cut off anywhere: also behind an event whose counts it has.
      const got = stream.events.filter(({ event: name }) => name === "event");
      assert.deepEqual(stream.gaps(), []);
      reader.rows.push(...got.map(({ data }) => data));
      id = stream.last;
    }
  });
  for (let seq = 1; seq <= EACH; seq++)
    await Promise.all(senders.map((who) => send(server, envelope([event(seq)], who))));
  last = 4 * EACH;
  await Promise.all(reading);
  const want = (await exported(server)).map(idOf);
  for (const { rows } of readers) assert.deepEqual(rows.map(idOf), want);
});

test("many that resume at once, each from a place of its own, get each what they lack", async (t) => {
  const server = await start(t, transport);
  for (let i = 0; i < 30; i++)
    await send(server, envelope([event(1), event(2, "onMaximize"), event(3, "onMinimize")]));
  await until(async () => (await exported(server)).length === 90, "folded");
  const ids = (await exported(server)).map(idOf);
  const first = await watch(server); // the reader runs
  await until(() => first.counts(), "it runs");
  const places = ids.map((last, i) => ({ last, want: ids.slice(i + 1) }));
  const streams = await Promise.all(places.map(({ last }) => watch(server, "demo", { last })));
  for (const [i, stream] of streams.entries()) {
    await until(() => stream.counts(), "it has caught up");
    assert.deepEqual(stream.rows().map(idOf), places[i].want);
  }
});

test("more than a stream carries becomes gaps, and their exports are what is missing", async (t) => {
  const server = await start(t, transport);
  const [stream, late] = [await watch(server), await watch(server)];
  await until(() => stream.counts(), "it has begun");
  late.close();
  const page = `https://shop.example/${"x".repeat(1800)}`;
  const pour = () =>
    send(server, envelope(Array.from({ length: 30 }, (_, n) => event(n + 1, "onClick", { page }))));
  let total = 0;
  // 1.2 MB do not fit into a second; where a slow disk makes it many seconds, once more.
  await until(
    async () => {
      await Promise.all(Array.from({ length: 20 }, pour));
      total += 20 * 30;
      await until(() => stream.counts().day.events === total, "all are counted");
      return stream.gaps().length > 0;
    },
    "a gap",
    60000,
  );
  assert.ok(stream.rows().length < total);
  const rows = stream.rows();
  for (const gap of stream.gaps()) {
    assert.equal(gap.reason, "busy");
    const missing = await exported(server, { query: gap.export.replace(/^[^?]*/, "") });
    rows.push(...missing.filter((row) => !rows.some((known) => idOf(known) === idOf(row))));
  }
  const key = ({ position, index }) => position * 1e5 + index;
  rows.sort((a, b) => key(a) - key(b));
  assert.deepEqual(rows.map(idOf), (await exported(server)).map(idOf));

  // One that resumes from the beginning is given its share, and told where the rest is.
  const resumed = await watch(server, "demo", { last: "0" });
  await until(() => resumed.counts(), "it has caught up");
  const [gap] = resumed.gaps();
  assert.equal(gap.reason, "behind");
  const rest = await exported(server, { query: gap.export.replace(/^[^?]*/, "") });
  assert.deepEqual(
    [...resumed.rows(), ...rest].map(idOf),
    (await exported(server)).map(idOf),
    "what was given, then what the gap names",
  );
});

test("what was never there or is not kept is said", async (t) => {
  const server = await start(t, transport, { args: ["--raw-bytes", "4M", "--map", "64M"] });
  const unknown = await watch(server, "demo", { last: "999999-3" });
  await until(() => unknown.gaps().length > 0, "a gap");
  const [gap] = unknown.gaps();
  assert.deepEqual([gap.reason, gap.after, gap.export], ["unknown", "999999-3", null]);
  await send(server, envelope([event(1)]));
  await until(() => unknown.rows().length === 1, "it goes on");

  const [first] = await exported(server);
  await until(
    async () => {
      for (let i = 0; i < 20; i++) {
        const props = () => ({ a: noise(1000), b: noise(900) });
        const events = Array.from({ length: 25 }, (_, n) =>
          event(n + 1, "onClick", { props: props() }),
        );
        await send(server, envelope(events));
      }
      return (await exported(server, { query: "?limit=1" }))[0].position > first.position;
    },
    "the first event is trimmed",
    60000,
  );
  const resumed = await watch(server, "demo", { last: idOf(first) });
  await until(() => resumed.counts(), "it goes on");
  const [trimmed, ...more] = resumed.gaps();
  assert.deepEqual([trimmed.reason, trimmed.after], ["trimmed", idOf(first)]);
  assert.equal(trimmed.export, null);
  assert.ok(more.every(({ reason }) => reason === "behind" || reason === "busy"));
  resumed.rows().forEach(({ position }) => assert.ok(position > Number(trimmed.up_to)));
});

test("a client that does not read is dropped, and holds nothing up", async (t) => {
  const server = await start(t, transport);
  const slow = await open(server.query, { reads: false });
  slow.socket.pause();
  slow.socket.write(
    `GET /v1/sites/demo/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n\r\n`,
  );
  const stream = await watch(server);
  await until(async () => (await metric(server, "live_streams")) === 2, "both are there");
  const page = `https://shop.example/${"z".repeat(1900)}`;
  let seq = 0;
  await until(
    async () => {
      const events = Array.from({ length: 25 }, () => event(++seq, "onClick", { page }));
      await send(server, envelope(events, { producer: "00000000000000aa" }));
      return (await metric(server, "live_dropped_total")) === 1;
    },
    "the slow one is dropped",
    120000,
  );
  await until(async () => (await metric(server, "live_streams")) === 1, "its place is free");
  const n = stream.events.length;
  await until(() => stream.events.length > n, "the other one goes on");
  // It reads at last: why it ended is the last thing.
  let text = "";
  slow.socket.on("data", (data) => (text = (text + data).slice(-300)));
  slow.socket.resume();
  await until(() => text.endsWith("\r\n0\r\n\r\n"), "its end");
  assert.match(text, /event: dropped\ndata: \{"reason":"slow"\}\n\n\r\n0\r\n\r\n$/);
  slow.socket.destroy();
});

test("as many streams as there may be, then 503; one that goes makes room", async (t) => {
  const server = await start(t, transport, args("--live-streams", "3"));
  const streams = await Promise.all([1, 2, 3].map(() => watch(server)));
  const refused = await watch(server).catch((error) => error);
  assert.equal(refused.status, 503);
  assert.equal(refused.res.headers["retry-after"], "1");
  assert.equal(JSON.parse(refused.text).error.code, "busy");
  streams[1].close();
  const next = await until(() => watch(server).catch(() => null), "a place");
  await until(() => next.counts(), "it works");
});

test("a stream ends with its token, others go on", async (t) => {
  const server = await start(t, transport);
  const { token, id } = await makeToken(server, "viewer");
  const [mine, other] = [await watch(server, "demo", { token }), await watch(server)];
  await until(() => mine.counts() && other.counts(), "both run");
  const gone = await write(server, `DELETE /v1/tokens/${id}`);
  assert.equal(gone.status, 204, gone.text);
  const revoked_ms = Date.now();
  await until(() => mine.events.at(-1).event === "end", "its end");
  const after = mine.events.filter((e) => e.event === "counts" && e.data.t > revoked_ms);
  assert.ok(after.length <= 1, `${after.length} seconds later`);
  assert.equal(await mine.ended, true);
  assert.deepEqual(mine.events.at(-1).data, { reason: "revoked" });
  const n = other.events.length;
  await until(() => other.events.length > n, "the other goes on");
});

test("SIGTERM ends the streams with a word, and the process", async (t) => {
  const server = await start(t, transport);
  const streams = await Promise.all(Array.from({ length: 20 }, () => watch(server)));
  for (const stream of streams) await until(() => stream.counts(), "it runs");
  const from = Date.now();
  await server.stop();
  assert.ok(Date.now() - from < 20000);
  for (const stream of streams) {
    assert.equal(await stream.ended, true);
    assert.deepEqual(stream.events.at(-1).data, { reason: "shutdown" });
  }
});

test("bad requests are told what is wrong", async (t) => {
  const server = await start(t, transport, { args: ["--sites", "demo,shop"] });
  const ids = ["x", "-1", "1-", "1-x", "0-0", "1-4294967295", "18446744073709551616", "1 2"];
  for (const last of [...ids, "9".repeat(40)]) {
    const refused = await watch(server, "demo", { last }).catch((error) => error);
    assert.equal(refused.status, 400, last);
    assert.equal(JSON.parse(refused.text).error.field, "Last-Event-ID");
  }
  const twice = await open(server.query, { reads: false });
  const auth = `Authorization: Bearer ${server.token}\r\n`;
  const ask = `GET /v1/sites/demo/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${auth}`;
  twice.socket.write(`${ask}Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n\r\n`);
  let text = "";
  twice.socket.on("data", (data) => (text += data));
  await until(() => text.includes("}}"), "an answer");
  assert.match(text, /^HTTP\/1.1 400 [\s\S]*"field":"Last-Event-ID"/);

  const path = "/v1/sites/demo/live";
  const { token } = await makeToken(server, "viewer", "shop");
  assert.equal((await api(server, path, token)).status, 403);
  assert.equal((await api(server, path, "none")).status, 401);
  assert.equal((await api(server, "/v1/sites/nobody/live")).status, 404);
  assert.equal((await api(server, `${path}?from=1`)).status, 400);
  assert.equal((await write(server, `POST ${path}`)).status, 405);
  const headers = { Authorization: `Bearer ${server.token}` };
  const head = await request(server.query + path, { method: "HEAD", headers });
  assert.equal(head.status, 200);
  assert.match(head.headers["content-type"], /^text\/event-stream/);
  assert.equal(await metric(server, "live_streams"), 0);
});
