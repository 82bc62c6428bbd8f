// SPDX-License-Identifier: MIT
// span.js: the ranges that can be chosen, as from, to and grain of a request.
//
// Buckets start where the clock of zone.js says that a minute, an hour or a day starts, and the last
// one is the one under way: `to` is its end, so what happens now is always inside.
import { inUtc, zone } from "./zone.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * @typedef {"minute" | "hour" | "day"} Grain
 * @typedef {{id: string, label: string, long: string, grain: Grain, buckets: number}} Range
 * @typedef {{from: number, to: number, grain: Grain, tz: string}} Span
 */

/** @type {Range[]} */
export const RANGES = [
  {
    id: "1h",
    label: "1 hour",
    long: "Last hour, by minute",
    grain: "minute",
    buckets: 60,
  },
  {
    id: "24h",
    label: "24 hours",
    long: "Last 24 hours, by hour",
    grain: "hour",
    buckets: 24,
  },
  {
    id: "7d",
    label: "7 days",
    long: "Last 7 days, by hour",
    grain: "hour",
    buckets: 7 * 24,
  },
  {
    id: "30d",
    label: "30 days",
    long: "Last 30 days, by day",
    grain: "day",
    buckets: 30,
  },
];

/**
 * The midnight that begins the day of now, or of a day before or after it.
 * @param {Date} now
 * @param {number} days
 */
function midnight(now, days) {
  if (inUtc()) return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + days);
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime();
}

/**
 * @param {Range} range
 * @param {number} now_ms
 * @returns {Span}
 */
export function spanOf(range, now_ms) {
  const now = new Date(now_ms);
  if (range.grain === "day") {
    return {
      from: midnight(now, 1 - range.buckets),
      to: midnight(now, 1),
      grain: range.grain,
      tz: zone(),
    };
  }
  // By subtraction and not by setMinutes(0): in the hour that a clock change repeats, that would
  // name the first of the two.
  const step = range.grain === "hour" ? HOUR_MS : MINUTE_MS;
  const minutes = inUtc() ? now.getUTCMinutes() : now.getMinutes();
  const into = range.grain === "hour" ? minutes * MINUTE_MS : 0;
  const start = now_ms - into - (now_ms % MINUTE_MS);
  const to = start + step;
  return { from: to - range.buckets * step, to, grain: range.grain, tz: zone() };
}
