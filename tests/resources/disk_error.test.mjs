// SPDX-License-Identifier: MIT
// A write or a sync of a database fails: the k-th from now, alone or with all that follow until the test ends the fault.
// Each way to fail: nothing was done, all was done and yet an error came, half of a write was done. CB_CALLS: how far k goes.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../lib/client.mjs";
import { Oracle, within } from "../lib/oracle.mjs";
import { startServe, temporaryFolder } from "../lib/server.mjs";
import { Faults, FILE, HOW, KIND, loadWith, RESUME_MS } from "./rig.mjs";

const calls = Number(process.env.CB_CALLS ?? 4);
const FAIL_MS = 20000;

/* bears: the process must live through it. ends: it must not. */
const DATA = KIND.write | KIND.sync;
const ways = [
  { name: "nothing done", kinds: DATA, first: HOW.undone, rest: HOW.undone, bears: true },
  { name: "done all the same", kinds: DATA, first: HOW.done, rest: HOW.done, bears: true },
  { name: "half a write", kinds: KIND.write, first: HOW.half, rest: HOW.undone, bears: true },
  { name: "of any kind, done, then nothing", kinds: KIND.any, first: HOW.done, rest: HOW.undone },
  // LMDB's heads name the newest commit. Where one could not be written it cannot tell what is on disk, and goes no further.
  { name: "of a head", kinds: KIND.meta, most: 1, first: HOW.undone, rest: HOW.undone, ends: true },
  {
    name: "of a head, done",
    kinds: KIND.meta,
    most: 1,
    first: HOW.done,
    rest: HOW.undone,
    ends: true,
  },
];

/** One process after the other on one folder, under one oracle. */
class Run {
  constructor(t) {
    this.t = t;
    this.dir = temporaryFolder(t);
    this.faults = new Faults(t, this.dir);
    this.oracle = new Oracle({ producers: 6 });
    this.times = { tried: 0, lived: 0, exited: 0, worst_ms: 0 };
    this.server = {};
  }

  async start() {
    this.faults.disarm();
    const server = await startServe(this.t, {
      dir: this.dir,
      args: ["--ack-timeout", "300"],
      env: this.faults.env,
    });
    this.ended = null;
    server.exited.then((end) => (this.ended = end));
    Object.assign(this.server, server);
  }

  /** Under load: the fault comes, is there for a while, and goes. Then it is taken up again, or the process has ended. */
  async round(fault) {
    const { faults, oracle } = this;
    const load = loadWith(this.t, oracle, this.server, { watch: false });
    faults.arm(fault);
    await until(() => this.ended || faults.get("failed") > 0, "the fault came", FAIL_MS);
    if (fault.endless && fault.files === FILE.journal) {
      // All is refused now, or the process ends: a 2xx of what is begun now would be a false one.
      const busy = oracle.requests.busy;
      await until(() => this.ended || oracle.requests.busy >= busy + 4, "503", FAIL_MS);
    } else if (fault.endless) {
      // The journal goes on, and the fold tries again; what is answered now must be counted later.
      await until(() => this.ended || faults.get("failed") >= 3, "the fold tried again", FAIL_MS);
    }
    faults.disarm();
    const over = performance.now();
    const exited = this.server.exited.then(() => "exited");
    const taken = within(oracle.firstAck(over), RESUME_MS, "beacons are taken again");
    const first = await Promise.race([taken, exited]);
    taken.catch(() => {});
    await load.stop();
    this.times.tried++;
    // Taken, and counted. A process that cannot go on may take some more before it finds out, and ends.
    const counted = oracle.verifyBounds({ ...this.server });
    counted.catch(() => {});
    if (first === "exited" || (await Promise.race([counted, exited])) === "exited") {
      this.#checkEnd(await this.server.exited);
      await this.start();
      return;
    }
    this.times.lived++;
    this.times.worst_ms = Math.max(this.times.worst_ms, first - over);
  }

  #checkEnd({ code }) {
    assert.equal(code, 1, this.server.stderr());
    assert.match(this.server.stderr(), /^chatbeacon: the store cannot go on/m);
    this.times.exited++;
  }

  /** Without the shim. */
  async verify() {
    if (!this.ended) await this.server.stop();
    const clean = await startServe(this.t, { dir: this.dir });
    await this.oracle.verify(clean);
    await clean.stop();
  }
}

for (const [file, files] of Object.entries(FILE)) {
  for (const way of ways) {
    const last = Math.min(calls, way.most ?? calls);
    test(`${file}: a call fails, ${way.name}, the k-th for k to ${last}`, async (t) => {
      const run = new Run(t);
      await run.start();
      for (let k = 1; k <= last; k++) {
        for (const endless of [false, true]) {
          await run.round({ ...way, files, k, endless });
        }
      }
      await run.verify();
      if (way.bears) assert.equal(run.times.exited, 0);
      if (way.ends) assert.equal(run.times.lived, 0);
      const { tried, lived, exited, worst_ms } = run.times;
      t.diagnostic(
        `${tried} faults, ${lived} borne (worst recovery ${Math.round(worst_ms)} ms), ${exited} ended the process; ` +
          `${run.oracle.acked} events answered 2xx, ${run.oracle.lost} lost, ${run.oracle.doubled} doubled`,
      );
    });
  }
}
