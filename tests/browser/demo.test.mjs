// SPDX-License-Identifier: MIT
// The demo page: its buttons call the API, its log shows what comes of it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { openPage, useBrowser } from "./browser.mjs";
import { WIDGET_DIR, snippet, startFake } from "./fake.mjs";

const newContext = useBrowser();

/**
 * The log's lines, the newest first.
 * @param {import("playwright-core").Page} page
 * @param {string} kind
 * @param {string} text
 */
const lines = (page, kind, text) => page.locator(`#log [data-kind="${kind}"]`, { hasText: text });

test("each call, what done was told, the callbacks, and the events with the server's answer", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/demo");
  await lines(page, "callback", "onWebChatLoaded()").waitFor();
  const press = (/** @type {string} */ name) =>
    page.getByRole("button", { name, exact: true }).click();
  const ok = (/** @type {string} */ call) =>
    lines(page, "call", call).filter({ hasText: /ok$/ }).first().waitFor();

  await page.getByLabel("Name", { exact: true }).fill("Grace Hopper");
  await press("Set name");
  await ok('set("name", "Grace Hopper")');
  await page.locator("#get-name", { hasText: "Grace Hopper" }).waitFor();
  await press("Set email");
  await press("Set phone");
  await press("Set notes");
  for (const [key, value] of [
    ["email", "ada@example.org"],
    ["phone", "+44 20 7946 0000"],
    ["notes", "Met us at the fair"],
  ]) {
    await ok(`set("${key}", "${value}")`);
    await lines(page, "event", `set ${key}`).and(page.locator('[data-state="stored"]')).waitFor();
  }

  await press("Maximize");
  await page.locator("[data-chatbeacon] .panel").waitFor();
  await lines(page, "callback", "onMaximize()").waitFor();
  await press("Minimize");
  await lines(page, "callback", "onMinimize()").waitFor();
  await press("Hide");
  await page.locator("[data-chatbeacon]").waitFor({ state: "hidden" });
  await press("Show");
  const launcher = page.locator("[data-chatbeacon] .launcher");
  await page.getByRole("button", { name: "Open chat" }).waitFor();
  await press("l2, the other");
  await page.getByRole("button", { name: "Chat öffnen" }).waitFor();
  await press("l1, your own");
  await page.getByRole("button", { name: "Open chat" }).waitFor();
  await press("Set language");
  await page.getByRole("button", { name: "Chat öffnen" }).waitFor();
  await launcher.click();
  await lines(page, "callback", "onClick()").waitFor();
  await page.locator(".write textarea").fill("Hello");
  await lines(page, "callback", "onStartWriting()").waitFor();
  await page.keyboard.press("Enter");
  await lines(page, "event", "message").and(page.locator('[data-state="stored"]')).waitFor();
  await page.keyboard.press("Escape");

  await press("Set event");
  await lines(page, "event", "cart").and(page.locator('[data-state="stored"]')).waitFor();
  await page.getByLabel("Seconds").fill("600");
  await press("Set trigger");
  await press("Why not yet?");
  await lines(page, "call", '"why":["delay"]').waitFor();
  await page.getByLabel("Seconds").fill("0");
  await press("Set trigger");
  await lines(page, "callback", 'onTrigger({"id":"demo"').waitFor();
  await page.getByRole("log").getByText("Maria").waitFor();
  await page.keyboard.press("Escape");
  await press("Set trigger");
  await lines(page, "call", "spent").waitFor();

  for (const [button, code] of [
    ["A name that is a number", "wrong_type"],
    ["A phone of 41 digits", "too_long"],
    ["A key that is none", "unknown_key"],
  ]) {
    await press(button);
    await lines(page, "call", code).and(page.locator('[data-state="refused"]')).waitFor();
  }
  await press("A callback that throws");
  await lines(page, "callback", "onError").waitFor();
  await page.locator("#waiting", { hasText: /^0$/ }).waitFor();
  const stored = Number(await page.locator("#stored").textContent());
  await fake.until(() => fake.taken().length === stored);
  assert.equal(await page.locator("#refused").textContent(), "0");
});

test("consent refused, and given again", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/demo");
  const press = (/** @type {string} */ name) =>
    page.getByRole("button", { name, exact: true }).click();
  await press("Refuse");
  await press("Set name");
  await lines(page, "call", "no_consent").waitFor();
  await press("Agree");
  await press("Set name");
  await lines(page, "call", 'set("name"').and(page.locator('[data-state="ok"]')).waitFor();
});

test("what the server refuses is shown as refused", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/demo");
  await page.locator("#waiting", { hasText: /^0$/ }).waitFor();
  fake.answer = () => ({ status: 400, body: '{"error":{"code":"bad_event","message":"no"}}' });
  await page.getByRole("button", { name: "Set name" }).click();
  await lines(page, "event", "set name").and(page.locator('[data-state="refused"]')).waitFor();
  await lines(page, "call", "set").and(page.locator('[data-state="refused"]')).waitFor();
  assert.equal(await page.locator("#get-name").textContent(), "–");
});

test("the form of the chat fills what the page knows", async (t) => {
  const fake = await startFake(t, { boot: { form: [{ field: "email", required: true }] } });
  const page = await openPage(await newContext(t), fake.origin + "/demo");
  await page.locator("[data-chatbeacon] .launcher").click();
  await page.locator(".ask input").fill("grace@example.org");
  await page.keyboard.press("Enter");
  await page.locator("#get-email", { hasText: "grace@example.org" }).waitFor();
});

test("the snippet to copy is the one to embed, with this server's address", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t, { permissions: ["clipboard-read", "clipboard-write"] });
  const page = await openPage(context, fake.origin + "/demo");
  const copy = page.locator('[data-copy="snippet"]');
  await copy.click();
  await copy.filter({ hasText: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const [first, ...code] = copied.split("\n");
  assert.equal(first, "<script>");
  assert.equal(code.pop(), "</script>");
  const expected = (await snippet(fake.origin + "/clientchat/demo"))
    .split("\n")
    .filter((line) => line && !line.startsWith("//"));
  assert.deepEqual(
    code.map((line) => line.slice(2)),
    expected,
  );
  const other = page.locator('[data-copy="settings"]');
  await other.click();
  await other.filter({ hasText: "Copied" }).waitFor();
  const settings = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(settings, /PUT \$Q\/v1\/sites\/demo\/settings/);
  JSON.parse(settings.slice(settings.indexOf("'{") + 1, settings.lastIndexOf("'")));
});

test("the page's policy allows its style and scripts, and nothing that is inline else", async (t) => {
  const html = readFileSync(WIDGET_DIR + "demo.html", "utf8");
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  assert.ok(html.includes(`style-src 'sha256-${hash}'`), `demo.html needs sha256-${hash}`);
  const fake = await startFake(t);
  const page = await (await newContext(t)).newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(fake.origin + "/demo");
  await page.locator("[data-chatbeacon] .launcher").click();
  await page.locator("[data-chatbeacon] .panel").waitFor();
  assert.deepEqual(complaints, []);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.hurt = 1";
    document.body.append(script);
    return window.hurt;
  });
  assert.equal(ran, undefined);
});

for (const [name, options] of Object.entries({
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { viewport: { width: 320, height: 640 } },
})) {
  test(`axe-core finds nothing on it, ${name}; nothing is wider than the screen`, async (t) => {
    const fake = await startFake(t);
    const context = await newContext(t, { bypassCSP: true, reducedMotion: "reduce", ...options });
    const page = await openPage(context, fake.origin + "/demo");
    await page.getByRole("button", { name: "Set name" }).click();
    await page.getByRole("button", { name: "A name that is a number" }).click();
    await lines(page, "event", "set name").and(page.locator('[data-state="stored"]')).waitFor();
    const path = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
    await page.addScriptTag({ path });
    const found = await page.evaluate(async () => {
      const { violations } = await /** @type {any} */ (window).axe.run();
      return violations.map((/** @type {any} */ v) =>
        [v.id, ...v.nodes.map((/** @type {any} */ n) => n.html)].join(" "),
      );
    });
    assert.deepEqual(found, []);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(width, page.viewportSize()?.width);
  });
}
