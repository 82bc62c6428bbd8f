// SPDX-License-Identifier: MIT
// Rate limits: 429 with Retry-After past them, for whom they are, and whose X-Forwarded-For is believed.
import assert from "node:assert/strict";
import test from "node:test";
import { apiJson, balanced, api, envelope, event, totalsWith, until } from "../lib/client.mjs";
import { startServe } from "../lib/server.mjs";
import { ask } from "../lib/wire.mjs";

const PROXY = "127.0.0.2";

const events = (n, first = 1) => Array.from({ length: n }, (_, i) => event(first + i));
const beacon = (n, more) => JSON.stringify(envelope(events(n), more));

/** Posts n events from an address, as a proxy for another when that is given. */
const send = (s, n, { from, forwarded, body = beacon(n), path = "/v1/events", type } = {}) =>
  ask(s.ingest, path, {
    from,
    headers: {
      ...(forwarded && { "X-Forwarded-For": forwarded }),
      ...(type && { "Content-Type": type }),
    },
    body,
  });

function isLimited(answer, what) {
  assert.equal(answer.status, 429, what);
  assert.match(answer.headers["retry-after"], /^[1-9][0-9]*$/, what);
  assert.equal(answer.headers["access-control-allow-origin"], "*", what);
  assert.equal(answer.headers["access-control-expose-headers"], "Retry-After", what);
  assert.equal(JSON.parse(answer.text).error.code, "rate_limited", what);
  return Number(answer.headers["retry-after"]);
}

async function metric(s, name) {
  const { text } = await api(s, "/metrics");
  return Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)[1]);
}

test("a client address past its rate: 429 with Retry-After, and others go on", async (t) => {
  const s = await startServe(t, {
    args: ["--address-rate", "1", "--rate-burst", "1", "--proxies", `${PROXY},10.0.0.0/8`],
  });
  // A beacon of many events passes whole and is paid for afterwards: at 1 event a second, for a good while.
  assert.equal((await send(s, 600)).status, 204);
  const waitS = isLimited(await send(s, 1), "the same address again");
  assert.ok(waitS > 100 && waitS <= 600, `Retry-After: ${waitS}`);
  isLimited(await ask(s.ingest, "/v1/boot", { body: '{"site":"demo"}' }), "boot");
  isLimited(await ask(s.ingest, "/v1/pixel.gif?site=demo", { method: "GET" }), "pixel");
  isLimited(await send(s, 0, { body: "junk" }), "not even read");
  let refused = 4;

  // What costs the store nothing is served all the same.
  for (const [path, method, status] of [
    ["/healthz", "GET", 200],
    ["/readyz", "GET", 200],
    ["/clientchat/demo", "GET", 200],
    ["/v1/events", "OPTIONS", 204],
  ])
    assert.equal((await ask(s.ingest, path, { method })).status, status, path);

  // The header of somebody who is no proxy is not believed, whatever stands in it.
  for (const forwarded of ["9.9.9.9", "127.0.0.77", `9.9.9.9, ${PROXY}`, "10.1.1.1", "junk"]) {
    isLimited(await send(s, 1, { forwarded }), `X-Forwarded-For: ${forwarded}`);
    refused++;
  }
  assert.equal((await send(s, 1, { from: "127.0.0.77" })).status, 204);

  // A proxy's is, for the hop before it, and through further proxies; not for what the client wrote to the left of it.
  const proxied = (n, forwarded) => send(s, n, { from: PROXY, forwarded });
  assert.equal((await proxied(600, "9.9.9.9")).status, 204);
  assert.equal((await proxied(600, "9.9.9.9, 8.8.8.8")).status, 204);
  isLimited(await proxied(1, "9.9.9.9"), "the client of a proxy");
  isLimited(await proxied(1, "7.7.7.7, 8.8.8.8, 10.3.2.1"), "the client of two proxies");
  isLimited(await proxied(1, "7.7.7.7, 127.0.0.1"), "the first client, through a proxy");
  assert.equal((await proxied(1, "7.7.7.7")).status, 204);

  // IPv6 counts by /64.
  assert.equal((await proxied(600, "2001:db8:1:1::1")).status, 204);
  isLimited(await proxied(1, "2001:db8:1:1:ffff::2"), "the same /64");
  assert.equal((await proxied(1, "2001:db8:1:2::1")).status, 204);
  refused += 4;

  // Refused whole: counted beside the books, not in them.
  await totalsWith(s, "onClick", 4 * 600 + 3);
  const books = (await balanced(s)).sites.demo;
  assert.equal(books.received, 4 * 600 + 3);
  assert.equal(await metric(s, "chatbeacon_ingest_rate_limited_total"), refused);
  await s.stop();
});

test("who waits as long as he is told is taken again", async (t) => {
  const s = await startServe(t, { args: ["--address-rate", "10", "--rate-burst", "1"] });
  assert.equal((await send(s, 30)).status, 204);
  isLimited(await send(s, 1), "at once");
  await until(async () => (await send(s, 1)).status === 204, "taken again");
  await totalsWith(s, "onClick", 31);
  await s.stop();
});

test("a site past its rate: 429 for it, also in a body with others, and others go on", async (t) => {
  const s = await startServe(t, {
    args: ["--sites", "demo,other", "--site-rate", "1", "--rate-burst", "1"],
  });
  assert.equal((await send(s, 600)).status, 204);
  isLimited(await send(s, 1, { from: "127.0.0.77" }), "from whatever address");
  isLimited(await ask(s.ingest, "/v1/boot", { body: '{"site":"demo"}' }), "boot");
  isLimited(await ask(s.ingest, "/v1/pixel.gif?site=demo", { method: "GET" }), "pixel");
  const type = "application/x-ndjson";
  const both = `${beacon(1, { site: "other" })}\n${beacon(1)}\n`;
  isLimited(await send(s, 2, { body: both, type }), "with another site");
  assert.equal((await send(s, 1, { body: beacon(1, { site: "other" }) })).status, 204);
  // Of a site that is not there nothing is counted, so that it cannot push others out of the table.
  for (let i = 0; i < 3; i++)
    assert.equal((await send(s, 1, { body: beacon(300, { site: "nowhere" }) })).status, 404);
  await totalsWith(s, "onClick", 600);
  await totalsWith(s, "onClick", 1, "other");
  await balanced(s);
  await s.stop();
});
