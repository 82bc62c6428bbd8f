// SPDX-License-Identifier: MIT
// A query process that dies within a snapshot leaves a reader behind, which holds back every page that the fold frees. The
// store clears it away: then the views' file does not grow with what is written, only with what is kept.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { balanced, envelope, event, post, request, totalsWith, until } from "../lib/client.mjs";
import { startApart, startProcess } from "../lib/server.mjs";

const KILLS = 4;
const COMMITS = 20; // of the fold, after each kill
const GROWTH_BYTES = 4 * 1024 * 1024;

/** A query process that kills itself in its first report, where the points of proto/crash.h are built in. */
const doomed = (t, dir) =>
  startProcess(t, ["query", "--data", dir, "--query", "127.0.0.1:0"], {
    env: { CHATBEACON_CRASH: "query_in_report" },
  });

test(`a query process killed within a snapshot, ${KILLS} times`, async (t) => {
  const server = await startApart(t);
  const file = join(server.dir, "views", "data.mdb");
  const ids = { visitor: "22".repeat(16), producer: "33".repeat(8) };
  let seq = 0;
  /** n commits of the fold: each beacon waits until it is in the totals. */
  const commits = async (n) => {
    for (let i = 0; i < n; i++) {
      assert.equal((await post(server, envelope([event(++seq)], ids))).status, 204);
      await totalsWith(server, "onClick", seq);
    }
  };
  await commits(COMMITS);
  const before = statSync(file).size;
  let cleared = 0;
  for (let round = 0; round < KILLS; round++) {
    const query = await doomed(t, server.dir);
    const asked = request(`${query.fields.query}/v1/sites/demo/totals`, {
      headers: { Authorization: `Bearer ${server.token}` },
    });
    const end = await Promise.race([
      query.exited,
      asked.then(
        () => null,
        () => query.exited,
      ),
    ]);
    if (!end) return t.skip("built without crash points");
    assert.equal(end.signal, "SIGKILL");
    const held = statSync(file).size;
    await until(async () => {
      await commits(5);
      return server.store.stderr().split("event=readers_cleared").length - 1 > cleared;
    }, "the store cleared the reader");
    cleared++;
    await commits(COMMITS);
    assert.ok(statSync(file).size - held < GROWTH_BYTES);
  }
  const grown = statSync(file).size - before;
  assert.ok(grown < GROWTH_BYTES, `grew by ${grown} bytes`);
  await balanced(server);
  t.diagnostic(`${KILLS} kills, ${seq} commits, the views grew by ${grown} bytes`);
  await server.stop();
});
