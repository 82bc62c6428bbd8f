// SPDX-License-Identifier: MIT
// verify, backup, restore and rebuild on a folder whose store is under load.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import {
  apiJson,
  balanced,
  envelope,
  event,
  hex,
  post,
  totalsWith,
  until,
} from "../lib/client.mjs";
import { run, startServe, temporaryFolder } from "../lib/server.mjs";

const backups = Number(process.env.CB_BACKUPS ?? 100);

const EVENTS_PER_BACKUP = 1000; // poured meanwhile: without a bound each copy would be larger, so slower, so the next one larger

/** Posts batches until told to stop, as many as were allowed; acked is what was answered 204. */
async function pour(server, state) {
  const ids = { visitor: hex(16), producer: hex(8) };
  for (let seq = 1; !state.stop; seq += 20) {
    if (state.acked >= state.allowed) {
      await until(() => state.acked < state.allowed || state.stop, "the next backup", 60000);
      seq -= 20;
      continue;
    }
    const events = Array.from({ length: 20 }, (_, i) => event(seq + i));
    assert.equal((await post(server, envelope(events, ids))).status, 204);
    state.acked += 20;
  }
}

async function succeed(args) {
  const ended = await run(args);
  assert.equal(ended.code, 0, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
  return ended.stdout;
}

test(`${backups} hot backups under load, each a whole prefix`, async (t) => {
  const s = await startServe(t);
  const copies = temporaryFolder(t);
  const state = { stop: false, acked: 0, allowed: 0 };
  const load = [pour(s, state), pour(s, state)];
  let most = 0;
  for (let i = 0; i < backups; i++) {
    const before = state.acked;
    state.allowed += EVENTS_PER_BACKUP;
    const copy = join(copies, String(i));
    await succeed(["backup", "--data", s.dir, "--to", copy]);
    const report = await succeed(["verify", "--data", copy]);
    assert.match(report, /every checksum and frame is sound/);
    const counted = Number(/^demo: received \d+, counted (\d+),/m.exec(report)?.[1]);
    assert.ok(counted <= state.acked + 40, `${counted} counted, ${state.acked} answered`);
    most = Math.max(most, before);
  }
  state.stop = true;
  await Promise.all(load);
  assert.ok(most > 0);

  // The last copy, started: all that was answered before it was taken is there.
  const dir = join(copies, "restored");
  await succeed(["restore", "--from", join(copies, String(backups - 1)), "--data", dir]);
  const restored = await run(["verify", "--data", dir]);
  assert.equal(restored.code, 0, restored.stderr);

  await totalsWith(s, "onClick", state.acked);
  await succeed(["verify", "--data", s.dir]); // beside the running store
  assert.equal((await run(["rebuild", "--data", s.dir])).code, 1); // but this one needs the folder for itself
  await s.kill();
  const report = await succeed(["rebuild", "--data", s.dir]);
  assert.match(report, /^identical: \d+ rows/m);
  const again = await startServe(t, { dir: s.dir });
  assert.equal((await apiJson(again, "/v1/sites/demo/totals")).events.onClick, state.acked);
  await balanced(again);
  await again.stop();
});

test("a restored backup answers as the original did", async (t) => {
  const s = await startServe(t);
  const copies = temporaryFolder(t);
  const ids = { visitor: hex(16), producer: hex(8) };
  const set = event(1, "set", { key: "name", value: "Ada" });
  assert.equal((await post(s, envelope([set, event(2)], ids))).status, 204);
  await totalsWith(s, "onClick", 1);
  await succeed(["backup", "--data", s.dir, "--to", join(copies, "b")]);
  await s.stop();
  await succeed(["restore", "--from", join(copies, "b"), "--data", join(copies, "r")]);
  // The token's text is not in a backup, its hash is: the old token goes on to open the restored service.
  writeFileSync(join(copies, "r", "admin-token"), s.token);
  const r = await startServe(t, { dir: join(copies, "r") });
  const { rows } = await apiJson(r, "/v1/sites/demo/visitors");
  assert.equal(rows[0].name, "Ada");
  assert.equal((await post(r, envelope([event(2)], ids))).status, 204); // known as a duplicate still
  assert.equal((await post(r, envelope([event(3)], ids))).status, 204);
  await totalsWith(r, "onClick", 2);
  await r.stop();
});
