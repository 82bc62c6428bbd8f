// SPDX-License-Identifier: MIT
// api.js: the query service's private API as functions. Same origin, bearer token; every failure is
// an ApiError with a sentence that can be shown.

import { eventsOf } from "./events.js";

const TIMEOUT_MS = 10_000;
const SKEW_MIN_MS = 3000;

/**
 * @typedef {object} Books
 * @property {number} received
 * @property {number} counted
 * @property {number} duplicate
 * @property {Record<string, number>} rejected
 * @property {number} lost
 *
 * @typedef {{sites: Record<string, Books>, total: Books, position: number}} Balance position: of the
 *   journal; while it stays, no report has changed
 * @typedef {{events: Record<string, number>, visitors: number | null, sessions: number}} Totals
 * @typedef {{t: number, events: number, visitors: number | null}} Point visitors: null where they are no
 *   longer known for so short a time
 * @typedef {{grain: string, tz: string, points: Point[]}} Series
 *
 * @typedef {{value: string, events: number, visitors: number}} Ranked
 * @typedef {object} Breakdown by whole days of the site's zone
 * @property {string} by
 * @property {string} tz
 * @property {boolean} widened its days are more than what was asked for
 * @property {Ranked[]} rows most events first
 * @property {{events: number, values: number}} other what the rows leave out
 *
 * @typedef {object} Visitor
 * @property {string} visitor
 * @property {string} [name]
 * @property {string} [email]
 * @property {string} [phone]
 * @property {string} [notes]
 * @property {number} first_seen
 * @property {number} last_seen
 * @property {number} events
 * @property {number} [sessions]
 *
 * @typedef {{rows: Visitor[], next: string | null}} VisitorPage
 * @typedef {{id: string | null, role: "viewer" | "operator" | "admin", site: string | null}} OwnToken
 * @typedef {{mode: string, status: string, lease_ms: number, renew_ms: number}} Presence
 *
 * @typedef {object} LiveRow
 * @property {number} at
 * @property {string} name
 * @property {string | null} page
 * @property {string} [key] of set and get
 * @property {string} [value] of set, for who may see it
 *
 * @typedef {{t: number, events: number, visitors: number}} LiveBucket
 * @typedef {{online: number, minute: LiveBucket, current: LiveBucket, day: LiveBucket}} LiveCounts
 * @typedef {"busy" | "behind" | "trimmed" | "unknown"} GapReason
 * @typedef {{event: "counts", id: string, data: LiveCounts}
 *   | {event: "event", id: string, data: LiveRow}
 *   | {event: "gap", id: string, data: {reason: GapReason}}
 *   | {event: "dropped" | "end", id: "", data: {reason: string}}} LiveEvent
 */

export class ApiError extends Error {
  /**
   * @param {number} status 0 when there was no answer
   * @param {string} code
   * @param {string} message
   * @param {number} [retry_after_ms]
   * @param {string} [field] the parameter that was refused, where it was one
   */
  constructor(status, code, message, retry_after_ms = 0, field = "") {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retry_after_ms = retry_after_ms;
    this.field = field;
  }
}

/**
 * Whether a text can stand in a header at all; fetch would throw.
 * @param {string} token
 */
export const tokenLegible = (token) => /^[\x21-\x7e]+$/.test(token);

export class Api {
  #token;
  #skew_ms = 0;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /** The service's clock: a reader's that is minutes off would ask for the wrong range. */
  now() {
    return Date.now() + this.#skew_ms;
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<Balance>}
   */
  balance(signal) {
    return this.#get("v1/balance", {}, signal);
  }

  /**
   * @param {string} site
   * @param {import("./span.js").Span} span
   * @param {AbortSignal} signal
   * @returns {Promise<Totals>}
   */
  totals(site, { from, to, tz }, signal) {
    return this.#get(sitePath(site, "totals"), { from, to, tz }, signal);
  }

  /**
   * @param {string} site
   * @param {import("./span.js").Span} span
   * @param {string} event empty for all
   * @param {AbortSignal} signal
   * @returns {Promise<Series>}
   */
  timeseries(site, span, event, signal) {
    return this.#get(sitePath(site, "timeseries"), { ...span, event }, signal);
  }

  /**
   * @param {string} site
   * @param {import("./span.js").Span} span
   * @param {{by: string, event: string, limit: number}} query event: empty for all
   * @param {AbortSignal} signal
   * @returns {Promise<Breakdown>}
   */
  breakdown(site, { from, to, tz }, query, signal) {
    return this.#get(sitePath(site, "breakdown"), { from, to, tz, ...query }, signal);
  }

  /**
   * @param {string} site
   * @param {{q: string, cursor: string, limit: number}} query
   * @param {AbortSignal} signal
   * @returns {Promise<VisitorPage>}
   */
  visitors(site, query, signal) {
    return this.#get(sitePath(site, "visitors"), query, signal);
  }

  /**
   * @param {string} site
   * @param {string} visitor
   * @param {AbortSignal} signal
   * @returns {Promise<Visitor>}
   */
  visitor(site, visitor, signal) {
    const path = sitePath(site, `visitors/${encodeURIComponent(visitor)}`);
    return this.#get(path, {}, signal);
  }

  /**
   * What this token is.
   * @param {AbortSignal} signal
   * @returns {Promise<OwnToken>}
   */
  token(signal) {
    return this.#get("v1/token", {}, signal);
  }

  /**
   * Renews the lease by which an operator says that they are there.
   * @param {string} site
   * @param {AbortSignal} signal
   * @returns {Promise<Presence>}
   */
  presence(site, signal) {
    return this.#ask("PUT", urlOf(sitePath(site, "presence"), {}), signal);
  }

  /**
   * What happens from now on, or behind the event with that id. null is a comment.
   * @param {string} site
   * @param {string} last empty: from now on
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<LiveEvent | null>}
   */
  async *live(site, last, signal) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (last) headers["Last-Event-ID"] = last;
    const response = await this.#fetch("GET", urlOf(sitePath(site, "live"), {}), headers, signal);
    if (!response.ok || !response.body) {
      const body = await response.json().catch(() => null);
      throw refusalOf(response, body);
    }
    yield* eventsOf(response.body);
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number>} query
   * @param {AbortSignal} signal
   * @returns {Promise<any>}
   */
  #get(path, query, signal) {
    return this.#ask("GET", urlOf(path, query), signal);
  }

  /**
   * @param {string} method
   * @param {URL} url
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal
   */
  #fetch(method, url, headers, signal) {
    return fetch(url, {
      method,
      headers: { Authorization: `Bearer ${this.#token}`, ...headers },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal,
    });
  }

  /**
   * A request that is answered with JSON.
   * @param {string} method
   * @param {URL} url
   * @param {AbortSignal} signal
   * @returns {Promise<any>}
   */
  async #ask(method, url, signal) {
    const flight = new AbortController();
    const pass = () => flight.abort(signal.reason);
    if (signal.aborted) pass();
    signal.addEventListener("abort", pass, { once: true });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      flight.abort();
    }, TIMEOUT_MS);
    try {
      const headers = { Accept: "application/json" };
      const response = await this.#fetch(method, url, headers, flight.signal);
      this.#readClock(response);
      const body = await response.json().catch((problem) => {
        if (problem instanceof SyntaxError) return null;
        throw problem;
      });
      if (!response.ok) throw refusalOf(response, body);
      if (body === null)
        throw new ApiError(response.status, "bad_answer", "The service’s answer is not legible.");
      return body;
    } catch (problem) {
      if (signal.aborted) throw signal.reason;
      if (problem instanceof ApiError) throw problem;
      throw late
        ? new ApiError(0, "timeout", "The service did not answer within 10 seconds.")
        : new ApiError(0, "unreachable", "The service cannot be reached.");
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", pass);
    }
  }

  /** @param {Response} response */
  #readClock(response) {
    const date_ms = Date.parse(response.headers.get("date") ?? "");
    if (Number.isNaN(date_ms)) return;
    const skew_ms = date_ms + 500 - Date.now(); // Date has whole seconds: take the middle
    this.#skew_ms = Math.abs(skew_ms) < SKEW_MIN_MS ? 0 : skew_ms;
  }
}

/**
 * @param {string} path relative to the page, so that a proxy may put a prefix before both
 * @param {Record<string, string | number>} query empty values are left out
 */
function urlOf(path, query) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(query))
    if (value !== "") url.searchParams.set(name, String(value));
  return url;
}

/**
 * @param {string} site
 * @param {string} report
 */
const sitePath = (site, report) => `v1/sites/${encodeURIComponent(site)}/${report}`;

/**
 * @param {Response} response
 * @param {any} body
 */
function refusalOf(response, body) {
  const error = body?.error ?? {};
  const message =
    typeof error.message === "string" ? error.message : `The service answered ${response.status}.`;
  const retry_s = Number(response.headers.get("retry-after"));
  return new ApiError(
    response.status,
    String(error.code ?? "unknown"),
    message,
    Number.isFinite(retry_s) ? retry_s * 1000 : 0,
    String(error.field ?? ""),
  );
}
