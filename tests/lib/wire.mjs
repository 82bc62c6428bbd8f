// SPDX-License-Identifier: MIT
// Raw HTTP connections: many requests in one write, answers in order, and what no good client does.
import net from "node:net";
import { readFileSync } from "node:fs";

/** The bytes of a request. headers: an object; body: a string or Buffer. */
export function requestBytes(path, { method = "POST", headers = {}, body = "" } = {}) {
  const lines = Object.entries({
    Host: "t",
    "Content-Length": Buffer.byteLength(body),
    ...headers,
  });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`),
    Buffer.from(body),
  ]);
}

/**
 * A connection that hands each answer, in order, to answered({status, headers, text}). Resolves when it is open.
 * localAddress chooses the client's address (all of 127.0.0.0/8 is this machine). Without reads it never takes what it
 * is answered.
 */
export function open(url, { answered = () => {}, localAddress = "127.0.0.1", reads = true } = {}) {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port, localAddress });
  const state = { pending: Buffer.alloc(0) };
  socket.setNoDelay(true);
  const wire = {
    socket,
    answers: 0,
    closed: false,
    ended: new Promise((resolve) => socket.once("close", resolve)),
    send: (bytes) => socket.write(bytes),
    destroy: () => socket.destroy(),
  };
  socket.on("error", () => {}); // "close" follows, and that is what counts
  socket.on("close", () => (wire.closed = true));
  if (reads)
    socket.on("data", (data) => {
      for (const answer of parse(state, data)) {
        wire.answers++;
        answered(answer);
      }
    });
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(wire));
    socket.once("close", () => reject(new Error("no connection")));
  });
}

/** Takes the whole answers. All are framed by their length; 204 has no body, and no 1xx is asked for. */
function parse(state, data) {
  const answers = [];
  let bytes = state.pending.length ? Buffer.concat([state.pending, data]) : data;
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n");
    const lines = end < 0 ? [] : bytes.toString("latin1", 0, end).split("\r\n");
    const headers = {};
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(":");
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const next = end + 4 + Number(headers["content-length"] ?? 0);
    if (end < 0 || bytes.length < next) break;
    const text = bytes.toString("utf8", end + 4, next);
    answers.push({ status: Number(lines[0].split(" ")[1]), headers, text });
    bytes = bytes.subarray(next);
  }
  state.pending = bytes;
  return answers;
}

/** One request on a connection of its own, from an address of one's own. Resolves to its answer; rejects without one. */
export async function ask(url, path, { from, headers = {}, ...more } = {}) {
  let got;
  const wire = await open(url, { answered: (answer) => (got = answer), localAddress: from });
  wire.send(requestBytes(path, { headers: { Connection: "close", ...headers }, ...more }));
  await wire.ended;
  if (!got) throw new Error(`${path}: the connection ended without an answer`);
  return got;
}

/** Bytes of memory of a process that no file backs. */
export function anonymousBytes(pid) {
  const line = /^RssAnon:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line[1]) * 1024;
}

/** True when the process was built with AddressSanitizer, whose own memory is not the program's. */
export function hasAddressSanitizer(pid) {
  return readFileSync(`/proc/${pid}/maps`, "utf8").includes("libasan");
}

/** Looks at the memory of a process every few milliseconds until stop(), which says the most that was seen. */
export function watchMemory(pid) {
  let most = anonymousBytes(pid);
  const look = () => (most = Math.max(most, anonymousBytes(pid)));
  const timer = setInterval(look, 20);
  return {
    look,
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}
