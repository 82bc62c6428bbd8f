// SPDX-License-Identifier: MIT
// The back-forward cache, the real one: the widget does not keep a page out of it, and goes on when it comes back.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { chromium } from "playwright-core";
import { LAUNCH, loaded } from "./browser.mjs";
import { startFake } from "./fake.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  // Playwright turns it off.
  browser = await chromium.launch({
    ...LAUNCH,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
});
after(() => browser?.close());

test("a page in the back-forward cache: its events left, it comes back whole, as one more view", async (t) => {
  const fake = await startFake(t);
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(fake.origin + "/one");
  await loaded(page);
  await page.evaluate(() => {
    window.mark = "the same page";
    window.shown = new Promise((done) =>
      addEventListener("pageshow", ({ persisted }) => done(persisted)),
    );
    window.onWebChat.set("name", "Ada");
  });
  await page.goto(fake.origin + "/bare");
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
  await page.evaluate(() => history.back());
  await page.waitForURL(fake.origin + "/one", { waitUntil: "commit" }); // there is no load event
  const state = await page.evaluate(async () => [
    window.mark,
    await window.shown,
    JSON.stringify(performance.getEntriesByType("navigation")[0].notRestoredReasons),
  ]);
  assert.deepEqual(state, ["the same page", true, "null"]);
  const views = () => fake.taken().filter(({ name }) => name === "page");
  await fake.until(() => views().length === 2);
  const outcome = await page.evaluate(
    () => new Promise((done) => window.onWebChat.set("email", "ada@x.example", done)),
  );
  assert.deepEqual(outcome, { ok: true });
  const own = fake.taken();
  assert.equal(new Set(own.map(({ producer }) => producer)).size, 1);
  assert.deepEqual(
    own.map(({ seq }) => seq).sort((a, b) => a - b),
    own.map((_, i) => i + 1),
  );
});
