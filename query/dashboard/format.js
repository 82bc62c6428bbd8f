// SPDX-License-Identifier: MIT
// format.js: how times and counts stand on the page, in the zone of zone.js and the reader's habits.
import { inUtc } from "./zone.js";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** @type {Map<string, Intl.DateTimeFormat>} one for each shape and zone: making one is slow */
const made = new Map();

/**
 * @param {Intl.DateTimeFormatOptions} shape
 * @returns {(ms: number) => string}
 */
function formatter(shape) {
  const name = JSON.stringify(shape);
  return (ms) => {
    // The reader's own zone is not named: the browser may know it by a name that Intl refuses.
    const timeZone = inUtc() ? "UTC" : undefined;
    const key = name + timeZone;
    let format = made.get(key);
    if (!format)
      made.set(key, (format = new Intl.DateTimeFormat(undefined, { ...shape, timeZone })));
    return format.format(ms);
  };
}

export const formatClock = formatter({ hour: "2-digit", minute: "2-digit" });
export const formatTime = formatter({
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
export const formatDay = formatter({ day: "numeric", month: "short" });
export const formatDayClock = formatter({
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
export const formatFull = formatter({ dateStyle: "full", timeStyle: "medium" });
const formatDate = formatter({ dateStyle: "medium" });
const formatYear = formatter({ year: "numeric" });

/**
 * A moment as someone who watches a live list wants it: near ones by distance, far ones by date.
 * @param {number} ms
 * @param {number} now_ms
 */
export function formatMoment(ms, now_ms) {
  const ago = Math.max(0, now_ms - ms);
  if (ago < 5 * SECOND_MS) return "just now";
  if (ago < MINUTE_MS) return `${Math.floor(ago / SECOND_MS)} s ago`;
  if (ago < HOUR_MS) return `${Math.floor(ago / MINUTE_MS)} min ago`;
  if (formatDate(ms) === formatDate(now_ms)) return formatClock(ms);
  if (formatYear(ms) === formatYear(now_ms)) return formatDay(ms);
  return formatDate(ms);
}

/**
 * The age of the shown data.
 * @param {number} age_ms
 */
export function formatAge(age_ms) {
  if (age_ms < 2 * SECOND_MS) return "updated just now";
  if (age_ms < MINUTE_MS) return `updated ${Math.floor(age_ms / SECOND_MS)} s ago`;
  return `updated ${Math.floor(age_ms / MINUTE_MS)} min ago`;
}

/**
 * A number, which may be one that is not known.
 * @param {number | null} count
 */
export const countText = (count) => (count === null ? "–" : String(count));

/**
 * The start of a bucket, as precise as the bucket is.
 * @param {number} ms
 * @param {string} grain
 */
export const formatBucket = (ms, grain) => (grain === "day" ? formatDay(ms) : formatDayClock(ms));
