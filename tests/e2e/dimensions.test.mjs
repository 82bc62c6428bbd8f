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
