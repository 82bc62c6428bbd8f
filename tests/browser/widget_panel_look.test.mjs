// SPDX-License-Identifier: MIT
// How the widget looks and where it stands: place, colour, language, dark, print, hostile styles.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { textsOf } from "../../ingest/widget/texts.js";
import { loaded, openPage, useBrowser } from "./browser.mjs";
import { startFake } from "./fake.mjs";

const newContext = useBrowser();
const openapi = JSON.parse(
  readFileSync(new URL("../../query/openapi.json", import.meta.url), "utf8"),
);
const TRIGGER = { id: "t", name: "T", delay_s: 0, message: "May we help?" };
const HEBREW = { lang: "he", title: "צ׳אט", welcome: "שלום!", write: "כתבו הודעה…" };

/**
 * Where it stands: the sides of the window that it is near to.
 * @param {import("playwright-core").Page} page
 */
async function corner(page) {
  const box = await page.locator(".launcher").boundingBox();
  const { width, height } = page.viewportSize();
  return `${box.y > height / 2 ? "bottom" : "top"}-${box.x > width / 2 ? "right" : "left"}`;
}

/**
 * The contrast of an element's text on its background (WCAG 2).
 * @param {import("playwright-core").Locator} element
 */
const contrast = (element) =>
  element.evaluate((node) => {
    const light = (/** @type {string} */ colour) => {
      const [r, g, b] = colour.match(/[\d.]+/g).map((part) => {
        const c = Number(part) / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const { color, backgroundColor } = getComputedStyle(node);
    const [a, b] = [light(color), light(backgroundColor)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });

/**
 * From now on the fake's boots say this.
 * @param {Awaited<ReturnType<typeof startFake>>} fake
 * @param {object} boot
 */
function say(fake, boot) {
  const body = JSON.stringify({ status: "online", visitor: {}, ...boot });
  fake.answerBoot = () => ({ status: 200, body });
}

test("in the corner that the site wants it stands and opens, within the window", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t, { reducedMotion: "reduce" });
  for (const position of ["bottom-right", "bottom-left", "top-right", "top-left"]) {
    say(fake, { position });
    const page = await openPage(context, fake.origin + "/");
    await page.locator(".launcher").waitFor();
    assert.equal(await corner(page), position);
    await page.locator(".launcher").click();
    assert.equal(await corner(page), position);
    const { width, height } = page.viewportSize();
    const box = await page.locator(".panel").boundingBox();
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width, JSON.stringify(box));
    assert.ok(box.y + box.height <= height, JSON.stringify(box));
    await page.close();
  }
});

test("a site's colour is used, and what stands on it can be read", async (t) => {
  const fake = await startFake(t);
  const context = await newContext(t);
  for (const colour of ["#ffd21f", "#1b2a6b", "#777777", "#008800"]) {
    say(fake, { colour });
    const page = await openPage(context, fake.origin + "/");
    await page.locator(".launcher").click();
    await page.locator(".write textarea").fill("Hello");
    await page.locator(".send").click();
    for (const part of ["header", ".launcher", ".mine .text"]) {
      const ratio = await contrast(page.locator(part));
      assert.ok(ratio >= 4.5, `${colour} ${part}: ${ratio}`);
    }
    const used = await page.locator("header").evaluate((h) => getComputedStyle(h).backgroundColor);
    const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    assert.equal(used, `rgb(${rgb.join(", ")})`);
    await page.close();
  }
});

test("settings of the wrong kind are as if they were not there", async (t) => {
  const boot = {
    position: "middle",
    colour: "red",
    form: [null, 1, { field: "__proto__" }, { field: "constructor" }, "name"],
    texts: { l1: { title: 7, welcome: ["x"] }, l2: "x" },
    l2_languages: { de: true },
    hide_when_offline: "yes",
    status: "offline",
  };
  const fake = await startFake(t, { boot });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  await page.getByRole("dialog", { name: "Chat with us" }).waitFor();
  assert.equal(
    await page.locator("header").evaluate((header) => getComputedStyle(header).backgroundColor),
    "rgb(15, 107, 99)",
  );
  assert.equal(await corner(page), "bottom-right");
  assert.equal(await page.locator(".ask").isVisible(), false);
});

test("dark where the visitor's system is", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t, { colorScheme: "dark" }), fake.origin + "/");
  await page.locator(".launcher").click();
  const [red] = await page
    .locator(".panel")
    .evaluate((panel) => getComputedStyle(panel).backgroundColor.match(/\d+/g).map(Number));
  assert.ok(red < 60, `${red}`);
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(
    await page.locator(".panel").evaluate((panel) => getComputedStyle(panel).backgroundColor),
    "rgb(255, 255, 255)",
  );
});

test("in forced colours everything that can be pressed or typed in has an edge", async (t) => {
  const fake = await startFake(t, { boot: { form: [{ field: "name" }] } });
  const page = await openPage(await newContext(t, { forcedColors: "active" }), fake.origin + "/");
  await page.locator(".launcher").click();
  const edge = (/** @type {string} */ part) =>
    page.locator(part).evaluate((node) => getComputedStyle(node).borderTopWidth);
  for (const part of [".panel", ".close", "#name", ".start", ".launcher"]) {
    assert.notEqual(await edge(part), "0px", part);
  }
  await page.locator(".start").click();
  for (const part of [".write textarea", ".send"]) assert.notEqual(await edge(part), "0px", part);
});

test("on paper there is no widget", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").waitFor();
  await page.emulateMedia({ media: "print" });
  await page.locator(".launcher").waitFor({ state: "hidden" });
});

test("offline: says so, or stays away where the site wants that", async (t) => {
  const fake = await startFake(t, { boot: { status: "offline" } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  await page.getByRole("status").getByText("Away right now").waitFor();
  await page.getByText("Leave a message").waitFor();

  const shy = await startFake(t, {
    boot: { status: "offline", hide_when_offline: true, triggers: [TRIGGER] },
  });
  const other = await openPage(await newContext(t), shy.origin + "/");
  await other.evaluate(() => window.onWebChat.set("max", 1));
  await other.evaluate(() => window.onWebChat.set("show", 1));
  await shy.until(() => shy.names().includes("onWebChatLoaded"));
  await other.locator("[data-chatbeacon]").waitFor({ state: "hidden" });
  assert.equal(await other.evaluate(() => window.onWebChat.get("status")), "offline");
  assert.ok(!shy.names().includes("onMaximize"));
});

test("which language: of the browser by l2_languages, else l1; the page's word goes first", async (t) => {
  const boot = { texts: { l1: { lang: "en-GB" } }, l2_languages: ["de", "nl"] };
  const fake = await startFake(t, { boot });
  for (const [locale, title] of [
    ["de-AT", "Chatten Sie mit uns"],
    ["fr", "Chat with us"],
    ["nds", "Chat with us"],
  ]) {
    const page = await openPage(await newContext(t, { locale }), fake.origin + "/");
    await page.evaluate(() => window.onWebChat.set("max", 1));
    await page.getByRole("dialog", { name: title }).waitFor();
    for (const [language, other] of [
      ["l1", "Chat with us"],
      ["de-DE", "Chatten Sie mit uns"],
      ["en", "Chat with us"],
      ["l2", "Chatten Sie mit uns"],
      ["el", "Chat with us"],
    ]) {
      await page.evaluate((wanted) => window.onWebChat.set("language", wanted), language);
      await page.getByRole("dialog", { name: other }).waitFor();
    }
    await page.close();
  }
});

test("of two languages that are nearly the same each is had by its code, and l1 by what they share", async (t) => {
  const texts = {
    l1: { lang: "pt-PT", title: "Fale connosco" },
    l2: { lang: "pt-BR", title: "Fale conosco" },
  };
  const fake = await startFake(t, { boot: { texts } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("max", 1));
  for (const [language, title] of [
    ["pt-br", "Fale conosco"],
    ["pt", "Fale connosco"],
    ["pt-BR", "Fale conosco"],
    ["pt-PT", "Fale connosco"],
  ]) {
    await page.evaluate((wanted) => window.onWebChat.set("language", wanted), language);
    await page.getByRole("dialog", { name: title, exact: true }).waitFor();
  }
});

test("words that the site leaves out are in its language where it is one of ours, else in English", async (t) => {
  const texts = {
    l1: { lang: "de", title: "Frag uns" },
    l2: { lang: "fr", title: "Écrivez-nous" },
  };
  const fake = await startFake(t, { boot: { texts } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.evaluate(() => window.onWebChat.set("max", 1));
  await page.getByRole("dialog", { name: "Frag uns" }).waitFor();
  await page.getByText("Guten Tag! Wie können wir helfen?").waitFor();
  await page.evaluate(() => window.onWebChat.set("language", "l2"));
  await page.getByRole("dialog", { name: "Écrivez-nous" }).waitFor();
  await page.getByText("Hello! How can we help you?").waitFor();
});

test("words that run right to left turn the panel and its place; what is typed runs as it is written", async (t) => {
  const fake = await startFake(t, { boot: { texts: { l2: HEBREW } } });
  const page = await openPage(await newContext(t, { reducedMotion: "reduce" }), fake.origin + "/");
  await page.locator(".launcher").click();
  assert.equal(await corner(page), "bottom-right");
  await page.evaluate(() => window.onWebChat.set("language", "l2"));
  assert.equal(await corner(page), "bottom-left");
  const x = async (/** @type {string} */ part) => (await page.locator(part).boundingBox()).x;
  assert.ok((await x(".close")) < (await x(".who")), "the header is turned");
  assert.ok((await x(".send")) < 60, "the box to write in is turned");
  const way = (/** @type {string} */ part) =>
    page.locator(part).evaluate((node) => getComputedStyle(node).direction);
  assert.equal(await way("textarea"), "rtl"); // its placeholder is Hebrew
  await page.locator("textarea").fill("Order A-1200!");
  assert.equal(await way("textarea"), "ltr");
  await page.keyboard.press("Enter");
  await page.locator(".mine").waitFor();
  assert.equal(await way(".mine .text"), "ltr");
  assert.equal(await way(".message:first-child .text"), "rtl");
});

test("right-to-left words without a language's code turn the panel as well", async (t) => {
  const fake = await startFake(t, { boot: { texts: { l1: { title: "دردشة" } } } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").waitFor();
  assert.equal(await corner(page), "bottom-left");
});

test("the page's styles do not reach in, the widget's do not reach out, and nothing on the page moves", async (t) => {
  const css = `
    * { color: red !important; letter-spacing: 9px !important; }
    div, button, form { position: relative !important; display: inline-block !important; transform: rotate(3deg) !important;
      width: 900px !important; padding: 50px !important; opacity: 0.1 !important; filter: blur(3px) !important; }
    :root { --accent: red; --ink: red; }
    body { display: grid; gap: 40px; margin: 0; font: 30px/3 fantasy; text-transform: uppercase; }`;
  const head = `
    window.shifts = 0;
    new PerformanceObserver(function (list) { list.getEntries().forEach(function (e) { shifts += e.value; }); })
      .observe({ type: "layout-shift", buffered: true });
    var sheet = new CSSStyleSheet(); sheet.replaceSync(${JSON.stringify(css)}); document.adoptedStyleSheets = [sheet];`;
  const fake = await startFake(t, { head, boot: { triggers: [TRIGGER] } });
  const plain = await startFake(t, { boot: { triggers: [TRIGGER] } });
  const context = await newContext(t, { reducedMotion: "reduce" });
  const [page, other] = [
    await openPage(context, fake.origin + "/"),
    await openPage(context, plain.origin + "/"),
  ];
  for (const p of [page, other]) await p.getByText("May we help?").waitFor();
  const size = () => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [scrollWidth, scrollHeight, document.body.getBoundingClientRect().height].join();
  };
  const styles = (/** @type {import("playwright-core").Page} */ p) =>
    p.evaluate(() => {
      const { shadowRoot } = document.querySelector("[data-chatbeacon]");
      return [...shadowRoot.querySelectorAll("*")].map((node) => {
        const s = getComputedStyle(node);
        const { x, y, width, height } = node.getBoundingClientRect();
        return [
          node.localName,
          s.color,
          s.font,
          s.letterSpacing,
          s.textTransform,
          x,
          y,
          width,
          height,
        ];
      });
    });
  assert.deepEqual(await styles(page), await styles(other));
  const host = await page.evaluate(() => {
    const { opacity, filter, transform } = getComputedStyle(
      document.querySelector("[data-chatbeacon]"),
    );
    return [opacity, filter, transform];
  });
  assert.deepEqual(host, ["1", "none", "none"]);
  const before = await page.evaluate(size);
  await page.evaluate(() => document.querySelector("[data-chatbeacon]").remove());
  assert.equal(await page.evaluate(size), before);
  assert.equal(await page.evaluate(() => window.shifts), 0);
});

test("a trigger that opens the chat takes no focus, and the visitor goes on typing in the page", async (t) => {
  const head = `addEventListener("DOMContentLoaded", function () {
    var input = document.createElement("input"); document.body.append(input); input.focus(); });`;
  const fake = await startFake(t, { head });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.keyboard.type("one ");
  await page.evaluate((rule) => window.onWebChat.set("trigger", rule), {
    ...TRIGGER,
    agent: "Maria",
  });
  const said = page.getByRole("log").locator(".message", { hasText: "May we help?" });
  await said.getByText("Maria").waitFor();
  await page.keyboard.type("two");
  assert.equal(await page.evaluate(() => document.activeElement.value), "one two");
});

test("what a trigger says is added to the log after it came into sight, so that it is read out", async (t) => {
  const head = `var append = Element.prototype.append;
    Element.prototype.append = function () {
      if (this.role === "log" && arguments[0] && /help/.test(arguments[0].textContent)) window.inSight = this.checkVisibility();
      return append.apply(this, arguments);
    };`;
  const fake = await startFake(t, { head, boot: { triggers: [{ ...TRIGGER, message: "help?" }] } });
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.getByText("help?", { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => window.inSight), true);
});

test("a message that could not be left can be tried again; only what is missing is sent", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const bad = { status: 400, body: '{"error":{"code":"bad_event"}}' };
  fake.answer = (envelope) =>
    envelope.events.some(({ name }) => name === "message") ? bad : { status: 204 };
  await page.locator(".launcher").click();
  await page.locator("textarea").fill("Hello");
  await page.keyboard.press("Enter");
  const again = page.getByRole("button", { name: "Try again" });
  await again.waitFor();
  assert.equal(await page.getByText("Message left").count(), 0);
  await page.evaluate(() => window.onWebChat.set("language", "l2"));
  await page.getByRole("button", { name: "Noch einmal versuchen" }).waitFor();
  await page.evaluate(() => window.onWebChat.set("language", "l1"));
  fake.answer = () => ({ status: 204 });
  await again.click();
  await page.getByText("Message left", { exact: true }).waitFor();
  assert.equal(await again.count(), 0);
  assert.equal(await page.locator(".mine").count(), 1);
  const texts = fake.taken().filter(({ name }) => name === "message");
  assert.deepEqual(
    texts.map(({ props }) => props.text),
    ["Hello"],
  );
});

test("only an answer of the server makes a message left", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  /** @type {() => void} */
  let held = () => {};
  fake.answer = (envelope) => {
    if (!envelope.events.some(({ name }) => name === "message")) return { status: 204 };
    held();
    return null;
  };
  const arrived = new Promise((resolve) => (held = () => resolve(undefined)));
  await page.locator(".launcher").click();
  await page.locator("textarea").fill("Hello");
  await page.keyboard.press("Enter");
  await arrived;
  await page.getByText("Sending…", { exact: true }).waitFor();
  assert.equal(await page.getByText("Message left").count(), 0);
});

test("each message begun is told once", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  await page.locator(".launcher").click();
  const begun = () => fake.names().filter((name) => name === "onStartWriting").length;
  await page.keyboard.type("  ");
  await page.keyboard.type("one");
  await page.keyboard.press("Enter");
  await page.keyboard.type("two");
  await page.keyboard.press("Enter");
  await page.getByText("Message left", { exact: true }).nth(1).waitFor();
  assert.equal(begun(), 2);
});

test("at 320 pixels Tab stays in the panel, Escape leaves it; beside a page it does not stay", async (t) => {
  const fake = await startFake(t);
  const small = await openPage(
    await newContext(t, { viewport: { width: 320, height: 568 } }),
    fake.origin + "/",
  );
  const at = (/** @type {import("playwright-core").Page} */ page) =>
    page.evaluate(() => {
      const node = document.querySelector("[data-chatbeacon]").shadowRoot.activeElement;
      return node && (node.className || node.localName);
    });
  await small.locator(".launcher").click();
  assert.equal(await small.locator(".panel").getAttribute("aria-modal"), "true");
  await small.keyboard.type("x");
  const round = [];
  for (let i = 0; i < 4; i++) {
    await small.keyboard.press("Tab");
    round.push(await at(small));
  }
  assert.deepEqual(round, ["send", "close", "body", "textarea"]);
  for (let i = 0; i < 3; i++) await small.keyboard.press("Shift+Tab");
  assert.equal(await at(small), "send");
  await small.keyboard.press("Escape");
  assert.equal(await at(small), "launcher");

  const wide = await openPage(await newContext(t), fake.origin + "/");
  await wide.locator(".launcher").click();
  assert.equal(await wide.locator(".panel").getAttribute("aria-modal"), "false");
  await wide.keyboard.press("Tab"); // nothing to send: no stop
  assert.equal(await at(wide), "launcher");
  await wide.keyboard.press("Escape");
  await wide.locator(".panel").waitFor({ state: "hidden" });
});

test("on a touch screen the keyboard does not come by itself, and what it covers is given up", async (t) => {
  const fake = await startFake(t);
  const options = { viewport: { width: 320, height: 568 }, hasTouch: true };
  const page = await openPage(await newContext(t, options), fake.origin + "/");
  await page.locator(".launcher").tap();
  await page.locator(".panel").waitFor(); // the click comes after the tap
  assert.equal(
    await page.evaluate(
      () => document.querySelector("[data-chatbeacon]").shadowRoot.activeElement.id,
    ),
    "panel",
  );
  await page.locator("textarea").tap();
  await page.evaluate(() => {
    // A keyboard of 250 pixels, and the page moved up by 40.
    Object.defineProperty(visualViewport, "height", { get: () => 318 });
    Object.defineProperty(visualViewport, "offsetTop", { get: () => 40 });
    visualViewport.dispatchEvent(new Event("resize"));
  });
  const box = await page.locator(".panel").boundingBox();
  assert.deepEqual([box.y, box.height], [40, 318]);
  const write = await page.locator(".write").boundingBox();
  assert.ok(write.y + write.height <= 358);
});

test("at a zoom of 200 % everything is within reach", async (t) => {
  const fake = await startFake(t, {
    boot: { form: ["name", "email", "phone", "notes"].map((field) => ({ field })) },
  });
  const context = await newContext(t, {
    viewport: { width: 640, height: 360 },
    reducedMotion: "reduce",
  });
  const page = await openPage(context, fake.origin + "/");
  await page.locator(".launcher").click();
  for (const part of [".panel", ".close", "#notes", ".start", "#name"]) {
    await page.locator(part).scrollIntoViewIfNeeded();
    const box = await page.locator(part).boundingBox();
    assert.ok(box.y >= 0 && box.y + box.height <= 360 && box.x + box.width <= 640, part);
  }
});

test("hidden and shown again it is as it was; a hidden one that was maximized opens then", async (t) => {
  const fake = await startFake(t);
  const page = await openPage(await newContext(t), fake.origin + "/");
  const set = (/** @type {string} */ key, /** @type {any} */ value) =>
    page.evaluate(([k, v]) => window.onWebChat.set(k, v), [key, value]);
  await page.locator(".launcher").click();
  await page.locator("textarea").fill("Hello");
  await set("show", 0);
  await page.locator("[data-chatbeacon]").waitFor({ state: "hidden" });
  await set("show", 1);
  await page.locator(".panel").waitFor();
  assert.equal(await page.locator("textarea").inputValue(), "Hello");
  await set("show", 0);
  await set("max", 0);
  await set("max", 1);
  await set("show", 1);
  await page.locator(".panel").waitFor();
  await loaded(page);
});

test("each of its words can be set by the site, in both languages", () => {
  const words = Object.keys(openapi.components.schemas.Words.properties);
  for (const language of ["l1", "l2"]) {
    const shown = Object.keys(textsOf({}, language));
    assert.deepEqual(
      shown.filter((word) => !words.includes(word)),
      [],
    );
    const texts = Object.fromEntries(words.map((word) => [word, `my ${word}`]));
    const mine = textsOf({ texts: { [language]: texts } }, language);
    for (const word of shown) assert.equal(mine[word], `my ${word}`);
  }
});
