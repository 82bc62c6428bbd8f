// SPDX-License-Identifier: MIT
// post.js: one request to the server, and what it answered.
import { toJson } from "./json.js";

/** @param {string | null} header seconds or a date */
function retryAfterMs(header) {
  const ms = Number(header) * 1000 || Date.parse(header ?? "") - Date.now();
  return Math.min(Math.max(ms || 0, 0), 3_600_000);
}

/**
 * Calls done once, whatever the page's own fetch does: with status 0 when nobody answered, and with
 * an answer when that was JSON.
 * @param {string} url
 * @param {string | object} body
 * @param {number} ms to wait for the answer
 * @param {boolean} keepalive the page may be gone before the answer comes
 * @param {(status: number, answer: any, waitMs: number) => void} done waitMs: what the server asks
 *   for; 0: it says nothing
 */
export async function post(url, body, ms, keepalive, done) {
  let status = 0;
  let waitMs = 0;
  /** @type {any} */
  let answer;
  let over = false;
  function finish() {
    if (!over) done(status, answer, waitMs);
    over = true;
    clearTimeout(timer);
  }
  const timer = setTimeout(finish, ms + 1000);
  try {
    const response = await fetch(url, {
      method: "POST",
      body: typeof body === "string" ? body : toJson(body), // a string: text/plain, so that the browser asks no permission first
      credentials: "omit",
      keepalive,
      signal: AbortSignal.timeout?.(ms),
    });
    waitMs = retryAfterMs(response.headers.get("Retry-After"));
    status = response.status;
    answer = await response.json();
  } catch {
    // No answer, or one that is not JSON.
  }
  finish();
}
