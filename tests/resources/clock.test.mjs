// SPDX-License-Identifier: MIT
// The wall clock steps while the program runs, and between two runs: a day ahead and back, to 1970, past 2038. Nothing ends,
// a 2xx stays honest, each event is counted once and lands where the clock stood.
import assert from "node:assert/strict";
import test from "node:test";
import { apiJson, balanced, envelope, event, hex, post, until } from "../lib/client.mjs";
import { exportOf } from "../lib/oracle.mjs";
import { startServe, temporaryFolder } from "../lib/server.mjs";
import { Faults } from "./rig.mjs";

const DAY_MS = 86400000;
const EVENTS = 20;
const PAST_2038 = Date.UTC(2038, 0, 19, 3, 20); // 32 bits of seconds are over at 03:14:07

/** What is added to the clock. */
const steps = [
  ["as it is", () => 0],
  ["a day ahead", () => DAY_MS],
  ["a day back", () => -DAY_MS],
  ["1970", () => 3600000 - Date.now()],
  ["past 2038", () => PAST_2038 - Date.now()],
  ["1970 again", () => 7200000 - Date.now()],
  ["as it is again", () => 0],
];

for (const restart of [false, true]) {
  test(`the clock steps ${restart ? "between kill -9 and the next start" : "while it runs"}`, async (t) => {
    const dir = temporaryFolder(t);
    const faults = new Faults(t, dir);
    const start = () => startServe(t, { dir, env: faults.env });
    let server = await start();
    const producers = [];
    let acked = 0;
    let duplicates = 0;
    const take = async (p) => {
      const answer = await post(server, envelope(p.events, p.ids));
      assert.equal(answer.status, 204, answer.text);
    };
    for (const [name, offset] of steps) {
      if (restart) await server.kill();
      const offset_ms = offset();
      faults.set("clock", offset_ms);
      if (restart) server = await start();
      const from = Date.now() + offset_ms;
      const fresh = Array.from({ length: EVENTS / 2 }, () => ({
        ids: { visitor: hex(16), producer: hex(8) },
        events: [event(1, "step"), event(2, "step")],
      }));
      await Promise.all(fresh.map(take));
      acked += EVENTS;
      // What was counted under another clock is counted already.
      await Promise.all(producers.map(take));
      duplicates += 2 * producers.length;
      producers.push(...fresh.slice(0, 3));
      const balance = await until(async () => {
        const books = (await balanced(server)).sites.demo;
        return books.counted === acked && books.duplicate === duplicates && books;
      }, `${name}: ${acked} counted, ${duplicates} duplicates`);
      assert.equal(balance.lost, 0);
      // They are where the clock stood; by hours, since single minutes are kept for two days of the journal.
      const [a, b] = [from - 60000, from + 600000].map((ms) => Math.max(0, ms));
      const series = await apiJson(
        server,
        `/v1/sites/demo/timeseries?grain=hour&event=step&from=${a}&to=${b}`,
      );
      assert.ok(series.points.every((p, i) => i === 0 || p.t - series.points[i - 1].t === 3600000));
      const there = series.points.reduce((n, p) => n + p.events, 0);
      assert.ok(there >= EVENTS, `${name}: ${there} in its hours`);
      await apiJson(server, "/v1/sites/demo/visitors");
    }
    const rows = (await exportOf(server, "demo")).filter((row) => row.name === "step");
    const keys = new Set(rows.map((row) => `${row.producer} ${row.seq}`));
    assert.equal(rows.length, acked);
    assert.equal(keys.size, acked);
    await server.stop();
    const clean = await startServe(t, { dir });
    assert.equal((await balanced(clean)).sites.demo.counted, acked);
    await clean.stop();
    t.diagnostic(`${steps.length - 1} steps, ${acked} events answered 2xx, 0 lost, 0 doubled`);
  });
}
