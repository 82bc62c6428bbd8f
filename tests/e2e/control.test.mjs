// SPDX-License-Identifier: MIT
// What people write, over the transport in CB_TRANSPORT: it is readable at once by who wrote it, by
// the widget's next boot in time, survives a restart and a rebuild, and is theirs to do who may.
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
  post,
  request,
  totalsWith,
  until,
  write,
} from "../lib/client.mjs";
import { run, start, startServe } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const sites = ["demo", ...Array.from({ length: 20 }, (_, i) => `site${i}`)];
const CACHE_MS = 2000; // the oldest that ingest's answer about a site may be
const defaults = {
  zone: "UTC",
  idle_minutes: 30,
  raw_days: 0,
  personal_days: 0,
  rollup_days: 0,
  origins: [],
};

const boot = (s, site, more = {}, headers = {}) =>
  request(`${s.ingest}/v1/boot`, {
    method: "POST",
    headers,
    body: JSON.stringify({ site, ...more }),
  });

/** Waits until ingest has news of a site: nobody who asks when the news is older than its cache gets the old answer. */
async function news(check, what) {
  const began = Date.now();
  let asked = began;
  const value = await until(async () => {
    const at = Date.now();
    const found = await check();
    if (!found) asked = at;
    return found;
  }, what);
  assert.ok(asked - began <= CACHE_MS + 1000, `${what}: not after ${asked - began} ms`);
  return value;
}

/** Every byte that lies in a folder. */
function bytesOf(dir) {
  const parts = [];
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const st = statSync(path);
    if (st.isDirectory()) parts.push(bytesOf(path));
    else if (st.isFile()) parts.push(readFileSync(path));
  }
  return Buffer.concat(parts);
}

/** A visitor who is in the list: {ids, key}. */
async function visit(s, site) {
  const ids = { site, visitor: hex(16), producer: hex(8) };
  const name = `visitor ${hex(4)}`;
  const set = event(1, "set", { key: "name", value: name });
  assert.equal((await post(s, envelope([set], ids))).status, 204);
  const row = await until(
    async () => (await apiJson(s, `/v1/sites/${site}/visitors?q=${name.slice(8)}`)).rows[0],
    "the visitor in the list",
  );
  return { ids, key: row.visitor, name };
}

test(`control over ${transport}`, async (t) => {
  const args = ["--sites", sites.join(",")];
  const s = await start(t, transport, { args });
  let next = 0;
  const each = (name, body) => t.test(name, () => body(sites[next++]));

  await each("settings are readable at once by who put them", async (site) => {
    assert.deepEqual(await apiJson(s, `/v1/sites/${site}/settings`), defaults);
    for (let i = 1; i <= 20; i++) {
      const settings = { ...defaults, idle_minutes: i, zone: "Europe/Athens", colour: "#00ff0a" };
      const put = await write(s, `PUT /v1/sites/${site}/settings`, settings);
      assert.equal(put.status, 200, put.text);
      assert.deepEqual(put.json(), settings);
      assert.deepEqual(await apiJson(s, `/v1/sites/${site}/settings`), settings);
    }
    // The whole of them: what is left out has its default again.
    assert.deepEqual((await write(s, `PUT /v1/sites/${site}/settings`, {})).json(), defaults);
    const bad = await write(s, `PUT /v1/sites/${site}/settings`, { zone: "UTC", colours: 1 });
    assert.equal(bad.status, 400);
    assert.equal(bad.json().error.field, "colours");
    assert.equal((await write(s, "PUT /v1/sites/nowhere/settings", {})).status, 404);
  });

  await each("what pages get of them is in the next boots, and nothing else is", async (site) => {
    const pages = {
      texts: { l1: { title: "Ahoj ☺ <b>", lang: "cs" }, l2: { title: "Hi" } },
      l2_languages: ["en", "de-AT"],
      position: "bottom-left",
      form: [{ field: "email", required: true }],
      triggers: [
        { id: "t1", name: "T", message: "Hello?", delay_s: 5, scope: "urls", urls: ["*"] },
      ],
      hide_when_offline: true,
      consent_needed: false,
    };
    await boot(s, site); // the answer of before is in the cache now
    const put = await write(s, `PUT /v1/sites/${site}/settings`, { ...pages, raw_days: 77 });
    assert.equal(put.status, 200, put.text);
    const answer = await news(async () => {
      const a = (await boot(s, site)).json();
      return a.texts && a;
    }, "settings in a boot");
    assert.deepEqual(answer, { site, status: "online", ...pages });
  });

  await each("the largest settings go all the way", async (site) => {
    const triggers = Array.from({ length: 14 }, (_, i) => ({
      id: `t${i}`,
      name: "T",
      message: "x".repeat(1000),
      delay_s: i,
    }));
    const origins = Array.from({ length: 60 }, (_, i) => `https://host-${i}.a-long-domain.example`);
    const put = await write(s, `PUT /v1/sites/${site}/settings`, { triggers, origins });
    assert.equal(put.status, 200, put.text);
    assert.deepEqual((await apiJson(s, `/v1/sites/${site}/settings`)).origins, origins);
    await until(async () => (await boot(s, site)).json().triggers?.length === 14, "in a boot");
    const more = [...triggers, ...triggers].map((x, i) => ({ ...x, id: `t${i}` }));
    const large = await write(s, `PUT /v1/sites/${site}/settings`, { triggers: more });
    assert.equal(large.status, 400);
  });

  await each("status: offline, online, and automatic by an operator's lease", async (site) => {
    const status = (want) => news(async () => (await boot(s, site)).json().status === want, want);
    for (const mode of ["offline", "online"]) {
      const put = await write(s, `PUT /v1/sites/${site}/status`, { status: mode });
      assert.deepEqual(put.json(), { site, status: mode });
      await status(mode);
    }
    await write(s, `PUT /v1/sites/${site}/status`, { status: "automatic" });
    await status("offline");
    const lease = await write(s, `PUT /v1/sites/${site}/presence`);
    assert.equal(lease.status, 200, lease.text);
    assert.equal(lease.json().status, "online");
    assert.ok(lease.json().renew_ms < lease.json().lease_ms);
    await status("online");
    const listed = (await apiJson(s, "/v1/sites")).sites.find((row) => row.site === site);
    assert.equal(listed.status, "automatic");
    // A lease is no record: nobody's act, and gone with the store.
    const acts = (await apiJson(s, "/v1/audit?limit=500")).rows.filter((r) => r.site === site);
    assert.deepEqual(
      acts.map((r) => r.act),
      ["status_put", "status_put", "status_put", "site_made"],
    );
  });

  await each("a lease that is not renewed ends after 15 s", async (site) => {
    await write(s, `PUT /v1/sites/${site}/status`, { status: "automatic" });
    const held = Date.now();
    await write(s, `PUT /v1/sites/${site}/presence`);
    const given = Date.now();
    let asked = given; // last while it was online
    await until(async () => (await boot(s, site)).json().status === "online", "online");
    const offline = async () => {
      const at = Date.now();
      const { status } = (await boot(s, site)).json();
      if (status === "online") asked = at;
      return status === "offline";
    };
    await until(offline, "offline", 45000);
    assert.ok(Date.now() - held >= 14500, `offline after ${Date.now() - held} ms`);
    assert.ok(asked - given <= 15000 + CACHE_MS + 1000, `online after ${asked - given} ms`);
  });

  await each("an operator's edit is in the next read and the next boot", async (site) => {
    const { ids, key } = await visit(s, site);
    for (let i = 0; i < 20; i++) {
      const fields = { name: `Operator ${i} ☺`, remarks: `pays late ${i}` };
      const patch = await write(s, `PATCH /v1/sites/${site}/visitors/${key}`, fields);
      assert.equal(patch.status, 200, patch.text);
      assert.equal(patch.json().name, fields.name);
      const one = await apiJson(s, `/v1/sites/${site}/visitors/${key}`);
      assert.equal(one.name, fields.name);
      assert.equal(one.remarks, fields.remarks);
      const answer = await boot(s, site, { visitor: ids.visitor });
      assert.equal(answer.json().visitor.name, fields.name);
      assert.ok(!answer.text.includes("pays late"), "remarks are the operators' own");
    }
    // The page writes after that: the later write wins, and the edit's other fields stay.
    const set = event(2, "set", { key: "name", value: "the page" });
    assert.equal((await post(s, envelope([set], ids))).status, 204);
    assert.equal((await boot(s, site, { visitor: ids.visitor })).json().visitor.name, "the page");
    await totalsWith(s, "set", 2, site);
    const one = await apiJson(s, `/v1/sites/${site}/visitors/${key}`);
    assert.equal(one.name, "the page");
    assert.equal(one.remarks, "pays late 19");
    assert.equal(
      (await write(s, `PATCH /v1/sites/${site}/visitors/${hex(16)}`, { name: "x" })).status,
      404,
    );
    const long = await write(s, `PATCH /v1/sites/${site}/visitors/${key}`, {
      name: "n".repeat(200),
      notes: "☺".repeat(4000),
      remarks: "€".repeat(4000),
    });
    assert.equal(long.status, 200);
    assert.equal(long.json().remarks.length, 4000);
    assert.equal((await boot(s, site, { visitor: ids.visitor })).json().visitor.notes.length, 4000);
  });

  await each("other pages than the site's own are refused, and counted", async (site) => {
    const origins = ["https://shop.example", "http://localhost:3000"];
    await write(s, `PUT /v1/sites/${site}/settings`, { origins });
    const from = (origin) => boot(s, site, {}, origin ? { Origin: origin } : {});
    await until(async () => (await from("https://evil.example")).status === 403, "refused");
    const refused = await from("https://evil.example");
    assert.equal(refused.json().error.code, "origin_refused");
    for (const origin of origins) {
      const answer = await from(origin);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["access-control-allow-origin"], origin);
      assert.match(answer.headers.vary, /Origin/);
    }
    assert.equal((await from(null)).status, 200); // no page at all
    assert.equal((await from("null")).status, 403);
    const send = (origin, seqs) =>
      request(`${s.ingest}/v1/events`, {
        method: "POST",
        headers: { Origin: origin },
        body: JSON.stringify(
          envelope(
            seqs.map((seq) => event(seq)),
            { site },
          ),
        ),
      });
    assert.equal((await send(origins[0], [1, 2])).status, 204);
    const events = await send("https://evil.example", [1, 2, 3]);
    assert.equal(events.status, 403);
    assert.equal(events.json().error.code, "origin_refused");
    await until(
      async () => (await balanced(s)).sites[site].rejected.origin_refused === 3,
      "in the books",
    );
    assert.equal((await balanced(s)).sites[site].counted, 2);
  });

  await each("tokens: made, used, seen, revoked at once", async (site) => {
    const make = async (body, token) => {
      const answer = await write(s, "POST /v1/tokens", body, token);
      assert.equal(answer.status, 201, answer.text);
      return answer.json();
    };
    const { key } = await visit(s, site);
    const operator = await make({ role: "operator", site, name: "Ann ☺" });
    const viewer = await make({ role: "viewer", site });
    const admin = await make({ role: "admin", site });
    assert.match(operator.token, /^[\w-]{43}$/);
    const as = (who, path) => api(s, path, who.token);
    assert.equal((await as(operator, `/v1/sites/${site}/visitors`)).status, 200);
    assert.equal((await as(operator, "/v1/sites/demo/totals")).status, 403);
    assert.equal((await as(viewer, `/v1/sites/${site}/totals`)).status, 200);
    for (const path of ["visitors", `visitors/${key}`]) {
      assert.equal((await as(viewer, `/v1/sites/${site}/${path}`)).status, 403, path);
    }
    const exported = await as(viewer, `/v1/sites/${site}/export`);
    assert.ok(exported.text.includes('"key":"name"') && !exported.text.includes('"value"'));
    assert.ok((await as(operator, `/v1/sites/${site}/export`)).text.includes('"value"'));
    // An admin of one site has that site's tokens.
    const seen = (await as(admin, "/v1/tokens")).json().tokens;
    assert.deepEqual(
      seen.map((row) => row.id).sort(),
      [operator, viewer, admin].map((row) => row.id).sort(),
    );
    assert.ok(!JSON.stringify(seen).includes(operator.token));
    for (const { token, ...known } of [operator, viewer, admin])
      assert.deepEqual((await as({ token }, "/v1/token")).json(), known);
    assert.equal((await api(s, "/v1/token", null)).status, 401);
    assert.equal(seen.find((row) => row.id === operator.id).name, "Ann ☺");
    assert.equal((await write(s, "POST /v1/tokens", { role: "viewer" }, admin.token)).status, 403);
    await make({ role: "viewer", site }, admin.token);
    const gone = await write(s, `DELETE /v1/tokens/${operator.id}`, "", admin.token);
    assert.equal(gone.status, 204);
    assert.equal((await as(operator, `/v1/sites/${site}/totals`)).status, 401);
    const again = await write(s, `DELETE /v1/tokens/${operator.id}`);
    assert.equal(again.status, 404);
    // What opens something lies in no file but the one for the first admin.
    const bytes = bytesOf(s.dir);
    for (const secret of [operator, viewer, admin]) assert.ok(!bytes.includes(secret.token));
    assert.ok(!s.stderr().includes(viewer.token));
    const mine = (await apiJson(s, "/v1/tokens")).tokens.find(
      (row) => row.role === "admin" && row.site === null,
    );
    assert.equal((await write(s, `DELETE /v1/tokens/${mine.id}`)).status, 403);
  });

  await each("sites are made, once, and seen by who may", async () => {
    const name = `fresh-${hex(4)}`;
    assert.equal((await post(s, envelope([event(1)], { site: name }))).status, 404);
    const made = await write(s, `PUT /v1/sites/${name}`, { status: "offline" });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.json().status, "offline");
    const again = await write(s, `PUT /v1/sites/${name}`, { status: "online" });
    assert.equal(again.status, 200);
    assert.equal(again.json().status, "offline");
    assert.ok((await apiJson(s, "/v1/sites")).sites.some((row) => row.site === name));
    await news(
      async () => (await post(s, envelope([event(1)], { site: name }))).status === 204,
      "ingest knows the site",
    );
    const viewer = (await write(s, "POST /v1/tokens", { role: "viewer", site: name })).json();
    const seen = (await api(s, "/v1/sites", viewer.token)).json();
    assert.deepEqual(
      seen.sites.map((row) => row.site),
      [name],
    );
    assert.equal((await write(s, "PUT /v1/sites/x", "", viewer.token)).status, 403);
  });

  await each("the command line makes and ends tokens of a running store", async () => {
    const data = ["--data", s.dir];
    const made = await run(["token", "create", ...data, "--role", "operator", "--name", "by hand"]);
    assert.equal(made.code, 0, made.stderr);
    const token = made.stdout.trim();
    assert.equal((await api(s, "/v1/sites", token)).status, 200); // at once
    const listed = await run(["token", "list", ...data]);
    const line = listed.stdout.split("\n").find((text) => text.includes('"by hand"'));
    assert.match(line, /^[0-9a-f]{16} role=operator site=\* /);
    const gone = await run(["token", "revoke", ...data, "--id", line.slice(0, 16)]);
    assert.equal(gone.code, 0, gone.stderr);
    assert.equal((await api(s, "/v1/sites", token)).status, 401);
    const none = await run(["token", "revoke", ...data, "--id", line.slice(0, 16)]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /--id/);
    assert.equal((await run(["token", "create", ...data, "--site", "nowhere"])).code, 2);
    assert.equal((await run(["token", "create", "--data", `${s.dir}/none`])).code, 1);
  });

  await each("writes are readable at once while beacons pour in", async (site) => {
    let pouring = true;
    const pour = async () => {
      while (pouring) {
        const events = Array.from({ length: 50 }, (_, i) => event(i + 1));
        await post(s, envelope(events, { site }));
      }
    };
    const pourers = Array.from({ length: 8 }, pour);
    let worst = 0;
    try {
      for (let i = 1; i <= 30; i++) {
        const began = Date.now();
        const settings = { ...defaults, idle_minutes: i };
        const put = await write(s, `PUT /v1/sites/${site}/settings`, settings);
        assert.equal(put.status, 200, put.text);
        worst = Math.max(worst, Date.now() - began);
        assert.equal((await apiJson(s, `/v1/sites/${site}/settings`)).idle_minutes, i);
      }
    } finally {
      pouring = false;
      await Promise.all(pourers);
    }
    t.diagnostic(`slowest write under load: ${worst} ms`);
    await balanced(s);
  });

  await t.test("all of it is there after a restart, and after a rebuild", async () => {
    const site = sites[1];
    const read = async (server) => ({
      settings: await apiJson(server, `/v1/sites/${site}/settings`),
      sites: await apiJson(server, "/v1/sites"),
      tokens: await apiJson(server, "/v1/tokens"),
      audit: await apiJson(server, "/v1/audit?limit=500"),
    });
    const before = await read(s);
    assert.ok(before.audit.rows.length > 100);
    await s.stop();
    const rebuilt = await run(["rebuild", "--data", s.dir]);
    assert.equal(rebuilt.code, 0, rebuilt.stderr);
    assert.match(rebuilt.stdout, /identical/);
    const offline = await run(["token", "create", "--data", s.dir, "--role", "admin"]);
    assert.equal(offline.code, 0, offline.stderr);
    const after = await startServe(t, { dir: s.dir, args });
    assert.equal((await api(after, "/v1/tokens", offline.stdout.trim())).status, 200);
    const now = await read(after);
    assert.deepEqual(now.settings, before.settings);
    assert.deepEqual(now.sites, before.sites);
    assert.equal(now.tokens.tokens.length, before.tokens.tokens.length + 1);
    assert.deepEqual(now.audit.rows.slice(1, 101), before.audit.rows.slice(0, 100));
    await after.stop();
  });
});

test(
  "without the store reads go on and writes are 503",
  { skip: transport === "inproc" },
  async (t) => {
    const s = await start(t, transport, { queryArgs: ["--ack-timeout", "500"] });
    const put = (days) => write(s, "PUT /v1/sites/demo/settings", { raw_days: days });
    await until(async () => (await put(1)).status === 200, "written"); // in its time
    await s.store.kill();
    assert.equal((await apiJson(s, "/v1/sites/demo/settings")).raw_days, 1);
    const refused = await put(2);
    assert.equal(refused.status, 503, refused.text);
    assert.equal(refused.json().error.code, "busy");
    assert.ok(Number(refused.headers["retry-after"]) >= 1);
    const lease = await write(s, "PUT /v1/sites/demo/presence");
    assert.equal(lease.status, 503);
    await s.restartStore();
    await until(async () => (await put(3)).status === 200, "writes again");
    assert.equal((await apiJson(s, "/v1/sites/demo/settings")).raw_days, 3);
    await s.stop();
  },
);

test("pages of listed origins may use the API", { skip: transport !== "inproc" }, async (t) => {
  const origin = "https://dash.example";
  const s = await startServe(t, { args: ["--cors-origins", `https://other.example,${origin}`] });
  const ask = (method, headers) =>
    request(`${s.query}/v1/sites/demo/settings`, { method, headers });
  const preflight = await ask("OPTIONS", {
    Origin: origin,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization",
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-origin"], origin);
  assert.match(preflight.headers["access-control-allow-methods"], /PUT/);
  assert.match(preflight.headers["access-control-allow-headers"], /Authorization/);
  const evil = await ask("OPTIONS", { Origin: "https://evil.example" });
  assert.equal(evil.headers["access-control-allow-origin"], undefined);
  const bad = await run(["serve", "--data", s.dir, "--cors-origins", "*"]);
  assert.notEqual(bad.code, 0);
});
