// SPDX-License-Identifier: MIT
// The form before a chat: which fields, which required, what it says, and where its values go.
import assert from "node:assert/strict";
import test from "node:test";
import { loaded, openPage, stopTimers, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();

const FORM = [
  { field: "name", required: true },
  { field: "email", required: true },
  { field: "phone" },
];

/** @param {import("playwright-core").Page} page */
const focusedId = (page) =>
  page.evaluate(() => document.querySelector("[data-chatbeacon]").shadowRoot.activeElement?.id);

test("the form asks for the settings' fields, says what is wrong where it is wrong, and fills the visitor's fields", async (t) => {
  const fake = await startFake(t, { boot: { form: FORM } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  assert.equal(await focusedId(page), "name");
  assert.equal(await page.locator(".write").isVisible(), false);
  const [name, email, phone] = ["Name", "Email", "Phone"].map((label) => page.getByLabel(label));
  assert.equal(await page.getByLabel("Notes").count(), 0);
  assert.deepEqual(
    await Promise.all([name, email, phone].map((input) => input.getAttribute("autocomplete"))),
    ["name", "email", "tel"],
  );
  assert.deepEqual(
    await Promise.all([name, email, phone].map((input) => input.evaluate((i) => i.required))),
    [true, true, false],
  );

  await name.fill("  ");
  await email.fill("ada at example");
  await page.getByRole("button", { name: "Continue" }).click();
  assert.equal(await focusedId(page), "name");
  for (const [input, text] of [
    [name, "Please fill this in."],
    [email, "This is not an email address."],
  ]) {
    assert.equal(await input.getAttribute("aria-invalid"), "true");
    const described = page.locator("#" + (await input.getAttribute("aria-describedby")));
    assert.equal(await described.textContent(), text);
  }
  assert.equal(await phone.getAttribute("aria-invalid"), "false");
  assert.ok(!fake.names().includes("set"));

  await name.fill("Ada");
  assert.equal(await name.getAttribute("aria-invalid"), "false");
  assert.equal(await name.getAttribute("aria-describedby"), null);
  await email.fill(" ada@example.org ");
  await page.keyboard.press("Enter");
  await page.locator(".write").waitFor();
  assert.equal(await page.locator(".ask").isVisible(), false);
  assert.equal(
    await page.evaluate(
      () => document.querySelector("[data-chatbeacon]").shadowRoot.activeElement.localName,
    ),
    "textarea",
  );
  await fake.until(() => fake.names().filter((n) => n === "set").length === 2);
  assert.deepEqual(
    fake
      .taken()
      .filter(({ name: n }) => n === "set")
      .map(({ key, value, props }) => [key, value, props]),
    [
      ["name", "Ada", { source: "form" }],
      ["email", "ada@example.org", { source: "form" }],
    ],
  );
  assert.equal(await page.evaluate(() => window.onWebChat.get("email")), "ada@example.org");
});

test("who is known is not asked again; what is known stands in the form", async (t) => {
  const visitor = { name: "Ada", email: "", phone: "", notes: "" };
  const fake = await startFake(t, { boot: { form: FORM, visitor } });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await page.locator(".launcher").click();
  assert.equal(await page.getByLabel("Name").inputValue(), "Ada");
  await page.evaluate(() => window.onWebChat.set("email", "ada@example.org"));
  await page.locator(".close").click();
  await page.locator(".launcher").click();
  await page.locator(".write").waitFor();
  assert.equal(await page.locator(".ask").isVisible(), false);
});

test("a form of nothing required is asked once, and may stay empty", async (t) => {
  const form = [{ field: "phone" }, { field: "notes" }];
  const fake = await startFake(t, { boot: { form } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator(".write textarea").fill("Hello");
  await page.locator(".send").click();
  await page.getByText("Message left", { exact: true }).waitFor();
  await page.locator(".close").click();
  await page.locator(".launcher").click();
  assert.equal(await page.locator(".ask").isVisible(), false);
  assert.ok(!fake.names().includes("set"));
});

test("a field that the server refuses is asked for again, and says so", async (t) => {
  const fake = await startFake(t, { boot: { form: FORM.slice(0, 1) } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  const name = page.getByLabel("Name");
  await name.fill("Ada");
  fake.answer = () => ({ status: 400, body: '{"error":{"code":"bad_event"}}' });
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("Not sent", { exact: true }).waitFor();
  assert.equal(await name.inputValue(), "Ada");
  assert.equal(await name.getAttribute("aria-describedby"), "name-error");
  fake.answer = () => ({ status: 204 });
  await page.getByRole("button", { name: "Continue" }).click();
  await fake.until(() => fake.taken().some(({ value }) => value === "Ada"));
  await page.locator(".write").waitFor();
});

test("another language keeps what is typed, in the form and in the message, and the focus", async (t) => {
  const fake = await startFake(t, { boot: { form: FORM } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  const language = (/** @type {string} */ code) =>
    page.evaluate((wanted) => window.onWebChat.set("language", wanted), code);
  await page.locator(".launcher").click();
  await page.keyboard.type("Ada");
  await page.getByRole("button", { name: "Continue" }).click();
  assert.equal(await focusedId(page), "email");
  await page.keyboard.type("ada@exam");
  await language("l2");
  await page.getByText("Bitte ausfüllen.").waitFor({ state: "detached" });
  assert.equal(await focusedId(page), "email");
  await page.keyboard.type("ple.org");
  assert.equal(await page.getByLabel("E-Mail").inputValue(), "ada@example.org");
  await page.getByRole("button", { name: "Weiter" }).click();
  await page.keyboard.type("Guten ");
  await language("l1");
  await page.keyboard.type("Tag");
  const box = page.getByPlaceholder("Write a message…");
  assert.equal(await box.inputValue(), "Guten Tag");
  await page.keyboard.press("Enter");
  await page.getByText("Message left", { exact: true }).waitFor();
  await language("de");
  await page.getByText("Nachricht hinterlassen", { exact: true }).waitFor();
  assert.equal(fake.names().filter((n) => n === "onStartWriting").length, 1);
});

test("who writes already is not stopped by a form that comes late", async (t) => {
  const fake = await startFake(t);
  const answer = fake.answerBoot;
  let boots = 0;
  fake.answerBoot = (question) =>
    ++boots === 1
      ? { status: 503, headers: { "Retry-After": "1" }, body: "{}" }
      : {
          ...answer(question),
          body: JSON.stringify({ status: "online", visitor: {}, form: FORM }),
        };
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await loaded(page);
  await page.locator(".launcher").click();
  await page.keyboard.type("Hello");
  assert.equal(boots, 1);
  await page.clock.resume();
  await page.getByRole("status").getByText("Online").waitFor();
  assert.equal(await page.locator(".ask").isVisible(), false);
  assert.equal(await page.locator(".write textarea").inputValue(), "Hello");
});
