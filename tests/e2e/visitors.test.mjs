// SPDX-License-Identifier: MIT
// Visitors through the front door: the list and the search in pages while others come, one visitor with history, visits and
// timeline, all of one person in a file; against a recount here of what was sent. CB_TRANSPORT: inproc, ipc or tcp.
import assert from "node:assert/strict";
import test from "node:test";

import {
  api,
  apiJson,
  envelope,
  event,
  hex,
  post,
  totalsWith,
  until,
  write,
} from "../lib/client.mjs";
import { randomOf } from "../lib/oracle.mjs";
import { start } from "../lib/server.mjs";

const transport = process.env.CB_TRANSPORT ?? "inproc";
const NAMES = ["Ada", "Adam", "Bob", "Zoë", "O'Brien", "van", "King", "Κώστας", "Straße"];
const HOSTS = ["mail.example", "ada.example", "post.test"];

/** What the service looks for, said another way: marks off, lower case, words of letters and digits. */
const words = (text) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replaceAll("ß", "ss")
    .replaceAll("ς", "σ")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);

function isFound(person, q) {
  const wanted = words(q).join(" ");
  const name = words(person.name);
  const email = words(person.email);
  const begins = (list, till) =>
    list.some((_, i) => i < till && list.slice(i).join(" ").startsWith(wanted));
  const groups = person.phone.split(/[^0-9]+/).filter(Boolean);
  const digits = /^[0-9 +().-]+$/.test(q) && q.replace(/[^0-9]/g, "");
  if (digits) return groups.some((_, i) => groups.slice(i).join("").startsWith(digits));
  return begins(name, 6) || begins(email, Math.min(6, email.length - 1));
}

/** Every page of a list. between: called after each page. */
async function pages(s, path, limit, between = async () => {}) {
  const rows = [];
  let last;
  let cursor = "";
  do {
    last = await apiJson(s, `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${cursor}`);
    assert.ok(last.rows.length <= limit);
    rows.push(...last.rows);
    cursor = `&cursor=${last.next}`;
    await between();
  } while (last.next !== null);
  return { rows, last };
}

const keys = (rows) => rows.map((row) => row.visitor);
const sorted = (list) => [...list].sort();

test(`visitors over ${transport}`, async (t) => {
  const s = await start(t, transport, { args: ["--sites", "demo,shop"] });
  const random = randomOf(20260101);
  const dice = (n) => Math.floor(random() * n);
  const people = [];
  let sets = 0;
  for (let i = 0; i < 60; i++) {
    const person = {
      ids: { visitor: hex(16), producer: hex(8) },
      name: `${NAMES[dice(NAMES.length)]} ${NAMES[dice(NAMES.length)]}`,
      email: `${NAMES[dice(3)]}.${i}@${HOSTS[dice(HOSTS.length)]}`,
      phone: `+420 60${dice(9)} ${100 + i} ${1000 + dice(9000)}`,
      seq: 0,
      sent: [],
    };
    person.send = async (...events) => {
      const full = events.map((e) => ({ ...e, seq: ++person.seq }));
      assert.equal((await post(s, envelope(full, person.ids))).status, 204);
      person.sent.push(...full);
    };
    await person.send(
      event(0, "onWebChatLoaded"),
      event(0, "set", { key: "name", value: person.name }),
      event(0, "set", { key: "email", value: person.email }),
      event(0, "set", { key: "phone", value: person.phone }),
    );
    sets += 3;
    people.push(person);
  }
  await totalsWith(s, "set", sets);
  const all = (await pages(s, "/v1/sites/demo/visitors", 200)).rows;
  assert.equal(all.length, people.length);
  for (const person of people) {
    const row = all.find((r) => r.email === person.email);
    person.key = row.visitor;
    for (const field of ["name", "email", "phone"]) assert.equal(row[field], person[field]);
    assert.equal(row.events, 4);
    assert.equal(row.sessions, 1);
  }

  await t.test("a search finds who it should, each once, in pages of any size", async () => {
    const asked = ["a", "AD", "adam", "zoe", "Zoë", "strasse k", "o'b", "brien", "van a", "κωσ", "example",
      "ada.1", "mail ex", "420", "603-1", "(101)", "1", "test", "q", "Bob.2@mail.example"]; // prettier-ignore
    for (const q of asked) {
      const path = `/v1/sites/demo/visitors?q=${encodeURIComponent(q)}`;
      const { rows } = await pages(s, path, 1 + dice(9));
      const want = people.filter((person) => isFound(person, q)).map((person) => person.key);
      assert.deepEqual(sorted(keys(rows)), sorted(want), q);
    }
    const [{ key }] = people;
    for (const q of [key, key.slice(0, 12).toUpperCase()])
      assert.deepEqual(keys((await apiJson(s, `/v1/sites/demo/visitors?q=${q}`)).rows), [key]);
    assert.deepEqual((await apiJson(s, "/v1/sites/shop/visitors?q=ada")).rows, []);
  });

  await t.test("pages stand still while visitors come and come again", async () => {
    let fresh = 0;
    const more = async () => {
      const ids = { visitor: hex(16), producer: hex(8) };
      const value = `Ada Newcomer ${++fresh}`;
      const set = event(1, "set", { key: "name", value });
      assert.equal((await post(s, envelope([set], ids))).status, 204);
      await people[fresh % 5].send(event(0, "page"));
      await until(
        async () => (await apiJson(s, `/v1/sites/demo/visitors?q=newcomer ${fresh}`)).rows[0],
        "the newcomer",
      );
    };
    for (const path of ["/v1/sites/demo/visitors", "/v1/sites/demo/visitors?q=a"]) {
      const known = new Set(keys((await pages(s, path, 200)).rows));
      const again = new Set(people.slice(0, 5).map((person) => person.key));
      const { rows } = await pages(s, path, 7, more);
      assert.equal(new Set(keys(rows)).size, rows.length, "nobody twice");
      const seen = new Set(keys(rows));
      for (const key of known) assert.ok(seen.has(key) || again.has(key), "nobody is left out");
    }
  });

  await t.test("one visitor: who wrote what and when, and the visits", async () => {
    const person = people[10];
    const path = `/v1/sites/demo/visitors/${person.key}`;
    const token = (await write(s, "POST /v1/tokens", { role: "operator", site: "demo" })).json();
    const began = Date.now();
    await person.send(event(0, "set", { key: "name", value: "By form", source: "form" }));
    await until(async () => (await apiJson(s, path)).name === "By form", "the form's");
    const patched = await write(s, `PATCH ${path}`, { name: "By hand", remarks: "r" }, token.token);
    assert.equal(patched.status, 200, patched.text);
    for (let i = 0; i < 25; i++)
      await person.send(event(0, "set", { key: "notes", value: `note ${i}` }));
    await until(async () => (await apiJson(s, path)).notes === "note 24", "the last note");
    const one = await apiJson(s, path);
    assert.deepEqual(
      one.history.name.map(({ value, source, by }) => [value, source, by]),
      [
        ["By hand", "operator", token.id],
        ["By form", "form", undefined],
        [person.name, "api", undefined],
      ],
    );
    for (const { at } of one.history.name.slice(0, 2))
      assert.ok(at >= began - 2000 && at <= Date.now() + 2000);
    assert.deepEqual(
      one.history.notes.map(({ value }) => value),
      Array.from({ length: 21 }, (_, i) => `note ${24 - i}`),
    );
    assert.deepEqual(one.history.remarks.map(({ value }) => value), ["r"]); // prettier-ignore
    assert.equal(one.visits.length, 1);
    assert.equal(one.visits[0].events, person.sent.length);
    assert.equal(one.events, person.sent.length);
    person.name = "By hand";
  });

  await t.test("the timeline is what the export has of them, backwards", async () => {
    const [person] = people;
    await person.send(
      event(0, "message", { text: "Hello?" }),
      ...Array.from({ length: 40 }, () => event(0, "onClick")),
    );
    const again = person.sent.slice(0, 3); // counted once: not in it twice
    assert.equal((await post(s, envelope(again, person.ids))).status, 204);
    const path = `/v1/sites/demo/visitors/${person.key}`;
    await until(async () => (await apiJson(s, path)).events === person.sent.length, "all of it");
    const exported = (await api(s, "/v1/sites/demo/export")).text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .filter((row) => row.visitor === person.key);
    assert.equal(exported.length, person.sent.length);
    for (const limit of [1, 7, 200]) {
      const { rows, last } = await pages(s, `${path}/events`, limit);
      assert.deepEqual(rows, exported.toReversed());
      assert.equal(last.trimmed, false);
    }
    // Who comes while it is read goes to its beginning, which was read already.
    let late = 0;
    const { rows } = await pages(s, `${path}/events`, 11, async () => {
      if (late++ < 3) await person.send(event(0, "page"));
    });
    assert.deepEqual(rows, exported.toReversed());
  });

  await t.test("all of a person in one file", async () => {
    const person = people[10];
    const path = `/v1/sites/demo/visitors/${person.key}`;
    const answer = await api(s, `${path}?format=json`);
    assert.equal(answer.status, 200);
    assert.match(
      answer.headers["content-disposition"],
      new RegExp(`^attachment; filename="demo-${person.key}\\.json"$`),
    );
    const { timeline, trimmed, ...one } = answer.json();
    assert.deepEqual(one, await apiJson(s, path));
    assert.equal(trimmed, false);
    assert.deepEqual(timeline, (await pages(s, `${path}/events`, 100)).rows);
    assert.equal(timeline.length, person.sent.length);
    assert.ok(answer.text.includes("note 3") && timeline[0].producer === person.ids.producer);
  });

  await t.test("what is wrong is said, by its name", async () => {
    const path = `/v1/sites/demo/visitors`;
    const one = `${path}/${people[0].key}`;
    const found = await apiJson(s, `${path}?q=a&limit=1`);
    for (const [at, field] of [
      [`${path}?q=-`, "q"],
      [`${path}?q=${"a".repeat(257)}`, "q"],
      [`${path}?q=a&q=b`, "q"],
      [`${path}?q=%ff`, "q"],
      [`${path}?cursor=${found.next}`, "cursor"],
      [`${path}?q=bob&cursor=${found.next}`, "cursor"],
      [`${path}?q=a&cursor=${found.next}00`, "cursor"],
      [`${path}?q=a&cursor=`, "cursor"],
      [`${path}?limit=0`, "limit"],
      [`${one}?format=csv`, "format"],
      [`${one}?limit=5`, "limit"],
      [`${one}/events?limit=201`, "limit"],
      [`${one}/events?cursor=1`, "cursor"],
      [`${one}/events?cursor=1-1&cursor=1-1`, "cursor"],
      [`${path}/12/events`, "visitor"],
    ]) {
      const answer = await api(s, at);
      assert.equal(answer.status, 400, at);
      assert.equal(answer.json().error.field, field, at);
    }
    for (const at of ["", "/events", "?format=json"])
      assert.equal((await api(s, `${path}/${hex(16)}${at}`)).status, 404, at);
    const viewer = (await write(s, "POST /v1/tokens", { role: "viewer" })).json().token;
    for (const at of [path, one, `${one}/events`, `${one}?format=json`])
      assert.equal((await api(s, at, viewer)).status, 403, at);
    const operator = (await write(s, "POST /v1/tokens", { role: "operator" })).json().token;
    const events = (await api(s, `${one}/events`, operator)).json();
    assert.ok(events.rows.length > 0 && events.rows.every((row) => !("producer" in row)));
  });
});
