// SPDX-License-Identifier: MIT
// What the scripts of bench/ share: the generator as a process, the memory of others, and a store that is slowed down.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
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
 * Runs the generator. options: name → value, true for a switch. Resolves to its figures (its JSON); rejects when it fails.
 * ended() is called at the end of the run, when answers that are due still come and the audit is still to be.
 */
export async function generate(options, { ended = () => {} } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "chatbeacon-load-"));
  const json = join(dir, "figures");
  const given = Object.entries({ ...options, json }).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, `${value}`],
  );
  const child = spawn(generator, given, { stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  let lines = "";
  const last = new RegExp(`^ *${options.duration} s `, "m");
  child.stderr.on("data", (data) => {
    const before = last.test(lines);
    lines += data;
    if (!before && last.test(lines)) ended();
  });
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (...how) => resolve(how));
  });
  process.off("exit", kill);
  try {
    if (code !== 0)
      throw new Error(`chatbeacon-load ended with ${code ?? signal}:\n${lines}${text}`);
    return { ...JSON.parse(readFileSync(json, "utf8")), text };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The same against a server of tests/lib, with an audit: a difference is a failure. */
export const load = (server, options, more) =>
  generate(
    {
      url: server.ingest,
      audit: server.query,
      "token-file": join(server.dir, "admin-token"),
      ...options,
    },
    more,
  );

/** Seconds of processor time that a process has used. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100; // utime, stime: USER_HZ is 100
}

/** The same of the threads that it has now, to the nanosecond. */
export const threadSeconds = (pid) =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8"))
    .reduce((sum, stat) => sum + Number(stat.split(" ")[0]) / 1e9, 0);

/** True when a process has ended (its memory is nobody's then). */
function gone(pid) {
  try {
    return !readFileSync(`/proc/${pid}/status`, "utf8").includes("RssAnon");
  } catch {
    return true;
  }
}

/** Looks at the anonymous memory of processes, {name: pid}, until stop(), which says the most of each in bytes. */
export function watchProcesses(pids) {
  const most = Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => [name, anonymousBytes(pid)]),
  );
  const timer = setInterval(() => {
    for (const [name, pid] of Object.entries(pids))
      if (!gone(pid)) most[name] = Math.max(most[name], anonymousBytes(pid));
  }, 50);
  return {
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}

/**
 * Lets a process of tests/lib run for runMs and stand still for stopMs, in turn, from begin() to end(), which says what part of
 * that time it ran.
 */
export function slowed(target, runMs, stopMs) {
  let stopping, over, start, ran, turned;
  const turn = (on) => {
    const now = performance.now();
    if (!on) ran += now - turned;
    target.signal(on ? "SIGCONT" : "SIGSTOP");
    turned = now;
  };
  return {
    begin() {
      stopping = false;
      [ran, start, turned] = [0, performance.now(), performance.now()];
      over = (async () => {
        while (!stopping) {
          turn(false);
          await pause(stopMs);
          turn(true);
          await pause(runMs);
        }
        ran += performance.now() - turned;
        return ran / (performance.now() - start);
      })();
    },
    end() {
      stopping = true;
      return over;
    },
  };
}
