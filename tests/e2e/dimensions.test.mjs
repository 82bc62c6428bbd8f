// SPDX-License-Identifier: MIT
// Pages, referrers, languages, devices, browsers, triggers, countries: breakdowns through the front door, against a recount of
// the same events here. CB_TRANSPORT: inproc, ipc or tcp.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { api, apiJson, envelope, hex, request, until, write } from "../lib/client.mjs";
import { mmdb } from "../lib/mmdb.mjs";
import { start, temporaryFolder } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const ZONE = "Asia/Kathmandu"; // 5:45 ahead
const DIMS = ["page", "referrer", "language", "device", "browser", "trigger", "country"];

/** Random, but the same in each run. */
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

const AGENTS = [
  ["Mozilla/5.0 (Windows NT 10.0) Chrome/120.0 Safari/537.36", "desktop", "chrome"],
  ["Mozilla/5.0 (Windows NT 10.0) Chrome/120.0 Safari/537.36 Edg/120.0", "desktop", "edge"],
  ["Mozilla/5.0 (iPhone) Version/17.0 Mobile/15E148 Safari/604.1", "mobile", "safari"],
  ["Mozilla/5.0 (iPad) Version/17.0 Safari/604.1", "tablet", "safari"],
  ["Mozilla/5.0 (compatible; Googlebot/2.1)", "bot", ""],
  ["something else", "unknown", "unknown"],
];
const LANGUAGES = [
  ["de-CH,de;q=0.9", "de"],
  ["en", "en"],
  ["*", ""],
  ["el;q=0.5,fil;q=0.7", "fil"],
];
const CLIENTS = [
  ["10.1.2.3", "GR"],
  ["10.2.3.4", "DE"],
  ["10.9.9.9", ""],
  ["2001:db8::7", "JP"],
];
const REFERRERS = [
  ["https://WWW.Google.com/search?q=secret", "www.google.com"],
  ["t.example:8080", "t.example"],
  ["https://shop.example/cart", "shop.example"], // no referrer on a page of its own
  ["", ""],
];
const NAMES = ["onWebChatLoaded", "page", "onTrigger", "onClick", "cart"];
const TRIGGERS = [
  [{ id: "t0", name: "Zero" }, "t0"],
  [{ name: "by name" }, "by name"],
  [{ rule: "delay" }, ""],
];

const localDay = (ms) => Math.floor((ms + 345 * MINUTE) / DAY);

/** One event with all that a recount needs of it. Days begin 10 minutes away from any. */
function randomEvent(random, visitors, now) {
  const pick = (list) => list[random(list.length)];
  const [agent, device, browser] = pick(AGENTS);
  const [accept, language] = pick(LANGUAGES);
  const [client, country] = pick(CLIENTS);
  const [ref, referrer] = pick(REFERRERS);
  const [props, trigger] = pick(TRIGGERS);
  const name = pick(NAMES);
  let at = now - random(6 * 24 * 60 * 60) * 1000;
  const past = (at + 345 * MINUTE) % DAY;
  if (past < 10 * MINUTE) at -= 20 * MINUTE;
  if (past > DAY - 10 * MINUTE) at -= 20 * MINUTE;
  const page = random(9) ? `https://shop.example/p${random(1 + random(30))}` : "";
  const bot = device === "bot";
  return {
    visitor: visitors[random(visitors.length)],
    headers: { "User-Agent": agent, "Accept-Language": accept, "X-Forwarded-For": client },
    name,
    at,
    page,
    props: { ...(ref && { referrer: ref }), ...(name === "onTrigger" && props) },
    day: localDay(at),
    values: {
      device,
      ...(!bot && {
        page,
        referrer: page && referrer === "shop.example" ? "" : referrer,
        language,
        browser,
        country,
        trigger: name === "onTrigger" ? trigger : "",
      }),
    },
  };
}

/** Sends them shuffled, each alone, some twice. */
async function send(server, random, events) {
  const producer = hex(8);
  for (const [i, e] of events.entries()) {
    const { name, at, page, props } = e;
    const event = { seq: i + 1, name, at, props, ...(page && { page }) };
    for (let times = 1 + (random(6) === 0); times > 0; times--) {
      const body = JSON.stringify(envelope([event], { visitor: e.visitor, producer }));
      const { status, text } = await request(server.ingest + "/v1/events", {
        method: "POST",
        headers: { "Content-Type": "text/plain", ...e.headers },
        body,
      });
      assert.equal(status, 204, text);
    }
  }
}

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

function recount(events, dim, limit) {
  const values = new Map();
  for (const e of events) {
    const value = e.values[dim];
    if (!value) continue;
    const row = values.get(value) ?? { value, events: 0, visitors: new Set() };
    values.set(value, row);
    row.events++;
    if (e.visitor) row.visitors.add(e.visitor);
  }
  const rows = [...values.values()].sort(
    (a, b) => b.events - a.events || byBytes(a.value, b.value),
  );
  const left = rows.slice(limit);
  return {
    rows: rows.slice(0, limit).map((row) => ({ ...row, visitors: row.visitors.size })),
    other: { events: left.reduce((sum, row) => sum + row.events, 0), values: left.length },
  };
}

const range = (first, end) => `from=${first * DAY - 345 * MINUTE}&to=${end * DAY - 345 * MINUTE}`;

async function startWithCountries(t) {
  const file = join(temporaryFolder(t), "countries.mmdb");
  writeFileSync(
    file,
    mmdb({ "10.1.0.0/16": "GR", "10.2.0.0/16": "DE", "2001:db8::/32": "JP" }, "Test-City"),
  );
  return start(t, transport, { args: ["--geo", file, "--proxies", "127.0.0.0/8"] });
}

test("breakdowns equal a recount", async (t) => {
  const server = await startWithCountries(t);
  assert.equal((await write(server, "PUT /v1/sites/demo/settings", { zone: ZONE })).status, 200);
  const random = randomFrom(5);
  const now = Date.now() - 10 * MINUTE;
  const visitors = [null, ...Array.from({ length: 25 }, () => hex(16))];
  const events = Array.from({ length: 700 }, () => randomEvent(random, visitors, now));
  for (const e of events)
    if (!e.visitor && e.values.device === "unknown") e.values.device = "server";
  await send(server, random, events);
  await until(async () => {
    const balance = await apiJson(server, "/v1/balance");
    return balance.sites.demo.counted === events.length;
  }, `${events.length} events counted`);

  const today = localDay(now);
  for (const [first, end] of [
    [today - 6, today + 1],
    [today - 2, today - 1],
    [today - 5, today - 2],
    [today + 1, today + 2],
  ]) {
    const inRange = events.filter((e) => e.day >= first && e.day < end);
    for (const by of DIMS)
      for (const event of [undefined, ...NAMES, "never"])
        for (const limit of [undefined, 1, 3, 1000]) {
          const path = `/v1/sites/demo/breakdown?by=${by}&${range(first, end)}`;
          const got = await apiJson(
            server,
            path + (event ? `&event=${event}` : "") + (limit ? `&limit=${limit}` : ""),
          );
          const some = event ? inRange.filter((e) => e.name === event) : inRange;
          assert.deepEqual(
            got,
            {
              site: "demo",
              by,
              ...(event && { event }),
              from: first * DAY - 345 * MINUTE,
              to: end * DAY - 345 * MINUTE,
              tz: ZONE,
              widened: false,
              ...recount(some, by, limit ?? 10),
            },
            `${by} ${event} ${first - today} ${end - today} ${limit}`,
          );
        }
  }

  // Times are read in the site's zone, or in the one that is given; days are the site's.
  const date = new Date(today * DAY).toISOString().slice(0, 10);
  const path = `/v1/sites/demo/breakdown?by=page&from=${date}`;
  const own = await apiJson(server, path);
  assert.equal(own.from, today * DAY - 345 * MINUTE);
  assert.equal(own.to, (today + 1) * DAY - 345 * MINUTE);
  assert.equal(own.widened, true);
  const utc = await apiJson(server, `${path}&to=${date}T01:00&tz=UTC`);
  assert.deepEqual({ ...utc, widened: true }, own);
});

/** Up to 3 filters that some event has, with `;` and `\\` written as they must be. */
function randomFilters(random, events) {
  const e = events[random(events.length)];
  const all = Object.entries(e.values).filter(([, value]) => value);
  const n = 1 + random(Math.min(3, all.length));
  const some = Array.from({ length: n }, () => all.splice(random(all.length), 1)[0]);
  const text = some.map(([dim, value]) => `${dim}:${value.replace(/[;\\]/g, "\\$&")}`).join(";");
  return { n, text, matches: (o) => some.every(([dim, value]) => o.values[dim] === value) };
}

const visitorsOf = (events) => new Set(events.map((e) => e.visitor).filter(Boolean)).size;

test("filtered totals and series equal a recount, folded or raw", async (t) => {
  const server = await startWithCountries(t);
  assert.equal((await write(server, "PUT /v1/sites/demo/settings", { zone: ZONE })).status, 200);
  const random = randomFrom(9);
  const now = Date.now() - 10 * MINUTE;
  const visitors = [null, ...Array.from({ length: 9 }, () => hex(16))];
  const events = Array.from({ length: 400 }, () => randomEvent(random, visitors, now));
  for (const e of events) {
    if (!e.visitor && e.values.device === "unknown") e.values.device = "server";
    if (e.page && random(4) === 0) {
      e.page = "https://shop.example/a;b:c\\d";
      if (e.values.page) e.values.page = e.page;
      if (e.values.referrer === "shop.example") e.values.referrer = "";
    }
  }
  await send(server, random, events);
  await until(async () => {
    const balance = await apiJson(server, "/v1/balance");
    return balance.sites.demo.counted === events.length;
  }, `${events.length} events counted`);

  const today = localDay(now);
  const sources = { folded: 0, raw: 0 };
  for (let i = 0; i < 60; i++) {
    const { n, text, matches } = randomFilters(random, events);
    const first = today - random(7);
    const end = first + 1 + random(6);
    const cut = i % 3 === 0 ? 37 * MINUTE : 0; // not a whole day: raw
    const from = first * DAY - 345 * MINUTE + cut;
    const to = end * DAY - 345 * MINUTE;
    const some = events.filter((e) => e.day >= first && e.day < end && matches(e));
    // An event near the cut may fall on either side of it, by what the way took.
    if (some.some((e) => Math.abs(e.at - from) < MINUTE)) continue;
    const inRange = some.filter((e) => e.at >= from);
    const source = n === 1 && (!cut || inRange.length === some.length) ? "folded" : "raw";
    const query = `from=${from}&to=${to}&tz=${ZONE}&filter=${encodeURIComponent(text)}`;
    const names = Object.fromEntries(
      NAMES.map((name) => [name, inRange.filter((e) => e.name === name).length]).filter(
        ([, count]) => count,
      ),
    );
    const totals = await apiJson(server, `/v1/sites/demo/totals?${query}`);
    assert.deepEqual(totals.events, names, text);
    assert.equal(totals.visitors, visitorsOf(inRange), text);
    assert.equal(totals.filter, text);
    if (!cut || n > 1) assert.equal(totals.source, source);
    if (totals.source === "raw") {
      assert.equal(totals.complete, true);
      assert.equal(totals.progress.at(-1), 100);
    }
    sources[totals.source]++;

    for (const event of [undefined, "page"]) {
      const series = await apiJson(
        server,
        `/v1/sites/demo/timeseries?${query}&grain=day${event ? `&event=${event}` : ""}`,
      );
      assert.equal(series.source, totals.source);
      assert.deepEqual(
        series.points,
        Array.from({ length: end - first }, (_, nth) => {
          const of = inRange.filter((e) => e.day === first + nth && (!event || e.name === event));
          const t0 = (first + nth) * DAY - 345 * MINUTE;
          return { t: t0, events: of.length, visitors: visitorsOf(of) };
        }),
        `${text} ${event}`,
      );
    }
    const hours = await apiJson(server, `/v1/sites/demo/timeseries?${query}&grain=hour`);
    assert.equal(hours.source, "raw");
    assert.equal(
      hours.points.reduce((sum, point) => sum + point.events, 0),
      inRange.length,
    );
  }
  assert.ok(sources.folded > 5 && sources.raw > 5, JSON.stringify(sources));

  // As a table, both ways.
  const text = encodeURIComponent("device:mobile;browser:safari");
  for (const filter of ["device:mobile", text]) {
    const path = `/v1/sites/demo/timeseries?filter=${filter}&tz=${ZONE}&to=${(today + 1) * DAY - 345 * MINUTE}`;
    const { points } = await apiJson(server, path);
    const table = (await api(server, `${path}&format=csv`)).text;
    assert.equal(
      table,
      ["t,events,visitors", ...points.map((p) => `${p.t},${p.events},${p.visitors}`), ""].join(
        "\r\n",
      ),
    );
  }
  const pairs = (await api(server, `/v1/sites/demo/totals?filter=${text}&format=csv`)).text;
  assert.match(pairs, /^name,value\r\n[^]*source,raw\r\n/);
});

test("what is wrong with a filter is named", async (t) => {
  const server = await start(t, transport);
  for (const filter of [
    "",
    "page",
    "page:",
    ":x",
    "colour:red",
    "device:phone",
    "browser:netscape",
    "country:gr",
    "language:english",
    "referrer:https://x/",
    "page:/a;",
    "page:/a;page:/b",
    "page:/a\\x",
    "page:/a\\",
    "device:mobile;browser:safari;language:de;country:GR;page:/a",
  ])
    for (const report of ["totals", "timeseries"]) {
      const answer = await api(
        server,
        `/v1/sites/demo/${report}?filter=${encodeURIComponent(filter)}`,
      );
      assert.equal(answer.status, 400, filter);
      assert.equal(answer.json().error.field, "filter", filter);
    }
  const wide = await api(
    server,
    "/v1/sites/demo/timeseries?filter=page:/a&grain=minute&from=2024-01-01&to=2024-01-10",
  );
  assert.equal(wide.json().error.field, "grain");
});

test("what is wrong with a breakdown is named", async (t) => {
  const server = await start(t, transport);
  for (const [query, field] of [
    ["", "by"],
    ["by=colour", "by"],
    ["by=page&by=device", "by"],
    ["by=page&limit=1001", "limit"],
    ["by=page&event=1", "event"],
    ["by=page&tz=Nowhere", "tz"],
    ["by=page&from=2024-05-02&to=2024-05-01", "from"],
    ["by=page&grain=day", "grain"],
  ]) {
    const answer = await api(server, `/v1/sites/demo/breakdown?${query}`);
    assert.equal(answer.status, 400, query);
    const { error } = answer.json();
    assert.equal(error.code, "bad_request", query);
    assert.equal(error.field, field, query);
  }
  assert.equal((await api(server, "/v1/sites/none/breakdown?by=page")).status, 404);
  assert.equal((await api(server, "/v1/sites/demo/breakdown?by=page", null)).status, 401);
});
