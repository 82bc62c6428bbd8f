// SPDX-License-Identifier: MIT
// What axe-core finds wrong with the widget for people who see, hear or move differently: nothing,
// in any of its states, light or dark.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * @param {import("playwright-core").Page} page
 * @param {string} state
 */
async function check(page, state) {
  const found = await page.evaluate(async () => {
    const { violations, passes } = await /** @type {any} */ (window).axe.run(
      { include: [["[data-chatbeacon]"]] },
      { rules: { region: { enabled: false } } }, // the page's landmarks are the page's
    );
    const text = violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
    return { text, passes: passes.length };
  });
  assert.deepEqual(found.text, [], state);
  assert.ok(found.passes > 4, `${state}: ${found.passes} rules looked at something`);
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe-core finds nothing in any state, ${colorScheme}`, async (t) => {
    const boot = {
      form: [{ field: "name", required: true }, { field: "email" }, { field: "notes" }],
      colour: colorScheme === "dark" ? "#ffd21f" : undefined,
      texts: { l2: { lang: "ar", title: "دردشة", welcome: "مرحبا" } },
    };
    const fake = await startFake(t, { boot, head: axe });
    const options = { colorScheme, reducedMotion: "reduce" };
    const page = await openPage(await newContext(t, options), fake.origin + "/");
    await page.locator(".launcher").waitFor();
    await check(page, "launcher");
    await page.locator(".launcher").click();
    await check(page, "form");
    await page.locator(".start").click();
    await check(page, "form with errors");
    await page.getByLabel("Name").fill("Ada");
    await page.locator(".start").click();
    await check(page, "open");
    await page.locator(".write textarea").fill("Hello");
    await page.keyboard.press("Enter");
    await page.getByText("Message left", { exact: true }).waitFor();
    fake.answer = () => ({ status: 400, body: '{"error":{"code":"bad_event"}}' });
    await page.locator(".write textarea").fill("Anybody there?");
    await page.keyboard.press("Enter");
    await page.getByText("Not sent", { exact: true }).waitFor();
    await page.locator(".write textarea").fill("Next");
    await check(page, "messages");
    await page.evaluate(() => window.onWebChat.set("language", "l2"));
    await page.locator(".panel:lang(ar)").waitFor();
    await check(page, "right to left");
    await page.setViewportSize({ width: 320, height: 568 });
    await check(page, "narrow");

    const asking = await startFake(t, { boot: { consent_needed: true }, head: axe });
    const first = await openPage(await newContext(t, options), asking.origin + "/");
    await first.locator(".launcher").click();
    await check(first, "consent");

    const away = await startFake(t, { boot: { status: "offline" }, head: axe });
    const other = await openPage(await newContext(t, options), away.origin + "/");
    await other.locator(".launcher").click();
    await check(other, "offline");
  });
}
