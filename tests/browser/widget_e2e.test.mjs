// SPDX-License-Identifier: MIT
// The whole way in a real browser: a person uses the widget on the demo page, and the owner sees it
// on the dashboard.
import assert from "node:assert/strict";
import test from "node:test";
import { apiJson, balanced, until } from "../lib/client.mjs";
import { startServe } from "../lib/server.mjs";
import { loaded, useBrowser } from "./browser.mjs";

const newContext = useBrowser();

test("from a click on the demo page to the numbers on the dashboard", async (t) => {
  const server = await startServe(t);
  const context = await newContext(t);
  const page = await context.newPage();
  await page.goto(server.ingest + "/demo");
  await loaded(page);
  await page.locator(".launcher").click();
  await page.locator("textarea").pressSequentially("Do you ship to Norway?");
  await page.locator(".send").click();
  await page.getByText("Message left", { exact: true }).waitFor();
  await page.locator(".close").click();
  await page.getByLabel("Name", { exact: true }).fill("Grace Hopper");
  await page.getByRole("button", { name: "Set name" }).click();
  await page.getByText('set("name", "Grace Hopper") → ok').waitFor();
  await page.getByLabel("Seconds").fill("0");
  await page.getByRole("button", { name: "Set trigger" }).click();
  await page.locator('#log [data-state="stored"]', { hasText: "onTrigger" }).waitFor();
  await page.locator('#log [data-state="sending"]').first().waitFor({ state: "detached" });

  const expected = {
    page: 1,
    onWebChatLoaded: 1,
    onClick: 1,
    onMaximize: 2,
    onStartWriting: 1,
    message: 1,
    onMinimize: 1,
    set: 1,
    onTrigger: 1,
  };
  const totals = await until(async () => {
    const { events, ...rest } = await apiJson(server, "/v1/sites/demo/totals");
    const all = Object.entries(expected).every(([name, n]) => (events[name] ?? 0) >= n);
    return all && { events, ...rest };
  }, "every event in totals");
  const { get, ...events } = totals.events; // the demo page asks for fields as it likes
  assert.deepEqual(events, expected);
  assert.equal(totals.visitors, 1);
  const { rows } = await apiJson(server, "/v1/sites/demo/visitors");
  assert.deepEqual(
    rows.map(({ name }) => name),
    ["Grace Hopper"],
  );
  await balanced(server);

  await page.reload(); // boot gives the page what was set
  await loaded(page);
  assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "Grace Hopper");

  const dashboard = await context.newPage();
  await dashboard.goto(`${server.query}/#token=${server.token}`);
  const clicks = dashboard.locator('[data-event="onClick"]');
  await clicks.filter({ hasText: /^1$/ }).waitFor();
  assert.ok(!dashboard.url().includes(server.token), "the token leaves the address bar");
  await dashboard.getByText("Grace Hopper").first().waitFor();

  await page.locator(".launcher").click();
  const clickedAt = Date.now();
  await clicks.filter({ hasText: /^2$/ }).waitFor();
  t.diagnostic(`the second click was on the dashboard after ${Date.now() - clickedAt} ms`);
  await server.stop();
});
