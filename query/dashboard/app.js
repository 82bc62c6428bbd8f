// SPDX-License-Identifier: MIT
// app.js: the dashboard's log-in, what is chosen, and the refresh that fills the panels.
//
// The token lives in this tab's sessionStorage and in the Authorization header, nowhere else.

import { Api, ApiError, tokenLegible } from "./api.js";
import { BooksPanel } from "./books.js";
import { ChartPanel } from "./chart.js";
import { Desk } from "./desk.js";
import { DetailPanel } from "./detail.js";
import { byId, el, Rows, setAttribute, setText } from "./dom.js";
import { formatAge } from "./format.js";
import { Live } from "./live.js";
import { NowPanel } from "./now.js";
import { RANGES, spanOf } from "./span.js";
import { Stream } from "./stream.js";
import { TopPanel } from "./top.js";
import { TotalsPanel } from "./totals.js";
import { VisitorsPanel } from "./visitors.js";
import { fallBackToUtc } from "./zone.js";

/** @typedef {import("./api.js").Balance} Balance */

const TOKEN_KEY = "chatbeacon.token";
const SITE_KEY = "chatbeacon.site";
const RANGE_KEY = "chatbeacon.range";
const PAGE_ROWS = 50;
const TOP_ROWS = 8;
const SEARCH_PERIOD_MS = 5000; // a search reads many rows: not every second
const READ_MAX_MS = 5000; // where nothing is new, ranges move on all the same
const READ_MIN_MS = 500; // between full reads, where so many refreshes in a row found something new:
const BUSY = 5; // on a busy site every one does

const login = byId("login", HTMLElement);
const loginForm = byId("login-form", HTMLFormElement);
const loginMessage = byId("login-message", HTMLElement);
const loginButton = byId("login-button", HTMLButtonElement);
const tokenInput = byId("token", HTMLInputElement);
const dashboard = byId("dashboard", HTMLElement);
const statePill = byId("state", HTMLElement);
const ageText = byId("age", HTMLElement);
const problemText = byId("problem", HTMLElement);
const welcome = byId("welcome", HTMLElement);
const siteSelect = byId("site", HTMLSelectElement);
const eventSelect = byId("event", HTMLSelectElement);

let api = new Api("");
/** @type {import("./api.js").OwnToken | null} */
let own = null;
/** @type {Balance | null} */
let balance = null;
let site = "";
let range = RANGES.find(({ id }) => id === recall(RANGE_KEY)) ?? RANGES[0];
let eventName = "";
let shown_ms = Number.NaN; // performance.now() of the data on show
let searched_ms = -Infinity;
/** @type {{position: number, at_ms: number} | null} the last full read; null: another is due now */
let read = null;
let news = 0; // how many refreshes in a row found something new

const totals = new TotalsPanel();
const chart = new ChartPanel();
const books = new BooksPanel();
const ranking = new TopPanel(choose);
const now = new NowPanel();
const detail = new DetailPanel();
const visitors = new VisitorsPanel({
  onSearch: choose,
  onOpen: (visitor) => {
    detail.open(visitor);
    read = null;
    live.now();
  },
  load: (cursor, signal) => api.visitors(site, { q: visitors.q, cursor, limit: PAGE_ROWS }, signal),
});
const live = new Live(refresh, showState);
const desk = new Desk((signal) => api.presence(site, signal), follow);
const stream = new Stream({
  open: (last, signal) => api.live(site, last, signal),
  onEvent: (event) => {
    now.take(event);
    desk.beat();
  },
  onState: (state) => now.mark(state),
});
document.addEventListener("visibilitychange", follow);

const nameOption = (/** @type {string} */ name) => name;
const makeOption = (/** @type {string} */ name) => ({
  element: el("option", { value: name }, name || "All events"),
});
const siteOptions = new Rows(siteSelect, nameOption, makeOption, () => {});
const eventOptions = new Rows(eventSelect, nameOption, makeOption, () => {});

/** @param {AbortSignal} signal */
async function refresh(signal) {
  try {
    await readAll(signal);
  } catch (problem) {
    if (!signal.aborted && problem instanceof ApiError && problem.status === 401)
      leave(problem.message);
    throw problem;
  }
}

/**
 * Asks for the books, which carry the position of the journal, and for the rest only where there may
 * be something new.
 * @param {AbortSignal} signal
 */
async function readAll(signal) {
  const started_ms = performance.now();
  if (!own) await showToken(signal);
  if (signal.aborted) return;
  const books_ = await api.balance(signal);
  if (signal.aborted) return;
  if (!balance || !site || !(site in books_.sites)) showBalance(books_);
  if (!site) return;

  const age_ms = started_ms - (read?.at_ms ?? -Infinity);
  const same = books_.position === read?.position;
  if (same) {
    news = 0;
    shown_ms = performance.now();
    if (age_ms < READ_MAX_MS) return;
  } else if (++news > BUSY && age_ms < READ_MIN_MS) {
    return;
  }
  let reports = await readReports(signal);
  if (signal.aborted) return;
  if (reports.some(isZoneUnknown) && fallBackToUtc()) {
    byId("zone", HTMLElement).hidden = false;
    reports = await readReports(signal);
    if (signal.aborted) return;
  }

  // Shown together, so that no panel is ahead of another; what failed does not hold up the rest.
  const [totals_, series_, top_, visitors_, visitor_] = reports;
  if (totals_.status === "fulfilled") {
    totals.show(totals_.value);
    showEventNames(Object.keys(totals_.value.events));
  }
  if (series_.status === "fulfilled")
    chart.show(series_.value, `${eventName || "All events"}: ${range.long}`);
  if (top_.status === "fulfilled") ranking.show(top_.value);
  if (visitors_.status === "fulfilled" && visitors_.value) {
    if (visitors.q) searched_ms = performance.now();
    visitors.show(visitors_.value, api.now());
  }
  if (visitor_.status === "rejected") detail.fail(messageOf(visitor_.reason));
  else if (visitor_.value) detail.show(visitor_.value);
  showBalance(books_);

  for (const result of [totals_, series_, top_, visitors_])
    if (result.status === "rejected") throw result.reason;
  read = { position: books_.position, at_ms: started_ms };
  shown_ms = performance.now();
  dashboard.removeAttribute("data-stale");
}

/** @param {AbortSignal} signal */
function readReports(signal) {
  const span = spanOf(range, api.now());
  const query = { q: visitors.q, cursor: "", limit: PAGE_ROWS };
  const search_due = !query.q || performance.now() - searched_ms >= SEARCH_PERIOD_MS;
  return Promise.allSettled([
    api.totals(site, span, signal),
    api.timeseries(site, span, eventName, signal),
    api.breakdown(site, span, { by: ranking.by, event: eventName, limit: TOP_ROWS }, signal),
    search_due && mayMeet() ? api.visitors(site, query, signal) : null,
    detail.visitor ? api.visitor(site, detail.visitor, signal) : null,
  ]);
}

/** Visitors are for operators and admins: who may not see them is not shown a panel that fails. */
const mayMeet = () => own !== null && own.role !== "viewer";

/** @param {AbortSignal} signal */
async function showToken(signal) {
  const token = await api.token(signal);
  if (signal.aborted) return;
  own = token;
  byId("visitors-card", HTMLElement).hidden = !mayMeet();
  desk.allow(mayMeet());
}

/** The stream runs while somebody looks, or is at the desk. */
function follow() {
  if (site && !dashboard.hidden && (document.visibilityState !== "hidden" || desk.on))
    stream.start();
  else stream.pause();
}

/** @param {PromiseSettledResult<unknown>} result */
const isZoneUnknown = (result) =>
  result.status === "rejected" &&
  result.reason instanceof ApiError &&
  result.reason.status === 400 &&
  result.reason.field === "tz";

/** @param {Balance} books_ */
function showBalance(books_) {
  balance = books_;
  const names = Object.keys(books_.sites).sort();
  siteOptions.show(names);
  if (!names.includes(site)) {
    const wanted = recall(SITE_KEY);
    switchSite(names.includes(wanted) ? wanted : (names[0] ?? ""));
  }
  if (siteSelect.value !== site) siteSelect.value = site;
  siteSelect.disabled = names.length === 0;
  const mine = books_.sites[site];
  if (mine) books.show(mine, books_);
  welcome.hidden = !mine || mine.received > 0;
}

/** @param {string[]} names */
function showEventNames(names) {
  const all = new Set([...names, eventName].filter(Boolean));
  eventOptions.show(["", ...[...all].sort()]);
  if (eventSelect.value !== eventName) eventSelect.value = eventName;
}

/** @param {string} name */
function switchSite(name) {
  site = name;
  read = null;
  eventName = "";
  for (const panel of [totals, chart, books, ranking, detail, now]) panel.clear();
  visitors.reset();
  desk.reset();
  stream.stop();
  follow();
  showEventNames([]);
  setText(
    byId("snippet", HTMLElement),
    `<script async src="https://INGEST-ADDRESS/clientchat/${site}"></script>`,
  );
  document.title = site ? `${site} · chatbeacon` : "chatbeacon";
}

/** Something was chosen: what is on show is dimmed until the answers to it are there. */
function choose() {
  dashboard.setAttribute("data-stale", "");
  searched_ms = -Infinity;
  read = null;
  live.now();
}

/**
 * @param {import("./live.js").LiveState} state
 * @param {unknown} problem
 * @param {number} delay_ms
 */
function showState(state, problem, delay_ms) {
  const texts = {
    loading: "Loading",
    live: site ? "Live" : "No site",
    paused: "Paused",
    failing: `Retrying in ${Math.round(delay_ms / 1000)} s`,
  };
  setAttribute(statePill, "data-state", state);
  setText(statePill, texts[state]);
  const nothing = balance && !site ? "This token may see no site." : "";
  const message = state === "failing" ? messageOf(problem) : nothing;
  if (state === "live" || message) {
    setText(problemText, message);
    problemText.hidden = !message;
  }
  showAge();
}

function showAge() {
  const known = !Number.isNaN(shown_ms);
  setText(ageText, known ? formatAge(performance.now() - shown_ms) : "");
}

/** @param {unknown} problem */
const messageOf = (problem) =>
  problem instanceof Error ? problem.message : "Something went wrong.";

/**
 * @param {string} token
 * @param {Balance | null} first where it was read already
 */
function enter(token, first) {
  api = new Api(token);
  balance = null;
  own = null;
  keep(TOKEN_KEY, token);
  tokenInput.value = "";
  setText(loginMessage, "");
  login.hidden = true;
  dashboard.hidden = false;
  if (first) showBalance(first);
  live.start();
  follow();
}

/**
 * Back to the log-in form; nothing of what was read stays in the page.
 * @param {string} message why, or empty
 */
function leave(message) {
  live.stop();
  keep(TOKEN_KEY, "");
  api = new Api("");
  balance = null;
  own = null;
  desk.allow(false);
  shown_ms = Number.NaN;
  siteOptions.show([]);
  switchSite("");
  visitors.clear();
  problemText.hidden = true;
  welcome.hidden = true;
  dashboard.hidden = true;
  dashboard.removeAttribute("data-stale");
  login.hidden = false;
  setText(loginMessage, message);
  tokenInput.focus();
}

async function logIn() {
  const token = tokenInput.value.trim();
  if (loginButton.getAttribute("aria-disabled") === "true") return;
  if (!tokenLegible(token)) {
    setText(loginMessage, token ? "This is not a token." : "Enter a token.");
    tokenInput.focus();
    return;
  }
  loginButton.setAttribute("aria-disabled", "true");
  setText(loginMessage, "");
  try {
    enter(token, await new Api(token).balance(new AbortController().signal));
    siteSelect.focus();
  } catch (problem) {
    setText(loginMessage, messageOf(problem));
    tokenInput.select();
  }
  loginButton.removeAttribute("aria-disabled");
}

/**
 * The token of a dashboard link, which is taken out of the address bar and the history at once.
 * @returns {string | null}
 */
function takeAddressToken() {
  const part = location.hash
    .slice(1)
    .split("&")
    .find((pair) => pair.startsWith("token="));
  if (part === undefined) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(part.slice("token=".length)).trim();
  } catch {
    return ""; // a broken escape is no token
  }
}

/** sessionStorage throws where the browser forbids it; then a reload asks for the token again.
 * @param {string} key
 * @param {string} value empty: forget it */
function keep(key, value) {
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    return;
  }
}

/** @param {string} key */
function recall(key) {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

function makeRanges() {
  const host = byId("range", HTMLFieldSetElement);
  for (const choice of RANGES) {
    const id = `range-${choice.id}`;
    const input = el("input", { type: "radio", name: "range", id, value: id });
    input.checked = choice === range;
    input.addEventListener("change", () => {
      range = choice;
      keep(RANGE_KEY, choice.id);
      choose();
    });
    const label = el("label", { for: id, title: choice.long }, choice.label);
    host.append(input, label);
  }
}

/** @param {string | null} linked the token of the address bar */
function begin(linked) {
  const token = linked ?? recall(TOKEN_KEY);
  if (tokenLegible(token)) enter(token, null);
  else leave(linked === null ? "" : "This link’s token is not legible.");
}

makeRanges();
loginForm.addEventListener("submit", (event) => {
  event.preventDefault();
  void logIn();
});
byId("logout", HTMLButtonElement).addEventListener("click", () => leave(""));
siteSelect.addEventListener("change", () => {
  switchSite(siteSelect.value);
  keep(SITE_KEY, site);
  choose();
});
eventSelect.addEventListener("change", () => {
  eventName = eventSelect.value;
  choose();
});
window.addEventListener("hashchange", () => {
  const linked = takeAddressToken();
  if (linked === null) return;
  leave("");
  begin(linked);
});
setInterval(() => {
  showAge();
  visitors.tick(api.now());
}, 1000);
begin(takeAddressToken());
