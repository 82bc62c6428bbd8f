// SPDX-License-Identifier: MIT
// What a site keeps for so many days, by a clock that steps between runs: fields of people, rollups, and what is given out of
// single events. Then a rebuild agrees, and the sites beside it have everything.
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
import { watch } from "../lib/live.mjs";
import { run, startServe, temporaryFolder } from "../lib/server.mjs";
import { Faults } from "./rig.mjs";

const DAY_MS = 86400000;
const SITES = ["demo", "shop"];

const exported = async (server, site, query = "") => {
  const answer = await api(server, `/v1/sites/${site}/export${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.text
    .split("\n")
    .filter((line) => line)
    .map((line) => JSON.parse(line));
};

test("what a site wants forgotten goes with the days, and nothing else does", async (t) => {
  const dir = temporaryFolder(t);
  const faults = new Faults(t, dir);
  const began = Date.now() - 30 * DAY_MS;
  const visitors = { ann: hex(16), bob: hex(16) };
  faults.set("clock", began - Date.now());
  const server = await startServe(t, { dir, env: faults.env, args: ["--sites", SITES.join()] });
  const start = Date.now();
  /** It is so many days after the beginning, for the wall clock and for the journal. */
  const onDay = (day) => {
    faults.set("clock", began + day * DAY_MS - start);
    faults.set("boot", day * DAY_MS);
  };
  let ticks = 0;
  const send = async (visitor, events) => {
    // A step of the clock closes connections that were idle: then again.
    for (const site of SITES) {
      const body = envelope(events, { site, visitor });
      await until(async () => (await post(server, body)).status === 204, "a 204");
    }
  };
  /** A first record of the day, which sweeps before it is folded. */
  const tick = async (visitor) => {
    await send(visitor, [event(1, "tick")]);
    ticks++;
    for (const site of SITES)
      await until(async () => {
        const span = `from=${began - DAY_MS}&to=${began + 60 * DAY_MS}`;
        const { events } = await apiJson(server, `/v1/sites/${site}/totals?${span}`);
        return site === "demo" ? events.tick > 0 : events.tick === ticks;
      }, "the day has begun");
  };
  const row = async (site, name) => {
    const { rows } = await apiJson(server, `/v1/sites/${site}/visitors?q=${name}`);
    return rows[0];
  };
  const clicks = async (site, day) => {
    const from = began + day * DAY_MS - DAY_MS;
    const span = `from=${from}&to=${from + 2 * DAY_MS}`;
    const { events, visitors: n } = await apiJson(server, `/v1/sites/${site}/totals?${span}`);
    return [events.onClick ?? 0, n > 0];
  };

  const kept = { raw_days: 4, personal_days: 6, rollup_days: 10 };
  const answer = await write(server, "PUT /v1/sites/demo/settings", kept);
  assert.equal(answer.status, 200, answer.text);
  const told = (name) => [
    event(1, "set", { key: "name", value: name }),
    event(2, "message", { props: { text: `I am ${name}` } }),
    event(3, "onClick"),
  ];
  await send(visitors.ann, told("Ann"));
  await send(visitors.bob, told("Bob"));
  for (const site of SITES) await totalsWith(server, "onClick", 2, site);
  const [first] = await exported(server, "demo");
  const { visitor: ann } = await row("demo", "Ann");

  // Three days later all is there.
  onDay(3);
  await tick(visitors.bob);
  assert.equal((await exported(server, "demo", "?limit=1"))[0].position, first.position);
  assert.ok(await row("demo", "Ann"));

  // Single events are too old to be seen; the people and what was counted are there.
  onDay(5);
  await tick(visitors.bob);
  const rows = await exported(server, "demo");
  assert.deepEqual(
    rows.map(({ name }) => name),
    ["tick", "tick"],
    "what is older than four days is not given out",
  );
  const early = `/v1/sites/demo/export?cursor=${first.position}-${first.index}`;
  assert.equal((await api(server, early)).status, 410);
  assert.equal((await exported(server, "shop")).length, 8);
  const timeline = await apiJson(server, `/v1/sites/demo/visitors/${ann}/events`);
  assert.deepEqual([timeline.rows, timeline.next, timeline.trimmed], [[], null, true]);
  const steps = `from=${began - DAY_MS}&to=${began + 60 * DAY_MS}&steps=message,onClick`;
  const funnel = await apiJson(server, `/v1/sites/demo/funnel?${steps}`);
  assert.deepEqual([funnel.complete, funnel.steps[1].visits], [false, 0]);
  assert.equal((await apiJson(server, `/v1/sites/shop/funnel?${steps}`)).steps[1].visits, 2);
  const stream = await watch(server, "demo", { last: `${first.position}-${first.index}` });
  await until(() => stream.counts(), "it runs");
  assert.equal(stream.gaps()[0].reason, "trimmed");
  assert.deepEqual(
    stream.rows().map(({ name }) => name),
    ["tick", "tick"],
  );
  stream.close();
  const person = await api(server, `/v1/sites/demo/visitors/${ann}?format=json`);
  assert.deepEqual([person.json().timeline, person.json().trimmed], [[], true]);
  assert.equal((await row("demo", "Ann")).name, "Ann");
  assert.deepEqual(await clicks("demo", 0), [2, true]);
  assert.ok((await apiJson(server, "/v1/sites/demo/kept")).raw.from > first.position);

  // Ann was not seen for six days, Bob was.
  onDay(8);
  await tick(visitors.bob);
  assert.equal(await row("demo", "Ann"), undefined);
  assert.equal((await row("demo", "Bob")).name, "Bob");
  assert.equal((await apiJson(server, `/v1/sites/demo/visitors/${ann}`)).name ?? "", "");
  assert.equal((await row("shop", "Ann")).name, "Ann");
  assert.deepEqual(await clicks("demo", 0), [2, true]);
  const { personal, rollups } = await apiJson(server, "/v1/sites/demo/kept");
  assert.equal(personal.people, 1);
  assert.ok(personal.bytes > 50 && rollups.rows === 0);

  // The counts of the first days go.
  onDay(12);
  await tick(visitors.bob);
  assert.deepEqual(await clicks("demo", 0), [0, false]);
  assert.deepEqual(await clicks("shop", 0), [2, true]);
  const after = await apiJson(server, "/v1/sites/demo/kept");
  const day = Math.floor((began + 12 * DAY_MS) / DAY_MS) - 10;
  assert.equal(after.rollups.from, day * DAY_MS);
  // Whoever asks for more is told so, and only they.
  const reports = ["totals", "timeseries", "sessions", "funnel", "timings", "triggers"];
  for (const report of [...reports, "breakdown?by=device"]) {
    const path = `/v1/sites/demo/${report}${report.includes("?") ? "&" : "?"}from=`;
    const asked = await apiJson(server, `${path}${began}&to=${began + 20 * DAY_MS}`);
    assert.equal(asked.kept_from, day * DAY_MS, report);
    const since = await apiJson(server, `${path}${day * DAY_MS}&to=${began + 20 * DAY_MS}`);
    assert.equal(since.kept_from, undefined, report);
    const shop = path.replace("demo", "shop");
    assert.equal((await apiJson(server, `${shop}${began}`)).kept_from, undefined, report);
  }
  assert.ok(after.rollups.rows > 0 && after.rollups.bytes > 0);
  assert.match(server.stderr(), /event=retention_swept .*rows=[1-9]\d* people=0 bytes=[1-9]/);
  const metrics = (await api(server, "/metrics")).text;
  assert.match(metrics, /\nchatbeacon_retention_rows_total [1-9]/);
  const nothing = await apiJson(server, "/v1/sites/shop/kept");
  assert.deepEqual([nothing.personal.people, nothing.rollups.rows, nothing.raw.from], [0, 0, null]);

  await server.stop();
  const verified = await run(["verify", "--data", dir]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const rebuilt = await run(["rebuild", "--data", dir]);
  assert.match(rebuilt.stdout, /identical/, rebuilt.stderr);
});
