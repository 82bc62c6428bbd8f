// SPDX-License-Identifier: MIT
// When the chat opens by itself: each kind of rule, its clock, once a visit, and why it did not.
import assert from "node:assert/strict";
import test from "node:test";
import { loaded, openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";
import { fits, matches } from "../../ingest/widget/glob.js";

const newContext = useBrowser();

/** @typedef {import("playwright-core").Page} Page */

/** A rule that fires at once, but for what is given. */
const rule = (/** @type {object} */ more = {}) => ({
  id: "t1",
  name: "Hello",
  message: "May we help?",
  delay_s: 0,
  ...more,
});

/** The page's clock stands still from its start; what it is given is in seconds. */
async function stopClock(/** @type {Page} */ page) {
  await page.clock.install({ time: new Date("2026-01-01T10:00:00Z") });
  await page.clock.pauseAt(new Date("2026-01-01T10:05:00Z"));
}

/** Why the rules have not fired. */
const why = (/** @type {Page} */ page) =>
  page.evaluate(() =>
    Object.fromEntries(
      window.onWebChat.get("triggers").map(({ id, fired, why: all }) => [id, fired || all.join()]),
    ),
  );

/** The page remembers what fired. */
const HEARD = `window.heard = [];
onWebChat.set("onTrigger", function (trigger) { heard.push(trigger); });`;

const heard = (/** @type {Page} */ page) => page.evaluate(() => window.heard);

test("an address fits a pattern: exact, with *, of any host, with or without query", () => {
  globalThis.location = /** @type {any} */ ({
    origin: "https://shop.example",
    pathname: "/cart/7",
    search: "?step=2",
  });
  for (const pattern of [
    "https://shop.example/cart/7",
    "/cart/7",
    "/cart/*",
    "/*/7",
    "*",
    "https://*/cart/*",
    "/cart/7?step=2",
    "/cart/*?*=2",
    "**/7",
  ]) {
    assert.ok(fits(pattern), pattern);
  }
  for (const pattern of ["/cart", "/cart/", "/cart/7?step=3", "/cart/7?", "cart/7", "", "/*/8"]) {
    assert.ok(!fits(pattern), pattern);
  }
  assert.ok(!matches("aa", "aa*a"), "the end is not what the beginning took");
  // Linear: as a regular expression this would take years.
  assert.ok(!matches("a".repeat(2000), "*a".repeat(500) + "b"));
});

test("of the site: the clock goes on across pages; it fires once a visit, with what it is", async (t) => {
  const fake = await startFake(t, { queued: HEARD, boot: { triggers: [rule({ delay_s: 60 })] } });
  const page = await (await newContext(t)).newPage();
  await stopClock(page);
  await page.goto(fake.origin + "/one");
  await loaded(page);
  await page.clock.runFor(40_000);
  assert.deepEqual(await why(page), { t1: "delay" });
  assert.deepEqual(await heard(page), []);
  await page.goto(fake.origin + "/two");
  await loaded(page);
  await page.clock.runFor(15_000);
  assert.deepEqual(await heard(page), []);
  await page.clock.runFor(6_000);
  assert.deepEqual(await heard(page), [
    { id: "t1", name: "Hello", rule: "delay", url: fake.origin + "/two", elapsed: 60 },
  ]);
  await page.getByText("May we help?").waitFor();
  assert.deepEqual(await why(page), { t1: true });
  await page.clock.runFor(2_000);
  const event = await fake.until(() => fake.taken().find(({ name }) => name === "onTrigger"));
  assert.deepEqual(event.props, { id: "t1", name: "Hello", rule: "delay", elapsed: 60 });
  await page.goto(fake.origin + "/three");
  await loaded(page);
  await page.clock.runFor(100_000);
  assert.deepEqual(await heard(page), []);
  assert.deepEqual(await why(page), { t1: "spent" });
});

test("of a page: the clock starts anew on each, also without a load", async (t) => {
  const triggers = [rule({ delay_s: 30, scope: "page" })];
  const fake = await startFake(t, { queued: HEARD, boot: { triggers } });
  const page = await (await newContext(t)).newPage();
  await stopClock(page);
  await page.goto(fake.origin + "/one");
  await loaded(page);
  await page.clock.runFor(20_000);
  await page.goto(fake.origin + "/two");
  await loaded(page);
  await page.clock.runFor(20_000);
  await page.evaluate(() => history.pushState({}, "", "/three"));
  await page.clock.runFor(20_000);
  assert.deepEqual(await heard(page), []);
  assert.deepEqual(await why(page), { t1: "delay" });
  await page.clock.runFor(11_000);
  assert.equal((await heard(page))[0].elapsed, 30);
  assert.equal((await heard(page))[0].url, fake.origin + "/three");
});

test("of given addresses, exact and with *", async (t) => {
  const triggers = [rule({ scope: "urls", urls: ["/cart/*", "https://other.example/"] })];
  const fake = await startFake(t, { queued: HEARD, boot: { triggers } });
  const page = await openPage(await newContext(t), fake.origin + "/about");
  assert.deepEqual(await why(page), { t1: "url" });
  await page.evaluate(() => history.pushState({}, "", "/cart/7"));
  assert.deepEqual(
    (await heard(page)).map(({ id, rule: kind }) => `${id} ${kind}`),
    ["t1 delay"],
  );
});

test("after a number of pages, of this visit", async (t) => {
  const fake = await startFake(t, { queued: HEARD, boot: { triggers: [rule({ pages: 3 })] } });
  const page = await openPage(await newContext(t), fake.origin + "/one");
  await page.goto(fake.origin + "/two");
  await loaded(page);
  assert.deepEqual(await why(page), { t1: "pages" });
  await page.evaluate(() => history.pushState({}, "", "/three"));
  assert.equal((await heard(page))[0].rule, "pages");
});

test("from a visit on: one ends after half an hour, and each may have a trigger", async (t) => {
  const triggers = [rule({ visits: 2 }), rule({ id: "t2", event: "never" })];
  const fake = await startFake(t, { queued: HEARD, boot: { triggers } });
  const context = await newContext(t);
  const page = await context.newPage();
  await stopClock(page);
  await page.goto(fake.origin + "/one");
  await loaded(page);
  assert.deepEqual(await why(page), { t1: "visits", t2: "event" });
  await page.clock.runFor(10 * 60_000);
  await page.goto(fake.origin + "/two");
  await loaded(page);
  assert.deepEqual(await why(page), { t1: "visits", t2: "event" });
  for (const visit of ["second", "third"]) {
    await page.clock.runFor(31 * 60_000);
    await page.goto(fake.origin + "/" + visit);
    await loaded(page);
    assert.deepEqual(
      (await heard(page)).map(({ rule: kind }) => kind),
      ["visits"],
      visit,
    );
  }
});

test("two tabs are one visit, and have one trigger", async (t) => {
  const fake = await startFake(t, { queued: HEARD, boot: { triggers: [rule()] } });
  const context = await newContext(t);
  const first = await openPage(context, fake.origin + "/one");
  assert.equal((await heard(first)).length, 1);
  const second = await openPage(context, fake.origin + "/two");
  assert.deepEqual(await why(second), { t1: "spent" });
});

test("when the visitor does nothing", async (t) => {
  const fake = await startFake(t, { queued: HEARD, boot: { triggers: [rule({ idle_s: 20 })] } });
  const page = await (await newContext(t)).newPage();
  await stopClock(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  for (const act of [
    () => page.mouse.move(100, 100),
    () => page.keyboard.press("Shift"),
    () => page.mouse.wheel(0, 10),
  ]) {
    await page.clock.runFor(15_000);
    await act();
  }
  assert.deepEqual(await heard(page), []);
  assert.deepEqual(await why(page), { t1: "idle" });
  await page.clock.runFor(21_000);
  assert.equal((await heard(page))[0].rule, "idle");
});

test("when the pointer leaves by the upper edge, and no sooner than the delay", async (t) => {
  const triggers = [rule({ exit_intent: true, delay_s: 10 })];
  const fake = await startFake(t, { queued: HEARD, boot: { triggers } });
  const page = await (await newContext(t)).newPage();
  await stopClock(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  // Headless, the pointer never leaves the window: the browser's event is played.
  const move = (/** @type {string} */ type, /** @type {number} */ clientY) =>
    page.evaluate(
      ([name, y]) =>
        document.body.dispatchEvent(
          new MouseEvent(/** @type {string} */ (name), {
            bubbles: true,
            clientY: /** @type {number} */ (y),
          }),
        ),
      /** @type {[string, number]} */ ([type, clientY]),
    );
  await move("mouseout", -1);
  await move("mouseover", 5);
  await page.clock.runFor(11_000);
  assert.deepEqual(await why(page), { t1: "exit_intent" }, "it is back by now");
  await move("mouseout", 300);
  assert.deepEqual(await heard(page), [], "by the side");
  await move("mouseout", -1);
  assert.equal((await heard(page))[0].rule, "exit_intent");
});

test("after an event: of the widget, or one of the page's own, which is recorded, too", async (t) => {
  const triggers = [rule({ event: "cart.full" }), rule({ id: "t2", event: "onMinimize" })];
  const fake = await startFake(t, { queued: HEARD, boot: { triggers } });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  assert.deepEqual(await why(page), { t1: "event", t2: "event" });
  const outcome = page.evaluate(
    () => new Promise((done) => window.onWebChat.set("event", "cart.full", done)),
  );
  assert.deepEqual(await outcome, { ok: true });
  assert.equal((await heard(page))[0].rule, "event");
  assert.ok(fake.names().includes("cart.full"));
  assert.deepEqual(await why(page), { t1: true, t2: "spent,event" });

  const other = await openPage(await newContext(t), fake.origin + "/");
  await other.evaluate(() => {
    window.onWebChat.set("max", 1);
    window.onWebChat.set("max", 0);
  });
  assert.equal((await heard(other))[0].id, "t2");
});

test("not while offline, nor while hidden; as soon as it is shown", async (t) => {
  const fake = await startFake(t, {
    queued: HEARD,
    boot: { status: "offline", triggers: [rule()] },
  });
  const offline = await openPage(await newContext(t), fake.origin + "/");
  assert.deepEqual(await why(offline), { t1: "offline" });
  const online = await startFake(t, {
    queued: HEARD + 'onWebChat.set("show", 0);',
    boot: { triggers: [rule()] },
  });
  const page = await openPage(await newContext(t), online.origin + "/");
  assert.deepEqual(await why(page), { t1: "hidden" });
  assert.deepEqual(await heard(page), []);
  await page.evaluate(() => window.onWebChat.set("show", 1));
  assert.equal((await heard(page)).length, 1);
});

test("of the page's own: before and after the load; what is no rule is refused", async (t) => {
  const own = JSON.stringify(rule({ id: "own", event: "later" }));
  const queued = `${HEARD}onWebChat.set("trigger", ${own});`;
  const fake = await startFake(t, { queued });
  const page = await openPage(await newContext(t), fake.origin + "/");
  assert.deepEqual(await why(page), { own: "event" });
  const codes = await page.evaluate(async (good) => {
    const bad = [
      null,
      "x",
      {},
      { ...good, delay_s: -1 },
      { ...good, delay_s: "1" },
      { ...good, message: "" },
      { ...good, scope: "moon" },
      { ...good, scope: "urls" },
      { ...good, scope: "urls", urls: [7] },
      { ...good, pages: 0 },
      { ...good, idle_s: "x" },
      Object.defineProperty({ ...good }, "id", {
        get() {
          throw new Error("no");
        },
      }),
    ];
    const outcomes = bad.map(
      (one) => new Promise((done) => window.onWebChat.set("trigger", one, done)),
    );
    return (await Promise.all(outcomes)).map(({ code }) => code);
  }, rule());
  assert.deepEqual(codes, Array(codes.length).fill("wrong_type"));
  await page.evaluate(() => window.onWebChat.set("event", "later"));
  assert.equal((await heard(page))[0].id, "own");
});
