// SPDX-License-Identifier: MIT
// The process dies at each moment of an erasure, and half the time its views are lost with it: the next one finishes, no number
// moves, and nothing of the person is left on disk. CB_ROUNDS: crashes a point.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { apiJson, envelope, event, hex, post, totalsWith, until, write } from "../lib/client.mjs";
import { run } from "../lib/server.mjs";
import { Rig } from "./rig.mjs";

const rounds = Number(process.env.CB_ROUNDS ?? 2);
const POINTS = [
  "eraser_before_rewrite",
  "eraser_between",
  "eraser_before_scrub",
  "eraser_before_tell",
  "eraser_before_unmark",
];
const NOTES = 100; // 4 KB each: more than one commit of the eraser rewrites

function bytesOf(dir) {
  const parts = readdirSync(dir).map((name) => {
    const path = join(dir, name);
    const st = statSync(path);
    return st.isDirectory() ? bytesOf(path) : st.isFile() ? readFileSync(path) : Buffer.of();
  });
  return Buffer.concat(parts);
}

const DAY = 86_400_000;
const span = `from=${Date.now() - DAY}&to=${Date.now() + DAY}`;

const numbers = async (s) => [
  await apiJson(s, `/v1/sites/demo/totals?${span}`),
  await apiJson(s, `/v1/sites/demo/sessions?${span}`),
  (await apiJson(s, "/v1/balance")).sites.demo,
];

test("serve dies at each moment of an erasure", async (t) => {
  const rig = new Rig(t, "serve", { sites: "demo" });
  await rig.start();
  let notes = 0;
  for (const [at, point] of POINTS.entries()) {
    for (let round = 0; round < rounds; round++) {
      const secret = `Secretova ${hex(8)}`;
      const ids = { visitor: hex(16), producer: hex(8) };
      const set = (seq) => event(seq, "set", { key: "notes", value: secret.repeat(150) });
      for (let i = 1; i <= NOTES; i++)
        assert.equal((await post(rig.server, envelope([set(i)], ids))).status, 204);
      const name = event(NOTES + 1, "set", { key: "name", value: secret });
      assert.equal((await post(rig.server, envelope([name], ids))).status, 204);
      notes += NOTES + 1;
      await totalsWith(rig.server, "set", notes);
      const q = `/v1/sites/demo/visitors?q=${secret}`;
      const key = (await apiJson(rig.server, q)).rows[0].visitor;
      const before = await numbers(rig.server);
      await rig.kill();

      await rig.start("serve", point);
      const erased = await write(rig.server, `DELETE /v1/sites/demo/visitors/${key}`);
      assert.equal(erased.status, 202, erased.text);
      await rig.death(point);
      if ((at + round) % 2) rmSync(join(rig.dir, "views"), { recursive: true });
      await rig.start();
      await until(
        async () => (await apiJson(rig.server, erased.json().receipt)).state === "done",
        "the receipt",
      );
      assert.deepEqual(await numbers(rig.server), before);
      assert.deepEqual((await apiJson(rig.server, q)).rows, []);
      await rig.stop();
      const bytes = bytesOf(rig.dir);
      for (const what of [secret, key, Buffer.from(key, "hex")])
        assert.ok(!bytes.includes(what), `${point}: ${what}`);
      const verified = await run(["verify", "--data", rig.dir]);
      assert.equal(verified.code, 0, verified.stdout + verified.stderr);
      const rebuilt = await run(["rebuild", "--data", rig.dir]);
      assert.match(rebuilt.stdout, /identical: [0-9]+ rows/, point);
      await rig.start();
      assert.deepEqual(await numbers(rig.server), before);
    }
  }
  t.diagnostic(`${rig.kills} kills, ${POINTS.length * rounds} erasures, each finished`);
});
