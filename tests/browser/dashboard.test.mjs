// SPDX-License-Identifier: MIT
// dashboard.test.mjs: the dashboard in a real browser, against a fake of the query API whose data
// the tests change, with the bundle that the binary embeds and under the policy that it is served
// with.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { resolve } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { bundle } from "../../proto/embed.mjs";
import { countFlights, flights, landed, LAUNCH, stopTimers } from "./browser.mjs";

const SOURCE = resolve(fileURLToPath(import.meta.url), "../../../query/dashboard");
const TOKEN = "a-good-token";
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; " +
  "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const DEADLINE_MS = 30_000;

/** What the fake service knows; made anew for each test. */
function world() {
  return {
    token: TOKEN,
    down: false,
    requests: /** @type {URL[]} */ ([]),
    hold: "", // requests under this path are not answered
    held: /** @type {import("node:http").ServerResponse[]} */ ([]),
    events: { onClick: 12, onWebChatLoaded: 40 },
    top: /** @type {Record<string, [string, number][]>} */ ({
      page: [
        ["https://shop.example/", 30],
        ["<i>evil</i>", 3],
      ],
      device: [["mobile", 12]],
    }),
    people: Array.from({ length: 120 }, (_, i) => person(i)),
    seen: /** @type {number | null} */ (7), // visitors of the range
    books: { received: 60, counted: 52, duplicate: 5, rejected: { bad_time: 3 }, lost: 2 },
    sites: ["demo", "shop"],
    unknownZone: "", // the service does not know this one
    role: "admin",
    presence: 0, // how often somebody said that they are there
    streams:
      /** @type {{site: string, last: string, send: (text: string) => void, end: () => void}[]} */ ([]),
    opened: 0, // streams, so far
  };
}

/** @param {number} i */
function person(i) {
  const now = Date.now();
  return {
    visitor: i.toString(16).padStart(32, "0"),
    name: `Person ${i}`,
    email: `person${i}@example.org`,
    phone: "",
    notes: `Notes of ${i}`,
    first_seen: now - 3_600_000,
    last_seen: now - i * 60_000,
    events: i,
  };
}

let state = world();
let position = 0; // of the journal: another one whenever the data is
let data = "";
/** @type {Map<string, Buffer>} */
let files;
/** @type {import("node:http").Server} */
let server;
/** @type {import("playwright-core").Browser} */
let browser;
let origin = "";

function positionNow() {
  const { events, people, books, sites } = state;
  const now = JSON.stringify([events, people, books, sites]);
  if (now !== data) position++;
  data = now;
  return position;
}

/** @type {Record<string, (url: URL) => unknown>} */
const reports = {
  totals: () => ({ events: state.events, visitors: state.seen, sessions: 9, from: 0, to: 0 }),
  timeseries: (url) => {
    const grain = url.searchParams.get("grain");
    const step = grain === "minute" ? 60_000 : grain === "hour" ? 3_600_000 : 86_400_000;
    const points = [];
    const to = Number(url.searchParams.get("to"));
    for (let t = Number(url.searchParams.get("from")); t < to; t += step)
      points.push({ t, events: points.length % 5, visitors: state.seen && points.length % 3 });
    return { grain, tz: url.searchParams.get("tz"), points };
  },
  breakdown: (url) => {
    const by = url.searchParams.get("by") ?? "";
    const rows = (state.top[by] ?? []).map(([value, events]) => ({ value, events, visitors: 1 }));
    const other = { events: by === "page" ? 5 : 0, values: by === "page" ? 2 : 0 };
    return { by, tz: "Asia/Kathmandu", widened: true, rows, other };
  },
  visitors: (url) => {
    const q = url.searchParams.get("q") ?? "";
    const found = state.people.filter((row) => row.name.includes(q));
    const at = Number(url.searchParams.get("cursor") ?? 0);
    const end = at + Number(url.searchParams.get("limit"));
    return { rows: found.slice(at, end), next: end < found.length ? String(end) : null };
  },
};

/**
 * @param {URL} url
 * @param {string | undefined} authorization
 * @returns {[number, unknown]}
 */
function answer(url, authorization) {
  const refuse = (/** @type {number} */ status, /** @type {string} */ message) =>
    /** @type {[number, unknown]} */ ([status, { error: { code: "refused", message } }]);
  if (authorization !== `Bearer ${state.token}`)
    return refuse(401, "a valid bearer token is needed");
  if (state.down) return refuse(503, "the store is away");
  if (url.pathname === "/v1/token")
    return [200, { id: "00", role: state.role, site: null, name: "", made: 0, made_by: null }];
  if (url.pathname === "/v1/balance") {
    const sites = Object.fromEntries(state.sites.map((name) => [name, state.books]));
    const total = { ...state.books, rejected: {} };
    return [200, { sites, total, position: positionNow() }];
  }
  const [, , , site, report, visitor] = url.pathname.split("/");
  if (!state.sites.includes(site)) return refuse(404, "there is no such site");
  if (state.unknownZone && url.searchParams.get("tz") === state.unknownZone) {
    const message = "tz is the name of an IANA zone, like Europe/Athens";
    return [400, { error: { code: "bad_request", message, field: "tz" } }];
  }
  if (report === "presence") {
    state.presence++;
    return [200, { site, mode: "automatic", status: "online", lease_ms: 15000, renew_ms: 5000 }];
  }
  if (report === "visitors" && state.role === "viewer") return refuse(403, "not for viewers");
  if (visitor) {
    const found = state.people.find((row) => row.visitor === visitor);
    return found ? [200, found] : refuse(404, "there is no such visitor");
  }
  return reports[report] ? [200, reports[report](url)] : refuse(404, "nothing here");
}

const bucket = (/** @type {number} */ events) => ({ t: 0, events, visitors: events });

/** The counts of a live stream, as the service writes them. */
const counts = (/** @type {string} */ id, online = 3) =>
  `id: ${id}\nevent: counts\ndata: ${JSON.stringify({
    t: Date.now(),
    online,
    minute: bucket(48),
    current: bucket(12),
    day: { ...bucket(500), sessions: 20, tz: "UTC" },
  })}\n\n`;

/** An event of a live stream. */
const liveEvent = (/** @type {string} */ id, /** @type {object} */ more = {}) =>
  `id: ${id}\nevent: event\ndata: ${JSON.stringify({
    ...{ position: 1, index: 0, received: Date.now(), at: Date.now(), site: "demo" },
    ...{ visitor: null, seq: 1, name: "onClick", page: "https://shop.example/a?b#c", props: {} },
    ...more,
  })}\n\n`;

/**
 * @param {string} site
 * @param {string} last
 * @param {import("node:http").ServerResponse} response
 */
function watch(site, last, response) {
  const { streams } = state;
  const stream = {
    site,
    last,
    send: (/** @type {string} */ text) => void response.write(text),
    end: () => void response.end(),
  };
  state.opened++;
  streams.push(stream);
  response.on("close", () => streams.splice(streams.indexOf(stream), 1));
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(`retry: 2000\n\n${counts("7")}`);
}

before(async () => {
  ({ files } = await bundle(SOURCE, ["app.js", "app.css"]));
  files.set("index.html", await readFile(resolve(SOURCE, "index.html")));
  const types = { js: "text/javascript", css: "text/css", html: "text/html; charset=utf-8" };
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", origin);
    response.setHeader("Content-Security-Policy", CSP);
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (url.pathname.startsWith("/v1/")) {
      state.requests.push(url);
      const [, , , site, report] = url.pathname.split("/");
      if (report === "live" && !state.down && state.sites.includes(site)) {
        watch(site, String(request.headers["last-event-id"] ?? ""), response);
        return;
      }
      if (state.hold && url.pathname.startsWith(state.hold)) {
        state.held.push(response);
        return;
      }
      const [status, body] = answer(url, request.headers.authorization);
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
      return;
    }
    const path = url.pathname.slice(1) || "index.html";
    const file = files.get(path);
    const type = types[/** @type {keyof types} */ (path.split(".")[1])];
    response.writeHead(file ? 200 : 404, { "Content-Type": type ?? "text/plain" });
    response.end(file ?? "");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(null)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  origin = `http://127.0.0.1:${address.port}`;
  browser = await chromium.launch(LAUNCH);
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

beforeEach(() => {
  state = world();
});

/**
 * A page in a context of its own; what its console says about the policy, and any exception, fails
 * the test.
 * @param {(page: import("playwright-core").Page) => Promise<void>} body
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
async function withPage(body, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (/Content.Security.Policy|Refused to/i.test(message.text())) complaints.push(message.text());
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  try {
    await body(page);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

/**
 * Waits until the element's text is this.
 * @param {import("playwright-core").Page} page
 * @param {string} selector
 * @param {string} text
 */
async function shows(page, selector, text) {
  try {
    await page.waitForFunction(
      ([where, wanted]) => document.querySelector(where)?.textContent === wanted,
      [selector, text],
    );
  } catch {
    const now = await page.locator(selector).first().textContent();
    assert.fail(`${selector} is ${JSON.stringify(now)}, not ${JSON.stringify(text)}`);
  }
}

/** @param {import("playwright-core").Page} page */
async function openLoggedIn(page) {
  await page.goto(`${origin}/#token=${TOKEN}`);
  await shows(page, "#state", "Live");
}

/**
 * Waits until the visitor list has this many rows.
 * @param {import("playwright-core").Page} page
 * @param {number} count
 */
const hasRows = (page, count) =>
  page.waitForFunction(
    (wanted) => document.querySelectorAll("#visitor-rows tr").length === wanted,
    count,
  );

test("a wrong token is refused with the service's words, a right one enters and stays for a reload", () =>
  withPage(async (page) => {
    await page.goto(origin);
    await page.getByLabel("Access token").fill("wrong");
    await page.keyboard.press("Enter");
    await shows(page, "#login-message", "a valid bearer token is needed");
    assert.equal(await page.locator("#dashboard").isVisible(), false);
    await page.getByLabel("Access token").fill("späße");
    await page.keyboard.press("Enter");
    await shows(page, "#login-message", "This is not a token.");
    await page.getByLabel("Access token").fill(` ${TOKEN} `);
    await page.getByRole("button", { name: "Log in" }).click();
    await shows(page, '[data-event="onClick"]', "12");
    await page.reload();
    await shows(page, '[data-event="onClick"]', "12");
    await page.getByRole("button", { name: "Log out" }).click();
    assert.equal(await page.locator("#login").isVisible(), true);
    assert.equal(await page.locator("[data-event]").count(), 0);
    assert.equal(await page.locator("#visitor-rows tr").count(), 0);
    await page.reload();
    await page.getByLabel("Access token").waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify(sessionStorage)), "{}");
  }));

test("the token of a link enters, and is gone from the address bar and the history", () =>
  withPage(async (page) => {
    await page.goto(`${origin}/?a=b#token=${encodeURIComponent(TOKEN)}`);
    await shows(page, "#state", "Live");
    assert.equal(page.url(), `${origin}/?a=b`);
    // A link opened in the same tab changes the hash alone.
    await page.evaluate(() => (location.hash = "#token=another"));
    await shows(page, "#login-message", "a valid bearer token is needed");
    assert.equal(page.url(), `${origin}/?a=b`);
    assert.ok(
      state.requests.every(({ href }) => !href.includes(TOKEN) && !href.includes("another")),
    );
  }));

test("the values of a dimension stand in a panel, as text, and another can be chosen", () =>
  withPage(async (page) => {
    await openLoggedIn(page);
    await shows(page, "#top-rows", "shop.example/301<i>evil</i>31");
    await shows(page, "#top-note", "5 events of 2 others. Whole days, Asia/Kathmandu.");
    assert.equal(await page.locator("#top-rows i").count(), 0);
    state.top.page = [["https://shop.example/cart", 4]];
    state.events.onClick = 13; // something is new
    await shows(page, "#top-rows", "/cart41"); // of one host: without it
    await page.selectOption("#top-by", "device");
    await shows(page, "#top-rows", "mobile121");
    await page.selectOption("#top-by", "country");
    await shows(page, "#top-empty", "Nothing in this range.");
    await page.selectOption("#event", "onClick");
    await until(() => {
      const last = state.requests.filter(({ pathname }) => pathname.endsWith("/breakdown")).at(-1);
      return (
        last?.searchParams.get("event") === "onClick" && last.searchParams.get("by") === "country"
      );
    });
  }));

test("numbers are plain digits, and change while one looks, without losing focus or selection", () =>
  withPage(async (page) => {
    state.events = { onClick: 1234567, onWebChatLoaded: 40 };
    await openLoggedIn(page);
    await shows(page, '[data-event="onClick"]', "1234567");
    await shows(page, '[data-total="events"]', "1234607");
    await shows(page, '[data-total="visitors"]', "7");
    await shows(page, '[data-total="sessions"]', "9");
    const button = page.locator("#visitor-rows button").nth(5);
    await button.focus();
    await page.evaluate(() => {
      const name = document.querySelector("#event-rows .clip");
      if (name) getSelection()?.selectAllChildren(name);
    });

    state.events = { onClick: 1234568, onWebChatLoaded: 40, ["custom:buy"]: 3 };
    state.people = [person(500), ...state.people.slice(5, 6), ...state.people.slice(0, 5)];
    await shows(page, '[data-event="onClick"]', "1234568");
    await shows(page, '[data-event="custom:buy"]', "3");
    await shows(page, '[data-total="events"]', "1234611");
    await hasRows(page, 7);
    const order = await page.locator("#visitor-rows button").allTextContents();
    assert.deepEqual(order.slice(0, 3), ["Person 500", "Person 5", "Person 0"]);
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Person 5");
    assert.equal(await page.evaluate(() => String(getSelection())), "onClick");
  }));

test("visitors that are not known are a dash, not a word", () =>
  withPage(async (page) => {
    state.seen = null;
    await openLoggedIn(page);
    await shows(page, '[data-total="visitors"]', "–");
    await shows(page, "#legend-visitors", "–");
    await page.getByText("Show as a table").click();
    await shows(page, "#points-rows tr:first-child td:last-child", "–");
  }));

test("range, event and site are asked for; the chart and its table follow", () =>
  withPage(
    async (page) => {
      await openLoggedIn(page);
      await page.locator("#chart canvas").waitFor();
      await page.getByText("Show as a table").click();
      await page.waitForFunction(() => document.querySelectorAll("#points-rows tr").length === 60);
      await page.getByText("30 days", { exact: true }).click();
      await page.waitForFunction(() => document.querySelectorAll("#points-rows tr").length === 30);
      await page.getByLabel("Event", { exact: true }).selectOption("onClick");
      await page.waitForFunction(() =>
        document
          .querySelector("#chart")
          ?.getAttribute("aria-label")
          ?.startsWith("onClick: Last 30"),
      );
      const series = state.requests.findLast((url) => url.pathname.endsWith("/timeseries"));
      assert.equal(series?.searchParams.get("grain"), "day");
      assert.equal(series?.searchParams.get("event"), "onClick");
      assert.match(series?.searchParams.get("tz") ?? "", /Kolkata|Calcutta/);
      const into = (Number(series?.searchParams.get("from")) + 5.5 * 3_600_000) % 86_400_000;
      assert.equal(into, 0, "from is a midnight of the reader's zone");
      const now = Date.now();
      assert.ok(Number(series?.searchParams.get("to")) > now, "the day under way is inside");
      assert.ok(Number(series?.searchParams.get("from")) < now - 28 * 86_400_000);

      state.requests = [];
      await page.getByLabel("Site", { exact: true }).selectOption("shop");
      await shows(page, '[data-event="onClick"]', "12");
      assert.equal(await page.title(), "shop · chatbeacon");
      assert.ok(state.requests.some((url) => url.pathname === "/v1/sites/shop/totals"));
      assert.equal(await page.getByLabel("Event", { exact: true }).inputValue(), "");
    },
    { timezoneId: "Asia/Kolkata" },
  ));

test("visitors: pages by cursor survive a refresh, the search narrows, a click opens the notes", () =>
  withPage(async (page) => {
    await openLoggedIn(page);
    await hasRows(page, 50);
    const more = page.getByRole("button", { name: "More", exact: true });
    await more.click();
    await hasRows(page, 100);
    await more.click();
    await hasRows(page, 120);
    assert.equal(await more.isVisible(), false);
    state.people = [{ ...state.people[119], events: 999 }, ...state.people.slice(0, 119)];
    await shows(page, "#visitor-rows tr:first-child td:last-child", "999");
    await hasRows(page, 120);

    await page.getByLabel("Search visitors").fill("Person 11");
    await hasRows(page, 11);
    await page.getByLabel("Search visitors").fill("nobody");
    await shows(page, "#visitors-empty", "No visitor matches.");
    await page.getByLabel("Search visitors").fill("");
    await hasRows(page, 50);

    await page.getByRole("button", { name: "Person 7", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Person 7" });
    await dialog.getByText("Notes of 7").waitFor();
    state.people = state.people.map((row) => ({ ...row, notes: "rewritten" }));
    await dialog.getByText("rewritten").waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Person 7");
  }));

test("what strangers wrote is text, and does not widen a phone's page", () =>
  withPage(
    async (page) => {
      const evil = `<img src=x onerror="document.title='owned'"><b>bold</b>`;
      state.people = [
        {
          ...person(0),
          name: evil,
          email: `"><script>1</script>`,
          notes: `${evil}\n${"w".repeat(4000)}`,
        },
        { ...person(1), name: "W".repeat(200), email: "e".repeat(254), phone: "1".repeat(40) },
        { ...person(2), name: "\u202Eمرحبا بالعالم" },
      ];
      state.events = /** @type {any} */ ({ [evil]: 4, ["N".repeat(64)]: 9007199254740991 });
      await openLoggedIn(page);
      await hasRows(page, 3);
      await page.getByRole("button", { name: evil }).click();
      await shows(page, "#detail-title", evil);
      const made = "#dashboard :is(img, b:not(.legend b), script), dialog :is(img, b, script)";
      assert.equal(await page.locator(made).count(), 0);
      assert.equal(await page.title(), "demo · chatbeacon");
      assert.equal(await page.locator("#visitor-rows button").first().getAttribute("dir"), "auto");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 320, `the page is ${wide} px wide`);
    },
    { viewport: { width: 320, height: 640 } },
  ));

test("the books say whether they balance, and a site without events how to embed the widget", () =>
  withPage(async (page) => {
    await openLoggedIn(page);
    await shows(page, "#books-mark", "✓ Balanced");
    await shows(page, '[data-books="rejected"]', "3");
    await shows(page, '[data-books="rejected.bad_time"]', "3");
    await shows(page, '[data-books="lost"]', "2");
    assert.equal(await page.locator("#welcome").isVisible(), false);
    state.books = { ...state.books, received: 64 };
    await shows(page, "#books-mark", "✗ Off by 4");
    state.books = {
      received: 0,
      counted: 0,
      duplicate: 0,
      rejected: /** @type {any} */ ({}),
      lost: 0,
    };
    await page.locator("#welcome").waitFor();
    assert.match((await page.locator("#snippet").textContent()) ?? "", /\/clientchat\/demo"/);
  }));

test("a service that fails is said so and asked again; a 401 leads back to the log-in", () =>
  withPage(async (page) => {
    await openLoggedIn(page);
    state.down = true;
    await shows(page, "#problem", "the store is away");
    await page.waitForFunction(() =>
      document.querySelector("#state")?.textContent?.startsWith("Retrying"),
    );
    await shows(page, '[data-event="onClick"]', "12");
    state.down = false;
    await shows(page, "#state", "Live");
    assert.equal(await page.locator("#problem").isVisible(), false);
    state.token = "revoked";
    await shows(page, "#login-message", "a valid bearer token is needed");
    assert.equal(await page.locator("#dashboard").isVisible(), false);
    assert.equal(await page.locator("[data-event], #visitor-rows tr").count(), 0);
    assert.equal(await page.evaluate(() => sessionStorage.getItem("chatbeacon.token")), null);
  }));

test("a hidden page asks for nothing, a seen one does at once", () =>
  withPage(async (page) => {
    await page.addInitScript(() => {
      let seen = "visible";
      let asked = 0;
      Object.defineProperty(document, "visibilityState", { get: () => seen });
      const fetch = window.fetch;
      window.fetch = (...call) => {
        asked++;
        return fetch(...call);
      };
      Object.assign(window, {
        asked: () => asked,
        turn: (/** @type {string} */ to) => {
          seen = to;
          document.dispatchEvent(new Event("visibilitychange"));
          return asked;
        },
      });
    });
    await page.clock.install();
    await openLoggedIn(page);
    const turn = (/** @type {string} */ to) =>
      page.evaluate((wanted) => /** @type {any} */ (window).turn(wanted), to);
    const asked = await turn("hidden");
    await shows(page, "#state", "Paused");
    await page.clock.runFor(30_000);
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).asked()), asked);
    state.events.onClick = 13;
    await turn("visible");
    await shows(page, '[data-event="onClick"]', "13");
  }));

test("one refresh at a time, and a choice takes the place of the one under way", () =>
  withPage(async (page) => {
    await page.clock.install();
    await openLoggedIn(page);
    await page.clock.pauseAt(Date.now() + 60_000); // only runFor moves it: no request times out
    state.hold = "/v1/sites/shop/";
    await page.getByLabel("Site", { exact: true }).selectOption("shop");
    const held = async (/** @type {number} */ count) => {
      const deadline = Date.now() + DEADLINE_MS;
      while (state.held.length < count && Date.now() < deadline)
        await new Promise((next) => setImmediate(next));
      assert.equal(state.held.length, count);
    };
    await held(4);
    await page.clock.runFor(5000);
    assert.equal(state.held.length, 4);
    const dropped = Promise.all(
      state.held.map((response) => new Promise((done) => response.on("close", () => done(true)))),
    );
    await page.getByText("7 days", { exact: true }).click();
    const deadline = new Promise((done) => setTimeout(done, DEADLINE_MS, false).unref());
    assert.ok(await Promise.race([dropped, deadline]), "the old requests are still open");
    await held(8);
    state.hold = "";
    state.events.onClick = 14;
    await page.getByText("24 hours", { exact: true }).click();
    await shows(page, '[data-event="onClick"]', "14");
    assert.equal(await page.locator("[data-stale]").count(), 0);
  }));

/** How often a report was asked for. */
const asked = (/** @type {string} */ report) =>
  state.requests.filter((url) => url.pathname.endsWith(report)).length;

const until = async (/** @type {() => boolean} */ condition) => {
  const deadline = Date.now() + 2 * DEADLINE_MS;
  while (!condition() && Date.now() < deadline) await new Promise((next) => setTimeout(next, 5));
  assert.ok(condition(), String(condition));
};

test("on a busy site the reports are read twice a second at most", () =>
  withPage(async (page) => {
    await page.addInitScript({ content: countFlights("/v1/(?!sites/[^/]*/live)") });
    await stopTimers(page);
    await openLoggedIn(page);
    state.requests = [];
    const TURNS = 30;
    for (let turn = 0; turn < TURNS; turn++) {
      state.books.received++;
      const before = await flights(page);
      await page.clock.runFor(300);
      await landed(page, before + 1);
    }
    assert.equal(asked("/balance"), TURNS);
    const most = 6 + Math.ceil((TURNS * 300) / 500);
    assert.ok(asked("/totals") <= most, `${asked("/totals")} times, not ${most}`);
    assert.ok(asked("/totals") > 6);
  }));

test("while nothing changes only the books are asked for, and the rest every 5 s", () =>
  withPage(async (page) => {
    await openLoggedIn(page);
    state.requests = [];
    const started_ms = Date.now();
    await until(() => asked("/balance") >= 8);
    const due = 1 + Math.floor((Date.now() - started_ms) / 5000);
    for (const report of ["/totals", "/timeseries", "/visitors"])
      assert.ok(asked(report) <= due, `${report}: ${asked(report)} times, not ${due}`);
    await until(() => asked("/totals") > due);
    // Something new is asked for at once, and so is another choice.
    state.events.onClick = 13;
    await shows(page, '[data-event="onClick"]', "13");
    await page.getByText("7 days", { exact: true }).click();
    await page.waitForFunction(() =>
      document.querySelector("#chart")?.getAttribute("aria-label")?.includes("Last 7 days"),
    );
  }));

test("a reader's zone that the service does not know: all of the page is in UTC, and says so", () =>
  withPage(
    async (page) => {
      await page.addInitScript(() => {
        const drawn = /** @type {{text: string, x: number}[]} */ ([]);
        const { fillText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
          const { e, a } = this.getTransform();
          drawn.push({ text, x: e + a * x });
          fillText.call(this, text, x, y);
        };
        Object.assign(window, { drawn });
      });
      state.unknownZone = "America/Coyhaique";
      state.people = [{ ...person(0), last_seen: Date.UTC(2020, 0, 1, 1) }];
      await openLoggedIn(page);
      await shows(page, '[data-event="onClick"]', "12");
      assert.equal(await page.getByText("times in UTC", { exact: true }).isVisible(), true);
      assert.equal(await page.locator("#problem").isVisible(), false);
      await shows(page, "#visitor-rows tr > :nth-last-child(2)", "Jan 1, 2020");

      // The axis: the label of a day stands where the day begins in UTC.
      const series = () => state.requests.findLast((url) => url.pathname.endsWith("/timeseries"));
      const bounds = () => ["from", "to"].map((name) => Number(series()?.searchParams.get(name)));
      const off = async () => {
        const [from, to] = bounds();
        const [text, x, left, width] = await page.evaluate(() => {
          const { drawn } = /** @type {any} */ (window);
          const days = drawn.filter((/** @type {any} */ { text }) =>
            /^[A-Z][a-z]+ \d+$/.test(text),
          );
          const plot = document.querySelector(".u-over");
          const style = plot instanceof HTMLElement ? plot.style : { left: "", width: "" };
          return [
            days.at(-1)?.text,
            days.at(-1)?.x,
            parseFloat(style.left),
            parseFloat(style.width),
          ];
        });
        const year = new Date(from).getUTCFullYear();
        const day = [year, year + 1]
          .map((y) => Date.parse(`${text} ${y} UTC`))
          .find((t) => t >= from - 3_600_000);
        return Math.abs(left + (((day ?? 0) - from + 1_800_000) / (to - from)) * width - x);
      };
      for (const range of ["7 days", "24 hours"]) {
        await page.getByText(range, { exact: true }).click();
        await page.waitForFunction(
          (wanted) =>
            document.querySelector("#chart")?.getAttribute("aria-label")?.includes(wanted),
          "Last " + range,
        );
        const deadline = Date.now() + DEADLINE_MS;
        while (!((await off()) <= 3) && Date.now() < deadline);
        assert.ok((await off()) <= 3, `${range}: a day is ${await off()} px away from its label`);
      }

      await page.getByText("30 days", { exact: true }).click();
      await page.getByText("Show as a table").click();
      await page.waitForFunction(() => document.querySelectorAll("#points-rows tr").length === 30);
      assert.equal(series()?.searchParams.get("tz"), "UTC");
      const [from] = bounds();
      assert.equal(from % 86_400_000, 0, "days begin at UTC's midnight");
      const first = new Intl.DateTimeFormat("en-US", {
        day: "numeric",
        month: "short",
        timeZone: "UTC",
      }).format(from);
      await shows(page, "#points-rows tr:last-child th", first);
      const refused = state.requests.filter(
        (url) => url.searchParams.get("tz") === state.unknownZone,
      );
      assert.equal(refused.length, 3, "the zone is not tried again");
    },
    { timezoneId: "America/Coyhaique" },
  ));

test("live: who is online and the newest events, as text; a stream that breaks goes on behind its last", () =>
  withPage(async (page) => {
    await openLoggedIn(page);
    await shows(page, "#now-mark", "Live");
    await shows(page, "#now-online", "3");
    await shows(page, "#now-current", "12");
    await shows(page, "#now-minute", "48");
    await shows(page, "#now-empty", "Events stand here as they come.");
    const [stream] = state.streams;
    assert.deepEqual([state.streams.length, stream.site, stream.last], [1, "demo", ""]);

    const evil = "<img src=x onerror=\"document.title='owned'\">";
    const whole = liveEvent("8-0") + liveEvent("8-1", { name: "set", key: "name", value: evil });
    stream.send(whole.slice(0, 30)); // cut anywhere
    stream.send(whole.slice(30) + counts("8", 5));
    await shows(page, "#now-online", "5");
    const texts = () => page.locator("#now-rows li").allTextContents();
    await page.waitForFunction(() => document.querySelectorAll("#now-rows li").length === 2);
    const [newest, older] = await texts();
    assert.ok(newest.includes("set") && newest.includes(`name: ${evil}`), newest);
    assert.ok(older.includes("onClick") && older.endsWith("/a?b#c"), older);
    assert.equal(await page.locator("#now-rows img").count(), 0);

    stream.send('event: end\ndata: {"reason":"shutdown"}\n\n');
    stream.end();
    await until(() => state.streams.some(({ last }) => last === "8"));
    const again = state.streams.find(({ last }) => last === "8");
    again?.send(
      'id: 9\nevent: gap\ndata: {"reason":"behind","after":"8","up_to":"9","export":null}\n\n',
    );
    await page.getByText("Some came while this page was not connected.").waitFor();
    await shows(page, "#now-mark", "Live");
    // A burst: only the newest are kept.
    let burst = "";
    for (let i = 0; i < 100; i++) burst += liveEvent(`10-${i}`, { name: `burst.${i}` });
    again?.send(burst);
    await page.getByText("burst.99", { exact: true }).waitFor();
    assert.equal(await page.locator("#now-rows li").count(), 30);

    await page.getByLabel("Site", { exact: true }).selectOption("shop");
    await until(() => state.streams.length === 1 && state.streams[0].site === "shop");
    assert.equal(state.streams[0].last, "");
    assert.equal(await page.locator("#now-rows li").count(), 0);
    await page.getByRole("button", { name: "Log out" }).click();
    await until(() => state.streams.length === 0);
  }));

test("live: where the service refuses or is silent, the page asks again, ever later", () =>
  withPage(async (page) => {
    state.down = true;
    await page.addInitScript(() => {
      const { fetch } = window;
      const pieces = { read: 0 };
      Object.assign(window, { pieces });
      window.fetch = async (...call) => {
        const response = await fetch(...call);
        if (!response.body || !/\/live$/.test(String(call[0]))) return response;
        const count = new TransformStream({
          transform(piece, controller) {
            controller.enqueue(piece);
            pieces.read++;
          },
        });
        return new Response(response.body.pipeThrough(count), response);
      };
    });
    const pieces = () => page.evaluate(() => /** @type {any} */ (window).pieces.read);
    await stopTimers(page);
    await page.goto(`${origin}/#token=${TOKEN}`);
    await page.waitForFunction(() =>
      document.querySelector("#state")?.textContent?.startsWith("Retrying"),
    );
    state.down = false;
    await page.clock.runFor(10_000);
    await shows(page, "#now-mark", "Live");
    // A stream on which not even a comment comes is taken for dead; one with comments is not.
    const { opened } = state;
    for (let i = 0; i < 4; i++) {
      const before = await pieces();
      state.streams[0].send(": still here\n\n");
      await page.waitForFunction((n) => /** @type {any} */ (window).pieces.read > n, before);
      await page.clock.runFor(10_000);
    }
    assert.equal(state.opened, opened);
    await page.clock.runFor(25_000);
    await page.clock.resume();
    await until(() => state.opened === opened + 1);
    await shows(page, "#now-mark", "Live");
  }));

test("an operator at the desk says so every 5 s, also from a hidden page; a viewer is asked nothing", () =>
  withPage(async (page) => {
    await stopTimers(page);
    await page.addInitScript(() => {
      let seen = "visible";
      Object.defineProperty(document, "visibilityState", { get: () => seen });
      // As in browsers: what is to run again and again does not while the page is hidden.
      const { setInterval } = window;
      Object.assign(window, {
        setInterval: (/** @type {() => void} */ what, /** @type {number} */ ms) =>
          setInterval(() => {
            if (seen !== "hidden") what();
          }, ms),
      });
      Object.assign(window, {
        turn: (/** @type {string} */ to) => {
          seen = to;
          document.dispatchEvent(new Event("visibilitychange"));
        },
      });
    });
    await openLoggedIn(page);
    await shows(page, "#now-mark", "Live");
    assert.equal(state.presence, 0);
    const desk = page.getByRole("switch", { name: "At the desk" });
    await desk.click();
    await shows(page, "#desk-note", "Pages see: online");
    assert.equal(state.presence, 1);
    await page.clock.runFor(5500);
    await until(() => state.presence === 2);
    // Hidden, the stream stays open and is what the lease is renewed by.
    await page.evaluate(() => /** @type {any} */ (window).turn("hidden"));
    assert.equal(state.streams.length, 1);
    await page.clock.runFor(8000);
    assert.equal(state.presence, 2);
    state.streams[0].send(counts("9"));
    await until(() => state.presence === 3);
    await page.evaluate(() => /** @type {any} */ (window).turn("visible"));
    await desk.click();
    await shows(page, "#desk-note", "");
    const { presence } = state;
    await page.clock.runFor(20_000);
    assert.equal(state.presence, presence);
  }));

test("a viewer sees no visitors, no switch, and is refused nothing", () =>
  withPage(async (page) => {
    state.role = "viewer";
    /** @type {string[]} */
    const refused = [];
    page.on("response", (response) => {
      if (response.status() >= 400 && response.url().includes("/v1/")) refused.push(response.url());
    });
    await openLoggedIn(page);
    await shows(page, "#now-mark", "Live");
    await shows(page, '[data-event="onClick"]', "12");
    assert.equal(await page.locator("#visitors-card").isVisible(), false);
    assert.equal(await page.getByRole("switch").count(), 0);
    state.events.onClick = 13;
    await shows(page, '[data-event="onClick"]', "13");
    assert.deepEqual(refused, []);
    assert.equal(asked("/visitors"), 0);
    // Another token of the same page may see them.
    await page.getByRole("button", { name: "Log out" }).click();
    state.role = "operator";
    await page.getByLabel("Access token").fill(TOKEN);
    await page.keyboard.press("Enter");
    await hasRows(page, 50);
    assert.equal(await page.getByRole("switch").isVisible(), true);
  }));
