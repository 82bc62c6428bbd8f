// SPDX-License-Identifier: MIT
// What the scripts of bench/ share: the generator as a process, the memory of others, and a store that is slowed down.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { anonymousBytes } from "../tests/lib/wire.mjs";

const binary = process.env.CHATBEACON_BINARY ?? "build/release/chatbeacon";
export const generator = join(dirname(binary), "chatbeacon-load");

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const mb = (bytes) => (bytes / 2 ** 20).toFixed(1);

/** Stands for a test where tests/lib wants one: what it leaves is cleared by end(). */
export function part() {
  const cleanups = [];
  return {
    after: (cleanup) => cleanups.push(cleanup),
    async end() {
      for (const cleanup of cleanups.reverse()) await cleanup();
    },
  };
}

/**
 * Runs the generator against a server of tests/lib. options: name → value, true for a switch. Resolves to its figures (its
 * JSON); rejects when it fails, which a difference in the audit is, unless `audit` is false.
 */
export async function load(server, options, { audit = true } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "chatbeacon-load-"));
  const json = join(dir, "figures");
  const given = Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, `${value}`],
  );
  const audited = audit
    ? ["--audit", server.query, "--token-file", join(server.dir, "admin-token")]
    : [];
  const args = ["--url", server.ingest, "--json", json, ...audited, ...given];
  const child = spawn(generator, args, { stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  child.stderr.on("data", (data) => (text += data));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (...how) => resolve(how));
  });
  process.off("exit", kill);
  try {
    if (code !== 0) throw new Error(`chatbeacon-load ended with ${code ?? signal}:\n${text}`);
    return { ...JSON.parse(readFileSync(json, "utf8")), text };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Looks at the anonymous memory of processes, {name: pid}, until stop(), which says the most of each in bytes. */
export function watchProcesses(pids) {
  const most = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, anonymousBytes(pid)]));
  const timer = setInterval(() => {
    for (const [name, pid] of Object.entries(pids))
      most[name] = Math.max(most[name], anonymousBytes(pid));
  }, 50);
  return {
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}

/**
 * Lets a process of tests/lib run for runMs and stand still for stopMs, in turn, until end(). share(): what part of the time it
 * ran since the last share().
 */
export function slowDown(target, runMs, stopMs) {
  let running = true;
  let [ran, since, turned] = [0, performance.now(), performance.now()];
  let stopped;
  const turn = (on) => {
    const now = performance.now();
    if (running) ran += now - turned;
    target.signal(on ? "SIGCONT" : "SIGSTOP");
    [running, turned] = [on, now];
  };
  const over = (async () => {
    while (!stopped) {
      turn(false);
      await pause(stopMs);
      turn(true);
      await pause(runMs);
    }
  })();
  return {
    share() {
      turn(running);
      const part = ran / (performance.now() - since);
      [ran, since] = [0, performance.now()];
      return part;
    },
    async end() {
      stopped = true;
      await over;
    },
  };
}
