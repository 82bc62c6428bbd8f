// SPDX-License-Identifier: MIT
// format=csv of every report: what the table says is what the JSON says, and nothing in it runs in a spreadsheet.
import assert from "node:assert/strict";
import test from "node:test";
import {
  api,
  apiJson,
  envelope,
  event,
  hex,
  post,
  totalsWith,
  until,
  write,
} from "../lib/client.mjs";
import { document, resolve } from "../lib/openapi.mjs";
import { startServe } from "../lib/server.mjs";

const EVIL = [
  '=HYPERLINK("http://x","y")',
  "+44 1",
  "-1+1",
  "@SUM(A1)",
  "\t=1",
  "'quoted'",
  'a "b", c',
];

/** RFC 4180, to rows of cells. */
function parse(text) {
  const rows = [];
  let [row, cell, quoted] = [[], "", false];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[i++];
      else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === ",") cell = (row.push(cell), "");
    else if (c === "\r" && text[i + 1] === "\n") {
      row.push(cell);
      rows.push(row);
      [row, cell] = [[], ""];
      i++;
    } else cell += c;
  }
  assert.ok(row.length === 0 && cell === "", "the last line is whole");
  return rows;
}

/** What a spreadsheet shows, with the quote taken away that keeps it from running. */
const textOf = (cell) => (cell.startsWith("'") ? cell.slice(1) : cell);

/** A value as the cells {column: text} that it must become. */
function cellsOf(value, name = "") {
  const list = Array.isArray(value);
  const plain = list && value.every((item) => typeof item !== "object" || item === null);
  if (value === null || value === undefined) return { [name]: "" };
  if (typeof value === "object" && (!list || plain))
    return Object.assign(
      {},
      ...Object.entries(value).map(([key, item]) => cellsOf(item, name ? `${name}.${key}` : key)),
    );
  return { [name]: list ? JSON.stringify(value) : String(value) };
}

/** The table against the rows that it must have. */
function judge(text, wanted) {
  if (wanted.length === 0) return assert.equal(text, "");
  const [titles, ...rows] = parse(text);
  assert.equal(rows.length, wanted.length);
  for (const [i, row] of rows.entries()) {
    assert.equal(row.length, titles.length);
    const found = Object.fromEntries(titles.map((title, n) => [textOf(title), textOf(row[n])]));
    const cells = cellsOf(wanted[i]);
    for (const [name, cell] of Object.entries(cells)) assert.equal(found[name] ?? "", cell, name);
    for (const [name, cell] of Object.entries(found)) assert.equal(cells[name] ?? "", cell, name);
    for (const cell of row) assert.ok(!/^[=+@\t\r]/.test(cell), `${cell} would run`);
  }
}

const pairsOf = (json) => Object.entries(cellsOf(json)).map(([name, value]) => ({ name, value }));
const named = (object) => Object.entries(object).map(([name, value]) => ({ name, ...value }));

/** Where a report's rows are. */
const ROWS = {
  totals: pairsOf,
  timeseries: ({ points }) => points,
  sessions: pairsOf,
  funnel: ({ steps }) => steps,
  timings: (json) => named(Object.fromEntries(Object.entries(json).filter(([, v]) => v?.buckets))),
  triggers: ({ triggers, without }) => [
    ...triggers.map((row) => ({ part: "triggers", ...row })),
    { part: "without", ...without },
  ],
  "breakdown?by=device": ({ rows, other }) => [
    ...rows.map((row) => ({ part: "rows", ...row })),
    { part: "other", ...other },
  ],
  retention: ({ cohorts }) => cohorts,
  visitors: ({ rows }) => rows,
  "/v1/sites": ({ sites }) => sites,
  "/v1/tokens": ({ tokens }) => tokens,
  "/v1/audit": ({ rows }) => rows,
  "/v1/balance": ({ sites, total }) => [
    ...named(sites).map((row) => ({ part: "sites", ...row })),
    { part: "total", ...total },
  ],
};

test("every report as CSV", async (t) => {
  const server = await startServe(t);
  let n = 0;
  for (const [i, evil] of EVIL.entries()) {
    const visitor = hex(16);
    const events = [
      event(1, "onWebChatLoaded"),
      event(2, "onTrigger", { props: { id: `t${i}`, name: evil } }),
      event(3, "onClick"),
      event(4, "onMaximize"),
      event(5, "set", { key: "name", value: evil }),
      event(6, "set", { key: "notes", value: `${evil}\r\n${evil}` }),
    ];
    n++;
    await post(server, envelope(events, { visitor }));
  }
  await write(server, "POST /v1/tokens", { role: "viewer", name: "=evil()" });
  await post(server, envelope([event(1, "onClick")], { site: "nobody" }));
  await totalsWith(server, "onClick", n);
  await until(async () => (await apiJson(server, "/v1/balance")).total.received >= 6 * n, "folded");

  const pathOf = (report) => (report.startsWith("/") ? report : `/v1/sites/demo/${report}`);
  const ask = async (report, query) => {
    const answer = await api(
      server,
      `${pathOf(report)}${report.includes("?") ? "&" : "?"}${query}`,
    );
    assert.equal(answer.status, 200, `${report}?${query}: ${answer.text}`);
    return answer;
  };
  for (const [report, rowsOf] of Object.entries(ROWS)) {
    await t.test(report, async () => {
      const site = report.startsWith("/") ? "" : "&to=2100-01-01";
      const span = site && report !== "visitors" ? site : "";
      const json = (await ask(report, `format=json${span}`)).json();
      const csv = await ask(report, `format=csv${span}`);
      assert.match(csv.headers["content-type"], /^text\/csv/);
      const file = report.startsWith("/")
        ? report.slice("/v1/".length)
        : `demo-${report.split("?")[0]}`;
      const disposition = `attachment; filename="${file}.csv"`;
      assert.equal(csv.headers["content-disposition"], disposition);
      judge(csv.text, rowsOf(json));
      const bad = await api(
        server,
        `${pathOf(report)}${report.includes("?") ? "&" : "?"}format=xml`,
      );
      assert.deepEqual([bad.status, bad.json().error.field], [400, "format"]);
    });
  }

  await t.test("pages go on by a header", async () => {
    const rows = [];
    let cursor = "";
    do {
      const page = await ask("visitors", `format=csv&limit=3${cursor && `&cursor=${cursor}`}`);
      const [titles, ...more] = parse(page.text);
      rows.push(...more.map((row) => row[titles.indexOf("visitor")]));
      cursor = page.headers["x-next-cursor"] ?? "";
    } while (cursor);
    const all = (await apiJson(server, "/v1/sites/demo/visitors")).rows;
    assert.deepEqual(
      rows,
      all.map(({ visitor }) => visitor),
    );
    const path = `visitors/${all[0].visitor}/events`;
    const json = (await ask(path, "limit=2")).json();
    const csv = await ask(path, "format=csv&limit=2");
    judge(csv.text, json.rows);
    assert.equal(csv.headers["x-next-cursor"], json.next);
  });

  await t.test("a funnel of any steps", async () => {
    const steps = "steps=onWebChatLoaded,onClick,message&to=2100-01-01";
    const json = (await ask("funnel", steps)).json();
    const csv = await ask("funnel", `${steps}&format=csv`);
    assert.equal(csv.headers["content-disposition"], 'attachment; filename="demo-funnel.csv"');
    const { complete } = json;
    judge(
      csv.text,
      json.steps.map((row) => ({ ...row, complete })),
    );
  });

  await t.test("those that the document names, and no others", async () => {
    const described = Object.entries(document.paths).filter(([, item]) =>
      (item.get?.parameters ?? [])
        .map((p) => (p.$ref ? resolve(p.$ref) : p))
        .some((p) => p.name === "format" && p.schema.enum?.join() === "json,csv"),
    );
    const known = [
      ...Object.keys(ROWS).map((report) => pathOf(report).split("?")[0]),
      "/v1/sites/demo/visitors/{visitor}/events",
    ];
    assert.deepEqual(
      described.map(([path]) => path.replace("{site}", "demo")).sort(),
      known.sort(),
    );
    const { status } = await api(server, "/v1/sites/demo/settings?format=csv");
    assert.equal(status, 400);
  });

  await t.test("nothing is a table without a line, and refusals stay JSON", async () => {
    const empty = await ask("triggers", "format=csv&from=2001-01-01&to=2001-01-02");
    judge(
      empty.text,
      ROWS.triggers((await ask("triggers", "from=2001-01-01&to=2001-01-02")).json()),
    );
    assert.equal((await ask("visitors", "format=csv&q=zzzz")).text, "");
    const bad = await api(server, "/v1/sites/demo/timeseries?format=csv&grain=x");
    assert.equal(bad.json().error.field, "grain");
    const none = await api(server, "/v1/sites/demo/visitors?format=csv", "none");
    assert.equal(none.status, 401);
  });
});
