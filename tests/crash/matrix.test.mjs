// SPDX-License-Identifier: MIT
// kill -9 of each process at each moment where it makes a difference, and at moments drawn by chance. After each the
// oracle judges. CB_ROUNDS: crashes for each point of a cell.
import assert from "node:assert/strict";
import test from "node:test";
import { apiJson } from "../lib/client.mjs";
import { Oracle, randomOf } from "../lib/oracle.mjs";
import { cells, crash, crashByChance, SITES, startRig, TARGETS } from "./cells.mjs";
import { Rig } from "./rig.mjs";

const rounds = Number(process.env.CB_ROUNDS ?? 2);
const seed = Number(process.env.CB_SEED ?? Date.now() % 2 ** 31);
const KILLS_MIN = 90;

let kills = 0;
let worst_ms = 0;
let acked = 0;

/** Runs body with a rig and an oracle, and ends in an orderly stop. */
async function judged(t, target, body) {
  const rig = await startRig(t, target);
  const oracle = new Oracle({ sites: SITES, seed });
  await body(rig, oracle);
  await oracle.verifyWholeExport(rig.server);
  await rig.stop();
  kills += rig.kills;
  acked += oracle.acked;
  return oracle;
}

for (const target of TARGETS) {
  test(`${target} dies`, async (t) => {
    await judged(t, target, async (rig, oracle) => {
      for (const cell of cells.filter((c) => c.target === target)) {
        await t.test(cell.moment, { skip: cell.skip }, async (cell_t) => {
          const times = rounds * Math.max(cell.points.length, 1);
          for (let round = 0; round < times; round++) {
            const { point, recovery_ms } = await crash(rig, oracle, cell, round);
            if (recovery_ms === null) continue;
            worst_ms = Math.max(worst_ms, recovery_ms);
            cell_t.diagnostic(`${point}: first sign after ${Math.round(recovery_ms)} ms`);
          }
        });
      }
      const { sent, busy, broken } = oracle.requests;
      t.diagnostic(
        `${rig.kills} kills, ${oracle.acked} events answered 2xx in ${sent} requests (${busy} busy, ${broken} cut off)`,
      );
    });
  });
}

for (const [target, names] of [
  ["serve", ["serve"]],
  ["store", ["store", "ingest", "query"]],
]) {
  test(`${names.join(", ")} killed at moments drawn by chance`, async (t) => {
    await judged(t, target, async (rig, oracle) => {
      const random = randomOf(seed + 1);
      for (let round = 0; round < 4 * rounds; round++) {
        const { recovery_ms } = await crashByChance(
          rig,
          oracle,
          random,
          names[round % names.length],
        );
        worst_ms = Math.max(worst_ms, recovery_ms ?? 0);
      }
    });
  });
}

for (const target of ["serve", "store"]) {
  test(`${target} dies between the token's file and the journal of a new folder`, async (t) => {
    const rig = new Rig(t, target, { sites: SITES.join(",") });
    for (let round = 0; round < rounds; round++) await rig.startInVain("bootstrap_after_token");
    await rig.startInVain("recovery_in_catch_up:2"); // the first is of nothing, this one of the token
    await rig.startAll();
    assert.deepEqual(Object.keys((await apiJson(rig.server, "/v1/balance")).sites), SITES);
    const oracle = new Oracle({ sites: SITES, seed });
    const load = oracle.load(rig.server);
    await load.acks(20);
    await load.stop();
    await oracle.verify(rig.server);
    await rig.stop();
    kills += rig.kills;
  });
}

test("all in all", (t) => {
  t.diagnostic(
    `seed ${seed}: ${kills} kills, ${acked} events answered 2xx, 0 lost, 0 doubled, ` +
      `worst recovery ${Math.round(worst_ms)} ms`,
  );
  if (rounds >= 2) assert.ok(kills >= KILLS_MIN, `${kills} kills`);
});
