// SPDX-License-Identifier: MIT
// The JavaScript API of the widget, as pages use it.
import assert from "node:assert/strict";
import test from "node:test";
import { loaded, openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();

/**
 * Calls set and waits for its outcome.
 * @param {import("playwright-core").Page} page
 * @param {any[]} args
 */
const set = (page, ...args) =>
  page.evaluate(
    ([key, value]) => new Promise((done) => window.onWebChat.set(key, value, done)),
    args,
  );

test("calls from before the load are done in order, also by a stub of the old kind", async (t) => {
  const head = `
    window.log = [];
    window.onWebChat = { ar: [], set: function (k, v) {
      if (typeof onWebChat_ === "undefined") this.ar.push([k, v]); else onWebChat_.set(k, v);
    }, get: function (k) { return onWebChat_.get(k); } };
    var s = document.createElement("script");
    s.src = "/clientchat/demo";
    s.async = true;
    document.head.append(s);
    onWebChat.set("name", "Ada");
    onWebChat.set("name", "Grace");
    onWebChat.set("max", 1);
    onWebChat.set("onMinimized", function () { log.push("minimized"); });
    onWebChat.set("onWebChatLoaded", function () { log.push(onWebChat.get("name"), onWebChat.get("status")); });`;
  const fake = await startFake(t, { head, boot: { visitor: { name: "Old", email: "o@x.org" } } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".panel").waitFor();
  assert.deepEqual(await page.evaluate(() => window.log), ["Grace", "online"]);
  assert.equal(await page.evaluate(() => window.onWebChat.get("email")), "o@x.org");
  assert.equal(await page.evaluate(() => window.onWebChat.get("phone")), "");
  await page.evaluate(() => window.onWebChat.set("max", 0));
  await page.waitForFunction(() => window.log.length === 3);
  await fake.until(() => fake.names().includes("onMinimize"));
  const sets = fake.taken().filter(({ name }) => name === "set");
  assert.deepEqual(
    sets.map(({ key, value }) => [key, value]),
    [
      ["name", "Ada"],
      ["name", "Grace"],
    ],
  );
  await fake.until(() => fake.taken().some(({ name, key }) => name === "get" && key === "phone"));
});

test("before the load our stub answers get with what was queued, and undoes on", async (t) => {
  const queued = 'window.early = [onWebChat.get("name"), onWebChat.get("email")];';
  const head = `window.heard = [];
  window.queue = function () {
    onWebChat.set("name", "Ada", function (outcome) { heard.push(outcome); });
    onWebChat.on("onWebChatLoaded", function () { heard.push("undone"); })();
    window.undo = onWebChat.on("onWebChatLoaded", function () { heard.push("kept"); });
  };
  Object.defineProperty(window, "onWebChat", { configurable: true, set: function (stub) {
    Object.defineProperty(window, "onWebChat", { value: stub, writable: true });
    queue();
  }, get: function () {} });`;
  const fake = await startFake(t, { head, queued });
  const context = await newContext(t);
  /** @type {string[]} */
  const warnings = [];
  context.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  const page = await openPage(context, fake.origin + "/");
  await page.waitForFunction(() => window.heard.length === 2);
  assert.deepEqual(await page.evaluate(() => window.early), ["Ada", undefined]);
  assert.deepEqual(
    new Set(await page.evaluate(() => window.heard)),
    new Set(["kept", { ok: true }]),
  );
  assert.deepEqual(warnings, []);
});

test("calls before, during and after the load are done in their order, and answered", async (t) => {
  const queued = `window.log = [];
    window.note = function (what) { return function (x) { log.push(what + (x && x.code ? " " + x.code : "")); }; };
    onWebChat.set("onWebChatLoaded", note("loaded"));
    onWebChat.on("onMaximize", note("maximized"));
    window.undo = onWebChat.on("onMaximize", note("undone"));
    onWebChat.set("name", "before", note("name before"));
    onWebChat.set("language", "l2");
    onWebChat.set("nonsense", 1, note("nonsense"));`;
  const fake = await startFake(t, { queued, boot: { visitor: { email: "saved@x.example" } } });
  /** @type {() => void} */
  let release = () => {};
  const released = new Promise((resolve) => (release = () => resolve(undefined)));
  fake.answerInterface = async (script) => {
    await released;
    return script;
  };
  const page = await (await newContext(t)).newPage();
  await page.goto(fake.origin + "/");
  await page.waitForFunction(() => window.onWebChat_?.get("status"));
  // The first script is there, its interface is not.
  await page.evaluate(() => {
    window.undo();
    window.onWebChat.set("max", 1, window.note("max"));
    window.onWebChat.set("language", "l1");
    window.onWebChat.set("name", "during", window.note("name during"));
  });
  assert.deepEqual(
    await page.evaluate(() =>
      ["name", "email", "phone", "status"].map((key) => window.onWebChat.get(key)),
    ),
    ["during", "saved@x.example", "", "online"],
  );
  await page.waitForFunction(() => window.log.length === 2);
  assert.equal(await page.locator("[data-chatbeacon]").count(), 0);
  release();
  await page.locator(".panel").waitFor();
  await page.getByText("Chat with us").waitFor();
  assert.deepEqual(await set(page, "name", "after"), { ok: true });
  assert.deepEqual(await page.evaluate(() => window.log), [
    "name before",
    "name during",
    "nonsense unknown_key",
    "max",
    "loaded",
    "maximized",
  ]);
  assert.deepEqual(
    fake.taken().flatMap(({ value }) => value ?? []),
    ["before", "during", "after"],
  );
});

test("the six callbacks fire, each with its event, and a late onWebChatLoaded is called at once", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => {
    window.log = [];
    const names = "onClick onMaximize onMinimize onTrigger onStartWriting onWebChatLoaded";
    for (const name of names.split(" ")) window.onWebChat.set(name, () => window.log.push(name));
  });
  assert.deepEqual(await page.evaluate(() => window.log), ["onWebChatLoaded"]);
  await page.locator(".launcher").click();
  await page.locator("textarea").pressSequentially("Hi there");
  await page.locator(".send").click();
  await page.locator("textarea").pressSequentially("More");
  await page.locator(".close").click();
  const rule = { id: "r1", name: "Hello", delay_s: 0, message: "<b>Need help?</b>" };
  assert.deepEqual(await set(page, "trigger", rule), { ok: true });
  await page.getByText("<b>Need help?</b>").waitFor();
  const expected =
    "onWebChatLoaded onClick onMaximize onStartWriting onStartWriting onMinimize onTrigger onMaximize";
  await page.waitForFunction((n) => window.log.length >= n, expected.split(" ").length);
  assert.equal((await page.evaluate(() => window.log)).join(" "), expected);
  await fake.until(() => fake.names().filter((name) => name === "onMaximize").length === 2);
  assert.equal(
    fake.names().join(" "),
    "page onWebChatLoaded onClick onMaximize onStartWriting message onStartWriting onMinimize onTrigger onMaximize",
  );
  const events = fake.taken();
  assert.equal(events.find(({ name }) => name === "message").props.text, "Hi there");
  assert.deepEqual(events.find(({ name }) => name === "onTrigger").props.id, "r1");
  assert.equal(events.find(({ name }) => name === "onWebChatLoaded").props.language, "en-US");
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, i) => i + 1),
  );
  assert.equal((await set(page, "trigger", rule)).code, "spent", "one trigger a visit");
});

test("what is wrong is refused, told to done, and harms nothing", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const code = async (/** @type {any[]} */ ...args) => (await set(page, ...args)).code;
  assert.equal(await code("name", "x".repeat(201)), "too_long");
  assert.equal(await code("email", "x".repeat(255)), "too_long");
  assert.equal(await code("phone", "x".repeat(41)), "too_long");
  assert.equal(await code("notes", "x".repeat(4001)), "too_long");
  assert.equal(await code("name", 7), "wrong_type");
  assert.equal(await code("max", 2), "wrong_type");
  assert.equal(await code("show", "yes"), "wrong_type");
  assert.equal(await code("language", null), "wrong_type");
  assert.equal(await code("onClick", "f"), "wrong_type");
  assert.equal(await code("trigger", { id: "x" }), "wrong_type");
  assert.equal(await code("nonsense", 1), "unknown_key");
  assert.equal(await code("__proto__", 1), "unknown_key");
  const odd = await page.evaluate(() => {
    window.onWebChat.set();
    window.onWebChat.set(Symbol("key"), Symbol("value"));
    window.onWebChat.on("nonsense", 1)();
    return [window.onWebChat.get("nonsense"), window.onWebChat.get("name")];
  });
  assert.deepEqual(odd, [undefined, ""]);
  // Characters are what counts, not units of UTF-16; half a character is repaired.
  assert.deepEqual(await set(page, "phone", "😀".repeat(40)), { ok: true });
  assert.deepEqual(await set(page, "name", "a\ud800b"), { ok: true });
  assert.equal(
    fake
      .taken()
      .filter(({ key }) => key === "name")
      .at(-1).value,
    "a\ufffdb",
  );
});

test("what the server refuses is told to done; its neighbours are taken", async (t) => {
  const fake = await startFake(t);
  fake.answer = ({ events }) => {
    const index = events.findIndex((/** @type {any} */ { key }) => key === "email");
    if (index < 0) return { status: 204 };
    const rejected = [{ index, code: "bad_event", message: "no" }];
    return { status: 200, body: JSON.stringify({ accepted: events.length - 1, rejected }) };
  };
  const page = await openPage(await newContext(t), fake.origin + "/");
  const outcomes = await page.evaluate(() =>
    Promise.all(
      ["name", "email"].map((key) => new Promise((done) => window.onWebChat.set(key, "x", done))),
    ),
  );
  assert.deepEqual(outcomes, [{ ok: true }, { ok: false, code: "bad_event", message: "no" }]);
  assert.deepEqual(
    await page.evaluate(() => [window.onWebChat.get("name"), window.onWebChat.get("email")]),
    ["x", ""],
  );
});

test("of several values under way, get answers the latest that the server did not refuse", async (t) => {
  const fake = await startFake(t, { boot: { visitor: { name: "Old" } } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  fake.answer = ({ events }) => {
    const rejected = events.flatMap((/** @type {any} */ { value }, /** @type {number} */ index) =>
      value?.startsWith("bad") ? [{ index, code: "bad_event", message: "no" }] : [],
    );
    const accepted = events.length - rejected.length;
    return { status: accepted ? 200 : 400, body: JSON.stringify({ accepted, rejected }) };
  };
  const after = (/** @type {string[]} */ ...values) =>
    page.evaluate(async (all) => {
      const { onWebChat } = window;
      const outcomes = all.map(
        (value) => new Promise((done) => onWebChat.set("name", value, done)),
      );
      const during = onWebChat.get("name");
      await Promise.all(outcomes);
      return [during, onWebChat.get("name")];
    }, values);
  assert.deepEqual(await after("bad 1", "bad 2"), ["bad 2", "Old"]);
  assert.deepEqual(await after("good 1", "bad 3", "bad 4"), ["bad 4", "good 1"]);
  assert.deepEqual(await after("bad 5", "good 2", "good 3"), ["good 3", "good 3"]);
});

test("a callback that throws is reported by onError; the widget and the page go on", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => {
    window.log = [];
    const { onWebChat, log } = window;
    onWebChat.set("onError", ({ where, error }) => log.push(where, error.message));
    onWebChat.set("onClick", () => {
      throw new Error("one");
    });
    onWebChat.on("onMaximize", async () => {
      throw new Error("two");
    });
    onWebChat.on("onMaximize", () => log.push("heard"));
    onWebChat.set("show", 1, () => {
      throw new Error("three");
    });
  });
  await page.locator(".launcher").click();
  await page.waitForFunction(() => window.log.length === 7);
  const log = await page.evaluate(() => window.log);
  assert.deepEqual(log, ["done", "three", "onClick", "one", "heard", "onMaximize", "two"]);
  await fake.until(() => fake.names().includes("onMaximize"));
});

test("a second inclusion changes nothing, and only the documented globals appear", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t);
  const bare = await context.newPage();
  await bare.goto(fake.origin + "/bare");
  const before = await bare.evaluate(() => Object.getOwnPropertyNames(window));
  const page = await openPage(context, fake.origin + "/");
  const again = () =>
    page.evaluate(async () => {
      const first = window.onWebChat_;
      for (const src of ["/snippet.js", "/clientchat/demo"]) {
        await new Promise((resolve) => {
          const script = document.createElement("script");
          script.src = src;
          script.onload = resolve;
          document.head.append(script);
        });
      }
      return first === window.onWebChat_;
    });
  assert.equal(await again(), true);
  assert.equal(await page.locator("[data-chatbeacon]").count(), 1);
  await page.locator(".launcher").click();
  await fake.until(() => fake.names().includes("onMaximize"));
  assert.equal(fake.names().filter((name) => name === "page").length, 1);
  assert.equal(fake.boots.length, 1);
  const after = await page.evaluate(() => Object.getOwnPropertyNames(window));
  const added = after.filter((name) => !before.includes(name));
  assert.deepEqual(added.sort(), ["onWebChat", "onWebChat_"]);
});

test("a page view for a new path, for a way back, and none for the same path", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/one?secret=1#part");
  await page.evaluate(() => {
    history.pushState({}, "", "/two");
    history.pushState({}, "", "/two?tab=1");
    history.back();
  });
  await page.waitForFunction(() => location.search === "");
  await page.evaluate(() => history.back());
  const views = () => fake.taken().filter(({ name }) => name === "page");
  await fake.until(() => views().length === 3);
  assert.deepEqual(
    views().map(({ page: address }) => address),
    ["/one", "/two", "/one"].map((path) => fake.origin + path),
  );
});

test("shown and hidden, maximized while hidden, in the other language", async (t) => {
  const fake = await startFake(t, { boot: { texts: { l2: { lang: "el", title: "Συνομιλία" } } } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  const host = page.locator("[data-chatbeacon]");
  await page.evaluate(() => {
    window.maximized = 0;
    window.onWebChat.on("onMaximize", () => window.maximized++);
  });
  await set(page, "show", 0);
  await set(page, "max", 1);
  await host.waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => window.maximized), 0);
  await set(page, "show", 1);
  await page.locator(".panel").waitFor();
  await page.getByText("Chat with us").waitFor();
  await set(page, "language", "EL");
  await page.getByText("Συνομιλία").waitFor();
  await set(page, "language", "fr");
  await page.getByText("Chat with us").waitFor();
  await set(page, "language", "l2");
  await page.getByText("Συνομιλία").waitFor();
  await set(page, "max", 0);
  await page.locator(".panel").waitFor({ state: "hidden" });
  await fake.until(() => fake.names().includes("onMinimize"));
  assert.equal(fake.names().filter((name) => name === "onMaximize").length, 1);
});

test("a trigger of the settings opens the chat, once a visit, and only while online", async (t) => {
  const triggers = [
    { id: "t1", name: "First", delay_s: 0, message: "First!" },
    { id: "t2", name: "Second", delay_s: 0, message: "Second!" },
  ];
  const fake = await startFake(t, { boot: { triggers } });
  const context = await newContext(t);
  const page = await openPage(context, fake.origin + "/");
  await page.getByText("First!").waitFor();
  assert.equal(await page.getByText("Second!").count(), 0);
  await fake.until(() => fake.names().includes("onTrigger"));
  await page.goto(fake.origin + "/next");
  await loaded(page);
  await set(page, "name", "Ada");
  assert.equal(fake.names().filter((name) => name === "onTrigger").length, 1);

  const answer = JSON.stringify({ status: "offline", visitor: {}, triggers });
  fake.answerBoot = () => ({ status: 200, body: answer });
  const other = await openPage(context, fake.origin + "/"); // another tab: another visit
  await set(other, "name", "Ada");
  assert.equal(await other.getByText("First!").count(), 0);
});

test("a site that the server does not know: no widget, no harm", async (t) => {
  const fake = await startFake(t);
  const body = '{"error":{"code":"site_unknown","message":"there is no such site"}}';
  fake.answerBoot = () => ({ status: 404, body });
  const page = await (await newContext(t)).newPage();
  const warning = page.waitForEvent("console", (message) => /stays away/.test(message.text()));
  await page.goto(fake.origin + "/");
  await warning;
  assert.equal(await page.locator("[data-chatbeacon]").count(), 0);
  await set(page, "name", "Ada");
});

test("a return from the back-forward cache is a view; a prerendered page is none until it is seen", async (t) => {
  const head = `Object.defineProperty(document, "prerendering", { get: function () { return !window.seen; } });`;
  const fake = await startFake(t, { head });
  const page = await (await newContext(t)).newPage();
  await page.goto(fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("name", "Ada"));
  assert.equal(await page.evaluate(() => typeof window.onWebChat_), "undefined");
  assert.equal(fake.boots.length, 0);
  await page.evaluate(() => {
    window.seen = true;
    document.dispatchEvent(new Event("prerenderingchange"));
  });
  await loaded(page);
  await page.evaluate(() =>
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })),
  );
  const views = () => fake.taken().filter(({ name }) => name === "page");
  await fake.until(() => views().length === 2);
  assert.ok(fake.taken().some(({ value }) => value === "Ada"));
});
