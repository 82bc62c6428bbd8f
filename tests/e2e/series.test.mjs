// SPDX-License-Identifier: MIT
// Events and visitors over time, through the front door, against a recount of the same events here: late ones, repeated ones and
// ties, over days on which clocks change, in zones of whole, half and quarter hours. The wall clock is a shim's: events are of the
// ten weeks before April 20th 2026; the journal, which does not follow it, is at the end of them all along.
import assert from "node:assert/strict";
import test from "node:test";

import { api, apiJson, envelope, hex, post, until, write } from "../lib/client.mjs";
import { run, startServe, temporaryFolder } from "../lib/server.mjs";
import { Faults } from "../resources/rig.mjs";

const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 3, 20, 12);
const KEPT = Date.UTC(2026, 3, 20) - 35 * DAY; // visitors by quarter hour
const MINUTES_KEPT = Date.UTC(2026, 3, 18);
const SITE_ZONE = "Europe/Athens";
const NAMES = ["page", "onClick", "message"];

/** Random, but the same in each run. */
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

const formats = new Map();
const shown = new Map();
/** What clocks show in a zone: {date: "2026-03-29", hour: "04", weekday: "Sun"}. */
function local(ms, zone) {
  const key = `${Math.floor(ms / MINUTE)} ${zone}`;
  if (!shown.has(key)) shown.set(key, read(ms, zone));
  return shown.get(key);
}

function read(ms, zone) {
  if (!formats.has(zone))
    formats.set(
      zone,
      new Intl.DateTimeFormat("en-CA", {
        timeZone: zone,
        hourCycle: "h23",
        year: "numeric",
        month: "2-digit",
        day: "2-digit",
        hour: "2-digit",
        weekday: "short",
      }),
    );
  const parts = Object.fromEntries(
    formats
      .get(zone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, value]),
  );
  return { ...parts, date: `${parts.year}-${parts.month}-${parts.day}` };
}

/** Whether a bucket of the grain begins there: the clocks' hour, date, week or month is another one just before. */
function begins(ms, grain, zone) {
  const [now, before] = [local(ms, zone), local(ms - 1, zone)];
  if (grain === "minute") return ms % MINUTE === 0;
  if (grain === "hour") return now.hour !== before.hour || now.date !== before.date;
  const day = now.date !== before.date;
  if (grain === "week") return day && now.weekday === "Mon";
  return grain === "month" ? day && now.month !== before.month : day;
}

/** Every quarter hour of [from, to) that a bucket begins at; the first may begin before. */
function starts(from, to, grain, zone) {
  const step = grain === "minute" ? MINUTE : QUARTER;
  const aligned = Math.floor(from / step) * step;
  let first = aligned;
  while (!begins(first, grain, zone)) first -= step;
  const found = [first];
  for (let at = aligned + step; at < to; at += step) if (begins(at, grain, zone)) found.push(at);
  return found;
}

/** Sessions of one visitor at a time; events stand 30 s into a minute, since the way to the server takes time. */
function* randomEvents(random) {
  const visitors = Array.from({ length: 40 }, () => hex(16));
  for (let day = -70; day <= 0; day++) {
    const clock = day === 0 ? NOW : NOW + day * DAY + random(24) * HOUR - 12 * HOUR;
    const sent = [];
    for (let i = 4 + random(12); i > 0; i--) {
      const age = random(4) === 0 ? random(7 * 1440 - 60) : random(day === 0 ? 700 : 1440);
      const at = Math.floor(clock / MINUTE - age) * MINUTE - 30_000;
      const visitor = random(8) === 0 ? undefined : visitors[random(visitors.length)];
      sent.push({ visitor, name: NAMES[random(NAMES.length)], at });
      if (random(5) === 0) sent.push({ visitor, name: NAMES[random(NAMES.length)], at }); // a tie
    }
    yield { clock, sent };
  }
}

async function fill(server, faults, random) {
  const events = [];
  for (const { clock, sent } of randomEvents(random)) {
    faults.set("clock", clock - Date.now());
    for (const { visitor, name, at } of sent) {
      const beacon = envelope([{ seq: 1, name, at, page: "https://shop.example/" }], { visitor });
      beacon.sent = clock;
      for (let times = 1 + (random(6) === 0); times > 0; times--) {
        const answer = await post(server, beacon);
        assert.equal(answer.status, 204, answer.text);
      }
      events.push({ visitor, name, at });
    }
  }
  await until(async () => {
    const { sites } = await apiJson(server, "/v1/balance");
    return sites.demo.counted === events.length;
  }, `${events.length} events counted`);
  return events;
}

const middles = new Map();
/** The middle of the site's day that a time lies in. */
function middleOf(ms) {
  const { date } = local(ms, SITE_ZONE);
  if (!middles.has(date)) {
    const [from] = starts(ms, ms + 1, "day", SITE_ZONE);
    middles.set(date, (from + starts(from, from + 26 * HOUR, "day", SITE_ZONE)[1]) / 2);
  }
  return middles.get(date);
}

function recount(events, from, to, name) {
  const found = events.filter((e) => e.at >= from && e.at < to && (!name || e.name === name));
  return {
    events: found.length,
    visitors: new Set(found.map(({ visitor }) => visitor).filter(Boolean)).size,
  };
}

/** Whether each day of the site that an edge cuts is one without visitors, or has its quarters. */
function exact(events, from, to) {
  const begin = (ms) => starts(ms, ms + 1, "day", SITE_ZONE)[0];
  const date = (ms) => local(ms, SITE_ZONE).date;
  const cuts = (edge) =>
    begin(edge) < edge && events.some((e) => e.visitor && date(e.at) === date(edge));
  return !(cuts(from) && from < KEPT) && !(cuts(to) && Math.max(from, begin(to)) < KEPT);
}

test("totals and timeseries equal a recount", async (t) => {
  const dir = temporaryFolder(t);
  const faults = new Faults(t, dir);
  faults.set("clock", NOW - Date.now());
  const server = await startServe(t, { dir, env: faults.env });
  const settings = await write(server, "PUT /v1/sites/demo/settings", { zone: SITE_ZONE });
  assert.equal(settings.status, 200, settings.text);
  const random = randomFrom(11);
  const events = await fill(server, faults, random);
  const ask = (what, query) =>
    apiJson(server, `/v1/sites/demo/${what}?${new URLSearchParams(query)}`);

  await t.test("totals of any range", async () => {
    const seen = { exact: 0, other: 0 };
    for (let i = 0; i < 120; i++) {
      const zone = [SITE_ZONE, SITE_ZONE, "UTC", "Asia/Kathmandu"][random(4)];
      let from = NOW - 78 * DAY + random(78 * 96) * QUARTER;
      let to = from + QUARTER + random(30 * 96) * QUARTER;
      if (random(3) > 0) [from, to] = [from, to].map((ms) => starts(ms, ms + 1, "day", zone)[0]);
      if (from >= to) continue;
      const totals = await ask("totals", { from, to, tz: zone });
      const right = recount(events, from, to);
      assert.equal(totals.from, from);
      assert.equal(totals.to, to);
      const all = Object.values(totals.events).reduce((a, b) => a + b, 0);
      assert.equal(all, right.events, `${from} ${to}`);
      for (const name of NAMES)
        assert.equal(totals.events[name] ?? 0, recount(events, from, to, name).events);
      if (right.events === 0 || exact(events, from, to)) {
        assert.equal(totals.visitors, right.visitors, `${from} ${to}`);
        assert.equal(totals.visitors_exact, undefined);
        seen.exact++;
      } else {
        assert.equal(totals.visitors_exact, false);
        seen.other++;
      }
    }
    assert.ok(seen.exact > 30 && seen.other > 10, JSON.stringify(seen));
  });

  await t.test("edges that no quarter hour has are widened", async () => {
    const at = NOW - 20 * DAY;
    const totals = await ask("totals", { from: at + 7 * MINUTE, to: at + DAY + 8 * MINUTE });
    assert.deepEqual([totals.from, totals.to], [at, at + DAY + QUARTER]);
    const recent = { from: NOW - 5 * HOUR + 7 * MINUTE, to: NOW - 13 * MINUTE };
    const fresh = await ask("totals", recent);
    assert.deepEqual([fresh.from, fresh.to], [recent.from, recent.to]);
    assert.equal(fresh.visitors, recount(events, recent.from, recent.to).visitors);
  });

  const recent = { from: KEPT + DAY, to: NOW };
  const whole = { from: starts(NOW - 72 * DAY, NOW, "day", SITE_ZONE)[0], to: NOW };
  for (const [grain, zone, span] of [
    ["hour", SITE_ZONE, recent], // 2026-03-29 has 23 hours
    ["hour", "Australia/Lord_Howe", recent], // clocks go back by half an hour on 2026-04-05
    ["hour", "Asia/Kathmandu", { from: NOW - 3 * DAY, to: NOW }],
    ["day", SITE_ZONE, whole],
    ["day", "Australia/Lord_Howe", recent],
    ["day", "America/New_York", { from: KEPT + 2 * DAY + 5 * HOUR, to: NOW - 30 * MINUTE }],
    ["day", "UTC", whole],
    ["week", SITE_ZONE, whole],
    ["month", SITE_ZONE, whole],
    ["minute", "UTC", { from: MINUTES_KEPT, to: NOW }],
    ["minute", "Asia/Kathmandu", { from: NOW - 181 * MINUTE, to: NOW - 2 * MINUTE }],
  ])
    await t.test(`${grain}s in ${zone}`, async () => {
      for (const name of [undefined, "onClick"]) {
        const query = { ...span, grain, tz: zone, ...(name && { event: name }) };
        const { points } = await ask("timeseries", query);
        const first = starts(span.from, span.to, grain, zone);
        assert.deepEqual(
          points.map((point) => point.t),
          first,
        );
        for (const [i, point] of points.entries()) {
          const [from, to] = [Math.max(first[i], span.from), first[i + 1] ?? span.to];
          const right = recount(events, from, to, name);
          assert.equal(point.events, right.events);
          if (point.visitors_exact === undefined) assert.equal(point.visitors, right.visitors);
          else assert.ok(to <= KEPT + DAY && zone !== SITE_ZONE, new Date(from).toISOString());
        }
        const inexact = points.filter((point) => point.visitors_exact === false).length;
        assert.equal(inexact > 0, zone === "UTC" && grain === "day");
      }
    });

  await t.test("hours of long ago have no visitors", async () => {
    const { points } = await ask("timeseries", {
      from: NOW - 60 * DAY,
      to: NOW - 50 * DAY,
      grain: "hour",
    });
    for (const { t: from, events: n, visitors } of points) {
      assert.equal(n, recount(events, from, from + HOUR).events);
      assert.equal(visitors, n === 0 ? 0 : null);
    }
  });

  await t.test("minutes of long ago are refused", async () => {
    const answer = await api(
      server,
      `/v1/sites/demo/timeseries?grain=minute&from=${MINUTES_KEPT - MINUTE}&to=${NOW}`,
    );
    assert.equal(answer.status, 400);
    assert.equal(answer.json().error.field, "grain");
  });

  for (const [by, zone, days] of [
    ["day", undefined, 60],
    ["week", SITE_ZONE, 70],
    ["month", SITE_ZONE, 70],
    ["day", "Asia/Tokyo", 20],
  ])
    await t.test(`who comes back by ${by} in ${zone}`, async () => {
      const tz = zone ?? SITE_ZONE;
      const query = { by, from: NOW - days * DAY, to: NOW, ...(zone && { tz: zone }) };
      const answer = await ask("retention", query);
      const firsts = starts(query.from, NOW, by, tz);
      const end = starts(NOW, NOW + 32 * DAY, by, tz)[1];
      assert.deepEqual([answer.tz, answer.from, answer.to], [tz, firsts[0], end]);
      assert.equal(answer.exact, tz === SITE_ZONE ? undefined : false);
      assert.deepEqual(
        answer.cohorts.map((cohort) => cohort.t),
        firsts,
      );
      const met = new Map(); // the period that each visitor was counted in first
      const there = firsts.map(() => new Set());
      for (const { visitor, at } of events.filter((e) => e.visitor)) {
        const middle = middleOf(at);
        const period = middle >= end ? -1 : firsts.findLastIndex((first) => first <= middle);
        if (!met.has(visitor)) met.set(visitor, period);
        if (period >= 0) there[period].add(visitor);
      }
      for (const [i, { size, returned }] of answer.cohorts.entries()) {
        const cohort = [...met].filter(([, period]) => period === i).map(([visitor]) => visitor);
        assert.equal(size, cohort.length);
        const back = there.slice(i).map((seen) => cohort.filter((one) => seen.has(one)).length);
        assert.deepEqual(returned, back);
      }
    });

  await t.test("retention as a table, and what it refuses", async () => {
    const path = "/v1/sites/demo/retention";
    const table = await api(server, `${path}?format=csv&from=${NOW - 3 * DAY}&to=${NOW}`);
    assert.match(table.text, /^t,size,returned\.0,returned\.1,/);
    for (const [query, field] of [
      ["by=hour", "by"],
      ["by=day&by=week", "by"],
      [`from=${NOW - 93 * DAY}&to=${NOW}`, "from"],
      [`from=${NOW}&to=${NOW - DAY}`, "from"],
      ["tz=Mars/Olympus", "tz"],
      ["event=page", "event"],
    ]) {
      const answer = await api(server, `${path}?${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal(answer.json().error.field, field);
    }
  });

  await t.test("compare", async () => {
    const span = { from: "2026-03-27", to: "2026-04-03", tz: SITE_ZONE }; // with the day of 23 hours
    const spans = {
      previous: { from: "2026-03-20", to: "2026-03-27" },
      year: { from: "2025-03-27", to: "2025-04-03" },
      "2026-03-01..2026-03-05T12:30": { from: "2026-03-01", to: "2026-03-05T12:30" },
    };
    for (const report of [
      ["totals", {}],
      ["timeseries", {}],
      ["timeseries", { grain: "hour", event: "onClick" }],
      ["sessions", {}],
      ["funnel", {}],
      ["timings", {}],
      ["triggers", { within: "30" }],
      ["breakdown", { by: "page" }],
    ])
      for (const [value, other] of Object.entries(spans)) {
        const [name, more] = report;
        const both = await ask(name, { ...span, ...more, compare: value });
        const { compare, ...own } = both;
        assert.deepEqual(own, await ask(name, { ...span, ...more }));
        assert.deepEqual(compare, await ask(name, { ...span, ...more, ...other }), value);
      }
    const { compare } = await ask("totals", {
      from: NOW - 3 * HOUR,
      to: NOW,
      tz: SITE_ZONE,
      compare: "previous",
    });
    assert.deepEqual([compare.from, compare.to], [NOW - 27 * HOUR, NOW - DAY]);
    assert.equal(compare.visitors, recount(events, compare.from, compare.to).visitors);
    const path = `/v1/sites/demo/timeseries?${new URLSearchParams(span)}&compare=previous`;
    const table = (await api(server, `${path}&format=csv`)).text.split("\r\n");
    assert.match(table[0], /^span,/);
    assert.equal(table.length, 1 + 7 + 7 + 1);
    for (const [query, field] of [
      ["totals?compare=yesterday", "compare"],
      ["totals?compare=2026-03-05..2026-03-01", "compare"],
      ["totals?compare=previous&compare=year", "compare"],
      ["totals?from=1970-01-01&to=1970-01-02&compare=previous", "compare"],
      ["funnel?steps=page,onClick&compare=previous", "compare"],
      [`timeseries?grain=minute&from=${NOW - HOUR}&to=${NOW}&compare=year`, "grain"],
      ["retention?compare=previous", "compare"],
      ["export?compare=previous", "compare"],
    ]) {
      const answer = await api(server, `/v1/sites/demo/${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal(answer.json().error.field, field, query);
    }
  });

  await t.test("the views follow from the journal", async () => {
    await server.stop();
    const built = await run(["rebuild", "--data", dir]);
    assert.match(built.stdout, /identical: /);
  });
});
