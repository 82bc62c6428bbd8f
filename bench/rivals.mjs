// SPDX-License-Identifier: MIT
// What a user might pick instead, from Debian's packages, each started on loopback in a folder of its own: {start(cleanups) →
// {url, pids}, keeps, refuses}. A system that is not installed has no binary.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clickhouseInstalled, startClickhouse } from "./clickhouse.mjs";
import { pause } from "./rig.mjs";
import { freePortTriple, host } from "../tests/lib/server.mjs";

const START_MS = 20_000;

const found = (...paths) => paths.find(existsSync);

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, host);
    socket.once("connect", () => resolve(true) || socket.destroy());
    socket.once("error", () => resolve(false));
  });
}

/** Runs a program until the cleanups; ready once it takes connections. setup(dir, port) gives its arguments. */
async function launch(cleanups, binary, setup) {
  const dir = mkdtempSync(join(tmpdir(), "bench-compare-"));
  const port = await freePortTriple();
  const child = spawn(binary, setup(dir, port), { stdio: "ignore", cwd: dir });
  const ended = once(child, "exit");
  const stop = () => child.kill("SIGTERM");
  process.on("exit", stop);
  cleanups.after(async () => {
    stop();
    const late = setTimeout(() => child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(late);
    process.off("exit", stop);
    rmSync(dir, { recursive: true, force: true });
  });
  for (const end = Date.now() + START_MS; !(await connects(port)); await pause(50)) {
    if (child.exitCode !== null) throw new Error(`${binary} ended with ${child.exitCode}`);
    if (Date.now() > end) throw new Error(`${binary} takes no connections`);
  }
  return { dir, port, pid: child.pid, url: `http://${host}:${port}` };
}

const nginx = (dir, port) => {
  writeFileSync(
    join(dir, "nginx.conf"),
    `worker_processes auto; daemon off; pid ${dir}/pid; error_log ${dir}/error.log crit;
events { worker_connections 8192; }
http {
  access_log ${dir}/access.log combined buffer=64k flush=1s;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  server { listen ${host}:${port} backlog=4096; location / { return 204; } }
}
`,
  );
  return ["-c", join(dir, "nginx.conf"), "-p", dir, "-e", join(dir, "error.log")];
};

const influxdb = (dir, port) => {
  writeFileSync(
    join(dir, "influxdb.conf"),
    `reporting-disabled = true
bind-address = "${host}:${port + 1}"
[meta]
  dir = "${dir}/meta"
[data]
  dir = "${dir}/data"
  wal-dir = "${dir}/wal"
  query-log-enabled = false
[http]
  bind-address = "${host}:${port}"
  log-enabled = false
[logging]
  level = "error"
`,
  );
  return ["-config", join(dir, "influxdb.conf")];
};

/** In the order of the table. `as`: the generator's --as. */
export const rivals = [
  {
    as: "nginx",
    name: "nginx, return 204 + buffered log",
    binary: found("/usr/sbin/nginx"),
    mixes: ["beacon"],
    keeps: "a line of a log, in memory for a second; the body is not read",
    start: (cleanups, binary) => launch(cleanups, binary, nginx),
  },
  {
    as: "redis",
    name: "Redis XADD, appendfsync always",
    binary: found("/usr/bin/redis-server"),
    mixes: ["beacon", "server"],
    keeps:
      "on disk before the reply; all in memory; a retry is a second entry; raw entries to be counted by whoever reads",
    start: (cleanups, binary) =>
      launch(cleanups, binary, (dir, port) => [
        ...["--port", `${port}`, "--bind", host, "--dir", dir, "--save", ""],
        ...["--appendonly", "yes", "--appendfsync", "always", "--logfile", join(dir, "log")],
      ]),
  },
  {
    as: "victoriametrics",
    name: "VictoriaMetrics /api/v1/import",
    binary: found("/usr/bin/victoria-metrics"),
    mixes: ["server"],
    keeps:
      "in memory for up to 5 s; no visitors; two of a series within a millisecond are one; retries are not told apart",
    start: (cleanups, binary) =>
      launch(cleanups, binary, (dir, port) => [
        `-storageDataPath=${dir}/data`,
        `-httpListenAddr=${host}:${port}`,
        "-loggerLevel=ERROR",
      ]),
  },
  {
    as: "influxdb",
    name: "InfluxDB /write",
    binary: found("/usr/bin/influxd"),
    mixes: ["server"],
    keeps:
      "synced to its log before the answer; two of a series in the same microsecond are one; visitors can be listed, not counted apart cheaply",
    async start(cleanups, binary) {
      const server = await launch(cleanups, binary, influxdb);
      const answer = await fetch(`${server.url}/query?q=CREATE%20DATABASE%20bench`, {
        method: "POST",
      });
      if (!answer.ok) throw new Error(`influxdb: ${answer.status} ${await answer.text()}`);
      return server;
    },
  },
  {
    as: "clickhouse",
    name: "ClickHouse INSERT JSONEachRow",
    binary: clickhouseInstalled() ? "clickhouse-server" : undefined,
    mixes: ["server"],
    keeps: "written, not synced; retries are counted twice; queries scan rows",
    async start(cleanups) {
      const server = await startClickhouse(cleanups);
      await server.send(`CREATE TABLE events (site String, visitor String, producer String, name String, at UInt64, page String)
        ENGINE = MergeTree ORDER BY (site, at)`);
      return { ...server, url: `http://${host}:${server.port}` };
    },
  },
];

/** The version that a package has, or "". */
export function versionOf(binary) {
  try {
    const pkg = execFileSync("dpkg-query", ["-S", binary], { stdio: ["ignore", "pipe", "ignore"] });
    const name = `${pkg}`.split(":")[0];
    return `${execFileSync("dpkg-query", ["-W", "-f", "${Version}", name])}`;
  } catch {
    return "";
  }
}
