// SPDX-License-Identifier: MIT
// Debian's clickhouse-server on loopback, in a folder of its own, with the events of a history.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "./rig.mjs";
import { freePortTriple, host } from "../tests/lib/server.mjs";
import { pageUrl } from "./history.mjs";

const BINARY = ["/usr/sbin/clickhouse-server", "/usr/bin/clickhouse-server"].find(existsSync);
const ROWS_AN_INSERT = 250_000;
const START_MS = 20_000;

export const clickhouseInstalled = () => BINARY !== undefined;

const config = (dir, port) => `<yandex>
  <logger><level>error</level><log>${dir}/log</log><errorlog>${dir}/errors</errorlog></logger>
  <listen_host>${host}</listen_host><http_port>${port}</http_port><tcp_port>${port + 1}</tcp_port>
  <path>${dir}/data/</path><tmp_path>${dir}/tmp/</tmp_path><users_config>${dir}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>1073741824</mark_cache_size><uncompressed_cache_size>2147483648</uncompressed_cache_size>
  <keep_alive_timeout>60</keep_alive_timeout>
</yandex>
`;
// The cache of uncompressed blocks is on: repeated questions find their columns in memory.
const users = `<yandex>
  <profiles><default><max_memory_usage>10000000000</max_memory_usage><use_uncompressed_cache>1</use_uncompressed_cache><allow_experimental_low_cardinality_type>1</allow_experimental_low_cardinality_type></default></profiles>
  <users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default></users>
  <quotas><default/></quotas>
</yandex>
`;

/** Returns {query(sql) → text, rows(sql) → [[…]], fill(visits), stop()}. */
export async function startClickhouse(cleanups) {
  const dir = mkdtempSync(join(tmpdir(), "clickhouse-"));
  const port = await freePortTriple();
  for (const name of ["data", "tmp"]) mkdirSync(join(dir, name));
  writeFileSync(join(dir, "config.xml"), config(dir, port));
  writeFileSync(join(dir, "users.xml"), users);
  const child = spawn(BINARY, [`--config-file=${dir}/config.xml`], { stdio: "ignore", cwd: dir });
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  const ended = once(child, "exit");
  const stop = async () => {
    kill();
    await ended;
    process.off("exit", kill);
    rmSync(dir, { recursive: true, force: true });
  };
  cleanups.after(stop);

  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const send = (sql, body) =>
    new Promise((resolve, reject) => {
      const path = body ? `/?query=${encodeURIComponent(sql)}` : "/";
      const req = http.request({ host, port, path, method: "POST", agent }, (res) => {
        const chunks = [];
        res.on("data", (chunk) => chunks.push(chunk));
        res.on("error", reject);
        res.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (res.statusCode === 200) resolve(text);
          else reject(new Error(`clickhouse: ${text}`));
        });
      });
      req.on("error", reject);
      req.end(body ?? sql);
    });
  for (const end = Date.now() + START_MS; ; await pause(100)) {
    if (child.exitCode !== null) throw new Error("clickhouse-server ended");
    try {
      await send("SELECT 1");
      break;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }

  async function fill(visits) {
    // Numbers for visitors and visits, dictionaries for names: what a good schema for these questions has. Sorted by site and
    // time, which is what each question narrows.
    await send(`CREATE TABLE events (site UInt16, at DateTime('UTC'), ms UInt64, visitor UInt32, visit UInt32,
      name Enum8('onWebChatLoaded' = 1, 'onClick' = 2, 'onMaximize' = 3, 'onMinimize' = 4, 'onTrigger' = 5, 'onStartWriting' = 6,
        'page' = 9, 'message' = 10), page LowCardinality(String), trigger LowCardinality(String))
      ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY (site, at)`);
    let lines = [];
    const insert = async () => {
      await send("INSERT INTO events FORMAT TabSeparated", lines.join("\n") + "\n");
      lines = [];
    };
    for (const { site, visitor, visit, events } of visits) {
      for (const { name, at, page, trigger = "" } of events)
        lines.push(
          `${site}\t${Math.floor(at / 1000)}\t${at}\t${visitor}\t${visit}\t${name}\t${pageUrl(page)}\t${trigger}`,
        );
      if (lines.length >= ROWS_AN_INSERT) await insert();
    }
    if (lines.length > 0) await insert();
    await send("OPTIMIZE TABLE events FINAL");
  }

  const rows = async (sql) =>
    JSON.parse(await send(`${sql} FORMAT JSONCompact`)).data.map((row) =>
      row.map((cell) => (/^-?\d+$/.test(cell) ? Number(cell) : cell)),
    );
  return { send, rows, fill, stop, port };
}
