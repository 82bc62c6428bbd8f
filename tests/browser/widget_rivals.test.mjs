// SPDX-License-Identifier: MIT
// What people complain of in other widgets, each by where they said so. Strict pages, consent, weight
// and refused beacons have tests of their own as well (widget_panel, _consent, _assets, _delivery).
import assert from "node:assert/strict";
import test from "node:test";
import { loaded, openPage, stopTimers, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();

test("chatwoot 742, 10071: an identity that is set before the load is neither lost nor overwritten, nor by a reload", async (t) => {
  const queued = 'if (location.pathname === "/first") onWebChat.set("name", "Ada");';
  const fake = await startFake(t, { queued, boot: { visitor: { name: "Old", email: "old@x" } } });
  const page = await openPage(await newContext(t), fake.origin + "/first");
  assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "Ada");
  assert.equal(await page.evaluate(() => window.onWebChat.get("email")), "old@x");
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
  const [{ visitor }] = fake.boots;
  for (let i = 0; i < 3; i++) {
    await page.reload();
    await loaded(page);
  }
  assert.deepEqual(new Set(fake.boots.map((boot) => boot.visitor)), new Set([visitor]));
  assert.ok(fake.taken().every((event) => event.visitor === visitor));
});

test("chatwoot 2257: a set says whether it worked", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const tell = (/** @type {string} */ key, /** @type {unknown} */ value) =>
    page.evaluate(
      ([k, v]) => new Promise((done) => window.onWebChat.set(k, v, done)),
      /** @type {[string, unknown]} */ ([key, value]),
    );
  assert.deepEqual(await tell("name", "Ada"), { ok: true });
  assert.ok(
    fake.taken().some(({ value }) => value === "Ada"),
    "it is on the server by then",
  );
  const { message, ...rest } = /** @type {any} */ (await tell("name", "x".repeat(201)));
  assert.deepEqual(rest, { ok: false, code: "too_long" });
  assert.match(message, /200/);
});

test("chatwoot 8892: a strict policy of a page on another origin, with no inline anything", async (t) => {
  const chat = await startFake(t);
  const csp = `default-src 'self'; script-src 'self' ${chat.origin}; connect-src ${chat.origin}`;
  const head = `window.violations = [];
    document.addEventListener("securitypolicyviolation", function (e) { violations.push(e.violatedDirective); });
    window.onWebChat = { ar: [] };
    var script = document.createElement("script");
    script.src = ${JSON.stringify(chat.origin + "/clientchat/demo")};
    document.head.append(script);`;
  const shop = await startFake(t, { csp, head });
  const page = await openPage(await newContext(t), shop.origin + "/");
  const launcher = page.locator(".launcher");
  assert.equal(await launcher.evaluate((button) => getComputedStyle(button).borderRadius), "50%");
  await launcher.click();
  await page.locator("textarea").fill("Hello");
  await page.locator(".send").click();
  await chat.until(() => chat.names().includes("message"));
  assert.deepEqual(await page.evaluate(() => window.violations), []);
});

test("chatwoot 1976, Rocket.Chat 24014: nothing is stored before consent", async (t) => {
  const fake = await startFake(t, { boot: { consent_needed: true } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  const stored = () =>
    page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  assert.deepEqual(await stored(), [0, 0, ""]);
  await page.evaluate(() => window.onWebChat.set("consent", 1));
  assert.notDeepEqual(await stored(), [0, 0, ""]);
});

test("chatwoot 13240: no message of another window is listened to", async (t) => {
  const head = `window.listened = [];
    var add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (type) {
      if (type === "message") listened.push(String(this));
      return add.apply(this, arguments);
    };`;
  const fake = await startFake(t, { head });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => {
    for (const data of [
      { event: "set", key: "max", value: 1 },
      "chatbeacon:maximize",
      '["max",1]',
    ]) {
      window.postMessage(data, "*");
    }
    return new Promise((later) => setTimeout(later));
  });
  assert.deepEqual(await page.evaluate(() => [window.listened, window.onmessage]), [[], null]);
  await page.locator(".panel").waitFor({ state: "hidden" });
});

test("chatwoot 4828: what a page waits for is small, asks for little, and does not move it", async (t) => {
  const head = `window.shifts = [];
    new PerformanceObserver(function (list) {
      list.getEntries().forEach(function (entry) { shifts.push(entry.value); });
    }).observe({ type: "layout-shift", buffered: true });`;
  const fake = await startFake(t, { head });
  /** @type {() => void} */
  let release = () => {};
  const released = new Promise((resolve) => (release = () => resolve(undefined)));
  fake.answerInterface = async (script) => {
    await released;
    return script;
  };
  const context = await newContext(t);
  const page = await context.newPage();
  /** @type {string[]} */
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await page.waitForFunction(() => window.onWebChat_);
  await page.clock.runFor(500); // so much later the interface is there
  release();
  await loaded(page);
  await page.clock.runFor(2000);
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  const own = asked.filter((path) => /clientchat|\/w\/|\/v1\//.test(path)).length;
  assert.ok(own <= 4, asked.join()); // two scripts, a boot, a beacon
  assert.deepEqual(await page.evaluate(() => window.shifts), []);
});

test("posthog-js 4140: a beacon that sendBeacon refuses is not lost", async (t) => {
  const head = `navigator.sendBeacon = function () { return false; };
    var real = fetch;
    fetch = function (url) {
      if (/events/.test(url)) return Promise.reject(new TypeError("Failed to fetch"));
      return real.apply(this, arguments);
    };`;
  const fake = await startFake(t, { head: `if (location.pathname === "/first") { ${head} }` });
  const page = await openPage(await newContext(t), fake.origin + "/first");
  await page.evaluate(() => window.onWebChat.set("name", "Ada"));
  await page.goto(fake.origin + "/second");
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
  const first = fake.taken().filter(({ page: address }) => address === fake.origin + "/first");
  assert.deepEqual(
    first.map(({ seq }) => seq),
    first.map((_, i) => i + 1),
  );
});

test("snowplow 349: several tabs do not send one another's events", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t);
  const tabs = [];
  for (const path of ["/a", "/b", "/c"]) tabs.push(await openPage(context, fake.origin + path));
  await Promise.all(
    tabs.map((tab) =>
      tab.evaluate(
        () => new Promise((done) => window.onWebChat.set("name", location.pathname, done)),
      ),
    ),
  );
  for (const { envelope } of fake.beacons) {
    assert.equal(new Set(envelope.events.map((/** @type {any} */ { page }) => page)).size, 1);
  }
  assert.deepEqual([...new Set(Object.values(fake.sends()))], [1]);
});
