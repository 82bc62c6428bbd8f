// SPDX-License-Identifier: MIT
// fake.mjs: a server that plays ingest for one browser test: it serves the widget as it is built for
// the binary, takes its beacons, writes down what came, and answers as the test wants.
import { EventEmitter } from "node:events";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundle } from "../../proto/embed.mjs";

export const WIDGET_DIR = fileURLToPath(new URL("../../ingest/widget/", import.meta.url));
const DEADLINE_MS = 20_000;

/** @type {Promise<Map<string, Buffer>> | undefined} */
let built;

/** The widget's built files, once per process. */
export function widgetFiles() {
  built ??= bundle(WIDGET_DIR, ["widget.js", "consent.js", "demo.js"]).then(({ files }) => files);
  return built;
}

/** The snippet with another script address. */
export async function snippet(src = "/clientchat/demo") {
  const text = await readFile(WIDGET_DIR + "snippet.js", "utf8");
  return text.replace('"/clientchat/demo"', JSON.stringify(src));
}

/**
 * @param {import("node:test").TestContext} t
 * @param {{boot?: object, csp?: string, head?: string, queued?: string}} [options] boot: further
 *   fields of its answer; csp: of the pages; head: a script that pages run before the snippet;
 *   queued: one that they run right behind it, in one go: whatever is quick, the widget is not there
 */
export async function startFake(t, options = {}) {
  const files = await widgetFiles();
  const demo = await readFile(WIDGET_DIR + "demo.html");
  const stub = await snippet();
  const changed = new EventEmitter();
  changed.setMaxListeners(0);

  const fake = {
    origin: "",
    /** @type {any[]} bodies of POST /v1/boot */
    boots: [],
    /** @type {{at: number, status: number, envelope: any}[]} what came to POST /v1/events */
    beacons: [],
    /** Answers a beacon: a status, headers, a body; null leaves it without an answer. */
    answer: (/** @type {any} */ _envelope) =>
      /** @type {{status: number, headers?: object, body?: string} | null} */ ({ status: 204 }),
    /** Answers the interface's script. */
    answerInterface: (/** @type {Buffer} */ script) =>
      /** @type {Buffer | Promise<Buffer>} */ (script),
    /** Answers a boot. */
    answerBoot: (/** @type {any} */ _question) => ({
      status: 200,
      body: JSON.stringify({
        site: "demo",
        status: "online",
        visitor: { name: "", email: "", phone: "", notes: "" },
        ...options.boot,
      }),
    }),
    /** The events that were acknowledged, each once, as the server counts them. */
    taken() {
      /** @type {Map<string, any>} */
      const counted = new Map();
      for (const { status, envelope } of fake.beacons) {
        if (status === 0 || status >= 300) continue;
        const { producer, visitor } = envelope;
        for (const event of envelope.events) {
          const key = `${producer} ${event.seq}`;
          if (!counted.has(key)) counted.set(key, { ...event, producer, visitor });
        }
      }
      return [...counted.values()];
    },
    /** How often each event was taken, by its producer and number. */
    sends() {
      /** @type {Record<string, number>} */
      const times = {};
      for (const { status, envelope } of fake.beacons) {
        if (status !== 204) continue;
        for (const { seq } of envelope.events) {
          const key = `${envelope.producer} ${seq}`;
          times[key] = (times[key] ?? 0) + 1;
        }
      }
      return times;
    },
    /** The server is gone: connections are refused. */
    down: async () => {},
    /** … and is there again, at the same address. */
    up: async () => {},
    names: () => fake.taken().map(({ name }) => name),
    /**
     * Waits until the condition holds; it is looked at again whenever a request came.
     * @template T
     * @param {() => T} condition
     * @param {string} [what]
     * @returns {Promise<T>}
     */
    until: (condition, what = String(condition)) =>
      new Promise((resolve, reject) => {
        const deadline = setTimeout(() => {
          changed.off("request", look);
          const came = fake.beacons.map(({ status, envelope }) => {
            const events = envelope.events.map((/** @type {any} */ e) => `${e.seq} ${e.name}`);
            return `${status}: ${events}`;
          });
          reject(new Error(`not in time: ${what}; came: ${came.join("; ")}`));
        }, DEADLINE_MS);
        function look() {
          const value = condition();
          if (!value) return;
          clearTimeout(deadline);
          changed.off("request", look);
          resolve(value);
        }
        changed.on("request", look);
        look();
      }),
  };

  let port = 0;
  const server = createServer(async (req, res) => {
    const { pathname } = new URL(req.url ?? "/", "http://fake");
    let body = "";
    try {
      for await (const chunk of req.setEncoding("utf8")) body += chunk;
    } catch {
      return; // the page went away while it sent
    }
    /** @param {{status: number, headers?: object, body?: string | Buffer} | null} answer */
    const reply = (answer) => {
      if (!answer) return;
      res.writeHead(answer.status, {
        "Cache-Control": "no-store",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
        ...answer.headers,
      });
      res.end(answer.body);
    };
    const type = (/** @type {string} */ name) => ({ "Content-Type": name + "; charset=utf-8" });

    if (pathname === "/v1/events") {
      const envelope = JSON.parse(body);
      const answer = fake.answer(envelope);
      fake.beacons.push({ at: Date.now(), status: answer?.status ?? 0, envelope });
      reply(answer);
      changed.emit("request");
    } else if (pathname === "/v1/boot") {
      fake.boots.push(JSON.parse(body));
      reply(fake.answerBoot(fake.boots.at(-1)));
      changed.emit("request");
    } else if (pathname === "/clientchat/demo") {
      const script = /** @type {any} */ (options.boot)?.consent_needed ? "consent.js" : "widget.js";
      reply({ status: 200, headers: type("text/javascript"), body: files.get(script) });
    } else if (pathname.startsWith("/w/")) {
      const script = /** @type {Buffer} */ (files.get(pathname.slice(1)));
      const body = await fake.answerInterface(script);
      reply({ status: 200, headers: type("text/javascript"), body });
    } else if (pathname === "/demo.js") {
      reply({ status: 200, headers: type("text/javascript"), body: files.get("demo.js") });
    } else if (pathname === "/demo") {
      reply({ status: 200, headers: type("text/html"), body: demo });
    } else if (pathname === "/head.js") {
      reply({ status: 200, headers: type("text/javascript"), body: options.head ?? "" });
    } else if (pathname === "/snippet.js") {
      reply({ status: 200, headers: type("text/javascript"), body: stub + (options.queued ?? "") });
    } else if (pathname === "/favicon.ico") {
      reply({ status: 204 });
    } else {
      const scripts = '<script src="/head.js"></script><script src="/snippet.js"></script>';
      const html = `<!doctype html><html lang="en"><title>page</title>${pathname === "/bare" ? "" : scripts}<h1>page</h1>`;
      const csp = options.csp ? { "Content-Security-Policy": options.csp } : {};
      const caching = { "Cache-Control": "no-cache" }; // no-store would keep it out of the back-forward cache
      reply({ status: 200, headers: { ...type("text/html"), ...caching, ...csp }, body: html });
    }
  });
  fake.up = () =>
    new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  fake.down = () =>
    new Promise((resolve) => {
      server.close(() => resolve(undefined));
      server.closeAllConnections();
    });
  await fake.up();
  ({ port } = /** @type {import("node:net").AddressInfo} */ (server.address()));
  fake.origin = `http://127.0.0.1:${port}`;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return fake;
}
