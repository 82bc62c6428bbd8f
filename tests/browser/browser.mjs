// SPDX-License-Identifier: MIT
// browser.mjs: a real Chromium for the tests of a file, and a context of its own for each test.
import { after, before } from "node:test";
import { chromium } from "playwright-core";

/** How it is started. */
export const LAUNCH = {
  executablePath: process.env.CHATBEACON_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

/**
 * Starts Chromium before the tests of the file and stops it after them. It gets a fresh profile.
 * @returns {(t: import("node:test").TestContext, options?: object) => Promise<import("playwright-core").BrowserContext>}
 *   a fresh context; errors that a page throws make the test fail
 */
export function useBrowser() {
  /** @type {import("playwright-core").Browser} */
  let browser;
  before(async () => {
    browser = await chromium.launch(LAUNCH);
  });
  after(() => browser?.close());
  return async (t, options = {}) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(20_000);
    /** @type {Error[]} */
    const errors = [];
    context.on("weberror", (error) => errors.push(error.error()));
    t.after(async () => {
      await context.close();
      if (errors.length) throw errors[0];
    });
    return context;
  };
}

/**
 * Opens a page with the widget and waits until it is loaded.
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} url
 */
export async function openPage(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await loaded(page);
  return page;
}

/**
 * The page's clock stands still from its start: only clock.runFor() moves it, until clock.resume().
 * @param {import("playwright-core").Page} page
 */
export async function stopTimers(page) {
  const now = Date.now();
  await page.clock.install({ time: now - 60_000 }); // it runs until it is stopped, which must be ahead of it
  await page.clock.pauseAt(now);
}

/**
 * A script by which a page counts its requests: those it began, and those whose answer it has dealt with.
 * @param {string} pattern of their addresses
 */
export const countFlights = (pattern) => `window.flights = { begun: 0, over: 0 };
  (function (real) {
    window.fetch = function (url) {
      var sent = real.apply(this, arguments);
      if (!new RegExp(${JSON.stringify(pattern)}).test(url)) return sent;
      function over() { flights.over++; }
      flights.begun++;
      return sent.then(function (response) {
        var json = response.json;
        response.json = function () {
          var read = json.call(response);
          read.then(over, over); // whoever waits for it goes on in the same turn
          return read;
        };
        return response;
      }, function (error) {
        over();
        throw error;
      });
    };
  })(fetch);`;

/** @param {import("playwright-core").Page} page */
export const flights = (page) => page.evaluate(() => /** @type {any} */ (window).flights.begun);

/**
 * Waits until the page has dealt with so many answers, and waits for no other.
 * @param {import("playwright-core").Page} page
 * @param {number} [count]
 */
export const landed = (page, count = 1) =>
  page.waitForFunction((wanted) => {
    const { begun, over } = /** @type {any} */ (window).flights;
    return over >= wanted && over === begun;
  }, count);

/** @param {import("playwright-core").Page} page */
export async function loaded(page) {
  await page.waitForFunction(() => {
    const host = document.querySelector("[data-chatbeacon]");
    return host?.shadowRoot && /** @type {any} */ (window).onWebChat_.get("status");
  });
}
