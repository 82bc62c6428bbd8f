// SPDX-License-Identifier: MIT
// A chatbeacon whose disk and clock the test commands, through the control file of shim.c.
import assert from "node:assert/strict";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { envelope, event, noise, post, until } from "../lib/client.mjs";
import { startServe, temporaryFolder } from "../lib/server.mjs";

/** Within this time after a fault is over, beacons are taken again, without a restart. */
export const RESUME_MS = 5000;

const WORDS = "calls from to files kinds first rest errno failed clock boot".split(" ");
export const FILE = { journal: 1, views: 2 };
export const KIND = { write: 1, sync: 2, meta: 4, any: 7 };
export const HOW = { undone: 0, done: 1, half: 2 };
const ENDLESS = 2n ** 62n;

/** The shim's control file. */
export class Faults {
  constructor(t, folder) {
    assert.ok(process.env.CB_FAULT_SHIM, "CB_FAULT_SHIM names the built shim.c");
    const dir = mkdtempSync(join(tmpdir(), "chatbeacon-fault-"));
    this.path = join(dir, "control");
    this.file = openSync(this.path, "w+");
    writeSync(this.file, Buffer.alloc(8 * WORDS.length));
    t.after(() => {
      closeSync(this.file);
      rmSync(dir, { recursive: true, force: true });
    });
    const asan = [process.env.ASAN_OPTIONS, "verify_asan_link_order=0"].filter(Boolean).join(":");
    this.env = {
      LD_PRELOAD: process.env.CB_FAULT_SHIM,
      CB_FAULT_CONTROL: this.path,
      CB_FAULT_FOLDER: folder,
      ASAN_OPTIONS: asan,
    };
  }

  set(word, value) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    writeSync(this.file, bytes, 0, 8, 8 * WORDS.indexOf(word));
  }

  get(word) {
    const bytes = Buffer.alloc(8);
    readSync(this.file, bytes, 0, 8, 8 * WORDS.indexOf(word));
    return Number(bytes.readBigInt64LE());
  }

  /** The k-th such call from now on fails; with endless, all after it do, until disarm(). */
  arm({
    files,
    kinds = KIND.any,
    k,
    endless = false,
    first = HOW.undone,
    rest = HOW.undone,
    errno = 5,
  }) {
    this.set("from", 0);
    for (const [word, value] of Object.entries({ files, kinds, first, rest, errno, failed: 0 }))
      this.set(word, value);
    const from = this.get("calls") + k;
    this.set("to", endless ? ENDLESS : from);
    this.set("from", from);
  }

  disarm() {
    this.set("from", 0);
  }
}

/** A serve under the shim; faults.env must hold for each start on the folder. */
export async function startFaulty(t, { args = [], dir = temporaryFolder(t) } = {}) {
  const faults = new Faults(t, dir);
  return { faults, server: await startServe(t, { dir, args, env: faults.env }) };
}

/** Tries one fresh beacon again and again until it is taken; returns how long that took. */
export async function resumes(server, ms = RESUME_MS) {
  const began = performance.now();
  const body = JSON.stringify(envelope([event(1, "resumed")], { visitor: undefined }));
  let answer;
  await until(
    async () => {
      answer = await post(server, body);
      if (answer.status === 503) assert.match(answer.headers["retry-after"], /^[0-9]+$/);
      else assert.equal(answer.status, 204, answer.text);
      return answer.status === 204;
    },
    "beacons are taken again",
    ms,
  );
  return performance.now() - began;
}

/** A load of the oracle's that also ends with the test: a client that goes on would keep a failed test running. */
export function loadWith(t, oracle, server, options) {
  const load = oracle.load(server, options);
  t.after(() => load.stop().catch(() => {}));
  return load;
}

/** What the process has used of a core, in seconds. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** An envelope of n events with long props that do not pack: much of the disk for little work. */
export function bulky(n, more = {}) {
  return envelope(
    Array.from({ length: n }, (_, i) =>
      event(i + 1, "bulk", { page: undefined, props: { a: noise(600) } }),
    ),
    more,
  );
}
