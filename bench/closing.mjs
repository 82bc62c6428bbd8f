// SPDX-License-Identifier: MIT
// Pages with the widget that end right after something happened on them, in a real Chromium against a real server: how much of
// it arrives. Used by bench/pages and by tests/browser/widget_pages.test.mjs.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { api, apiJson, until } from "../tests/lib/client.mjs";

const SNIPPET = new URL("../ingest/widget/snippet.js", import.meta.url);

/** How a page ends. */
export const WAYS = ["the tab is closed", "another page is opened", "closed while it loads"];

/**
 * A shop on an origin of its own, whose pages carry the snippet; /bare carries none.
 * @returns {Promise<{origin: string, stop(): void}>}
 */
export async function startShop(server) {
  const code = (await readFile(SNIPPET, "utf8")).replace(
    '"/clientchat/demo"',
    JSON.stringify(`${server.ingest}/clientchat/demo`),
  );
  const shop = createServer((req, res) => {
    res.setHeader("Content-Type", "text/html; charset=utf-8");
    const head = req.url.startsWith("/bare") ? "" : `<script>${code}</script>`;
    const text = "<p>Something to read.</p>".repeat(40);
    res.end(`<!doctype html><html lang="en"><title>shop</title>${head}<h1>shop</h1>${text}`);
  });
  await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${shop.address().port}`,
    stop() {
      shop.closeAllConnections();
      shop.close();
    },
  };
}

/** Every counted event: its name, and how often. */
async function counted(server) {
  const { text, status } = await api(server, "/v1/sites/demo/export?format=ndjson");
  if (status !== 200) throw new Error(`export: ${status}`);
  const times = new Map();
  for (const line of text.split("\n").filter(Boolean)) {
    const { name } = JSON.parse(line);
    if (name) times.set(name, (times.get(name) ?? 0) + 1);
  }
  return times;
}

/** Records events of these names on a page, then ends it in that way, in the same turn where the page does it itself. */
async function endPage(page, origin, names, way) {
  const url = `${origin}/${names[0]}`;
  if (way === WAYS[2]) {
    await page.goto(url, { waitUntil: "commit" });
    await page.waitForFunction(() => window.onWebChat_);
  } else {
    await page.goto(url);
    await page.waitForFunction(
      () => document.querySelector("[data-chatbeacon]") && window.onWebChat_.get("status"),
    );
  }
  const next = way === WAYS[1] ? `${origin}/bare` : "";
  await page
    .evaluate(
      ([all, away]) => {
        for (const name of all) window.onWebChat.set("event", name);
        if (away) location.href = away;
      },
      [names, next],
    )
    .catch((error) => {
      if (!next) throw error; // else the page went away under us, as it should
    });
  if (next) await page.waitForURL(next, { waitUntil: "commit" });
  else await page.close();
}

/**
 * Ends pages, each of a browser of its own, so that no later page can help, some at a time. Resolves to what was recorded in
 * each way, what of it arrived, how often an event was counted twice, and the server's gaps.
 * @param {{pages: number, events: number, atOnce?: number}} options events: of each page
 */
export async function closePages(server, browser, { pages, events, atOnce = 4 }) {
  const shop = await startShop(server);
  const ways = WAYS.map((way) => ({ way, recorded: [] }));
  const stay = await browser.newContext(); // a browser whose last page is closed ends
  await stay.newPage();
  let begun = 0;
  const one = async () => {
    while (begun < pages) {
      const n = begun++;
      const { way, recorded } = ways[n % ways.length];
      const names = Array.from({ length: events }, (_, i) => `closed.${n}.${i}`);
      const context = await browser.newContext();
      await endPage(await context.newPage(), shop.origin, names, way);
      recorded.push(...names);
      // What it sent at its end is on its way or not; what has not come after so long will not.
      const last = names.at(-1);
      await until(async () => (await counted(server)).has(last), last, 3000).catch(() => {});
      await context.close();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  await stay.close();
  shop.stop();
  const times = await counted(server);
  const { total } = await apiJson(server, "/v1/balance");
  return {
    ways: ways.map(({ way, recorded }) => ({
      way,
      recorded: recorded.length,
      arrived: recorded.filter((name) => times.has(name)).length,
    })),
    twice: [...times].filter(([name, n]) => name.startsWith("closed.") && n > 1).length,
    lost: total.lost,
    duplicate: total.duplicate,
  };
}

/**
 * A middlebox that swallows each third beacon and answers 204 in the server's name: those events are really lost. Resolves to
 * how many those were, and how many the server's gaps show.
 * @param {{beacons: number}} options
 */
export async function loseSome(server, browser, { beacons }) {
  const shop = await startShop(server);
  const before = (await apiJson(server, "/v1/balance")).total.lost;
  const context = await browser.newContext();
  const page = await context.newPage();
  let swallowed = 0;
  let n = 0;
  await page.route("**/v1/events", async (route) => {
    n++;
    if (n % 3 || n > beacons) return route.continue();
    swallowed += JSON.parse(route.request().postData()).events.length;
    await route.fulfill({ status: 204, headers: { "Access-Control-Allow-Origin": "*" } });
  });
  await page.goto(shop.origin + "/");
  await page.waitForFunction(() => window.onWebChat_?.get("status"));
  for (let i = 0; i < beacons + 3; i++) {
    await page.evaluate(
      (name) => new Promise((done) => window.onWebChat.set("name", name, done)),
      `name ${i}`,
    );
  }
  await context.close();
  shop.stop();
  const shown = await until(async () => {
    const { total } = await apiJson(server, "/v1/balance");
    return total.lost - before === swallowed && total.lost - before;
  }, `${swallowed} lost`).catch(async () => (await apiJson(server, "/v1/balance")).total.lost);
  return { swallowed, shown };
}

/**
 * The server is gone for so long while a page records an event a second, and one more when it is back. start(args) starts a
 * server on the same data. Resolves to {recorded, arrived, after_ms, lost}: after_ms until all are counted.
 */
export async function outage(server, start, browser, { seconds }) {
  const shop = await startShop(server);
  const context = await browser.newContext();
  const page = await context.newPage();
  const record = (name) => page.evaluate((text) => window.onWebChat.set("event", text), name);
  await page.goto(shop.origin + "/");
  await page.waitForFunction(() => window.onWebChat_?.get("status"));
  await server.stop();
  const names = Array.from({ length: seconds }, (_, i) => `outage.${i}`);
  for (const name of names) {
    await record(name);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const again = await start(["--ingest", new URL(server.ingest).host]);
  const back = Date.now();
  names.push("outage.after");
  await record("outage.after");
  const arrived = async () => {
    const times = await counted(again);
    return names.filter((name) => times.get(name) === 1).length;
  };
  await until(async () => (await arrived()) === names.length, "all", 60000).catch(() => {});
  const figures = {
    recorded: names.length,
    arrived: await arrived(),
    after_ms: Date.now() - back,
    lost: (await apiJson(again, "/v1/balance")).total.lost,
  };
  await context.close();
  shop.stop();
  return figures;
}
