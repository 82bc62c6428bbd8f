// SPDX-License-Identifier: MIT
// Clients that remember what they sent and what they were told, and a judge that compares that with what the server
// says it has. Whatever broke in between: what was answered 2xx is counted exactly once, and nothing else is counted
// but what was sent.
import assert from "node:assert/strict";
import { api, apiJson, balanced, hex, noise, post, request, until } from "./client.mjs";

const NAMES = ["onWebChatLoaded", "onClick", "onMaximize", "message", "page", "cart.filled"];
const DAY_MS = 24 * 3600 * 1000;
const AGAIN_MS = 25; // a client that was refused or cut off waits this long, so that the machine is left to the server
const SETTLE_MS = 60000;

/** Numbers that look random and are the same for the same seed. */
export function randomOf(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const add = (map, key, n = 1) => map.set(key, (map.get(key) ?? 0) + n);

/** A producer's side of the story. Its events go out in order, each envelope until it is answered. */
class Producer {
  constructor(site, visitor, producer) {
    Object.assign(this, { site, visitor, producer });
    this.seq = 0;
    this.skipped = 0; // numbers that it never sends: the books must call them lost
    this.open = null; // an envelope without an answer
    this.last = null; // the last one that was answered, to be sent once more now and then
    this.name = null; // what its last `set` of the visitor's name wrote
  }
}

export class Oracle {
  /**
   * seed makes the same events again. bad, gaps, repeats: the shares of events that break a rule, of numbers that are
   * left out, and of answered envelopes that are sent again all the same. trimmed: the service keeps no more than the newest
   * single events, so the export lacks the oldest.
   */
  constructor({
    sites = ["demo"],
    producers = 12,
    seed = Date.now() >>> 0,
    bad = 0.04,
    gaps = 0.03,
    repeats = 0.05,
    events_max = 5,
    trimmed = false,
  } = {}) {
    Object.assign(this, { sites, seed, bad, gaps, repeats, events_max, trimmed });
    this.random = randomOf(seed);
    this.producers = [];
    this.retired = [];
    this.events = new Map(); // "site producer seq" → {site, visitor, producer, seq, name, reason, tries, state}
    this.requests = { sent: 0, answered: 0, busy: 0, broken: 0 };
    this.cut = []; // when the requests began that got no answer
    this.acked = 0; // events
    this.lost = 0; // found by verify
    this.doubled = 0;
    this.exports = new Map(); // site → where its export was read to, and what was in it
    this.visitor_keys = new Map();
    this.listeners = new Set();
    for (let i = 0; i < producers; i++) this.#addProducer();
    this.barriers = sites.map((site) => this.#makeProducer(site, null, hex(8)));
  }

  #makeProducer(site, visitor, id) {
    const p = new Producer(site, visitor, id);
    p.setter = visitor !== null && !this.producers.some((q) => q.visitor === visitor);
    return p;
  }

  /** Now and then a second tab of the same visitor, or the same producer's id under another site. */
  #addProducer() {
    const i = this.producers.length + this.retired.length;
    const other = this.producers.at(-1);
    let [visitor, id] = [hex(16), hex(8)];
    if (other && i % 4 === 1) visitor = other.visitor;
    if (other && i % 4 === 3 && this.sites.length > 1) id = other.producer;
    this.producers.push(
      this.#makeProducer(this.sites[(i >> 1) % this.sites.length], visitor, this.#freeId(id, i)),
    );
  }

  #freeId(id, i) {
    const site = this.sites[(i >> 1) % this.sites.length];
    return this.producers.some((q) => q.site === site && q.producer === id) ? hex(8) : id;
  }

  /** New pages take the place of the oldest ones that wait for nothing. */
  turnOver(n = 2) {
    for (const p of this.producers.filter((q) => !q.open).slice(0, n)) {
      this.producers.splice(this.producers.indexOf(p), 1);
      p.last = null;
      this.retired.push(p);
      this.#addProducer();
    }
  }

  #draft(p) {
    const n = 1 + Math.floor(this.random() * this.events_max);
    const open = [];
    for (let i = 0; i < n; i++) {
      if (this.random() < this.gaps) {
        p.seq++;
        p.skipped++;
      }
      const event = {
        site: p.site,
        visitor: p.visitor,
        producer: p.producer,
        seq: ++p.seq,
        name: NAMES[Math.floor(this.random() * NAMES.length)],
        reason: null,
        tries: 0,
        answers: 0,
        state: "sent",
      };
      const more = { at: Date.now(), page: `https://shop.example/${p.seq % 7}` };
      const dice = this.random();
      if (dice < this.bad / 2) {
        event.reason = "bad_time";
        more.at -= 9 * DAY_MS;
      } else if (dice < this.bad) {
        event.reason = "bad_event";
        event.name = "9 is no name";
      } else if (p.setter && dice > 0.9) {
        event.name = "set";
        Object.assign(more, { key: "name", value: `v${p.seq}` });
        event.value = more.value;
      } else if (this.trimmed) {
        more.props = { noise: noise(800) }; // the journal fills although it is packed
      }
      event.wire = { seq: event.seq, name: event.name, ...more };
      open.push(event);
    }
    return open;
  }

  /** Sends the events once. Resolves to "answered", "busy" or "broken". */
  async #attempt(server, p, events) {
    const began = performance.now();
    this.requests.sent++;
    for (const e of events) {
      const key = `${e.site} ${e.producer} ${e.seq}`;
      if (!this.events.has(key)) this.events.set(key, e);
      e.tries++;
      e.sent_ms = Date.now();
    }
    const body = {
      site: p.site,
      producer: p.producer,
      sent: Date.now(),
      events: events.map((e) => e.wire),
    };
    if (p.visitor) body.visitor = p.visitor;
    let answer;
    try {
      answer = await post(server, body);
    } catch {
      this.requests.broken++;
      this.cut.push(began);
      return "broken";
    }
    if (answer.status === 503 || answer.status === 429) {
      assert.match(
        answer.headers["retry-after"] ?? "",
        /^[0-9]+$/,
        "a refusal tells when to retry",
      );
      this.requests.busy++;
      return "busy";
    }
    this.requests.answered++;
    this.#take(events, answer);
    if (answer.status < 300) for (const each of this.listeners) each(began);
    return "answered";
  }

  /** What an answer says of each event, and that it says so of the right ones. */
  #take(events, answer) {
    assert.ok(answer.status === 204 || answer.status === 200 || answer.status === 400, answer.text);
    const rejected = answer.status === 204 ? [] : answer.json().rejected;
    const codes = new Map(rejected.map((r) => [r.index, r.code]));
    events.forEach((e, i) => {
      assert.equal(codes.get(i) ?? null, e.reason, `verdict on ${JSON.stringify(e.wire)}`);
      e.answers++;
      e.status = answer.status;
      e.answered_ms = Date.now();
      if (e.state === "sent" && !e.reason) this.acked++;
      e.state = e.reason ? "refused" : "acked";
    });
  }

  async #push(server, p, load) {
    while (!load.over) {
      p.open ??= this.#draft(p);
      const result = await this.#attempt(server, p, p.open);
      if (result === "answered") {
        p.last = p.open;
        p.open = null;
        if (this.random() < this.repeats) await this.#attempt(server, p, p.last);
      } else if (!load.over) {
        await wait(AGAIN_MS);
      }
    }
  }

  /** What readers see never goes back, and never runs ahead of what was sent. */
  async #watch(server, load) {
    const seen = new Map();
    while (!load.over) {
      let balance;
      try {
        const answer = await api(server, "/v1/balance");
        if (answer.status !== 200) throw new Error(answer.text);
        balance = answer.json();
      } catch {
        await wait(AGAIN_MS);
        continue;
      }
      const sent = this.#expected().sent;
      for (const site of this.sites) {
        const counted = balance.sites[site]?.counted ?? 0;
        const most = [...(sent.get(site) ?? new Map()).values()].reduce((a, b) => a + b, 0);
        if (counted < (seen.get(site) ?? 0)) load.fail(`${site}: counted went back to ${counted}`);
        if (counted > most) load.fail(`${site}: ${counted} counted, ${most} sent`);
        seen.set(site, counted);
      }
      await wait(AGAIN_MS);
    }
  }

  /**
   * All producers send, each one envelope after the other, whatever happens to the server; a reader watches.
   * server may change its fields on the way. Returns {stop(), acks(n)}.
   */
  load(server, { watch = true } = {}) {
    const load = { over: false, problems: [], fail: (text) => load.problems.push(text) };
    const running = this.producers.map((p) => this.#push(server, p, load));
    if (watch) running.push(this.#watch(server, load));
    // A client that fails an assertion is told of by stop(), not as a rejection that nobody waits for.
    const ended = Promise.allSettled(running);
    return {
      /** Begins no more requests; resolves when those that run are answered. */
      stop: async () => {
        load.over = true;
        for (const { reason } of await ended) if (reason) throw reason;
        if (load.problems.length > 0) throw new Error(load.problems.join("\n"));
      },
      /** Resolves after n more envelopes got a 2xx. */
      acks: (n) =>
        within(
          new Promise((resolve) => {
            const each = () => {
              if (--n > 0) return;
              this.listeners.delete(each);
              resolve();
            };
            this.listeners.add(each);
          }),
          SETTLE_MS,
          `${n} answers`,
        ),
    };
  }

  /** Resolves when a request that was begun after `since` (of performance.now) gets a 2xx. */
  firstAck(since) {
    return within(
      new Promise((resolve) => {
        const each = (began) => {
          if (began < since) return;
          this.listeners.delete(each);
          resolve(performance.now());
        };
        this.listeners.add(each);
      }),
      SETTLE_MS,
      "a first 2xx",
    );
  }

  /** Sends what has no answer yet until it has one. */
  async settle(server) {
    const send = async (p) => {
      await until(
        async () => (await this.#attempt(server, p, p.open)) === "answered",
        "what was not answered is taken when it is sent again",
        SETTLE_MS,
      );
      p.open = null;
    };
    await Promise.all(this.producers.filter((p) => p.open).map(send));
  }

  /** By site and name: events that were acked, that were sent at all; refused by reason; receipts. */
  #expected() {
    const by = { acked: new Map(), sent: new Map() };
    const put = (map, site, name) => {
      if (!map.has(site)) map.set(site, new Map());
      add(map.get(site), name);
    };
    for (const e of this.events.values()) {
      if (e.reason) continue;
      put(by.sent, e.site, e.name);
      if (e.state === "acked") put(by.acked, e.site, e.name);
    }
    return by;
  }

  /** Counts the difference, and says it. */
  #compare(what, counted, low, high, problems) {
    if (counted < low) {
      this.lost += low - counted;
      problems.push(`${what}: ${counted} counted, ${low} answered 2xx`);
    } else if (counted > high) {
      this.doubled += counted - high;
      problems.push(`${what}: ${counted} counted, ${high} sent`);
    }
  }

  #throw(problems, of) {
    if (problems.length > 0) {
      throw new Error(`${of} (seed ${this.seed}):\n${problems.slice(0, 20).join("\n")}`);
    }
  }

  /** While some events have no answer: acked <= counted <= sent, for each site and name. No load may run. */
  async verifyBounds(server) {
    const { acked, sent } = this.#expected();
    const problems = [];
    for (const site of this.sites) {
      const low = acked.get(site) ?? new Map();
      const high = sent.get(site) ?? new Map();
      let totals;
      await until(async () => {
        totals = (await apiJson(server, `/v1/sites/${site}/totals`)).events;
        return [...low].every(([name, n]) => (totals[name] ?? 0) >= n);
      }, `what was answered is in the totals of ${site}`).catch(() => {});
      for (const name of new Set([...low.keys(), ...Object.keys(totals)])) {
        const [l, h] = [low.get(name) ?? 0, high.get(name) ?? 0];
        this.#compare(`${site} ${name}`, totals[name] ?? 0, l, h, problems);
      }
    }
    await balanced(server);
    this.#throw(problems, "before what was not answered was sent again");
  }

  /** All is answered, and a last event of each site is folded: so all that came before it is. */
  async #barrier(server) {
    for (const p of this.barriers) {
      p.open = this.#draftBarrier(p);
      await until(
        async () => (await this.#attempt(server, p, p.open)) === "answered",
        "a last event is taken",
        SETTLE_MS,
      );
      p.open = null;
    }
    for (const { site, seq } of this.barriers) {
      await until(async () => {
        const totals = await apiJson(server, `/v1/sites/${site}/totals`);
        return totals.events.barrier >= seq;
      }, `the last event of ${site} is in the totals`);
    }
  }

  #draftBarrier(p) {
    const wire = { seq: ++p.seq, name: "barrier", at: Date.now() };
    const { site, producer } = p;
    const more = { visitor: null, reason: null, tries: 0, answers: 0, state: "sent", wire };
    return [{ site, producer, seq: p.seq, name: "barrier", ...more }];
  }

  /**
   * Sends again what has no answer, then: each event that was answered 2xx is counted exactly once and nothing else
   * is; visitors and sessions; the books, by reason. No load may run.
   */
  async verify(server) {
    await this.settle(server);
    await this.#barrier(server);
    const { acked } = this.#expected();
    const problems = [];
    const balance = await balanced(server);
    const total = { counted: 0, received: 0, duplicate: 0, lost: 0 };
    for (const site of this.sites) {
      const expected = acked.get(site) ?? new Map();
      const totals = await apiJson(server, `/v1/sites/${site}/totals`);
      for (const name of new Set([...expected.keys(), ...Object.keys(totals.events)])) {
        const n = expected.get(name) ?? 0;
        this.#compare(`${site} ${name}`, totals.events[name] ?? 0, n, n, problems);
      }
      this.#verifyPeople(site, totals, problems);
      this.#verifyBooks(site, balance.sites[site], problems);
      for (const key of Object.keys(total)) total[key] += balance.sites[site][key];
    }
    for (const [key, n] of Object.entries(total)) {
      if (balance.total[key] !== n)
        problems.push(`total ${key}: ${balance.total[key]}, sites ${n}`);
    }
    await this.#verifyFields(server, problems);
    await this.#verifyExport(server, problems);
    this.#throw(problems, "after all was answered");
    return balance;
  }

  /** No load is long enough for a visitor's session to end. */
  #verifyPeople(site, totals, problems) {
    const people = new Set();
    for (const e of this.events.values()) {
      if (e.site === site && e.visitor && e.state === "acked") people.add(e.visitor);
    }
    if (totals.visitors !== people.size)
      problems.push(`${site}: ${totals.visitors} visitors, ${people.size} sent`);
    if (totals.sessions !== people.size)
      problems.push(`${site}: ${totals.sessions} sessions, ${people.size} sent`);
  }

  /** A request without an answer may have been received or not: so receipts have bounds, the rest is exact. */
  #verifyBooks(site, books, problems) {
    let [counted, low, high] = [0, 0, 0];
    const refused = new Map();
    for (const e of this.events.values()) {
      if (e.site !== site) continue;
      low += e.answers;
      high += e.tries;
      if (e.state === "acked") counted++;
      if (e.reason) {
        const bounds = refused.get(e.reason) ?? [0, 0];
        refused.set(e.reason, [bounds[0] + e.answers, bounds[1] + e.tries]);
      }
    }
    const all = [...this.producers, ...this.retired].filter((p) => p.site === site);
    const lost = all.reduce((n, p) => n + p.skipped, 0);
    const within = (what, n, l, h) => {
      if (n < l || n > h) problems.push(`${site}: ${what} is ${n}, not ${l} to ${h}`);
    };
    within("counted", books.counted, counted, counted);
    // Above: a frame that was sent twice on the way shows as events that no client sent.
    within("received", books.received, low, high);
    within("lost", books.lost, lost, lost);
    for (const reason of new Set([...refused.keys(), ...Object.keys(books.rejected)])) {
      within(reason, books.rejected[reason] ?? 0, ...(refused.get(reason) ?? [0, 0]));
    }
  }

  /** What the last `set` of a visitor wrote is what `boot` gives. A few visitors each time. */
  async #verifyFields(server, problems) {
    const last = new Map();
    for (const e of this.events.values()) {
      if (e.name !== "set" || e.state !== "acked") continue;
      const key = `${e.site} ${e.visitor}`;
      if ((last.get(key)?.seq ?? 0) < e.seq) last.set(key, e);
    }
    for (const e of [...last.values()].slice(-3)) {
      const answer = await request(`${server.ingest}/v1/boot`, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: JSON.stringify({ site: e.site, visitor: e.visitor }),
      });
      const name = answer.status === 200 && answer.json().visitor?.name;
      if (name !== e.value) problems.push(`${e.site}: boot has ${answer.text}, not ${e.value}`);
    }
  }

  /**
   * Each event by itself: GET …/export. Only the rows that are new since the last time are asked for, behind the last
   * row that was had, so a page that goes on after a crash is proved on the way.
   */
  async #verifyExport(server, problems, whole = false) {
    for (const site of this.sites) {
      const book = (!whole && !this.trimmed && this.exports.get(site)) || {
        cursor: "",
        position: 0,
        found: new Set(),
      };
      for (const row of await this.#readExport(server, site, book.cursor)) {
        const key = `${row.site} ${row.producer} ${row.seq}`;
        const e = this.events.get(key);
        if (book.found.has(key)) {
          this.doubled++;
          problems.push(`export: ${key} twice`);
        } else if (!e || e.site !== site || e.reason || row.name !== e.name) {
          problems.push(`export: ${JSON.stringify(row)} was not sent so`);
        } else if (e.visitor) {
          this.#verifyKey(e, row, problems);
        }
        if (row.position < book.position) problems.push(`export: ${key} is out of order`);
        book.position = row.position;
        book.cursor = `${row.position}-${row.index}`;
        book.found.add(key);
      }
      for (const [key, e] of this.trimmed ? [] : this.events) {
        if (e.site === site && e.state === "acked" && !book.found.has(key)) {
          this.lost++;
          problems.push(`export: ${key} is not there`);
        }
      }
      this.exports.set(site, book);
    }
  }

  /** An export that is overtaken by the records that go is cut off: then it is read once more, from where they begin now. */
  #readExport(server, site, cursor) {
    const read = () => exportOf(server, site, cursor);
    return this.trimmed ? until(read, `an export of ${site} that is not overtaken`) : read();
  }

  /** Once more, from the first row on. No load may run. */
  async verifyWholeExport(server) {
    const problems = [];
    await this.#verifyExport(server, problems, true);
    this.#throw(problems, "in the whole export");
  }

  /** One visitor, one key in each site, and never the id itself. */
  #verifyKey(e, row, problems) {
    const mine = `${e.site} ${e.visitor}`;
    const key = this.visitor_keys.get(mine) ?? row.visitor;
    this.visitor_keys.set(mine, key);
    if (row.visitor !== key || key === e.visitor)
      problems.push(`export: visitor ${row.visitor} for ${mine}, before ${key}`);
  }
}

/** The rows of a site's export behind the cursor. */
export async function exportOf(server, site, cursor = "") {
  const at = cursor ? `&cursor=${cursor}` : "";
  const answer = await api(server, `/v1/sites/${site}/export?format=ndjson${at}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Rejects when the promise takes longer. */
export async function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
