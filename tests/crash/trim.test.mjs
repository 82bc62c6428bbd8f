// SPDX-License-Identifier: MIT
// The journal's front goes while beacons pour in, and the process dies at each moment of it: while a base is made, while
// records are deleted. What was counted stays counted, and the views still follow from what is kept. CB_ROUNDS: crashes a point.
import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { api, until } from "../lib/client.mjs";
import { Oracle } from "../lib/oracle.mjs";
import { run, temporaryFolder } from "../lib/server.mjs";
import { SITES } from "./cells.mjs";
import { Rig } from "./rig.mjs";

const rounds = Number(process.env.CB_ROUNDS ?? 2);
const seed = Number(process.env.CB_SEED ?? Date.now() % 2 ** 31);
const POINTS = ["base_before_check", "base_before_prune", "journal_in_trim", "journal_after_trim"];
const SMALL = ["--raw-bytes", "256K"];
const TRIM_MS = 60000;

async function metric(server, name) {
  const { text } = await api(server, "/metrics");
  return Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)[1]);
}

/** Under a load: until records went n times over, each time behind a base. */
async function trimmed(server, times = 1) {
  for (let i = 0; i < times; i++) {
    const first = await metric(server, "chatbeacon_journal_first_position");
    await until(
      async () => (await metric(server, "chatbeacon_journal_first_position")) > first,
      "records go",
      TRIM_MS,
    );
  }
}

/** The folder of a stopped store: sound, and its views follow from the base and the journal. */
async function sound(dir) {
  const verified = await run(["verify", "--data", dir]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const rebuilt = await run(["rebuild", "--data", dir]);
  assert.equal(rebuilt.code, 0, rebuilt.stdout + rebuilt.stderr);
  assert.match(rebuilt.stdout, /identical: [0-9]+ rows/);
  return { base: Number(/base: position ([0-9]+)/.exec(verified.stdout)?.[1] ?? 0) };
}

test("serve dies while a base is made and while records go", async (t) => {
  const rig = new Rig(t, "serve", { sites: SITES.join(","), store_args: SMALL });
  const oracle = new Oracle({ sites: SITES, seed, trimmed: true });
  let worst_ms = 0;
  for (const point of POINTS) {
    for (let round = 0; round < rounds; round++) {
      // A process begins with the trim that the one before it left.
      await rig.start("serve", `${point}:${1 + (round % 3)}`);
      oracle.turnOver();
      const load = oracle.load(rig.server);
      await rig.death(point);
      const died = performance.now();
      const first = oracle.firstAck(died);
      first.catch(() => {}); // a start that fails is the error to show
      await rig.start();
      worst_ms = Math.max(worst_ms, (await first) - died);
      await load.acks(20);
      await load.stop();
      await oracle.verify(rig.server);
      await rig.kill();
    }
  }
  await rig.start();
  const load = oracle.load(rig.server);
  await trimmed(rig.server);
  await load.stop();
  await oracle.verify(rig.server);
  assert.ok((await metric(rig.server, "chatbeacon_base_position")) > 0);
  await rig.stop();
  const { base } = await sound(rig.dir);
  assert.ok(base > 0);
  // One base, and nothing that a crash left half done.
  assert.equal(readdirSync(join(rig.dir, "bases")).length, 1);
  t.diagnostic(
    `seed ${seed}: ${rig.kills} kills, ${oracle.acked} events answered 2xx, 0 lost, 0 doubled, ` +
      `worst recovery ${Math.round(worst_ms)} ms`,
  );
});

test("backups while records go: each is whole, and nothing goes from under one", async (t) => {
  const rig = await new Rig(t, "store", { sites: SITES.join(","), store_args: SMALL }).startAll();
  const oracle = new Oracle({ sites: SITES, seed: seed + 1, trimmed: true });
  const load = oracle.load(rig.server);
  const copies = temporaryFolder(t);
  const bases = new Set();
  for (let i = 0; i < 2 + 3 * rounds; i++) {
    const copy = join(copies, `${i}`);
    const { code, stdout, stderr } = await run(["backup", "--data", rig.dir, "--to", copy]);
    assert.equal(code, 0, stdout + stderr);
    const { base } = await sound(copy);
    bases.add(base);
    if (i < 2) await until(() => existsSync(join(rig.dir, "bases")), "the first base", TRIM_MS);
  }
  await load.stop();
  await oracle.verify(rig.server);
  await rig.stop();
  await sound(rig.dir);
  assert.ok(bases.size > 1, `bases at ${[...bases]}`);
  t.diagnostic(`${2 + 3 * rounds} backups, of bases at ${[...bases].join(", ")}`);
});

test("views that are gone are made from the base, at a start", async (t) => {
  const rig = await new Rig(t, "serve", { sites: SITES.join(","), store_args: SMALL }).startAll();
  const oracle = new Oracle({ sites: SITES, seed: seed + 2, trimmed: true });
  const load = oracle.load(rig.server);
  await trimmed(rig.server, 2);
  await load.stop();
  await rig.kill();
  rmSync(join(rig.dir, "views"), { recursive: true });
  await rig.startAll();
  await oracle.verify(rig.server);
  await rig.stop();
  await sound(rig.dir);
});
