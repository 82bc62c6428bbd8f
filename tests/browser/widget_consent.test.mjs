// SPDX-License-Identifier: MIT
// Before a visitor agrees: nothing is stored, nobody is named, nothing is sent. And after.
import assert from "node:assert/strict";
import test from "node:test";
import { loaded, openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();

/** @typedef {import("playwright-core").Page} Page */

const NEEDED = { consent_needed: true };

/** All that a site can leave in a browser. */
const traces = async (/** @type {Page} */ page) => [
  ...(await page.evaluate(() => [
    ...Object.keys(localStorage),
    ...Object.keys(sessionStorage),
    ...document.cookie.split("; ").filter(Boolean),
  ])),
  ...(await page.context().cookies()).map(({ name }) => name),
];

const set = (/** @type {Page} */ page, /** @type {string} */ key, /** @type {unknown} */ value) =>
  page.evaluate(
    ([name, what]) => new Promise((done) => window.onWebChat.set(name, what, done)),
    /** @type {[string, unknown]} */ ([key, value]),
  );

/**
 * Another page of the browser, which shares no code with the widget; by then everything that the
 * first one wanted to say at its end is said.
 */
async function leave(/** @type {Page} */ page, /** @type {string} */ origin) {
  await page.goto(origin + "/bare");
}

test("before consent: no key, no cookie, no id, no request but the scripts and a boot", async (t) => {
  const fake = await startFake(t, { boot: { ...NEEDED, triggers: [] } });
  const context = await newContext(t);
  const page = await context.newPage();
  /** @type {string[]} */
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.locator(".launcher").click();
  await page.evaluate(() => {
    window.onWebChat.set("name", "Ada");
    history.pushState({}, "", "/two");
    dispatchEvent(new PageTransitionEvent("pagehide"));
  });
  assert.deepEqual(await traces(page), []);
  await leave(page, fake.origin);
  assert.deepEqual(await traces(page), []);
  const ours = asked.filter((path) => /clientchat|\/w\/|\/v1\//.test(path));
  assert.deepEqual(
    ours.map((path) => path.replace(/[0-9a-f]{20}/, "HASH")),
    ["/clientchat/demo", "/w/HASH.js", "/v1/boot"],
  );
  assert.deepEqual(fake.boots, [{ site: "demo" }]);
  assert.equal(fake.beacons.length, 0);
});

test("consent at run time: what waited is sent, and the next page remembers", async (t) => {
  const fake = await startFake(t, { boot: NEEDED });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  const name = set(page, "name", "Ada");
  assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "Ada");
  assert.deepEqual(await set(page, "consent", 1), { ok: true });
  assert.deepEqual(await name, { ok: true });
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  assert.deepEqual(
    fake.taken().map(({ seq }) => seq),
    fake.taken().map((_, i) => i + 1),
  );
  const [{ visitor }] = fake.taken();
  assert.match(visitor, /^[0-9a-f]{32}$/);
  assert.deepEqual((await traces(page)).sort(), [
    "cb:demo:consent",
    "cb:demo:visit",
    "cb:demo:visitor",
  ]);
  await page.goto(fake.origin + "/next");
  await loaded(page);
  assert.deepEqual(fake.boots.at(-1), { site: "demo", visitor });
  assert.equal(fake.taken().at(-1).visitor, visitor);
});

test("consent from before the load", async (t) => {
  const queued = 'onWebChat.set("consent", 1);';
  const fake = await startFake(t, { queued, boot: NEEDED });
  await openPage(await newContext(t), fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  assert.match(fake.boots[0].visitor, /^[0-9a-f]{32}$/);
});

for (const boot of [{}, NEEDED]) {
  test(`withdrawn, where consent is ${boot === NEEDED ? "" : "not "}needed: every key goes, in every tab, and nothing is sent`, async (t) => {
    const fake = await startFake(t, { boot });
    const context = await newContext(t);
    const page = await openPage(context, fake.origin + "/");
    const tab = await openPage(context, fake.origin + "/tab");
    await set(page, "consent", 1);
    await set(page, "name", "Ada");
    await set(tab, "email", "ada@x.example");
    const [{ visitor }] = fake.taken();
    assert.ok(fake.taken().every((event) => event.visitor === visitor));
    await tab.evaluate(() => {
      window.told = new Promise((done) =>
        addEventListener("storage", ({ key, newValue }) => {
          if (key === "cb:demo:visitor" && newValue === null) done(undefined);
        }),
      );
    });
    fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
    const before = fake.beacons.length;
    const waiting = set(page, "phone", "1");
    await fake.until(() => fake.beacons.length > before);
    assert.deepEqual(await set(page, "consent", 0), { ok: true });
    assert.equal((await waiting).code, "no_consent");
    assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "");
    assert.equal((await set(page, "name", "Eve")).code, "no_consent");
    // The other tab hears of it by the storage.
    await tab.evaluate(() => window.told);
    assert.equal(await tab.evaluate(() => window.onWebChat.get("email")), "");
    assert.equal((await set(tab, "name", "Eve")).code, "no_consent");
    fake.answer = () => ({ status: 204 });
    const sent = fake.beacons.length;
    for (const each of [page, tab]) {
      await each.evaluate(() => window.onWebChat.set("event", "no"));
      await leave(each, fake.origin);
    }
    assert.deepEqual(await traces(page), []);
    assert.equal(fake.beacons.length, sent);

    // A later consent makes another visitor.
    await page.goto(fake.origin + "/");
    await loaded(page);
    await set(page, "consent", 1);
    await set(page, "name", "Eve");
    assert.notEqual(fake.taken().at(-1).visitor, visitor);
  });
}

test("withdrawn before the load: nothing is ever sent, and what earlier pages left is gone", async (t) => {
  const queued = 'if (window.refuse) onWebChat.set("consent", 0);';
  const fake = await startFake(t, { queued });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
  const [boots, beacons] = [fake.boots.length, fake.beacons.length];
  await page.addInitScript(() => {
    /** @type {any} */ (window).refuse = true;
  });
  await page.goto(fake.origin + "/");
  await loaded(page);
  await leave(page, fake.origin);
  assert.deepEqual(await traces(page), []);
  assert.deepEqual(fake.boots.slice(boots), [{ site: "demo" }]);
  assert.equal(fake.beacons.length, beacons);
});

test("the script is older than the settings: the boot says what holds", async (t) => {
  const fake = await startFake(t, { boot: NEEDED });
  const context = await newContext(t);
  const page = await context.newPage();
  await page.route("**/clientchat/demo", async (route) => {
    const { widgetFiles } = await import("./fake.mjs");
    const body = (await widgetFiles()).get("widget.js");
    await route.fulfill({ contentType: "text/javascript", body });
  });
  await page.goto(fake.origin + "/");
  await loaded(page);
  assert.deepEqual(await traces(page), []);
  await page.unroute("**/clientchat/demo");

  const free = await startFake(t);
  await page.route("**/clientchat/demo", async (route) => {
    const { widgetFiles } = await import("./fake.mjs");
    const body = (await widgetFiles()).get("consent.js");
    await route.fulfill({ contentType: "text/javascript", body });
  });
  await page.goto(free.origin + "/");
  await free.until(() => free.names().includes("onWebChatLoaded"));
});

test("before consent a trigger may open the chat; it leaves nothing either", async (t) => {
  const triggers = [{ id: "t", name: "Hi", message: "Hello there", delay_s: 0 }];
  const fake = await startFake(t, { boot: { ...NEEDED, triggers } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.getByText("Hello there").waitFor();
  assert.deepEqual(await traces(page), []);
});

test("who asks for privacy by the browser leaves nothing, consent or not", async (t) => {
  const head = `Object.defineProperty(navigator, "globalPrivacyControl", { value: true });
    localStorage["cb:demo:visitor"] = "${"0".repeat(32)}"; // from before`;
  const fake = await startFake(t, { head, boot: NEEDED });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await set(page, "consent", 1);
  assert.deepEqual(await set(page, "name", "Ada"), { ok: true });
  assert.deepEqual(await traces(page), []);
});
