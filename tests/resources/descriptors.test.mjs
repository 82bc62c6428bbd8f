// SPDX-License-Identifier: MIT
// Out of descriptors: connections beyond them wait, nothing spins, and all goes on when some close.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import net from "node:net";
import test from "node:test";
import { envelope, event, totalsWith, until } from "../lib/client.mjs";
import { startApart, startServe } from "../lib/server.mjs";
import { cpuSeconds, RESUME_MS, resumes } from "./rig.mjs";

const DESCRIPTORS = 64;
const CONNECTIONS = 200;
const ROUNDS = 3;
const WATCH_S = 1;
const SPIN = 0.6; // of a core: a loop that spins takes all of one

/** Opens connections that say nothing; they are established by the kernel, accepted or not. */
async function occupy(t, url, n) {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: n }, () => net.connect(Number(port), hostname));
  for (const socket of sockets) socket.on("error", () => {});
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map((s) => new Promise((resolve) => s.once("connect", resolve))));
  return sockets;
}

/** One beacon on a connection of its own: resolves to the status, or to null when the connection breaks. */
function knock(url, body) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  const text = JSON.stringify(body);
  const head = `POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n`;
  socket.write(head + text);
  const answer = new Promise((resolve) => {
    let got = "";
    socket.on("data", (data) => (got += data));
    socket.on("error", () => resolve(null));
    socket.on("close", () => resolve(got === "" ? null : Number(got.split(" ")[1])));
  });
  return { socket, answer };
}

const descriptorsOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;

/** What the process uses of a core over a second of its time. */
async function load(pid) {
  const before = cpuSeconds(pid);
  const began = performance.now();
  await until(() => performance.now() - began >= WATCH_S * 1000, "a second passes");
  return (cpuSeconds(pid) - before) / ((performance.now() - began) / 1000);
}

for (const shape of ["serve", "ingest"]) {
  test(`${shape} out of descriptors, ${ROUNDS} times`, async (t) => {
    const server = shape === "serve" ? await startServe(t) : await startApart(t);
    const pid = shape === "serve" ? server.pid : server.ingestProcess.pid;
    const limit = descriptorsOf(pid) + 30 > DESCRIPTORS ? descriptorsOf(pid) + 30 : DESCRIPTORS;
    const limited = spawnSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:${limit}`]);
    assert.equal(limited.status, 0, String(limited.stderr));
    let worst_ms = 0;
    let most = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      const sockets = await occupy(t, server.ingest, CONNECTIONS);
      await until(() => descriptorsOf(pid) >= limit, "all descriptors are taken");
      const waiting = knock(server.ingest, envelope([event(1, "waited")]));
      const share = await load(pid);
      most = Math.max(most, share);
      assert.ok(share < SPIN, `${Math.round(share * 100)} % of a core`);
      assert.match(server.stderr(), /event=accept_paused/);
      sockets.forEach((socket) => socket.destroy());
      const freed = performance.now();
      // What waited in the backlog is answered now, and so is what comes anew.
      assert.equal(await waiting.answer, 204);
      await resumes(server);
      worst_ms = Math.max(worst_ms, performance.now() - freed);
      assert.ok(worst_ms < RESUME_MS, `${worst_ms} ms`);
      await totalsWith(server, "waited", round);
    }
    t.diagnostic(
      `${ROUNDS} times, limit ${limit}, at most ${Math.round(most * 100)} % of a core, ` +
        `worst recovery ${Math.round(worst_ms)} ms`,
    );
    await server.stop();
  });
}
