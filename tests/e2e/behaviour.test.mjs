// SPDX-License-Identifier: MIT
// What visitors do in a visit: sessions, funnel, timings and triggers, through the front door, against
// a recount of the same events here. CB_TRANSPORT: inproc, ipc or tcp.
import assert from "node:assert/strict";
import test from "node:test";

import { api, apiJson, envelope, hex, post, totalsWith, until } from "../lib/client.mjs";
import { start } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;

/** Random, but the same in each run. */
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

const NAMES = [
  "onWebChatLoaded",
  "onTrigger",
  "onClick",
  "onMaximize",
  "onStartWriting",
  "message",
  "set",
  "onMinimize",
  "page",
];

/**
 * Visits of up to 25 minutes, hours apart: {visitor, bot, events}, each with a time. The way to the server takes what it takes, and
 * the server's clock decides: so times stand 8 s apart, and 4 s or more from what they are compared with.
 */
function randomVisits(random, now) {
  const visits = [];
  for (let person = 0; person < 12; person++) {
    const visitor = hex(16);
    const bot = person === 11;
    for (let nth = 1; nth <= 4; nth++) {
      const begin = now - nth * 20 * 60 * MINUTE - random(8) * QUARTER + 4 * MINUTE;
      const slots = Array.from({ length: 187 }, (_, i) => i);
      const events = [];
      for (let i = 1 + random(14); i > 0; i--) {
        const name = NAMES[random(NAMES.length)];
        const [slot] = slots.splice(random(slots.length), 1);
        const event = { name, at: begin + slot * 8000 };
        if (name === "onTrigger")
          event.props = { id: `t${random(3)}`, name: "Trigger", rule: "delay" };
        if (name === "set") Object.assign(event, { key: ["email", "name"][random(2)], value: "x" });
        events.push(event);
      }
      visits.push({ visitor, bot, events });
    }
  }
  return visits;
}

const first = (visit, name) =>
  Math.min(...visit.events.filter((e) => e.name === name).map((e) => e.at), Infinity);
const last = (visit, test) => Math.max(...visit.events.filter(test).map((e) => e.at), -1);
const contact = (visit) =>
  last(visit, (e) => e.name === "message" || (e.name === "set" && e.key === "email"));

function recountFunnel(visits) {
  const names = ["onWebChatLoaded", "onTrigger", "onClick", "onMaximize", "onStartWriting"];
  const steps = [...names, "contact"].map((name) => ({ name, visits: 0, happened: 0 }));
  for (const visit of visits) {
    let at = 0;
    names.forEach((name, i) => {
      const time = first(visit, name);
      if (time < Infinity) steps[i].happened++;
      at = time >= at ? time : Infinity;
      if (at < Infinity) steps[i].visits++;
    });
    if (contact(visit) >= 0) steps[5].happened++;
    if (at < Infinity && contact(visit) >= at) steps[5].visits++;
  }
  return steps;
}

/** Tries each event as the first step, and each one behind it as the next. */
function recountSteps(visits, steps, strict) {
  const is = (event, step) =>
    step === "contact"
      ? event.name === "message" || (event.name === "set" && event.key === "email")
      : event.name === step;
  const longest = (events, left) => {
    let most = 0;
    events.forEach((event, i) => {
      if (left.length > 0 && (!strict || i === 0) && is(event, left[0])) {
        most = Math.max(most, 1 + longest(events.slice(i + 1), left.slice(1)));
      }
    });
    return most;
  };
  const counts = steps.map((name) => ({ name, visits: 0 }));
  for (const visit of visits) {
    const events = [...visit.events].sort((x, y) => x.at - y.at);
    const most = Math.max(...events.map((_, i) => longest(events.slice(i), steps)));
    for (let i = 0; i < most; i++) counts[i].visits++;
  }
  return counts;
}

function recountTriggers(visits, within) {
  const rows = new Map();
  for (const visit of visits) {
    const shown = first(visit, "onTrigger");
    const id = visit.events.find((e) => e.name === "onTrigger" && e.at === shown)?.props.id ?? "";
    const loaded = first(visit, "onWebChatLoaded");
    const begin = Math.min(...visit.events.map((e) => e.at));
    const from = id ? shown : loaded < Infinity ? loaded : begin;
    const opened = first(visit, "onMaximize");
    const writing = first(visit, "onStartWriting");
    const row = rows.get(id) ?? { n: 0, opened: 0, opened_within: 0, wrote: 0, closed: 0 };
    const did = (time) => time < Infinity && time >= from;
    row.n++;
    if (did(opened)) row.opened++;
    if (did(opened) && opened - from <= within * 1000) row.opened_within++;
    if (did(writing)) row.wrote++;
    else if (last(visit, (e) => e.name === "onMinimize") >= from) row.closed++;
    rows.set(id, row);
  }
  return rows;
}

function recountTiming(visits, from, to) {
  return visits
    .map((visit) => first(visit, to) - first(visit, from))
    .filter((ms) => ms >= 0 && ms < Infinity)
    .sort((a, b) => a - b);
}

function assertHistogram(histogram, values) {
  assert.equal(histogram.count, values.length);
  assert.equal(
    histogram.buckets.reduce((sum, [, n]) => sum + n, 0),
    values.length,
  );
  for (const percent of [50, 90, 99]) {
    const got = histogram[`p${percent}_ms`];
    if (values.length === 0) {
      assert.equal(got, null);
      continue;
    }
    const want = values[Math.ceil((values.length * percent) / 100) - 1];
    assert.ok((Math.abs(got - want) - 4000) * 32 <= want, `p${percent}: ${got}, not ${want}`);
  }
}

/** Sends all events in a shuffled order, in beacons of a few, some of them twice. */
async function send(server, random, visits) {
  const producers = new Map();
  const events = visits.flatMap((visit) =>
    visit.events.map((event) => {
      const producer = producers.get(visit.visitor) ?? { id: hex(8), seq: 0 };
      producers.set(visit.visitor, producer);
      return {
        visit,
        producer: producer.id,
        event: { ...event, seq: ++producer.seq, page: "https://shop.example/" },
      };
    }),
  );
  for (let i = events.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [events[i], events[j]] = [events[j], events[i]];
  }
  for (const { visit, producer, event } of events) {
    const body = JSON.stringify(envelope([event], { visitor: visit.visitor, producer }));
    const agent = visit.bot ? "Googlebot/2.1 (+http://www.google.com/bot.html)" : "Mozilla/5.0";
    for (let times = 1 + (random(6) === 0); times > 0; times--) {
      const answer = await fetch(server.ingest + "/v1/events", {
        method: "POST",
        headers: { "Content-Type": "text/plain", "User-Agent": agent },
        body,
      });
      assert.equal(answer.status, 204, await answer.text());
    }
  }
  return events.length;
}

test("sessions, funnel, timings and triggers equal a recount", async (t) => {
  const server = await start(t, transport);
  const random = randomFrom(7);
  const now = Math.floor(Date.now() / QUARTER) * QUARTER;
  const all = randomVisits(random, now);
  const n = await send(server, random, all);
  await until(async () => {
    const balance = await apiJson(server, "/v1/balance");
    return balance.sites.demo.counted === n;
  }, `${n} events counted`);
  const people = all.filter((visit) => !visit.bot);

  for (const [from, to] of [
    [now - 7 * 24 * 60 * MINUTE, now],
    [now - 45 * 60 * MINUTE, now - 21 * 60 * MINUTE],
    [now - 30 * 60 * MINUTE, now - 25 * 60 * MINUTE - 5 * MINUTE], // widened by 10 minutes… and cut
  ]) {
    const end = Math.ceil(to / QUARTER) * QUARTER;
    const visits = people.filter((visit) => {
      const begin = Math.min(...visit.events.map((e) => e.at));
      return begin >= from && begin < end;
    });
    const range = `from=${from}&to=${to}&tz=Asia/Kathmandu`;
    const report = (name, more = "") => apiJson(server, `/v1/sites/demo/${name}?${range}${more}`);

    const sessions = await report("sessions");
    const durations = visits
      .map((v) => last(v, () => true) - Math.min(...v.events.map((e) => e.at)))
      .sort((a, b) => a - b);
    const acts = (e) => ["onClick", "onMaximize", "onStartWriting", "message"].includes(e.name);
    const count = (visit, name) => visit.events.filter((e) => e.name === name).length;
    assert.equal(sessions.to, end);
    assert.equal(sessions.sessions, visits.length);
    assert.equal(
      sessions.events,
      visits.reduce((sum, v) => sum + v.events.length, 0),
    );
    assert.equal(sessions.interacted, visits.filter((v) => v.events.some(acts)).length);
    assert.equal(
      sessions.bounced,
      visits.filter(
        (v) => !v.events.some(acts) && count(v, "page") < 2 && count(v, "onWebChatLoaded") < 2,
      ).length,
    );
    if (visits.length > 0) {
      const mean = durations.reduce((a, b) => a + b) / visits.length;
      assert.ok(Math.abs(sessions.duration.mean_ms - mean) < 4000);
      assert.equal(sessions.interacted_share, +(sessions.interacted / visits.length).toFixed(4));
    }
    assertHistogram(sessions.duration, durations);

    assert.deepEqual((await report("funnel")).steps, recountFunnel(visits));

    for (const [steps, order] of [
      [["onWebChatLoaded", "onMaximize", "message"], "ordered"],
      [["page", "onClick", "contact"], "ordered"],
      [["page", "page"], "strict"],
      [["onClick", "onMaximize", "onMinimize"], "strict"],
    ]) {
      const raw = await apiJson(
        server,
        `/v1/sites/demo/funnel?from=${from}&to=${end}&steps=${steps}&order=${order}`,
      );
      assert.deepEqual(raw.steps, recountSteps(visits, steps, order === "strict"));
      assert.equal(raw.complete, true);
      assert.equal(raw.progress.at(-1), 100);
      assert.equal(raw.looked_at, n); // the journal is younger than the events in it
    }

    const timings = await report("timings");
    assertHistogram(timings.loaded_click, recountTiming(visits, "onWebChatLoaded", "onClick"));
    assertHistogram(
      timings.loaded_maximize,
      recountTiming(visits, "onWebChatLoaded", "onMaximize"),
    );
    assertHistogram(
      timings.maximize_writing,
      recountTiming(visits, "onMaximize", "onStartWriting"),
    );
    assertHistogram(timings.trigger_maximize, recountTiming(visits, "onTrigger", "onMaximize"));

    for (const within of [60, 300]) {
      const triggers = await report("triggers", `&within=${within}`);
      const want = recountTriggers(visits, within);
      const { n: withoutVisits = 0, ...without } = want.get("") ?? {};
      if (withoutVisits) assert.deepEqual(triggers.without, { visits: withoutVisits, ...without });
      want.delete("");
      assert.equal(triggers.triggers.length, want.size);
      for (const { id, name, shown, ...row } of triggers.triggers) {
        const { n, ...outcomes } = want.get(id);
        assert.equal(name, "Trigger");
        assert.deepEqual({ n: shown, ...row }, { n, ...outcomes });
      }
    }
  }
  const totals = await apiJson(server, `/v1/sites/demo/totals?from=${now - 7 * 24 * 60 * MINUTE}`);
  assert.equal(totals.sessions, people.length);
  await server.stop();
});

test("bad parameters are refused by name", async (t) => {
  const server = await start(t, transport);
  for (const [path, field] of [
    ["triggers?within=61", "within"],
    ["triggers?within=60&within=60", "within"],
    ["sessions?from=2026-02-30", "from"],
    ["funnel?tz=Nowhere/City", "tz"],
    ["funnel?steps=page", "steps"],
    ["funnel?steps=page,", "steps"],
    ["funnel?steps=a,b,c,d,e,f,g,h,i", "steps"],
    ["funnel?steps=page,no%20name", "steps"],
    ["funnel?steps=page,page&order=any", "order"],
    ["funnel?order=strict", "order"],
    ["timings?grain=day", "grain"],
    ["sessions?from=2026-01-02&to=2026-01-01", "from"],
  ]) {
    const answer = await api(server, `/v1/sites/demo/${path}`);
    assert.equal(answer.status, 400, path);
    assert.equal(answer.json().error.field, field, path);
  }
  assert.equal((await api(server, "/v1/sites/demo/sessions", "")).status, 401);
  assert.equal((await api(server, "/v1/sites/nowhere/funnel")).status, 404);
  await server.stop();
});

test("a session that goes on is at any moment what it is by then", async (t) => {
  const server = await start(t, transport);
  const ids = { visitor: hex(16), producer: hex(8) };
  const now = Date.now();
  for (let seq = 1; seq <= 4; seq++) {
    const at = now - 60 * MINUTE + seq * 10 * MINUTE;
    const event = { seq, name: seq < 4 ? "page" : "onClick", at, page: "https://shop.example/" };
    assert.equal((await post(server, envelope([event], ids))).status, 204);
    await totalsWith(server, event.name, seq < 4 ? seq : 1);
    const { sessions, events, bounced, interacted, duration } = await apiJson(
      server,
      "/v1/sites/demo/sessions",
    );
    assert.deepEqual(
      { sessions, events, bounced, interacted, count: duration.count },
      { sessions: 1, events: seq, bounced: +(seq === 1), interacted: +(seq === 4), count: 1 },
    );
    assert.ok(Math.abs(duration.mean_ms - (seq - 1) * 10 * MINUTE) < 1000);
  }
  await server.stop();
});
