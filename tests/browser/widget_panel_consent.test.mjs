// SPDX-License-Identifier: MIT
// Sites that ask their visitors first: the chat asks before it takes a word.
import assert from "node:assert/strict";
import test from "node:test";
import { openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();
const BOOT = { consent_needed: true };

test("it asks before one can write; who agrees goes on, who refuses leaves, and nothing is sent", async (t) => {
  const fake = await startFake(t, { boot: { ...BOOT, form: [{ field: "name" }] } });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  const accept = page.getByRole("button", { name: "I agree" });
  await page.locator(".launcher").click();
  await page.getByText("Do you agree?").waitFor();
  assert.equal(
    await page.evaluate(
      () => document.querySelector("[data-chatbeacon]").shadowRoot.activeElement.textContent,
    ),
    "I agree",
  );
  for (const part of [".ask input", ".write textarea"]) {
    assert.equal(await page.locator(part).isVisible(), false, part);
  }
  await page.getByRole("button", { name: "No, thanks" }).click();
  await page.locator(".panel").waitFor({ state: "hidden" });
  assert.equal(fake.beacons.length, 0);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);

  await page.locator(".launcher").click();
  await accept.click();
  await page.locator(".ask input").waitFor();
  assert.equal(
    await page.evaluate(
      () => document.querySelector("[data-chatbeacon]").shadowRoot.activeElement.id,
    ),
    "name",
  );
  await page.keyboard.type("Ada");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Hello");
  await page.keyboard.press("Enter");
  await page.getByText("Message left", { exact: true }).waitFor();

  const next = await openPage(context, fake.origin + "/next");
  await next.locator(".launcher").click();
  await next.locator(".panel").waitFor();
  assert.equal(await next.getByText("Do you agree?").isVisible(), false);
});

test("consent that the page gives while the chat asks is enough", async (t) => {
  const fake = await startFake(t, { boot: BOOT });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  await page.getByText("Do you agree?").waitFor();
  await page.evaluate(() => window.onWebChat.set("consent", 1));
  await page.locator(".write textarea").waitFor();
  assert.equal(await page.getByText("Do you agree?").isVisible(), false);
});

test("a site that needs no consent asks for none", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  await page.locator(".write textarea").waitFor();
  assert.equal(await page.getByText("Do you agree?").isVisible(), false);
});
