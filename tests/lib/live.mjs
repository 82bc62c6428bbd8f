// SPDX-License-Identifier: MIT
// A reader of GET /v1/sites/{site}/live: the events as they come, each held against openapi.json.
import http from "node:http";
import { checkEvent } from "./openapi.mjs";

/** What is between two blank lines as {event, id, data}, or nothing where it is a comment or a `retry`. */
function parseBlock(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const [, name, value] = /^([a-z]*): ?(.*)$/s.exec(line) ?? [];
    if (name) fields[name] = value;
  }
  if (fields.data === undefined) return undefined;
  return { ...fields, data: JSON.parse(fields.data) };
}

/**
 * Opens a stream; rejects with the answer when it is none. Returns {events, rows(), counts(), gaps(), last, ended, close(),
 * pause(), resume(), headers}: events are {event, id, data, at}; ended resolves to whether the answer was whole.
 */
export function watch(server, site = "demo", { token = server.token, last, raw = {} } = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...raw };
  if (last !== undefined) headers["Last-Event-ID"] = last;
  return new Promise((resolve, reject) => {
    const url = `${server.query}/v1/sites/${site}/live`;
    const req = http.get(url, { agent: false, headers }, (res) => {
      if (res.statusCode !== 200 || !/^text\/event-stream/.test(res.headers["content-type"])) {
        let text = "";
        res.on("data", (data) => (text += data));
        res.on("end", () => {
          const { statusCode: status } = res;
          reject(Object.assign(new Error(`${status} ${text}`), { status, text, res }));
        });
        return;
      }
      const stream = {
        headers: res.headers,
        events: [],
        comments: 0,
        rows: () => stream.events.filter(({ event }) => event === "event").map(({ data }) => data),
        counts: () => stream.events.findLast(({ event }) => event === "counts")?.data,
        gaps: () => stream.events.filter(({ event }) => event === "gap").map(({ data }) => data),
        get last() {
          return stream.events.findLast(({ id }) => id !== undefined)?.id;
        },
        close: () => req.destroy(),
        pause: () => res.pause(),
        resume: () => res.resume(),
      };
      let text = "";
      res.setEncoding("utf8");
      res.on("data", (data) => {
        const at = Date.now();
        text += data;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) {
          const event = parseBlock(block);
          if (block.startsWith(":")) stream.comments++;
          if (event) stream.events.push({ ...checkEvent(event), at });
        }
      });
      stream.ended = new Promise((done) => {
        res.on("close", () => done(res.complete));
        res.on("error", () => {});
      });
      resolve(stream);
    });
    req.on("error", reject);
  });
}
