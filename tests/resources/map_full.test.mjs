// SPDX-License-Identifier: MIT
// The map is full: of the journal, of the views. 503 before LMDB says so in the journal, reads go on, nothing that was answered
// is lost, and a larger map takes it up again.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { apiJson, balanced, envelope, event, noise, post, request, until } from "../lib/client.mjs";
import { startServe, temporaryFolder } from "../lib/server.mjs";

const SMALL = ["--map", "16M", "--ack-timeout", "500", "--body", "512K"];
const FULL_MS = 120000;
const CLIENTS = 4;

const send = (server, envelopes) =>
  post(server, envelopes.map((e) => JSON.stringify(e)).join("\n"), {
    type: "application/x-ndjson",
  });

const bulkOf = (envelopes) =>
  envelopes.flatMap((e) => e.events).filter((e) => e.name === "bulk").length;

/** Sends what make() returns until some requests one after the other are refused: {acked, busy}, events and requests. */
async function press(server, make, began) {
  let refused = 0;
  let acked = 0;
  let busy = 0;
  const client = async () => {
    while (refused < 8) {
      assert.ok(performance.now() - began < FULL_MS, "full in time");
      const envelopes = make();
      const answer = await send(server, envelopes);
      if (answer.status === 204) {
        acked += bulkOf(envelopes);
        refused = 0;
      } else {
        assert.equal(answer.status, 503, answer.text);
        assert.equal(answer.json().error.code, "busy");
        assert.match(answer.headers["retry-after"], /^[0-9]+$/);
        refused++;
        busy++;
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { acked, busy };
}

/**
 * Full for good. What waits for the fold takes room, too, until it is folded, and a disk that stands still for long is 503 as
 * well: so it goes on until nothing is left to fold, nothing is taken, and the service says that it is full.
 */
async function fill(server, make) {
  const sum = { acked: 0, busy: 0 };
  const began = performance.now();
  let last, ready;
  do {
    last = await press(server, make, began);
    sum.acked += last.acked;
    sum.busy += last.busy;
    await counted(server, sum.acked);
    ready = (await request(`${server.ingest}/readyz`)).status === 200;
  } while (last.acked > 0 || ready);
  return sum;
}

/** All that was answered is counted: what was refused may be too, where its answer was lost on the way. */
async function counted(server, acked) {
  await until(async () => {
    const totals = await apiJson(server, "/v1/sites/demo/totals");
    return (totals.events.bulk ?? 0) >= acked;
  }, `${acked} events are counted`);
  const books = (await balanced(server)).sites.demo;
  assert.equal(books.lost, 0);
  return books;
}

async function unready(server) {
  const ready = await until(async () => {
    const answer = await request(`${server.ingest}/readyz`);
    return answer.status === 503 && answer;
  }, "/readyz is 503");
  assert.equal(ready.json().error.code, "busy");
  assert.match(ready.headers["retry-after"], /^[0-9]+$/);
}

const mapFull = (server) => server.stderr().includes("MDB_MAP_FULL");

const visit = (more) => envelope([event(1, "bulk", { page: undefined }), ...more]);

/** Each kind of load fills one of the two first. make: the envelopes of a request. */
const loads = {
  // One visitor, and props, which take nothing of the views. Two of the frames do not fit in one page of LMDB's.
  "the journal, by frames of half a page": {
    full: "journal",
    make: () => [
      envelope(
        [
          event(1, "bulk", {
            page: undefined,
            props: { a: noise(1000), b: noise(1000), c: noise(1000) },
          }),
        ],
        { visitor: "22".repeat(16) },
      ),
    ],
  },
  "the journal, by large frames": {
    full: "journal",
    make: () => [
      envelope(
        Array.from({ length: 200 }, (_, i) =>
          event(i + 1, "bulk", { page: undefined, props: { a: noise(600) } }),
        ),
        { visitor: "11".repeat(16) },
      ),
    ],
  },
  // Visitors that come once and leave their notes take more of the views than of the journal.
  "the views, by visitors": {
    full: "views",
    make: () => [visit([event(2, "set", { key: "notes", value: "n".repeat(1300) })])],
  },
  "the views, by hundreds of visitors at once": {
    full: "views",
    make: () => Array.from({ length: 250 }, () => visit([])),
  },
};

for (const [name, { full, make }] of Object.entries(loads)) {
  test(`no room left for ${name}: 503, reads go on, nothing answered is lost`, async (t) => {
    const dir = temporaryFolder(t);
    const small = await startServe(t, { dir, args: SMALL });
    const { acked, busy } = await fill(small, make);
    await unready(small);
    await counted(small, acked);
    const quota = 0.85 * 16 * 1024 * 1024;
    const sizes = ["journal", "views"].map((name) => statSync(join(dir, name, "data.mdb")).size);
    assert.equal(
      sizes[0] >= quota,
      full === "journal",
      `journal of ${sizes[0]}, views of ${sizes[1]}`,
    );
    if (full === "journal") assert.ok(!mapFull(small), small.stderr());
    const hit = mapFull(small) ? "hit" : "not hit";
    // Full is no reason to fail at stopping, or at starting.
    await small.stop();
    const again = await startServe(t, { dir, args: SMALL });
    await unready(again);
    await counted(again, acked);
    assert.equal((await send(again, make())).status, 503);
    await again.kill();
    // A larger map is all that it takes.
    const large = await startServe(t, { dir, args: ["--map", "64M", "--body", "512K"] });
    assert.equal((await request(`${large.ingest}/readyz`)).status, 200);
    assert.equal((await send(large, make())).status, 204);
    const books = await counted(large, acked);
    await large.stop();
    t.diagnostic(
      `${acked} events answered 2xx, ${busy} requests 503, MDB_MAP_FULL ${hit}, ${books.counted} counted`,
    );
  });
}
