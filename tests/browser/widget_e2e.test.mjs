// SPDX-License-Identifier: MIT
// The whole way in a real browser: a person uses the widget on the demo page, and the owner sees it
// on the dashboard.
import assert from "node:assert/strict";
import test from "node:test";
import { apiJson, balanced, until, write } from "../lib/client.mjs";
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

/** Opens a page with the widget of a site, on the server's own demo page's origin. */
async function openSite(page, server, site) {
  await page.route("**/page-of-a-shop", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><title>shop</title><script src="/clientchat/${site}"></script>`,
    }),
  );
  await page.goto(server.ingest + "/page-of-a-shop");
  await loaded(page);
}

const setField = (page, key, value) =>
  page.evaluate(([k, v]) => new Promise((done) => window.onWebChat.set(k, v, done)), [key, value]);

test("what a visitor set is in the next boot, and so is what an operator wrote over it", async (t) => {
  const server = await startServe(t);
  const page = await (await newContext(t)).newPage();
  await openSite(page, server, "demo");
  assert.deepEqual(await setField(page, "name", "Ada"), { ok: true });
  assert.deepEqual(await setField(page, "phone", "1"), { ok: true });
  await page.reload(); // at once: the 2xx was the promise
  await loaded(page);
  assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "Ada");

  const [{ visitor }] = await until(async () => {
    const { rows } = await apiJson(server, "/v1/sites/demo/visitors");
    return rows.length && rows[0].name && rows;
  }, "the visitor");
  const edit = { name: "Ada Lovelace", remarks: "prefers calls" };
  const edited = await write(server, `PATCH /v1/sites/demo/visitors/${visitor}`, edit);
  assert.equal(edited.status, 200, edited.text);
  await page.reload();
  await loaded(page);
  assert.deepEqual(
    await page.evaluate(() => ["name", "phone", "email"].map((key) => window.onWebChat.get(key))),
    ["Ada Lovelace", "1", ""],
  );
  // The page's own word after that is newer again.
  assert.deepEqual(await setField(page, "name", "Ada King"), { ok: true });
  await page.reload();
  await loaded(page);
  assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "Ada King");
  await server.stop();
});

test("settings reach the page: triggers, texts, and that consent is needed", async (t) => {
  const server = await startServe(t, { args: ["--sites", "demo,shop"] });
  const settings = {
    consent_needed: true,
    texts: { l1: { title: "Ask the shop" } },
    triggers: [
      { id: "cart", name: "Cart", message: "A question?", delay_s: 0, event: "cart.full" },
    ],
  };
  // The status first: whoever has the settings has it, too.
  await write(server, "PUT /v1/sites/shop/status", { status: "online" });
  const put = await write(server, "PUT /v1/sites/shop/settings", settings);
  assert.equal(put.status, 200, put.text);
  const script = () => fetch(server.ingest + "/clientchat/shop").then((answer) => answer.text());
  const open = await fetch(server.ingest + "/clientchat/demo").then((answer) => answer.text());
  await until(async () => (await script()) !== open, "the other script"); // sites are 2 s old at most
  const context = await newContext(t);
  const page = await context.newPage();
  await openSite(page, server, "shop");
  await page.evaluate(() => window.onWebChat.set("event", "cart.full"));
  await page.getByText("A question?").waitFor();
  await page.getByText("Ask the shop").waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.evaluate(() => window.onWebChat.set("consent", 1));
  const totals = await until(async () => {
    const { events } = await apiJson(server, "/v1/sites/shop/totals");
    return events.onTrigger && events;
  }, "the trigger");
  assert.equal(totals["cart.full"], 1);
  await server.stop();
});
