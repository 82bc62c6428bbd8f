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

/** @param {import("playwright-core").Page} page */
export async function loaded(page) {
  await page.waitForFunction(() => {
    const host = document.querySelector("[data-chatbeacon]");
    return host?.shadowRoot && /** @type {any} */ (window).onWebChat_.get("status");
  });
}
