// SPDX-License-Identifier: MIT
// The widget as people meet it: by keyboard, by screen reader, on small screens, under strict pages.
import assert from "node:assert/strict";
import test from "node:test";
import { openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();

/** The name of the class of what has the focus within the widget. */
const focused = (/** @type {import("playwright-core").Page} */ page) =>
  page.evaluate(() => {
    const { activeElement } = document.querySelector("[data-chatbeacon]").shadowRoot;
    return activeElement && (activeElement.className || activeElement.localName);
  });

test("by keyboard: opens, takes the focus, sends, closes by Escape, gives the focus back", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const launcher = page.getByRole("button", { name: "Open chat" });
  assert.equal(await launcher.getAttribute("aria-expanded"), "false");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "launcher");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Chat with us" }).waitFor();
  assert.equal(await focused(page), "textarea");
  assert.equal(await page.locator(".launcher").getAttribute("aria-expanded"), "true");
  await page.keyboard.type("First line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("Message left", { exact: true }).waitFor();
  assert.equal(await page.locator("textarea").inputValue(), "");
  const message = fake.taken().find(({ name }) => name === "message");
  assert.equal(message.props.text, "First line\nsecond");
  await page.keyboard.press("Enter"); // nothing to send
  await page.keyboard.press("Escape");
  await page.locator(".panel").waitFor({ state: "hidden" });
  assert.equal(await focused(page), "launcher");
  await fake.until(() => fake.names().includes("onMinimize"));
  assert.equal(fake.names().filter((name) => name === "message").length, 1);
});

test("opened by the page it leaves the focus where it is", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("max", 1));
  await page.locator(".panel").waitFor();
  assert.equal(await focused(page), null);
});

test("the page's shortcuts do not hear what is typed in the chat", async (t) => {
  const head =
    'window.keys = []; document.addEventListener("keydown", function (e) { keys.push(e.key); });';
  const fake = await startFake(t, { head });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  await page.keyboard.type("s");
  assert.deepEqual(await page.evaluate(() => window.keys), []);
});

test("under a strict Content-Security-Policy it looks and works the same", async (t) => {
  const csp =
    "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";
  // The snippet sets a script's address, which Trusted Types guard: the page's own policy allows it.
  const head = `window.violations = [];
    document.addEventListener("securitypolicyviolation", function (e) { violations.push(e.violatedDirective + " " + e.sourceFile + ":" + e.lineNumber); });
    trustedTypes.createPolicy("default", { createScriptURL: function (url) { return url; } });`;
  const fake = await startFake(t, { csp, head });
  const page = await openPage(await newContext(t), fake.origin + "/");
  const launcher = page.locator(".launcher");
  assert.equal(await launcher.evaluate((button) => getComputedStyle(button).borderRadius), "50%");
  await launcher.click();
  await page.locator("textarea").fill("Hello");
  await page.locator(".send").click();
  await page.getByText("Message left", { exact: true }).waitFor();
  assert.deepEqual(await page.evaluate(() => window.violations), []);
});

test("a page of another origin whose policy names the host gets the widget and sends", async (t) => {
  const chat = await startFake(t);
  const csp = `default-src 'none'; script-src 'self' ${chat.origin}; connect-src ${chat.origin}`;
  const head = `window.onWebChat = { ar: [] };
    var script = document.createElement("script");
    script.src = ${JSON.stringify(chat.origin + "/clientchat/demo")};
    document.head.append(script);`;
  const shop = await startFake(t, { csp, head });
  const page = await openPage(await newContext(t), shop.origin + "/");
  await page.locator(".launcher").click();
  await chat.until(() => chat.names().includes("onMaximize"));
  assert.equal(shop.beacons.length, 0);
});

test("text is never HTML: in messages, triggers and settings", async (t) => {
  const evil = '<img src=x onerror="window.hurt = 1">';
  const triggers = [{ id: "t", name: evil, delay_s: 0, message: evil }];
  const fake = await startFake(t, {
    boot: { triggers, texts: { l1: { title: evil, agent: evil } } },
  });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator("textarea").fill(evil);
  await page.locator(".send").click();
  await page.getByText("Message left", { exact: true }).waitFor();
  await page.locator(".message:not(.mine)", { hasText: evil }).waitFor(); // it is said after a moment
  assert.equal(await page.getByText(evil).count(), 4);
  assert.equal(await page.locator("[data-chatbeacon] img").count(), 0);
  assert.equal(await page.evaluate(() => window.hurt), undefined);
});

test("a long message arrives whole, in parts that fit an event", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const text = "Zażółć 😀 ".repeat(180).trim();
  await page.locator(".launcher").click();
  await page.locator("textarea").fill(text);
  await page.locator(".send").click();
  await page.getByText("Message left", { exact: true }).waitFor();
  const parts = fake.taken().filter(({ name }) => name === "message");
  assert.ok(parts.length > 2);
  assert.ok(parts.every(({ props }) => Buffer.byteLength(props.text) <= 1024));
  assert.equal(parts.map(({ props }) => props.text).join(""), text);
});

test("a message that the server refuses says so", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  fake.answer = () => ({ status: 400, body: '{"error":{"code":"bad_event"}}' });
  await page.locator(".launcher").click();
  await page.locator("textarea").fill("Hello");
  await page.locator(".send").click();
  await page.getByText("Not sent", { exact: true }).waitFor();
});

test("on a screen 320 pixels wide everything is within reach", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t, {
    viewport: { width: 320, height: 568 },
    reducedMotion: "reduce",
  });
  const page = await openPage(context, fake.origin + "/");
  await page.locator(".launcher").click();
  for (const part of [".panel", ".close", "textarea", ".send"]) {
    const box = await page.locator(part).boundingBox();
    assert.ok(box && box.x >= 0 && box.y >= 0, part);
    assert.ok(box.x + box.width <= 320 && box.y + box.height <= 568, part);
  }
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await page.locator(".close").click();
  await page.locator(".launcher").waitFor();
});

test("right to left: the launcher is on the left, texts find their own direction", async (t) => {
  const head = 'document.documentElement.dir = "rtl";';
  const fake = await startFake(t, { head });
  const page = await openPage(await newContext(t), fake.origin + "/");
  const box = await page.locator(".launcher").boundingBox();
  assert.equal(box?.x, 20);
  await page.locator(".launcher").click();
  await page.locator("textarea").fill("שלום");
  await page.locator(".send").click();
  const direction = await page
    .locator(".mine .text")
    .evaluate((bubble) => getComputedStyle(bubble).direction);
  assert.equal(direction, "rtl");
});

test("whoever asked for less motion gets none", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t, { reducedMotion: "reduce" }), fake.origin + "/");
  await page.locator(".launcher").click();
  const animation = await page
    .locator(".panel")
    .evaluate((panel) => getComputedStyle(panel).animationName);
  assert.equal(animation, "none");
});
