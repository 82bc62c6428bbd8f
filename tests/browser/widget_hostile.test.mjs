// SPDX-License-Identifier: MIT
// Pages that do not mean well, or whose libraries do not: the widget goes on, and harms nothing.
import assert from "node:assert/strict";
import test from "node:test";
import { loaded, openPage, stopTimers, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();

/** @typedef {import("playwright-core").Page} Page */

const set = (/** @type {Page} */ page, /** @type {string} */ key, /** @type {unknown} */ value) =>
  page.evaluate(
    ([name, what]) => new Promise((done) => window.onWebChat.set(name, what, done)),
    /** @type {[string, unknown]} */ ([key, value]),
  );

/** A page whose widget does what a widget does. */
async function works(/** @type {Page} */ page, /** @type {any} */ fake) {
  await page.locator(".launcher").click();
  await page.locator("textarea").fill("Hello");
  await page.locator(".send").click();
  assert.deepEqual(await set(page, "name", "Ada"), { ok: true });
  await fake.until(() => fake.names().includes("message"));
  for (const { name, key, props, value } of fake.taken()) {
    if (name === "message") assert.equal(props.text, "Hello");
    if (key === "name") assert.equal(value, "Ada");
  }
}

const LIBRARIES = {
  // Prototype.js 1.6 and MooTools 1.2, as far as they change what others use.
  "old libraries": `
    Array.prototype.toJSON = function () { return "[" + this.join() + "]"; };
    String.prototype.toJSON = function () { return '"' + this + '"'; };
    Object.prototype.toJSON = function () { return "{}"; };
    Array.from = function (iterable) { return [].slice.call(iterable); };
    Array.prototype.reduce = function () { return this.length > 1 ? this : this[0]; };
    Array.prototype.entries = function () { return this.slice(); };
    Array.prototype.each = Array.prototype.forEach;
    Array.prototype.first = function () { return this[0]; };
    Element.prototype.show = Element.prototype.hide = function () { return this; };
    Function.prototype.delay = function (s) { return setTimeout(this, s * 1000); };`,
  "promises of a library": `
    var Real = Promise;
    window.Promise = function (run) { return new Real(run); };
    window.Promise.resolve = window.Promise.reject = window.Promise.all = function () {
      throw new Error("not this one");
    };
    Real.prototype.then = (function (then) {
      return function () { return then.apply(this, arguments); };
    })(Real.prototype.then);
    Real.prototype.finally = undefined;`,
  "fetch, XHR and sendBeacon in wrappers": `
    var real = fetch;
    window.fetch = function () { var args = arguments; return real.apply(window, args).then(function (r) { return r; }); };
    XMLHttpRequest.prototype.open = function () { throw new Error("no"); };
    navigator.sendBeacon = function () { throw new Error("no"); };`,
  "no AbortSignal.timeout, no crypto.randomUUID, no locks": `
    delete AbortSignal.timeout;
    delete Crypto.prototype.randomUUID;
    Object.defineProperty(navigator, "locks", { value: undefined });`,
  "storage that is full": `
    Storage.prototype.setItem = function () { throw new DOMException("full", "QuotaExceededError"); };`,
  "elements that stand before the document's own": `
    addEventListener("DOMContentLoaded", function () {});
    document.write('<img name="currentScript"><form name="scripts"></form>');`,
};

for (const [what, head] of Object.entries(LIBRARIES)) {
  test(`${what}: it works the same`, async (t) => {
    const fake = await startFake(t, { head });
    const page = await openPage(await newContext(t), fake.origin + "/");
    await works(page, fake);
    await page.goto(fake.origin + "/next");
    await loaded(page);
    assert.ok(fake.beacons.every(({ envelope }) => Array.isArray(envelope.events)));
  });
}

test("old libraries: what a page could not send is kept and sent whole", async (t) => {
  const fake = await startFake(t, { head: LIBRARIES["old libraries"] });
  fake.answer = () => ({ status: 503, headers: { "Retry-After": "600" }, body: "{}" });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("name", 'Ada "the first"'));
  await page.goto(fake.origin + "/bare");
  fake.answer = () => ({ status: 204 });
  await page.goto(fake.origin + "/next");
  await fake.until(() => fake.taken().some(({ value }) => value === 'Ada "the first"'));
});

test("a page that breaks JSON.stringify after the load does not break the widget", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const outcome = await page.evaluate(async () => {
    const { stringify } = JSON;
    JSON.stringify = () => {
      throw new Error("not this one");
    };
    const told = await new Promise((done) => window.onWebChat.set("name", "Ada", done));
    JSON.stringify = stringify;
    return told;
  });
  assert.deepEqual(outcome, { ok: true });
});

const stub = (/** @type {string} */ more) => `
  window.onWebChat = { ar: [], set: function (k, v, d) { this.ar.push([k, v, d]); }, get: function () {} };
  ${more}
  var s = document.createElement("script");
  s.src = "/clientchat/demo";
  document.head.append(s);
  onWebChat.set("name", "early");`;

for (const [what, more] of [
  ["its stub", "Object.freeze(window.onWebChat);"],
  [
    "its stub, and where it stands",
    'Object.freeze(window.onWebChat); Object.defineProperty(window, "onWebChat", { writable: false, configurable: false });',
  ],
]) {
  test(`a page that froze ${what}: its queue is done, before and after, and onWebChat_ is there`, async (t) => {
    const fake = await startFake(t, { head: stub(`window.mine = window.onWebChat; ${more}`) });
    const page = await openPage(await newContext(t), fake.origin + "/");
    await page.evaluate(() => window.mine.set("email", "late@x.example"));
    await fake.until(() => fake.taken().some(({ value }) => value === "late@x.example"));
    assert.ok(fake.taken().some(({ value }) => value === "early"));
    assert.equal(await page.evaluate(() => window.onWebChat_.get("name")), "early");
    if (!more.includes("writable")) {
      assert.equal(await page.evaluate(() => window.onWebChat.get("name")), "early");
    }
  });
}

test("a page that froze its queue, too: what is in it is done", async (t) => {
  const head = stub("").replace(
    /onWebChat\.set\("name", "early"\);$/,
    'onWebChat.set("name", "early"); Object.freeze(onWebChat.ar); Object.freeze(onWebChat);',
  );
  const fake = await startFake(t, { head });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await fake.until(() => fake.taken().some(({ value }) => value === "early"));
  assert.deepEqual(await set(page, "phone", "1"), { ok: true });
});

test("an onWebChat that is none: a number, a page's own object, an array full of nonsense", async (t) => {
  for (const mine of [
    "7",
    "null",
    '"x"',
    "{}",
    "{ ar: 5 }",
    '{ ar: [null, 1, "x", [], [1], [{}], ["on"], ["on", []], ["set", Symbol("x")], new Proxy([], {})] }',
  ]) {
    const head = `window.onWebChat = ${mine}; var s = document.createElement("script"); s.src = "/clientchat/demo"; document.head.append(s);`;
    const fake = await startFake(t, { head });
    const page = await openPage(await newContext(t), fake.origin + "/");
    const outcome = await page.evaluate(
      () => new Promise((done) => window.onWebChat_.set("name", "Ada", done)),
    );
    assert.deepEqual(outcome, { ok: true }, mine);
  }
});

test("keys and values that throw when they are looked at: refused, never thrown", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const codes = await page.evaluate(async () => {
    const evil = new Proxy(
      {},
      {
        get() {
          throw new Error("no");
        },
        ownKeys() {
          throw new Error("no");
        },
      },
    );
    const { onWebChat } = window;
    const bare = Object.create(null);
    const calls = [
      [evil, 1],
      [bare, 1],
      ["max", evil],
      ["max", bare],
      ["max", Symbol("1")],
      ["consent", evil],
      ["consent", Symbol("1")],
      ["name", evil],
      ["event", evil],
      ["language", evil],
      ["trigger", evil],
      ["onClick", evil],
    ];
    const outcomes = calls.map(
      ([key, value]) => new Promise((done) => onWebChat.set(key, value, done)),
    );
    for (const odd of [evil, bare, Symbol("x"), 7n, undefined]) {
      onWebChat.get(odd);
      onWebChat.on(odd, odd)();
      onWebChat.set("phone", "x", odd);
    }
    return (await Promise.all(outcomes)).map(({ code }) => code);
  });
  assert.deepEqual(codes, [
    "unknown_key",
    "unknown_key",
    ...Array(codes.length - 2).fill("wrong_type"),
  ]);
  await works(page, fake);
});

test("callbacks that throw, call back, or never return a promise's end: nobody else is hurt", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => {
    const { onWebChat } = window;
    window.heard = 0;
    onWebChat.on("onError", () => {
      throw new Error("in onError");
    });
    onWebChat.on("onMaximize", () => {
      throw null;
    });
    onWebChat.on("onMaximize", () => onWebChat.set("name", "from within"));
    onWebChat.on("onMaximize", () => new Promise(() => {}));
    onWebChat.on("onMaximize", () => ({
      get catch() {
        throw new Error("in a getter");
      },
    }));
    onWebChat.on("onMaximize", () => window.heard++);
    onWebChat.on("onEvent", () => {
      throw new Error("each time");
    });
    onWebChat.set("max", 1);
  });
  assert.equal(await page.evaluate(() => window.heard), 1);
  await fake.until(() => fake.taken().some(({ value }) => value === "from within"));
});

test("the interface does not come: events and fields are sent all the same, and it is tried again", async (t) => {
  const fake = await startFake(t);
  let refused = true;
  fake.answerInterface = (script) => (refused ? Buffer.from("throw new Error('no')") : script);
  const page = await (await newContext(t)).newPage();
  await stopTimers(page);
  await page.goto(fake.origin + "/");
  await page.waitForFunction(() => window.onWebChat_?.get("status"));
  await page.evaluate(() => {
    window.outcome = new Promise((done) => window.onWebChat.set("name", "Ada", done));
  });
  await page.clock.runFor(500); // the next try is not due
  assert.deepEqual(await page.evaluate(() => window.outcome), { ok: true });
  assert.equal(await page.locator("[data-chatbeacon]").count(), 0);
  refused = false;
  await page.clock.resume();
  await page.locator(".launcher").waitFor();
  await fake.until(() => fake.names().includes("onWebChatLoaded"));
});
