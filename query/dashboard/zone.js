// SPDX-License-Identifier: MIT
// zone.js: the zone in which days begin and times are shown: the reader's, or UTC once the service
// has said that it does not know the reader's. A browser's list of zones may be newer than the
// service's, and has names such as Etc/Unknown; the page must load all the same.

const own = new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
let utc = false;

/** The zone's IANA name. */
export const zone = () => (utc ? "UTC" : own);

/** Whether times are in UTC for want of the reader's own zone. */
export const inUtc = () => utc;

/**
 * Goes on in UTC.
 * @returns {boolean} false where the zone was UTC anyway
 */
export function fallBackToUtc() {
  const changes = zone() !== "UTC";
  utc ||= changes;
  return changes;
}
