// SPDX-License-Identifier: MIT
// The contract, over the transport in CB_TRANSPORT: the same tests for one process and for three.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import {
  api,
  apiJson,
  balanced,
  envelope,
  event,
  hex,
  msgpack,
  post,
  request,
  totalsWith,
  until,
} from "../lib/client.mjs";
import { start } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
// A site for each test, so that each has totals and books of its own.
const sites = ["demo", ...Array.from({ length: 20 }, (_, i) => `site${i}`)];
const DAY_MS = 86400000;

test(`contract over ${transport}`, async (t) => {
  const s = await start(t, transport, { args: ["--sites", sites.join(",")] });
  let next = 0;
  const each = (name, run) => t.test(name, () => run(sites[next++]));
  const books = async (site) => (await balanced(s)).sites[site];

  await each("the same beacon twice: 204 twice, counted once, one duplicate", async (site) => {
    const body = JSON.stringify(envelope([event(1)], { site }));
    for (let i = 0; i < 2; i++) {
      const answer = await post(s, body);
      assert.equal(answer.status, 204);
      assert.equal(answer.text, "");
    }
    const totals = await totalsWith(s, "onClick", 1, site);
    assert.deepEqual(totals.events, { onClick: 1 });
    assert.equal(totals.visitors, 1);
    assert.equal(totals.sessions, 1);
    await until(async () => (await books(site)).duplicate === 1, "one duplicate");
    assert.deepEqual(await books(site), {
      received: 2,
      counted: 1,
      duplicate: 1,
      rejected: {},
      lost: 0,
    });
  });

  await each("a batch is taken in part, by index", async (site) => {
    const events = [
      event(1),
      event(2, "no spaces allowed"),
      event(0),
      event(4, "onMaximize"),
      event(5, "set", { key: "shoe size", value: "44" }),
      event(6, "set", { key: "phone", value: "1".repeat(41) }),
      { ...event(7), at: Date.now() - 8 * DAY_MS },
      event(2 ** 53),
      event(9, "signup", { plan: "pro", seats: 3, trial: true }),
    ];
    const answer = await post(s, envelope(events, { site }));
    assert.equal(answer.status, 200);
    const { accepted, rejected } = answer.json();
    assert.equal(accepted, 3);
    assert.deepEqual(
      rejected.map((r) => [r.index, r.code]),
      [
        [1, "bad_event"],
        [2, "bad_event"],
        [4, "bad_event"],
        [5, "bad_event"],
        [6, "bad_time"],
        [7, "bad_event"],
      ],
    );
    for (const r of rejected) assert.ok(r.message.length > 5);
    await totalsWith(s, "signup", 1, site);
    const b = await books(site);
    assert.equal(b.received, 9);
    assert.equal(b.counted, 3);
    assert.deepEqual(b.rejected, { bad_event: 5, bad_time: 1 });
    // 3 and 8 never came; 2, 5, 6 and 7 came and were refused: they are not lost.
    assert.equal(b.lost, 2);
  });

  await each("NDJSON: a bad line is refused by its line, the others are kept", async (site) => {
    const lines = [
      JSON.stringify(envelope([event(1), event(2)], { site })),
      '{"site": "broken',
      JSON.stringify(envelope([event(1)], { site: "nowhere" })),
      JSON.stringify(envelope([event(1)], { site })),
    ];
    const answer = await post(s, lines.join("\n") + "\n", { type: "application/x-ndjson" });
    assert.equal(answer.status, 200);
    const { accepted, rejected } = answer.json();
    assert.equal(accepted, 3);
    assert.deepEqual(
      rejected.map((r) => [r.line, r.code]),
      [
        [2, "bad_json"],
        [3, "site_unknown"],
      ],
    );
    await totalsWith(s, "onClick", 3, site);
    await balanced(s);
  });

  await each("msgpack says the same as JSON", async (site) => {
    const answer = await post(s, msgpack(envelope([event(1), event(2, "page")], { site })), {
      type: "application/msgpack",
    });
    assert.equal(answer.status, 204);
    await totalsWith(s, "page", 1, site);
    const bomb = await post(s, Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]), {
      type: "application/msgpack",
    });
    assert.equal(bomb.status, 400);
    assert.equal(bomb.json().error.code, "bad_msgpack");
  });

  await each("the pixel counts one event; a visitor's id has no place in a URL", async (site) => {
    const answer = await request(
      `${s.ingest}/v1/pixel.gif?site=${site}&name=page&page=${encodeURIComponent("https://x.example/a b")}`,
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "image/gif");
    assert.match(answer.headers["cache-control"], /no-store/);
    assert.equal(answer.bytes.subarray(0, 6).toString("latin1"), "GIF89a");
    const numbered = `${s.ingest}/v1/pixel.gif?site=${site}&name=page&producer=${hex(8)}&seq=1`;
    assert.equal((await request(numbered)).status, 200);
    assert.equal((await request(numbered)).status, 200);
    await totalsWith(s, "page", 2, site);
    assert.equal(
      (await request(`${s.ingest}/v1/pixel.gif?site=${site}&name=page&visitor=${hex(16)}`)).status,
      400,
    );
    assert.equal((await request(`${s.ingest}/v1/pixel.gif?site=nowhere&name=page`)).status, 404);
    assert.equal((await request(`${s.ingest}/v1/pixel.gif`)).status, 400);
  });

  await each("?ack=queued answers 202 from memory, and says so", async (site) => {
    const answer = await post(s, envelope([event(1)], { site }), { path: "/v1/events?ack=queued" });
    assert.equal(answer.status, 202);
    await totalsWith(s, "onClick", 1, site);
  });

  await each(
    "a set that was answered is seen by the next boot, and later by the visitor list",
    async (site) => {
      const ids = { site, visitor: hex(16), producer: hex(8) };
      const boot = async () => {
        const answer = await post(s, { site, visitor: ids.visitor }, { path: "/v1/boot" });
        assert.equal(answer.status, 200);
        assert.match(answer.headers["cache-control"], /no-store/);
        return answer.json();
      };
      assert.deepEqual((await boot()).visitor, { name: "", email: "", phone: "", notes: "" });
      for (let i = 1; i <= 20; i++) {
        const set = event(i, "set", { key: "name", value: `Ada ${i} <b>` });
        assert.equal((await post(s, envelope([set], ids))).status, 204);
        assert.equal((await boot()).visitor.name, `Ada ${i} <b>`);
      }
      // A lower number of the same producer that comes later does not win; nor does an older set of another one.
      assert.equal(
        (await post(s, envelope([event(25, "set", { key: "name", value: "last" })], ids))).status,
        204,
      );
      assert.equal(
        (await post(s, envelope([event(24, "set", { key: "name", value: "late" })], ids))).status,
        204,
      );
      const old = { ...event(1, "set", { key: "name", value: "old" }), at: Date.now() - 60000 };
      assert.equal((await post(s, envelope([old], { ...ids, producer: hex(8) }))).status, 204);
      assert.equal((await boot()).visitor.name, "last");
      await totalsWith(s, "set", 23, site);
      assert.equal((await boot()).visitor.name, "last");
      assert.equal((await boot()).status, "online");

      const { rows, next } = await apiJson(s, `/v1/sites/${site}/visitors?q=LAST`);
      assert.equal(rows.length, 1);
      assert.equal(next, null);
      assert.equal(rows[0].name, "last");
      assert.equal(rows[0].events, 23);
      assert.notEqual(rows[0].visitor, ids.visitor);
      const one = await apiJson(s, `/v1/sites/${site}/visitors/${rows[0].visitor}`);
      assert.equal(one.name, "last");
      assert.equal((await api(s, `/v1/sites/${site}/visitors/${hex(16)}`)).status, 404);
      // The id opens nothing behind ingest: it is not in any file, log or answer.
      assert.equal((await api(s, `/v1/sites/${site}/visitors/${ids.visitor}`)).status, 404);
      assert.ok(!s.stderr().includes(ids.visitor));
      const raw = Buffer.from(ids.visitor, "hex");
      for (const file of filesBelow(s.dir)) {
        const bytes = readFileSync(file);
        assert.equal(bytes.indexOf(raw), -1, file);
        assert.equal(bytes.indexOf(ids.visitor), -1, file);
      }
    },
  );

  await each("boot refuses what it should", async (site) => {
    const boot = (body) => post(s, body, { path: "/v1/boot" });
    assert.equal((await boot({ site })).status, 200);
    assert.equal((await boot({ site: "nowhere" })).status, 404);
    assert.equal((await boot({ site, visitor: "short" })).status, 400);
    assert.equal((await boot("{")).json().error.code, "bad_json");
    assert.equal((await boot("[]")).status, 400);
  });

  await each("time series add up to totals, are zero-filled and know time zones", async (site) => {
    const now = Date.now();
    const events = [];
    for (let hour = 0; hour < 48; hour += 2)
      events.push({ ...event(events.length + 1), at: now - hour * 3600000 });
    assert.equal((await post(s, envelope(events, { site, sent: now }))).status, 204);
    await totalsWith(s, "onClick", events.length, site);
    for (const [grain, tz] of [
      ["minute", "UTC"],
      ["hour", "UTC"],
      ["day", "Europe/Athens"],
      ["day", "Asia/Kathmandu"],
      ["week", "America/New_York"],
      ["month", "UTC"],
    ]) {
      const range = grain === "minute" ? `&from=${now - 3 * 3600000}` : `&from=${now - 5 * DAY_MS}`;
      const series = await apiJson(
        s,
        `/v1/sites/${site}/timeseries?grain=${grain}&tz=${tz}${range}`,
      );
      const totals = await apiJson(s, `/v1/sites/${site}/totals?tz=${tz}${range}`);
      assert.equal(series.grain, grain);
      const sum = series.points.reduce((n, p) => n + p.events, 0);
      assert.equal(sum, totals.events.onClick, `${grain} in ${tz}`);
      assert.ok(series.points.every((p, i) => i === 0 || p.t > series.points[i - 1].t));
      assert.ok(grain !== "minute" || series.points.length >= 180);
      assert.ok(series.points.every((p) => p.visitors === (p.events > 0 ? 1 : 0)));
      const none = await apiJson(
        s,
        `/v1/sites/${site}/timeseries?grain=${grain}&tz=${tz}&event=onMinimize${range}`,
      );
      assert.equal(none.points.length, series.points.length);
      assert.ok(none.points.every((p) => p.events === 0 && p.visitors === 0));
    }
    for (const bad of [
      "grain=fortnight",
      "tz=Mars/Olympus",
      "from=yesterday",
      "from=2&to=1",
      "nonsense=1",
    ]) {
      const answer = await api(s, `/v1/sites/${site}/timeseries?${bad}`);
      assert.equal(answer.status, 400, bad);
      assert.ok(answer.json().error.field, bad);
    }
  });

  await each("gaps are shown as lost, and close when the events come after all", async (site) => {
    const ids = { site, producer: hex(8) };
    await post(s, envelope([event(1), event(3)], ids));
    await until(async () => (await books(site)).lost === 1, "one lost");
    await post(s, envelope([event(2)], ids));
    await until(async () => (await books(site)).lost === 0, "none lost");
    // The same producer id under another site is another producer.
    await post(s, envelope([event(1)], { ...ids, site: "site19" }));
    await totalsWith(s, "onClick", 1, "site19");
    assert.equal((await books("site19")).duplicate, 0);
  });

  await each("refusals have a code, a sentence, and CORS headers", async (site) => {
    const before = (await balanced(s)).total;
    const cases = [
      [400, "bad_json", "this is not JSON", {}],
      [400, "bad_json", "", {}],
      [400, "bad_json", '{"site":"demo"', {}],
      [400, "bad_request", "[1,2,3]", {}],
      [400, "bad_request", JSON.stringify(envelope([], { site })), {}],
      [404, "site_unknown", JSON.stringify(envelope([event(1)], { site: "nowhere" })), {}],
      [400, "bad_request", JSON.stringify(envelope([event(1)], { site, producer: "xyz" })), {}],
      [400, "bad_request", JSON.stringify(envelope([event(1)], { site, visitor: "xyz" })), {}],
      [400, "bad_event", JSON.stringify(envelope([event(1, "9lives")], { site })), {}],
      [400, "bad_msgpack", Buffer.from([0xc1]), { type: "application/msgpack" }],
      [413, "too_large", JSON.stringify(envelope([event(1)], { site })) + " ".repeat(70000), {}],
      [404, "not_found", "{}", { path: "/v1/nothing" }],
    ];
    for (const [status, code, body, options] of cases) {
      const answer = await post(s, body, options);
      const what = `${code}: ${String(body).slice(0, 60)}: ${answer.text}`;
      assert.equal(answer.status, status, what);
      assert.equal(answer.json().error.code, code, what);
      assert.ok(answer.json().error.message, what);
      assert.equal(answer.headers["access-control-allow-origin"], "*", what);
      assert.match(answer.headers["access-control-expose-headers"], /Retry-After/i, what);
    }
    assert.equal((await request(`${s.ingest}/v1/events`)).status, 405);
    const preflight = await request(`${s.ingest}/v1/events`, {
      method: "OPTIONS",
      headers: { Origin: "https://x.example" },
    });
    assert.equal(preflight.status, 204);
    assert.match(preflight.headers["access-control-allow-methods"], /POST/);
    await until(
      async () => (await balanced(s)).total.received > before.received,
      "the refusals stand in the books",
    );
  });

  await each("the private side wants a token, and says what is wrong", async (site) => {
    const path = `/v1/sites/${site}/totals`;
    for (const token of [null, "wrong", "x".repeat(43)]) {
      const answer = await api(s, path, token);
      assert.equal(answer.status, 401);
      assert.equal(answer.json().error.code, "unauthorized");
    }
    assert.equal((await api(s, path)).status, 200);
    assert.equal((await api(s, "/v1/sites/nowhere/totals")).status, 404);
    assert.equal((await api(s, "/v1/nothing")).status, 404);
    const wrong = await request(s.query + path, {
      method: "DELETE",
      headers: { Authorization: `Bearer ${s.token}` },
    });
    assert.equal(wrong.status, 405);
  });

  await each("health, metrics, pages and the script are served", async (site) => {
    for (const base of [s.ingest, s.query]) {
      assert.equal((await request(`${base}/healthz`)).status, 200);
      await until(async () => (await request(`${base}/readyz`)).status === 200, "readyz");
    }
    const metrics = await api(s, "/metrics");
    assert.equal(metrics.status, 200);
    for (const line of metrics.text.trim().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) .+|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? -?[0-9.e+]+)$/);
    }
    assert.match(metrics.text, /chatbeacon_books_received_total\{site="demo"\}/);
    const script = await request(`${s.ingest}/clientchat/${site}`);
    assert.equal(script.status, 200);
    assert.match(script.headers["content-type"], /javascript/);
    const face = await request(s.ingest + /\/w\/[0-9a-f]{20}\.js/.exec(script.text)?.[0]);
    assert.equal(face.status, 200);
    assert.match(face.headers["cache-control"], /immutable/);
    assert.equal((await request(`${s.ingest}/clientchat/nowhere`)).status, 404);
    assert.match((await request(`${s.ingest}/demo`)).headers["content-type"], /html/);
    const page = await request(`${s.query}/`);
    assert.match(page.headers["content-type"], /html/);
    assert.match(page.headers["content-security-policy"], /default-src 'none'/);
    assert.equal((await request(`${s.query}/openapi.json`)).json().openapi.slice(0, 2), "3.");
  });

  await t.test("stops cleanly, with every book balanced", async () => {
    await balanced(s);
    await s.stop();
  });
});

function* filesBelow(dir) {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const stat = statSync(path);
    if (stat.isDirectory()) yield* filesBelow(path);
    else if (stat.isFile()) yield path;
  }
}
