// SPDX-License-Identifier: MIT
// Faults between ingest and store: a store that stands still or comes and goes, messages lost, doubled or late, many
// ingests, hostile peers, stops. After each the oracle judges.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, statSync } from "node:fs";
import net from "node:net";
import { dirname } from "node:path";
import test from "node:test";
import { until } from "../lib/client.mjs";
import { Oracle } from "../lib/oracle.mjs";
import { freePortTriple, startProcess } from "../lib/server.mjs";
import { startRelay } from "./relay.mjs";
import { Rig } from "./rig.mjs";

const seed = Number(process.env.CB_SEED ?? Date.now() % 2 ** 31);
const STILL_MS = 5000;
const NOBODY = 65534;

async function end(t, rig, oracle) {
  await oracle.verify(rig.server);
  await oracle.verifyWholeExport(rig.server);
  await rig.stop();
  const { sent, busy, broken } = oracle.requests;
  t.diagnostic(
    `seed ${seed}: ${oracle.acked} events answered 2xx in ${sent} requests (${busy} busy, ${broken} cut off); ` +
      `lost ${oracle.lost}, doubled ${oracle.doubled}`,
  );
}

test("the store stands still for 5 s under load: 503, then all counts once, and no resend shows", async (t) => {
  const rig = new Rig(t, "store", { ingest_args: ["--ack-timeout", "1500"] });
  await rig.startAll();
  const oracle = new Oracle({ seed });
  const load = oracle.load(rig.server);
  await load.acks(50);
  rig.processes.get("store").signal("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, STILL_MS)); // the fault, not a wait for anything
  await until(() => oracle.requests.busy > 0, "503");
  const goes = performance.now();
  rig.processes.get("store").signal("SIGCONT");
  const first = await oracle.firstAck(goes);
  t.diagnostic(`first 2xx ${Math.round(first - goes)} ms after SIGCONT`);
  await load.acks(50);
  await load.stop();
  await end(t, rig, oracle);
});

test("the store is killed and comes back ten times under load, ingest stays", async (t) => {
  const rig = await new Rig(t, "store").startAll();
  const oracle = new Oracle({ seed });
  let worst_ms = 0;
  const load = oracle.load(rig.server);
  for (let i = 0; i < 10; i++) {
    await load.acks(10 + i);
    await rig.kill("store");
    const died = performance.now();
    const first = oracle.firstAck(died);
    await rig.start("store");
    worst_ms = Math.max(worst_ms, (await first) - died);
  }
  await load.stop();
  t.diagnostic(`${rig.kills} kills, worst ${Math.round(worst_ms)} ms to the next 2xx`);
  await end(t, rig, oracle);
});

test("ten ingests come and go under load", async (t) => {
  const rig = new Rig(t, "store");
  await rig.start("store");
  await rig.start("query");
  const running = [];
  let next = 0;
  const server = Object.defineProperty(
    { query: rig.server.query, token: rig.server.token },
    "ingest",
    {
      get: () => running[next++ % running.length].fields.ingest,
    },
  );
  const come = async () => {
    const args = ["ingest", "--link", rig.link, "--ingest", rig.address];
    running.push(await startProcess(t, args));
  };
  await come();
  await come();
  const oracle = new Oracle({ seed });
  const load = oracle.load(server);
  for (let i = 0; i < 10; i++) {
    if (i < 8) await come();
    await load.acks(20);
    if (running.length === 1) break;
    const leaving = running.shift();
    await (i % 2 ? leaving.kill() : leaving.stop());
  }
  await load.acks(20);
  await load.stop();
  await oracle.verify(server);
  await Promise.all(running.map((ingest) => ingest.stop()));
  running.splice(0, running.length, await rig.start("ingest"));
  await end(t, rig, oracle);
});

for (const [what, rules] of Object.entries({
  "each frame arrives twice": { frames: () => ({ copies: 2 }) },
  "every third frame is lost": { frames: (n) => ({ copies: n % 3 ? 1 : 0 }) },
  "every third ack is lost": { acks: (n) => ({ copies: n % 3 ? 1 : 0 }) },
  "every fourth ack is later than the answer's deadline": {
    acks: (n) => ({ late_ms: n % 4 ? 0 : 1200 }),
    timeout_ms: 800,
  },
})) {
  test(`${what}: all counts once, and the books show nothing that no client sent`, async (t) => {
    const to = await freePortTriple();
    const port = await freePortTriple();
    const rig = new Rig(t, "store", {
      link: `tcp://127.0.0.1:${to}`,
      way: `tcp://127.0.0.1:${port}`,
      ingest_args: ["--ack-timeout", String(rules.timeout_ms ?? 15000)],
    });
    // The hello of the start has to pass: its frame is the first.
    const relay = await startRelay(t, port, to, {
      frames: rules.frames && ((n) => (n < 2 ? {} : rules.frames(n))),
      acks: rules.acks && ((n) => (n < 2 ? {} : rules.acks(n))),
    });
    await rig.startAll();
    const oracle = new Oracle({ seed, producers: 24 });
    const load = oracle.load(rig.server);
    await load.acks(120);
    await load.stop();
    assert.ok(relay.frames > 10, `${relay.frames} frames`);
    // What is lost on the way is sent again by ingest, while the client still waits for its one answer.
    if (!rules.timeout_ms) assert.equal(oracle.requests.busy, 0);
    t.diagnostic(`${relay.frames} frames, ${relay.acks} acks`);
    await end(t, rig, oracle);
  });
}

test("SIGTERM under load: each request gets its answer, and what was answered counts", async (t) => {
  const rig = new Rig(t, "serve");
  const oracle = new Oracle({ seed, producers: 32 });
  const rounds = 5;
  for (let i = 0; i < rounds; i++) {
    await rig.start();
    if (i > 0) await oracle.verify(rig.server);
    const load = oracle.load(rig.server, { watch: false });
    await load.acks(200);
    // A request is under way once it was written, which is at the end of the turn in which it began.
    const told = performance.now();
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    const stopping = rig.processes.get("serve").stop();
    const stopped = load.stop();
    await stopping;
    await stopped;
    const cut = oracle.cut.filter((began) => began < told);
    assert.equal(cut.length, 0, `${cut.length} requests that were under way got no answer`);
    oracle.cut.length = 0;
  }
  await rig.start();
  await oracle.verifyBounds(rig.server);
  await end(t, rig, oracle);
});

/* ---- hostile peers ---- */

/** A greeting of nanomsg's: NUL S P version, the kind of socket, two zeros. */
const greeting = (kind) => Buffer.from([0, 0x53, 0x50, 0, 0, kind, 0, 0]);
const CHANNELS = { frames: 0x50, acks: 0x21, asks: 0x30 }; // what a peer there says it is: PUSH, SUB, REQ
const u64 = (n) => {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(n);
  return b;
};

/** Attacks: name → bytes for a transport and a kind of peer; null: does not exist there. */
const ATTACKS = {
  "connects and says nothing": () => Buffer.alloc(0),
  "half a greeting": (_, kind) => greeting(kind).subarray(0, 5),
  "random bytes": () => randomBytes(4096),
  "a greeting of the wrong kind": () => greeting(0x7f),
  "a message of 2^63 bytes": (transport, kind) =>
    Buffer.concat([greeting(kind), typed(transport), u64(2n ** 63n)]),
  "a message of 2^40 bytes": (transport, kind) =>
    Buffer.concat([greeting(kind), typed(transport), u64(2n ** 40n), Buffer.alloc(1000)]),
  "a message that breaks off": (transport, kind) =>
    Buffer.concat([greeting(kind), typed(transport), u64(1000n), Buffer.alloc(10)]),
  "a message of random bytes": (transport, kind) =>
    Buffer.concat([greeting(kind), typed(transport), u64(1000n), randomBytes(1000)]),
  "an empty message": (transport, kind) =>
    Buffer.concat([greeting(kind), typed(transport), u64(0n)]),
  "9 bytes of junk where ipc has its header": (transport, kind) =>
    transport === "ipc" ? Buffer.concat([greeting(kind), Buffer.alloc(9, 0xff)]) : null,
};
const typed = (transport) => Buffer.from(transport === "ipc" ? [1] : []);

/** Sends the bytes; resolves to what the peer did within a moment: "closed" or "kept". */
function attack(place, bytes, hold) {
  return new Promise((resolve) => {
    const socket = net.connect(place);
    const done = (what) => {
      clearTimeout(timer);
      if (!hold) socket.destroy();
      resolve(what);
    };
    const timer = setTimeout(() => done("kept"), 200);
    socket.on("error", () => {});
    socket.on("close", () => done("closed"));
    socket.on("data", () => {});
    socket.on("connect", () => socket.write(bytes));
    hold?.push(socket);
  });
}

for (const transport of ["ipc", "tcp"]) {
  test(`hostile peers on the store's ${transport} sockets: nothing is lost, whatever becomes of the store`, async (t) => {
    const port = transport === "tcp" ? await freePortTriple() : 0;
    const rig = new Rig(t, "store", { link: port ? `tcp://127.0.0.1:${port}` : undefined });
    await rig.startAll();
    const held = [];
    t.after(() => held.forEach((socket) => socket.destroy()));
    const oracle = new Oracle({ seed });
    const folder = rig.link.replace("ipc://", "");
    const aborted = new Map();
    /** Until 5 more envelopes are answered; a store that aborted is started again first. */
    const goOn = async (load, what) => {
      for (;;) {
        const store = rig.processes.get("store");
        const five = load.acks(5);
        five.catch(() => {});
        const ended = await Promise.race([five, store.exited]);
        if (!ended) return;
        assert.equal(ended.signal, "SIGABRT", store.stderr());
        aborted.set(what, (aborted.get(what) ?? 0) + 1);
        await rig.start("store");
      }
    };
    for (const [what, make] of Object.entries(ATTACKS)) {
      for (const [i, [channel, kind]] of Object.entries(CHANNELS).entries()) {
        const bytes = make(transport, kind);
        if (!bytes) continue;
        const place = port
          ? { port: port + i, host: "127.0.0.1" }
          : { path: `${folder}/${channel}` };
        const load = oracle.load(rig.server);
        await goOn(load, "before");
        const peer = await attack(place, bytes, held);
        await goOn(load, `${what} (${channel})`);
        await goOn(load, `${what} (${channel})`);
        await load.stop();
        t.diagnostic(`${what}, ${channel}: ${peer}`);
      }
      await oracle.verify(rig.server);
    }
    for (const [what, n] of aborted) t.diagnostic(`${n} aborts of the store: ${what}`);
    if (transport === "ipc") assert.equal(statSync(folder).mode & 0o777, 0o700);
    await end(t, rig, oracle);
  });
}

test(
  "other users do not reach the ipc sockets",
  { skip: process.getuid() !== 0 && "needs root" },
  async (t) => {
    const rig = new Rig(t, "store");
    await rig.start("store");
    const folder = rig.link.replace("ipc://", "");
    chmodSync(dirname(folder), 0o755); // so that it is the folder itself that keeps them out
    for (const channel of Object.keys(CHANNELS)) {
      const code = `require("node:net").connect(${JSON.stringify(`${folder}/${channel}`)})
      .on("connect", () => process.exit(0)).on("error", (e) => { console.log(e.code); process.exit(1); })`;
      const other = spawnSync(process.execPath, ["-e", code], { uid: NOBODY, gid: NOBODY });
      assert.equal(other.stdout.toString().trim(), "EACCES", channel);
    }
    await rig.stop();
  },
);
