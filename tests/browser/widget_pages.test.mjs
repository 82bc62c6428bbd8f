// SPDX-License-Identifier: MIT
// bench/pages in small: pages that end right after something happened on them, against the real server.
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { chromium } from "playwright-core";
import { closePages, loseSome } from "../../bench/closing.mjs";
import { balanced } from "../lib/client.mjs";
import { startServe } from "../lib/server.mjs";
import { LAUNCH } from "./browser.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await chromium.launch(LAUNCH);
});
after(() => browser?.close());

test("of the events of pages that end at once at least 99 % arrive, and none counts twice", async (t) => {
  const server = await startServe(t);
  const { ways, twice } = await closePages(server, browser, { pages: 24, events: 5 });
  let [recorded, arrived] = [0, 0];
  for (const one of ways) {
    recorded += one.recorded;
    arrived += one.arrived;
    t.diagnostic(`${one.way}: ${one.arrived} of ${one.recorded}`);
  }
  assert.equal(recorded, 120);
  assert.ok(arrived >= 0.99 * recorded, `${arrived} of ${recorded}`);
  assert.equal(twice, 0);
  await balanced(server);
  await server.stop();
});

test("the server's gaps are what was really lost", async (t) => {
  const server = await startServe(t);
  const { swallowed, shown } = await loseSome(server, browser, { beacons: 12 });
  assert.ok(swallowed > 0);
  assert.equal(shown, swallowed);
  await server.stop();
});
