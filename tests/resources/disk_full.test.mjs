// SPDX-License-Identifier: MIT
// The disk is full, and has room again, many times: a small tmpfs and a file that fills it. CB_ROUNDS: how often.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { apiJson, request, until } from "../lib/client.mjs";
import { Oracle, within } from "../lib/oracle.mjs";
import { startApart, startServe } from "../lib/server.mjs";
import { loadWith, RESUME_MS, resumes } from "./rig.mjs";

const rounds = Number(process.env.CB_ROUNDS ?? 20);
const DISK = "48m";
const FILL_MS = 60000;
const ACK_TIMEOUT = ["--ack-timeout", "1000"];

/** A small disk, or null when this machine does not let us have one. */
function smallDisk(t) {
  const dir = mkdtempSync(join(tmpdir(), "chatbeacon-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK},mode=0700`, "none", dir]);
  const remove = () => {
    if (mounted.status === 0) spawnSync("umount", ["-l", dir]);
    rmSync(dir, { recursive: true, force: true });
  };
  t.after(remove);
  process.on("exit", remove); // a test that is ended from outside
  if (mounted.status !== 0) return null;
  return { dir, data: join(dir, "data"), filler: join(dir, "filler") };
}

/** Writes until nothing fits any more. */
function fill(disk) {
  const file = openSync(disk.filler, "a");
  for (const bytes of [Buffer.alloc(65536), Buffer.alloc(4096)]) {
    for (;;) {
      try {
        if (writeSync(file, bytes) < bytes.length) break;
      } catch (error) {
        assert.equal(error.code, "ENOSPC");
        break;
      }
    }
  }
  closeSync(file);
}

const free = (disk) => rmSync(disk.filler, { force: true });

/** Without one the test is skipped, and says so. */
function withDisk(name, body) {
  test(name, async (t) => {
    const disk = smallDisk(t);
    if (!disk) return t.skip("no tmpfs can be mounted here: run as root");
    await body(t, disk);
  });
}

for (const apart of [false, true]) {
  const shape = apart ? "three processes" : "serve";
  withDisk(`the disk fills up and has room again, ${rounds} times (${shape})`, async (t, disk) => {
    const options = { dir: disk.data };
    const server = apart
      ? await startApart(t, { ...options, ingestArgs: ACK_TIMEOUT })
      : await startServe(t, { ...options, args: ACK_TIMEOUT });
    const oracle = new Oracle({ producers: 8 });
    let worst_ms = 0;
    let busy = 0;
    for (let round = 0; round < rounds; round++) {
      const load = loadWith(t, oracle, server);
      await load.acks(10);
      fill(disk);
      const before = oracle.requests.busy;
      await until(() => oracle.requests.busy >= before + 8, "503 at a full disk", FILL_MS);
      if (round === 0) {
        const ready = await until(async () => {
          const answer = await request(`${server.ingest}/readyz`);
          return answer.status === 503 && answer;
        }, "/readyz says that it is not ready");
        assert.equal(ready.json().error.code, "busy");
        await apiJson(server, "/v1/sites/demo/totals"); // reads go on
      }
      free(disk);
      const freed = performance.now();
      const acked = await within(oracle.firstAck(freed), RESUME_MS, "beacons are taken again");
      worst_ms = Math.max(worst_ms, acked - freed);
      await load.stop();
      await oracle.settle(server);
      busy = oracle.requests.busy;
    }
    await until(
      async () => (await request(`${server.ingest}/readyz`)).status === 200,
      "/readyz says that it is ready",
      RESUME_MS,
    );
    await oracle.verify(server);
    const log = server.stderr().split("\n");
    const failures = log.filter((line) => line.includes("event=lmdb_failed")).length;
    t.diagnostic(
      `${rounds} times full, ${oracle.acked} events answered 2xx, ${busy} times 503, ${oracle.lost} lost, ` +
        `${oracle.doubled} doubled, worst recovery ${Math.round(worst_ms)} ms, ${failures} lines of log`,
    );
    await server.stop();
    const again = await startServe(t, { dir: disk.data });
    await oracle.verify(again);
    await again.stop();
  });
}

withDisk("killed while the disk is full: what was answered is there", async (t, disk) => {
  const oracle = new Oracle({ producers: 8 });
  const waits = ["--ack-timeout", "300"];
  let starts = 0;
  for (let round = 0; round < Math.ceil(rounds / 4); round++) {
    const server = await startServe(t, { dir: disk.data, args: waits });
    const load = loadWith(t, oracle, server);
    await load.acks(10);
    fill(disk);
    const before = oracle.requests.busy;
    await until(() => oracle.requests.busy >= before + 8, "503 at a full disk", FILL_MS);
    const idle = round % 2 === 1; // then all is folded, and a start has nothing to write
    if (idle) {
      await load.stop();
      free(disk);
      await oracle.settle(server);
      await oracle.verifyBounds(server);
      fill(disk);
    }
    await server.kill();
    await load.stop();
    // At a full disk it starts where all that is acked is folded, and else says in a sentence why it cannot.
    let started = null;
    try {
      started = await startServe(t, { dir: disk.data, args: waits });
    } catch (error) {
      assert.ok(!idle, error.message);
      assert.match(error.message, /ended with 1 before ready/);
      assert.match(error.message, /chatbeacon: --data: .*(no room|input or output failed)/);
    }
    if (started) {
      starts++;
      await oracle.verifyBounds(started);
      free(disk);
      const again = loadWith(t, oracle, started);
      await within(oracle.firstAck(performance.now()), RESUME_MS, "beacons are taken again");
      await again.stop();
      await started.stop();
    }
    free(disk);
    const after = await startServe(t, { dir: disk.data, args: waits });
    await oracle.settle(after);
    await oracle.verifyBounds(after);
    await after.stop();
  }
  t.diagnostic(`${Math.ceil(rounds / 4)} kills, ${starts} starts at a full disk`);
});

withDisk("a new folder on a full disk: one sentence, and later a good start", async (t, disk) => {
  let refusals = 0;
  for (const kib of [0, 4, 16, 64, 128, 192, 256, 320, 384]) {
    // Room for a part of what a new folder needs.
    const spare = join(disk.dir, "spare");
    writeFileSync(spare, Buffer.alloc(kib * 1024));
    fill(disk);
    rmSync(spare);
    try {
      const server = await startServe(t, { dir: disk.data });
      await server.stop();
    } catch (error) {
      assert.match(error.message, /ended with 1 before ready/);
      assert.match(error.message, /chatbeacon: --data: /);
      refusals++;
    }
    free(disk);
    const server = await startServe(t, { dir: disk.data });
    await resumes(server);
    await server.stop();
    rmSync(disk.data, { recursive: true });
  }
  assert.ok(refusals > 0);
  t.diagnostic(`${refusals} starts that could not be`);
});

withDisk("a folder without lock files on a full disk, as a restored one is", async (t, disk) => {
  const args = ["--ack-timeout", "300"];
  const first = await startServe(t, { dir: disk.data, args });
  await resumes(first);
  await first.stop();
  const removeLocks = () =>
    ["journal", "views"].forEach((name) => rmSync(join(disk.data, name, "lock.mdb")));
  removeLocks();
  fill(disk);
  // LMDB would map a lock file of holes, and die of SIGBUS at the first touch.
  await assert.rejects(startServe(t, { dir: disk.data, args }), (error) => {
    assert.match(error.message, /ended with 1 before ready/);
    assert.match(error.message, /chatbeacon: --data: .*no room/);
    return true;
  });
  free(disk);
  const server = await startServe(t, { dir: disk.data, args });
  await resumes(server);
  await server.stop();
});
