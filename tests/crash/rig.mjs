// SPDX-License-Identifier: MIT
// A running chatbeacon of which one process, the target, is killed and started again while the others stay.
import assert from "node:assert/strict";
import { join } from "node:path";
import { within } from "../lib/oracle.mjs";
import { host, readToken, run, startProcess, temporaryFolder } from "../lib/server.mjs";

const DEATH_MS = 60000;

export class Rig {
  /**
   * target: serve, ingest, store or query. The last three run apart. link: where the store listens, an ipc folder of
   * its own unless told; way: where ingest looks for it, if not there.
   */
  constructor(t, target, { link, way, sites = "demo", store_args = [], ingest_args = [] } = {}) {
    this.link = link ?? `ipc://${join(temporaryFolder(t), "link")}`;
    this.way = way ?? this.link;
    Object.assign(this, { t, target, sites, store_args, ingest_args, dir: temporaryFolder(t) });
    this.address = `${host}:0`;
    this.processes = new Map();
    /** What clients talk to; its fields change with each start. */
    this.server = { ingest: "http://127.0.0.1:9", query: "http://127.0.0.1:9", token: "" };
    this.kills = 0;
  }

  #args(name) {
    const data = ["--data", this.dir];
    const store = ["--sites", this.sites, ...this.store_args];
    const ingest = ["--ingest", this.address, ...this.ingest_args];
    const query = ["--query", this.address];
    if (name === "serve") return [name, ...data, ...store, ...ingest, ...query];
    if (name === "store") return [name, ...data, ...store, "--link", this.link];
    if (name === "ingest") return [name, ...ingest, "--link", this.way];
    return [name, ...data, ...query];
  }

  /** Starts one process, in the order in which clients may find it. crash: NAME:N for its environment. */
  async start(name = this.target, crash = "") {
    const handle = await startProcess(this.t, this.#args(name), {
      env: { CHATBEACON_CRASH: crash },
      spawned: (child) => (this.newest = child),
    });
    this.processes.set(name, handle);
    if (handle.fields.ingest) this.server.ingest = handle.fields.ingest;
    if (handle.fields.query) this.server.query = handle.fields.query;
    this.server.token = readToken(this.dir);
    return handle;
  }

  /** Starts all, the store first. */
  async startAll() {
    for (const name of this.target === "serve" ? ["serve"] : ["store", "ingest", "query"]) {
      await this.start(name);
    }
    return this;
  }

  /** Starts the target where it is to die before it is ready. */
  async startInVain(crash, name = this.target) {
    await assert.rejects(this.start(name, crash), /ended with SIGKILL before ready/, crash);
    this.kills++;
  }

  /** Waits for the target to kill itself. */
  async death(what, name = this.target) {
    const end = await within(this.processes.get(name).exited, DEATH_MS, `death at ${what}`);
    assert.equal(end.signal, "SIGKILL", this.processes.get(name).stderr());
    this.kills++;
  }

  /** Starts it and kills it ms later, whether it is ready by then or not. */
  async startAndKill(name, ms) {
    const starting = this.start(name).catch((error) => error);
    const child = this.newest;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    setTimeout(() => child.kill("SIGKILL"), ms);
    await ended;
    await starting;
    this.kills++;
  }

  async kill(name = this.target) {
    await this.processes.get(name).kill();
    this.kills++;
  }

  /** SIGTERM to all, against the data's way; each must end with 0. Then every record and the books are checked. */
  async stop() {
    for (const name of ["serve", "ingest", "query", "store"]) {
      const handle = this.processes.get(name);
      if (handle) await handle.stop();
    }
    const { code, stdout, stderr } = await run(["verify", "--data", this.dir]);
    assert.equal(code, 0, stdout + stderr);
  }
}
