// SPDX-License-Identifier: MIT
// The way of the widget's events to the server: each arrives, whatever happens, and under one number.
import assert from "node:assert/strict";
import test from "node:test";
import {
  countFlights,
  flights,
  landed,
  loaded,
  openPage,
  stopTimers,
  useBrowser,
} from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();
const HOUR_MS = 3_600_000;

/** A promise of set's outcome, in the page. */
const SET = `window.setField = (key, value) =>
  new Promise((done) => onWebChat.set(key, value, done));`;

const FLIGHTS = countFlights("/v1/events");

/**
 * How many events the page says that it dropped.
 * @param {Awaited<ReturnType<typeof startFake>>} fake
 */
function dropped(fake) {
  const reports = fake.taken().filter(({ name }) => name === "dropped");
  const sum = (/** @type {string} */ what) => reports.reduce((n, { props }) => n + props[what], 0);
  return { limited: sum("limited"), lost: sum("lost") };
}

/** The keys that the widget has in storage, sorted. */
const storedKeys = (/** @type {import("playwright-core").Page} */ page) =>
  page.evaluate(() => Object.keys(localStorage).sort());

test("envelopes are as the contract says, and the visitor stays the same across pages", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  await page.goto(fake.origin + "/next");
  await fake.until(() => fake.names().filter((name) => name === "onWebChatLoaded").length === 2);
  for (const { envelope } of fake.beacons) {
    const { site, visitor, producer, sent, events, ...rest } = envelope;
    assert.deepEqual(rest, {});
    assert.equal(site, "demo");
    assert.match(visitor, /^[0-9a-f]{32}$/);
    assert.match(producer, /^[0-9a-f]{16}$/);
    for (const { seq, at, page: address } of events) {
      assert.ok(Number.isInteger(seq) && seq >= 1);
      assert.ok(at <= sent && sent <= Date.now() + 1000);
      assert.ok(address.startsWith(fake.origin));
    }
  }
  const of = (/** @type {string} */ key) =>
    new Set(fake.beacons.map(({ envelope }) => envelope[key]));
  assert.equal(of("visitor").size, 1);
  assert.equal(of("producer").size, 2);
  assert.deepEqual(
    fake.boots,
    [...of("visitor")].flatMap((visitor) => Array(2).fill({ site: "demo", visitor })),
  );
});

test("a click leaves within half a second; what nobody watches is gathered", async (t) => {
  const fake = await startFake(t, { head: FLIGHTS });
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.clock.runFor(900);
  assert.equal(await flights(page), 0);
  await page.clock.runFor(200);
  await landed(page);
  assert.equal(fake.beacons[0].envelope.events.length, 2, "page and onWebChatLoaded together");
  await page.locator(".launcher").click();
  await page.clock.runFor(1000);
  const { envelope } = await fake.until(() => fake.beacons[1]);
  const click = envelope.events.find((/** @type {any} */ { name }) => name === "onClick");
  assert.ok(envelope.sent - click.at < 500, `${envelope.sent - click.at} ms`);
});

test("503 with Retry-After: sent again after that time, under the same numbers", async (t) => {
  const fake = await startFake(t);
  fake.answer = () =>
    fake.beacons.length === 0
      ? { status: 503, headers: { "Retry-After": "2" }, body: '{"error":{"code":"busy"}}' }
      : { status: 204 };
  await openPage(await newContext(t), fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  const [first, second] = fake.beacons;
  assert.ok(second.at - first.at >= 1950, `${second.at - first.at} ms`);
  assert.deepEqual(
    second.envelope.events.slice(0, first.envelope.events.length),
    first.envelope.events,
  );
  assert.equal(second.envelope.producer, first.envelope.producer);
  assert.ok(second.envelope.sent > first.envelope.sent);
});

test("a 4xx is final, but 429 is not; 413 makes batches smaller", async (t) => {
  const fake = await startFake(t, { head: SET });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  fake.answer = () => ({ status: 400, body: '{"error":{"code":"bad_event","message":"no"}}' });
  const refused = await page.evaluate(() => window.setField("name", "x"));
  assert.deepEqual(refused, { ok: false, code: "bad_event", message: "no" });
  let tries = 0;
  fake.answer = () => (++tries === 1 ? { status: 429, body: "{}" } : { status: 204 });
  assert.deepEqual(await page.evaluate(() => window.setField("name", "y")), { ok: true });
  assert.equal(tries, 2);
  fake.answer = ({ events }) =>
    events.length > 2 ? { status: 413, body: '{"error":{"code":"too_large"}}' } : { status: 204 };
  const outcomes = await page.evaluate(() =>
    Promise.all(Array.from({ length: 9 }, (_, i) => window.setField("notes", `${i}`.repeat(3000)))),
  );
  assert.deepEqual(outcomes, Array(9).fill({ ok: true }));
});

test("a 200 without a verdict is no answer: a log-in page of the network, a body cut off", async (t) => {
  const fake = await startFake(t, { head: SET });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  const bodies = ["<!doctype html><title>Log in</title>", '{"accepted":1,"rej'];
  let tries = 0;
  fake.answer = () => {
    const body = bodies[tries++];
    return body ? { status: 200, body } : { status: 202, body: '{"queued":1}' };
  };
  assert.deepEqual(await page.evaluate(() => window.setField("name", "x")), { ok: true });
  assert.equal(tries, 3, "it is stored where the server says so");
});

test("a blocker: three tries and no more; when the network is back, everything arrives", async (t) => {
  const fake = await startFake(t, { head: FLIGHTS });
  const page = await (await newContext(t)).newPage();
  let blocked = 0;
  await page.route("**/v1/events", (route) => {
    blocked++;
    return route.abort();
  });
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  // Each round: the try before has failed, and time goes on until the next could be due.
  for (let tries = 1; tries <= 3; tries++) {
    await page.clock.runFor(20_000);
    await landed(page, tries);
  }
  for (let i = 0; i < 5; i++) await page.clock.runFor(20_000);
  assert.deepEqual([await flights(page), blocked], [3, 3]);
  await page.unroute("**/v1/events");
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.clock.runFor(2000);
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  assert.equal(fake.taken()[0].seq, 1);
});

test("a page that is closed right after a click: the click arrives", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t);
  await openPage(context, fake.origin + "/stays"); // a browser whose last page goes goes itself
  for (let i = 1; i <= 5; i++) {
    const page = await openPage(context, fake.origin + "/");
    await page.evaluate(() => {
      const { shadowRoot } = document.querySelector("[data-chatbeacon]");
      shadowRoot.querySelector(".launcher").click();
    });
    await page.close();
    await fake.until(() => fake.names().filter((name) => name === "onClick").length === i);
  }
});

test("offline, then online: everything arrives, in order, once", async (t) => {
  const fake = await startFake(t, { head: SET + FLIGHTS });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  await landed(page);
  const before = fake.taken().length;
  await context.setOffline(true);
  const failed = page.waitForEvent("requestfailed");
  await page.evaluate(() => {
    window.outcomes = Promise.all(["a", "b", "c"].map((name) => window.setField("name", name)));
  });
  await failed;
  await context.setOffline(false);
  assert.deepEqual(await page.evaluate(() => window.outcomes), Array(3).fill({ ok: true }));
  const names = fake.taken().slice(before);
  assert.deepEqual(
    names.map(({ value }) => value),
    ["a", "b", "c"],
  );
  assert.ok(Object.values(fake.sends()).every((times) => times === 1));
});

test("the server goes down and comes back: what the page did meanwhile arrives", async (t) => {
  const fake = await startFake(t, { head: SET + FLIGHTS });
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.clock.runFor(2000);
  await landed(page);
  await fake.down();
  await page.evaluate(() => {
    window.outcome = window.setField("name", "Ada");
  });
  // The first of these tries, and some more in vain.
  for (let tries = 2; tries <= 4; tries++) {
    await page.clock.runFor(10_000);
    await landed(page, tries);
  }
  await fake.up();
  await page.locator(".launcher").click();
  await page.clock.runFor(20_000);
  const names = () => fake.taken().map(({ name, value }) => value ?? name);
  await fake.until(() => names().includes("onClick"));
  assert.deepEqual(names().slice(2), ["Ada", "onClick", "onMaximize"]);
  assert.deepEqual(await page.evaluate(() => window.outcome), { ok: true });
});

for (const [what, broken] of [
  ["rejects", "return Promise.reject(new TypeError('blocked'));"],
  ["throws", "throw new TypeError('blocked');"],
  ["answers with nonsense", "return Promise.resolve({ ok: true });"],
  ["never ends", "return new Promise(function () {});"],
]) {
  test(`a fetch of the page's that ${what}: what waits leaves by sendBeacon as the page ends`, async (t) => {
    const head = `var real = fetch; fetch = function (url) {
      if (/events/.test(url)) { window.tried = true; ${broken} }
      return real.apply(this, arguments);
    };`;
    const fake = await startFake(t, { head });
    const page = await openPage(await newContext(t), fake.origin + "/");
    await page.waitForFunction(() => window.tried);
    await page.locator(".launcher").click();
    await page.goto(fake.origin + "/bare");
    if (what === "never ends") {
      // An answer may still come, so it is left to the next page.
      const next = await page.context().newPage();
      await next.route("**/head.js", (route) => route.fulfill({ body: "" }));
      await next.goto(fake.origin + "/next");
    }
    await fake.until(() => fake.names().includes("onWebChatLoaded"));
    await fake.until(() => fake.names().includes("onClick"));
  });
}

test("a fetch of the page's that never ends once: given up after half a minute, and sent again", async (t) => {
  const head = `var real = fetch; fetch = function (url) {
    if (/events/.test(url) && !window.hung) { window.hung = true; return new Promise(function () {}); }
    return real.apply(this, arguments);
  };`;
  const fake = await startFake(t, { head });
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.clock.runFor(2000);
  assert.equal(await page.evaluate(() => window.hung), true);
  await page.clock.runFor(29_000);
  assert.equal(fake.beacons.length, 0);
  await page.clock.runFor(5_000);
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  assert.equal(fake.taken()[0].seq, 1);
});

test("two tabs at once take over what an earlier page left: each event leaves once", async (t) => {
  const fake = await startFake(t, { head: FLIGHTS });
  fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await landed(page);
  const { producer } = fake.beacons[0].envelope;
  await page.evaluate(() => {
    for (const name of ["a", "b", "c"]) window.onWebChat.set("name", name);
  });
  await page.goto(fake.origin + "/bare");
  fake.answer = () => ({ status: 204 });
  const tabs = await Promise.all([page, await context.newPage()]);
  await Promise.all(tabs.map((tab) => tab.goto(fake.origin + "/next")));
  await Promise.all(tabs.map(loaded));
  await fake.until(() => fake.taken().filter((event) => event.producer === producer).length === 5);
  await fake.until(() => fake.names().filter((name) => name === "onWebChatLoaded").length === 3);
  for (const tab of tabs) await tab.goto(fake.origin + "/bare");
  const times = Object.entries(fake.sends()).filter(([key]) => key.startsWith(producer));
  assert.deepEqual(
    times.map(([, n]) => n),
    Array(5).fill(1),
  );
});

test("what a page could not send arrives from the next page, under the same numbers", async (t) => {
  const fake = await startFake(t, { head: FLIGHTS });
  fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await landed(page);
  await page.locator(".launcher").click();
  await page.evaluate(() => window.onWebChat.set("name", "Ada"));
  const { producer, visitor } = fake.beacons[0].envelope;
  await page.goto(fake.origin + "/bare"); // the page ends; the new one has no widget
  assert.deepEqual(await storedKeys(page), [
    `cb:demo:left:${producer}`,
    "cb:demo:visit",
    "cb:demo:visitor",
  ]);
  const left = await page.evaluate((key) => localStorage[key], `cb:demo:left:${producer}`);
  const kept = JSON.parse(left).events.map((/** @type {any} */ [, , json]) => JSON.parse(json));
  assert.deepEqual(
    kept.map(({ name, seq }) => `${seq} ${name}`),
    ["1 page", "2 onWebChatLoaded", "3 onClick", "4 onMaximize", "5 set"],
  );
  assert.equal(fake.beacons.length, 1, "Retry-After is obeyed at page end as well");

  fake.answer = () => ({ status: 204 });
  await page.goto(fake.origin + "/next");
  await loaded(page);
  assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "Ada", "newer than boot's");
  await fake.until(() => fake.taken().filter((event) => event.producer === producer).length === 5);
  const taken = fake.taken().filter((event) => event.producer === producer);
  assert.deepEqual(
    taken.map(({ producer: _p, visitor: _v, ...event }) => event),
    kept,
  );
  assert.ok(taken.every((event) => event.visitor === visitor));
  await page.waitForFunction(
    () => Object.keys(localStorage).sort().join() === "cb:demo:visit,cb:demo:visitor",
  );
});

test("what an earlier page set and the server then refused is not the field's value", async (t) => {
  const fake = await startFake(t, { boot: { visitor: { name: "Old" } } });
  fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("name", "Ada"));
  await page.goto(fake.origin + "/bare");
  fake.answer = () => ({ status: 400, body: '{"error":{"code":"bad_event","message":"no"}}' });
  await page.goto(fake.origin + "/next");
  await loaded(page);
  await page.waitForFunction(() => window.onWebChat.get("name") === "Old");
});

test("the end of a page flushes what waits", async (t) => {
  const fake = await startFake(t);
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.evaluate(() => window.onWebChat.set("name", "Ada"));
  await page.goto(fake.origin + "/bare");
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
});

test("a page that is only hidden flushes what waits as well", async (t) => {
  const fake = await startFake(t);
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.evaluate(() => {
    window.onWebChat.set("name", "Ada");
    Object.defineProperty(document, "hidden", { value: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
});

test("at most 200 events are kept for the next page; the oldest go, counted, and are gaps", async (t) => {
  const fake = await startFake(t, { head: FLIGHTS });
  fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
  const context = await newContext(t);
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.clock.runFor(2000);
  await landed(page);
  const { producer } = fake.beacons[0].envelope;
  for (let second = 0; second < 30; second++) {
    await page.evaluate(() => {
      for (let i = 0; i < 8; i++) window.onWebChat.set("event", "filler");
    });
    await page.clock.runFor(1000);
  }
  await page.goto(fake.origin + "/bare");
  const kept = await page.evaluate((key) => localStorage[key], `cb:demo:left:${producer}`);
  const { dropped: lost, events } = JSON.parse(kept);
  assert.deepEqual([events.length, lost], [200, 42]); // page, onWebChatLoaded, 240 more
  fake.answer = () => ({ status: 204 });
  await page.goto(fake.origin + "/next");
  await loaded(page);
  await page.evaluate(() => window.onWebChat.set("event", "more"));
  await fake.until(() => fake.names().includes("more"));
  assert.deepEqual(dropped(fake), { limited: 0, lost: 42 });
  const seqs = fake.taken().flatMap((event) => (event.producer === producer ? event.seq : []));
  assert.deepEqual([Math.min(...seqs), Math.max(...seqs), seqs.length], [43, 242, 200]);
});

test("a page that comes back leaves to the other page what that one took over", async (t) => {
  const fake = await startFake(t, { head: SET + FLIGHTS });
  fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
  const context = await newContext(t);
  await context.clock.install();
  const first = await openPage(context, fake.origin + "/first");
  await landed(first);
  const { producer } = fake.beacons[0].envelope;
  const outcome = first.evaluate(() => {
    const handed = window.setField("name", "Ada");
    dispatchEvent(new PageTransitionEvent("pagehide"));
    return handed;
  });
  await first.waitForFunction(() => Object.keys(localStorage).some((key) => /left/.test(key)));
  fake.answer = () => ({ status: 204 });
  const second = await openPage(context, fake.origin + "/second");
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
  await landed(second);
  await first.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow")));
  assert.equal((await outcome).code, "handed_over");
  const later = first.evaluate(() => window.setField("email", "a@x.org"));
  await context.clock.fastForward(601_000);
  assert.deepEqual(await later, { ok: true });
  const seqs = fake.beacons
    .filter(({ status, envelope }) => status === 204 && envelope.producer === producer)
    .flatMap(({ envelope }) => envelope.events.map((/** @type {any} */ { seq }) => seq));
  assert.deepEqual(seqs, [1, 2, 3, 4], "each was sent once");
});

test("past the budget of keepalive the page end uses sendBeacon, and halves what it refuses", async (t) => {
  const head = `${SET}
  navigator.sendBeacon = function (url, body) {
    var log = JSON.parse(localStorage.log || "[]");
    log.push(JSON.parse(body).events.map(function (event) { return event.seq; }));
    localStorage.log = JSON.stringify(log);
    return false;
  };`;
  const fake = await startFake(t, { head });
  fake.answer = () => null; // the network is slow: nothing is answered
  const context = await newContext(t);
  const page = await context.newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.evaluate(() => {
    for (let i = 0; i < 40; i++) void window.setField("notes", `${i % 10}`.repeat(3000));
  });
  await page.goto(fake.origin + "/bare");
  /** @type {number[][]} */
  const log = JSON.parse(await page.evaluate(() => localStorage.log));
  assert.ok(log[0].length > 1);
  const [whole, half] = log;
  assert.deepEqual(half, whole.slice(0, whole.length >> 1), "a refused batch is halved");
  const single = log.filter((seqs) => seqs.length === 1).map(([seq]) => seq);
  assert.deepEqual(new Set(single), new Set(log.flat()), "down to single events");

  fake.answer = () => ({ status: 204 });
  await page.clock.resume();
  await openPage(context, fake.origin + "/next");
  await fake.until(() => fake.taken().filter(({ key }) => key === "notes").length === 40);
});

test("no more than 10 events a second, 100 at once; what is dropped is reported", async (t) => {
  const fake = await startFake(t, { head: SET });
  const page = await (await newContext(t)).newPage();
  await stopTimers(page); // so that it is at once
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.evaluate(() => {
    const all = Array.from({ length: 150 }, (_, i) => window.setField("name", `n${i}`));
    window.outcomes = Promise.all(all);
  });
  await page.clock.resume();
  const outcomes = await page.evaluate(() => window.outcomes);
  const codes = outcomes.map((/** @type {any} */ { code }) => code ?? "ok");
  // Two of the 100 were the page and onWebChatLoaded.
  assert.deepEqual(codes, [...Array(98).fill("ok"), ...Array(52).fill("rate_limited")]);
  await page.clock.runFor(5000);
  await page.evaluate(() => window.onWebChat.set("phone", "1"));
  await page.clock.runFor(2000);
  await fake.until(() => fake.taken().some(({ key }) => key === "phone"));
  assert.deepEqual(dropped(fake), { limited: 52, lost: 0 });
});

test("a page that polls get() leaves half of the limit to the rest", async (t) => {
  const fake = await startFake(t, { head: SET });
  const page = await openPage(await newContext(t), fake.origin + "/");
  const outcomes = await page.evaluate(() => {
    for (let i = 0; i < 300; i++) window.onWebChat.get("name");
    return Promise.all(Array.from({ length: 40 }, (_, i) => window.setField("name", `n${i}`)));
  });
  assert.deepEqual(outcomes, Array(40).fill({ ok: true }));
  const gets = fake.names().filter((name) => name === "get").length;
  assert.ok(gets > 0);
  assert.deepEqual(dropped(fake), { limited: 300 - gets, lost: 0 });
});

test("after a day without an event there is a new producer", async (t) => {
  const fake = await startFake(t);
  const page = await (await newContext(t)).newPage();
  await page.clock.install();
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.clock.runFor(2000);
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  await page.clock.fastForward(25 * HOUR_MS);
  await page.locator(".launcher").click();
  await page.clock.runFor(2000);
  const click = await fake.until(() => fake.taken().find(({ name }) => name === "onClick"));
  assert.equal(click.seq, 1);
  assert.notEqual(click.producer, fake.taken()[0].producer);
});

for (const [what, head] of [
  [
    "Global Privacy Control",
    'Object.defineProperty(navigator, "globalPrivacyControl", { value: true });',
  ],
  ["Do Not Track", 'Object.defineProperty(navigator, "doNotTrack", { value: "1" });'],
  [
    "blocked storage",
    'for (const kind of ["localStorage", "sessionStorage"]) Object.defineProperty(window, kind, { get() { throw new DOMException("no", "SecurityError"); } });',
  ],
]) {
  test(`${what}: it works, and nothing is left in the browser`, async (t) => {
    const fake = await startFake(t, { head: SET + head });
    const context = await newContext(t);
    const page = await openPage(context, fake.origin + "/");
    await page.locator(".launcher").click();
    assert.deepEqual(await page.evaluate(() => window.setField("name", "Ada")), { ok: true });
    await page.goto(fake.origin + "/bare");
    assert.deepEqual(
      await page.evaluate(() => [localStorage.length, sessionStorage.length]),
      [0, 0],
    );
    await openPage(context, fake.origin + "/");
    assert.notEqual(fake.boots[0].visitor, fake.boots[1].visitor);
    assert.deepEqual(await context.cookies(), []);
  });
}

test("the server is away at first: the widget is there, and learns the rest later", async (t) => {
  const fake = await startFake(t);
  const online = fake.answerBoot;
  fake.answerBoot = () =>
    /** @type {any} */ ({ status: 503, headers: { "Retry-After": "1" }, body: '{"error":{}}' });
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  assert.equal(await page.evaluate(() => window.onWebChat.get("status")), "offline");
  fake.answerBoot = online;
  await page.clock.resume();
  await page.waitForFunction(() => window.onWebChat.get("status") === "online");
  assert.equal(await page.locator("[data-chatbeacon]").count(), 1);
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
});

test("an erased visitor's browser takes a new id, in every tab, and keeps it", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t);
  const tab = await openPage(context, fake.origin + "/");
  const [{ visitor: old }] = fake.boots;
  const answerBoot = fake.answerBoot;
  const erased = JSON.stringify({ error: { code: "erased", message: "take a new id" } });
  fake.answerBoot = (question) =>
    question.visitor === old
      ? { status: 200, body: '{"site":"demo","status":"online","erased":true}' }
      : answerBoot(question);
  fake.answer = (envelope) =>
    envelope.visitor === old ? { status: 410, body: erased } : { status: 204 };
  const page = await openPage(context, fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("name", "Ada"));
  const { visitor } = await fake.until(() => fake.taken().find(({ name }) => name === "set"));
  assert.match(visitor, /^[0-9a-f]{32}$/);
  assert.notEqual(visitor, old);
  // The other tab learns it by a refusal, and goes on as the same new visitor.
  const outcome = await tab.evaluate(
    () => new Promise((done) => window.onWebChat.set("name", "Eve", done)),
  );
  assert.ok(outcome.ok || outcome.code === "erased"); // ok: an event before it was refused already
  await tab.evaluate(() => window.onWebChat.set("email", "ada@x.example"));
  const later = await fake.until(() => fake.taken().find(({ key }) => key === "email"));
  assert.equal(later.visitor, visitor);
  await openPage(context, fake.origin + "/");
  assert.equal(fake.boots.at(-1).visitor, visitor);
  assert.ok(fake.taken().every((event) => event.visitor !== old || event.name !== "set"));
});
