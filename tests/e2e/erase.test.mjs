// SPDX-License-Identifier: MIT
// A visitor is erased, over the transport in CB_TRANSPORT: gone from every answer and every byte of the data folder while no
// number moves; the browser is told to take a new id; the receipt comes when it is done; verify, rebuild and a restored backup
// agree.
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
import { run, start, startServe, temporaryFolder } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const SECRETS = ["Wanda Geheimova", "wanda@geheim.example", "+420777123456", "my card is 4111"];

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

/** What of a person lies there: the key, as bytes and as text, and what was typed. */
function traces(dir, key) {
  const bytes = bytesOf(dir);
  return [Buffer.from(key, "hex"), key, ...SECRETS, "geheimova", "an operator's word"].filter(
    (what) => bytes.includes(what),
  );
}

const boot = async (s, visitor) =>
  (
    await request(`${s.ingest}/v1/boot`, {
      method: "POST",
      body: JSON.stringify({ site: "demo", visitor }),
    })
  ).json();

const DAY = 86_400_000;
const span = `from=${Date.now() - DAY}&to=${Date.now() + DAY}`;

/** All that must stay as it is. */
async function numbers(s) {
  const answers = {};
  for (const report of ["totals", "timeseries", "sessions", "funnel", "timings", "triggers"])
    answers[report] = await apiJson(s, `/v1/sites/demo/${report}?${span}`);
  for (const by of ["page", "device", "trigger"])
    answers[by] = await apiJson(s, `/v1/sites/demo/breakdown?by=${by}&${span}`);
  return answers;
}

test(`erasure over ${transport}`, async (t) => {
  const s = await start(t, transport, { args: ["--sites", "demo,shop"] });
  const people = Array.from({ length: 20 }, () => ({ visitor: hex(16), producer: hex(8) }));
  const [wanda] = people;
  for (const [i, ids] of people.entries()) {
    const say = (n) => (i ? `Somebody ${i}-${n}` : SECRETS[n]);
    const events = [
      event(1, "onWebChatLoaded"),
      event(2, "set", { key: "name", value: say(0) }),
      event(3, "set", { key: "email", value: say(1) }),
      event(4, "set", { key: "phone", value: say(2) }),
      event(5, "onTrigger", { id: "t1", name: "T" }),
      event(6, "onMaximize"),
      event(7, "message", { text: say(3) }),
      event(8, "cart.filled", { who: say(0), n: i }),
    ];
    assert.equal((await post(s, envelope(events, ids))).status, 204);
  }
  await totalsWith(s, "message", people.length);
  const found = await apiJson(s, "/v1/sites/demo/visitors?q=geheimova");
  const key = found.rows[0].visitor;
  const path = `/v1/sites/demo/visitors/${key}`;
  await write(s, `PATCH ${path}`, { notes: SECRETS[3], remarks: "an operator's word" });
  const copies = temporaryFolder(t);
  const backup = await run(["backup", "--data", s.dir, "--to", join(copies, "backup")]);
  assert.equal(backup.code, 0, backup.stderr);
  assert.ok(traces(s.dir, key).length >= 6);
  const before = await numbers(s);
  const books = await balanced(s);
  let erasure;

  await t.test("only an admin may, and only with a visitor that is there", async () => {
    for (const role of ["viewer", "operator"]) {
      const token = (await write(s, "POST /v1/tokens", { role })).json().token;
      assert.equal((await write(s, `DELETE ${path}`, "", token)).status, 403);
    }
    assert.equal((await write(s, `DELETE /v1/sites/shop/visitors/${key}`)).status, 404);
    assert.equal((await write(s, `DELETE /v1/sites/demo/visitors/${hex(16)}`)).status, 404);
    for (const [what, field] of [
      ["DELETE /v1/sites/demo/visitors/12", "visitor"],
      [`DELETE ${path}?now=1`, "now"],
    ]) {
      const answer = await write(s, what);
      assert.equal(answer.status, 400);
      assert.equal(answer.json().error.field, field);
    }
    assert.equal((await api(s, "/v1/sites/demo/erasures/12")).status, 400);
    assert.equal((await api(s, `/v1/sites/demo/erasures/${hex(16)}`)).status, 404);
  });

  await t.test("who erased reads nothing of the visitor any more, and every number", async () => {
    const answer = await write(s, `DELETE ${path}`);
    assert.ok(answer.status === 202 || answer.status === 200, answer.text);
    erasure = answer.json();
    for (const more of ["", "/events", "?format=json"])
      assert.equal((await api(s, path + more)).status, 404, more);
    for (const q of ["geheimova", "wanda", "777123", key])
      assert.deepEqual((await apiJson(s, `/v1/sites/demo/visitors?q=${q}`)).rows, [], q);
    const listed = (await apiJson(s, "/v1/sites/demo/visitors?limit=200")).rows;
    assert.equal(listed.length, people.length - 1);
    assert.equal((await write(s, `PATCH ${path}`, { name: "x" })).status, 404);
    assert.deepEqual(await numbers(s), before);
  });

  await t.test("the receipt says when it is done; then no byte is left", async () => {
    const receipt = await until(async () => {
      const answer = await apiJson(s, erasure.receipt);
      return answer.state === "done" && answer;
    }, "the receipt");
    assert.ok(receipt.done >= receipt.erased && receipt.erasure === erasure.erasure);
    assert.deepEqual(traces(s.dir, key), []);
    const again = await write(s, `DELETE ${path}`);
    assert.equal(again.status, 200);
    assert.deepEqual(again.json(), receipt);
    const exported = (await api(s, "/v1/sites/demo/export")).text;
    assert.equal(exported.split("\n").filter(Boolean).length, 8 * people.length);
    for (const what of [key, ...SECRETS]) assert.ok(!exported.includes(what), what);
    const acts = (await apiJson(s, "/v1/audit")).rows.filter((row) => /eras/.test(row.act));
    assert.deepEqual(
      acts.map((row) => row.act),
      ["erasure_swept", "visitor_erased"],
    );
    assert.match(acts[1].summary, /^visitor [0-9a-f]{32}$/);
    assert.ok(!JSON.stringify(await apiJson(s, "/v1/audit?limit=500")).includes(key));
  });

  await t.test("the browser is told, and what it still sends is refused", async () => {
    assert.deepEqual(await boot(s, wanda.visitor), {
      site: "demo",
      status: "online",
      erased: true,
    });
    const late = (seq) => event(seq, "set", { key: "name", value: SECRETS[0] });
    let seq = 8;
    const refused = await until(async () => {
      const answer = await post(s, envelope([late(++seq), event(++seq)], wanda));
      return answer.status === 410 && answer;
    }, "ingest knows");
    assert.equal(refused.json().error.code, "erased");
    const now = await until(async () => {
      const { demo } = (await balanced(s)).sites;
      return demo.rejected.erased === seq - 8 && demo;
    }, "the books");
    assert.equal(now.counted, books.sites.demo.counted);
    assert.equal(now.lost, books.sites.demo.lost);
    assert.deepEqual(await numbers(s), before);
    // Those that passed ingest before it knew were refused by the fold, and are rewritten as well.
    await until(async () => (await apiJson(s, erasure.receipt)).state === "done", "swept again");
    await until(() => traces(s.dir, key).length === 0, "no byte left");
    const fresh = { visitor: hex(16), producer: hex(8) };
    assert.equal((await post(s, envelope([late(1)], fresh))).status, 204);
    await until(async () => (await apiJson(s, "/v1/sites/demo/visitors?q=wanda")).rows[0], "her");
  });

  await t.test("verify, a restart and a rebuild agree", async () => {
    const verified = await run(["verify", "--data", s.dir]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    await s.stop();
    const rebuilt = await run(["rebuild", "--data", s.dir]);
    assert.match(rebuilt.stdout, /identical/);
    const again = await startServe(t, { dir: s.dir });
    assert.equal((await api(again, path)).status, 404);
    assert.equal((await apiJson(again, erasure.receipt)).state, "done");
    assert.equal((await boot(again, wanda.visitor)).erased, true);
    await again.stop();
  });

  await t.test("a backup of before learns of it when it is restored", async () => {
    const from = ["restore", "--from", join(copies, "backup"), "--data"];
    const plain = await run([...from, join(copies, "plain")]);
    assert.equal(plain.code, 0, plain.stderr);
    assert.ok(traces(join(copies, "plain"), key).length > 0); // as it was
    const list = join(s.dir, "erasures");
    const dir = join(copies, "restored");
    const restored = await run([...from, dir, "--erasures", list]);
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(restored.stdout, /1 were in the backup and are erased again/);
    assert.deepEqual(traces(dir, key), []);
    assert.equal((await run(["verify", "--data", dir])).code, 0);
    assert.match((await run(["rebuild", "--data", dir])).stdout, /identical/);
    const bad = await run([...from, join(copies, "bad"), "--erasures", join(s.dir, "format")]);
    assert.notEqual(bad.code, 0);
    assert.match(bad.stderr, /--erasures/);
  });
});
