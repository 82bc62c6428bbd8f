// SPDX-License-Identifier: MIT
// The events of many days, the same for each system that they are given to: sites by Zipf's law, visitors who come back, visits
// of the widget from loaded to message. Drawn from a seed, so they can be drawn again instead of being kept.
//
// What makes questions easy to ask elsewhere, and takes nothing from them here: a visit is one producer, a visitor has one
// visit a day at most, within the UTC day and half an hour or more from its ends, and no event stands in the last 15 s of a
// quarter hour, so that the milliseconds of a request's way do not move it into the next.

const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
export const DAY = 24 * 60 * MINUTE;
const MARGIN = 15_000;

function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A draw by Zipf's law from 0 … n-1, of which it also knows the parts. */
function zipf(n) {
  const sums = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) sums[i] = sum += 1 / (i + 1);
  return {
    part: (i) => 1 / (i + 1) / sum,
    draw(random) {
      const at = random() * sum;
      let low = 0;
      let high = n - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sums[middle] <= at) low = middle + 1;
        else high = middle;
      }
      return low;
    },
  };
}

export const siteName = (site) => `site${site}`;
export const pageUrl = (page) => `https://shop.example/page/${page}`;

/** The times and names of one visit, ascending, none twice. */
function drawEvents(random, begin, pages) {
  const events = [];
  let at = begin;
  const add = (name, more) => {
    at += 1000 + Math.floor(random() * 40_000);
    if (at % QUARTER >= QUARTER - MARGIN) at += MARGIN;
    events.push({ name, at, page, ...more });
  };
  let page = pages.draw(random);
  add("onWebChatLoaded");
  add("page");
  while (random() < 0.45 && events.length < 8) {
    page = pages.draw(random);
    add("page");
  }
  if (random() < 0.4) add("onTrigger", { trigger: `t${Math.floor(random() * 5)}` });
  if (random() < 0.5) add("onClick");
  if (random() < 0.6) {
    add("onMaximize");
    if (random() < 0.7) {
      add("onStartWriting");
      if (random() < 0.7) add("message");
    }
    if (random() < 0.6) add("onMinimize");
  }
  return events;
}

/**
 * Visits day by day: {day, site, visitor, visit, events: [{name, at, page, trigger?}]}, in random order within a day; numbers
 * all. first: the first day's begin, ms.
 */
export function* visits({ seed = 1, events, sites, visitors, pages = 1000, days, first }) {
  const random = randomFrom(seed);
  const bySite = zipf(sites);
  const byPage = zipf(pages);
  const people = Array.from({ length: sites }, (_, site) =>
    Math.max(20, Math.round(visitors * bySite.part(site))),
  );
  let visit = 0;
  let drawn = 0;
  for (let day = 0; day < days; day++) {
    const until = Math.round((events * (day + 1)) / days);
    const came = Array.from({ length: sites }, () => new Set());
    while (drawn < until) {
      const site = bySite.draw(random);
      if (came[site].size >= people[site] / 2) continue;
      let visitor = Math.floor(random() * people[site]);
      while (came[site].has(visitor)) visitor = (visitor + 1) % people[site];
      came[site].add(visitor);
      const begin = first + day * DAY + 30 * MINUTE + Math.floor(random() * (22.5 * 60 * MINUTE));
      const list = drawEvents(random, begin, byPage);
      drawn += list.length;
      yield { day, site, visitor, visit: ++visit, events: list };
    }
  }
}
