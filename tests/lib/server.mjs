// SPDX-License-Identifier: MIT
// Runs the real binary, as one process or as three, each time in a data folder of its own.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_DEADLINE_MS = 60000;
const STOP_DEADLINE_MS = 60000;

/** The program under test. */
export const binary = process.env.CHATBEACON_BINARY ?? "build/release/chatbeacon";

/** What runs now. A test that is ended from outside (a timeout, Ctrl-C) must not leave any behind. */
const running = new Set();
const folders = [];
process.on("exit", () => {
  running.forEach((child) => child.kill("SIGKILL"));
  folders.forEach((dir) => rmSync(dir, { recursive: true, force: true }));
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));

function launch(args, env) {
  const child = spawn(binary, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.on("exit", () => running.delete(child));
  return child;
}

/**
 * The loopback address of this test process alone. The port of a server that was killed may be given to another one at once;
 * were that on the same address, a client that still tries the old port would talk to another test's server.
 */
export const host = `127.${1 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;

/** A folder that is removed when the test ends. */
export function temporaryFolder(t) {
  const dir = mkdtempSync(join(tmpdir(), "chatbeacon-e2e-"));
  folders.push(dir);
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/**
 * Starts one process and waits for its `ready` line.
 * Returns {process, pid, ready, fields, stderr(), exited, stop(), kill(), signal(name)}; fields holds the line's name=value pairs.
 */
export async function startProcess(t, args, { env = {}, spawned = () => {} } = {}) {
  const child = launch(args, env);
  spawned(child); // for who cannot wait until it is ready
  let stdout = "";
  let stderr = "";
  const exited = new Promise((resolve) => {
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  child.stderr.on("data", (data) => {
    stderr = (stderr + data).slice(-100000);
  });
  const handle = {
    process: child,
    pid: child.pid,
    exited,
    stderr: () => stderr,
    signal: (name) => child.kill(name),
    async stop() {
      child.kill("SIGTERM");
      const { code, signal } = await deadline(exited, STOP_DEADLINE_MS, "the process did not stop");
      if (code !== 0) throw new Error(`stopped with ${code ?? signal}:\n${stderr}`);
    },
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
  t.after(async () => {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await exited;
  });
  const ready = new Promise((resolve, reject) => {
    child.stdout.on("data", (data) => {
      stdout += data;
      const line = stdout.split("\n").find((l) => l.startsWith("ready "));
      if (line) resolve(line);
    });
    exited.then(({ code, signal }) =>
      reject(new Error(`ended with ${code ?? signal} before ready:\n${stderr}`)),
    );
  });
  handle.ready = await deadline(ready, START_DEADLINE_MS, "no ready line");
  handle.fields = Object.fromEntries(
    handle.ready
      .split(" ")
      .slice(1)
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return handle;
}

/** All tiers in one process. args are added to those of `serve`. */
export async function startServe(t, { args = [], dir = temporaryFolder(t), env = {} } = {}) {
  const serve = await startProcess(
    t,
    ["serve", "--data", dir, "--ingest", `${host}:0`, "--query", `${host}:0`, ...args],
    { env },
  );
  return {
    ...serve,
    dir,
    ingest: serve.fields.ingest,
    query: serve.fields.query,
    token: readToken(dir),
  };
}

/** Three processes over ipc or tcp. The same shape as startServe, and {store, ingestProcess, queryProcess}. */
export async function startApart(
  t,
  { transport = "ipc", args = [], ingestArgs = [], queryArgs = [], dir = temporaryFolder(t) } = {},
) {
  const link =
    transport === "tcp"
      ? `tcp://${host}:${await freePortTriple()}`
      : `ipc://${join(temporaryFolder(t), "link")}`;
  const storeArgs = ["store", "--data", dir, "--link", link, ...args];
  const apart = { dir, link, storeArgs };
  apart.store = await startProcess(t, storeArgs);
  apart.ingestProcess = await startProcess(t, [
    "ingest",
    "--link",
    link,
    "--ingest",
    `${host}:0`,
    ...ingestArgs,
  ]);
  apart.queryProcess = await startProcess(t, [
    "query",
    "--data",
    dir,
    "--query",
    `${host}:0`,
    ...queryArgs,
  ]);
  apart.ingest = apart.ingestProcess.fields.ingest;
  apart.query = apart.queryProcess.fields.query;
  apart.token = readToken(dir);
  apart.stderr = () =>
    [apart.store, apart.ingestProcess, apart.queryProcess].map((p) => p.stderr()).join("");
  apart.restartStore = async () => {
    apart.store = await startProcess(t, storeArgs);
  };
  apart.stop = async () => {
    await apart.ingestProcess.stop();
    await apart.queryProcess.stop();
    await apart.store.stop();
  };
  return apart;
}

/** By name of the transport: inproc, ipc or tcp. */
export function start(t, transport, options = {}) {
  return transport === "inproc" ? startServe(t, options) : startApart(t, { ...options, transport });
}

export function readToken(dir) {
  return readFileSync(join(dir, "admin-token"), "utf8").trim();
}

/** Runs the binary to its end. Returns {code, stdout, stderr}. */
export async function run(args, { env = {} } = {}) {
  const child = launch(args, env);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => (stderr += data));
  const ended = new Promise((resolve) => child.on("close", resolve));
  const code = await deadline(ended, STOP_DEADLINE_MS, "the process did not end").finally(() =>
    child.kill("SIGKILL"),
  );
  return { code, stdout, stderr };
}

async function deadline(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** The first of three neighbouring ports that nobody listens on; below those that Linux gives out by itself (32768 on). */
export async function freePortTriple() {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 12000);
    if ((await isFree(port)) && (await isFree(port + 1)) && (await isFree(port + 2))) return port;
  }
}
