// SPDX-License-Identifier: MIT
// format.js: how times stand on the page, in the reader's own zone and habits.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
});
const day = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
});
const dayClock = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const full = new Intl.DateTimeFormat(undefined, {
  dateStyle: "full",
  timeStyle: "medium",
});
const yearly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** @param {number} ms */
export const formatClock = (ms) => clock.format(ms);
/** @param {number} ms */
export const formatDay = (ms) => day.format(ms);
/** @param {number} ms */
export const formatDayClock = (ms) => dayClock.format(ms);
/** @param {number} ms */
export const formatFull = (ms) => full.format(ms);

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
  const then = new Date(ms);
  const now = new Date(now_ms);
  if (then.toDateString() === now.toDateString()) return formatClock(ms);
  if (then.getFullYear() === now.getFullYear()) return formatDay(ms);
  return yearly.format(ms);
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
 * The start of a bucket, as precise as the bucket is.
 * @param {number} ms
 * @param {string} grain
 */
export const formatBucket = (ms, grain) => (grain === "day" ? formatDay(ms) : formatDayClock(ms));
