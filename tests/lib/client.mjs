// SPDX-License-Identifier: MIT
// What the end-to-end tests say to a running chatbeacon.
import { randomBytes } from "node:crypto";
import http from "node:http";
import { checkAnswer } from "./openapi.mjs";

const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });

export const hex = (bytes) => randomBytes(bytes).toString("hex");

/** n characters of which little can be packed: as many bytes on disk, nearly. */
export const noise = (n) => randomBytes(n).toString("base64").slice(0, n);

/**
 * A request. Resolves to {status, headers, text, json()}; rejects when the connection breaks, and when the answer is not one
 * that openapi.json describes, unless the service is another one (`undescribed`).
 */
export function request(
  url,
  { method = "GET", headers: sent = {}, body, undescribed = false } = {},
) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method, headers: sent, agent }, (res) => {
      const chunks = [];
      res.on("data", (chunk) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString("utf8");
        const { statusCode: status, headers } = res;
        const answer = { status, headers, bytes, text, json: () => JSON.parse(text) };
        try {
          if (!undescribed) checkAnswer(method, url, answer);
          resolve(answer);
        } catch (error) {
          reject(error);
        }
      });
    });
    req.on("error", reject);
    req.end(body);
  });
}

/** An envelope with fresh ids; what is given replaces them. events: see event(). */
export function envelope(events, more = {}) {
  return { site: "demo", visitor: hex(16), producer: hex(8), sent: Date.now(), events, ...more };
}

export function event(seq, name = "onClick", more = {}) {
  return { seq, name, at: Date.now(), page: "https://shop.example/", ...more };
}

/** Posts events: an envelope, or a string or Buffer as it is. */
export function post(server, body, { type = "text/plain", path = "/v1/events" } = {}) {
  const raw = typeof body === "string" || Buffer.isBuffer(body);
  return request(server.ingest + path, {
    method: "POST",
    headers: { "Content-Type": type, Origin: "https://shop.example" },
    body: raw ? body : JSON.stringify(body),
  });
}

/** A GET of the private API, with the admin's token. */
export function api(server, path, token = server.token) {
  return request(server.query + path, {
    headers: token ? { Authorization: `Bearer ${token}` } : {},
  });
}

/** A write to the private API: what = "PUT /v1/…". body: any value, or a string as it is. */
export function write(server, what, body = "", token = server.token) {
  const [method, path] = what.split(" ");
  return request(server.query + path, {
    method,
    headers: { Authorization: `Bearer ${token}` },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export async function apiJson(server, path) {
  const answer = await api(server, path);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer.json();
}

/** Tries check again until it returns something truthy, which is returned. */
export async function until(check, what, ms = 20000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const value = await check();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}; last: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until the site's totals have n of an event, and returns them. */
export function totalsWith(server, name, n, site = "demo") {
  return until(async () => {
    const totals = await apiJson(server, `/v1/sites/${site}/totals`);
    return (totals.events[name] ?? 0) === n && totals;
  }, `${n} ${name} in totals`);
}

/** received = counted + duplicate + rejected, for each site and in all. Returns the balance. */
export async function balanced(server) {
  const balance = await apiJson(server, "/v1/balance");
  for (const [site, books] of [...Object.entries(balance.sites), ["total", balance.total]]) {
    const rejected = Object.values(books.rejected).reduce((a, b) => a + b, 0);
    if (books.received !== books.counted + books.duplicate + rejected) {
      throw new Error(`the books of ${site} do not balance: ${JSON.stringify(books)}`);
    }
  }
  return balance;
}

/** msgpack of plain values: what a server's client would send. */
export function msgpack(value) {
  if (value === null) return Buffer.from([0xc0]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === "number") {
    if (!Number.isInteger(value)) {
      const b = Buffer.alloc(9, 0xcb);
      b.writeDoubleBE(value, 1);
      return b;
    }
    const b = Buffer.alloc(9);
    b[0] = value < 0 ? 0xd3 : 0xcf;
    if (value < 0) b.writeBigInt64BE(BigInt(value), 1);
    else b.writeBigUInt64BE(BigInt(value), 1);
    return b;
  }
  if (typeof value === "string") {
    const text = Buffer.from(value);
    const head = Buffer.alloc(5, 0xdb);
    head.writeUInt32BE(text.length, 1);
    return Buffer.concat([head, text]);
  }
  const head = Buffer.alloc(5);
  if (Array.isArray(value)) {
    head[0] = 0xdd;
    head.writeUInt32BE(value.length, 1);
    return Buffer.concat([head, ...value.map(msgpack)]);
  }
  const entries = Object.entries(value);
  head[0] = 0xdf;
  head.writeUInt32BE(entries.length, 1);
  return Buffer.concat([head, ...entries.flatMap(([k, v]) => [msgpack(k), msgpack(v)])]);
}
