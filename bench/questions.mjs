// SPDX-License-Identifier: MIT
// What bench/reports asks: a report of the private API, and the same in SQL. ours(answer) and theirs(rows, where) give the same
// value where both are right. A visit (column visit) is a session here, as history.mjs draws them.
import { DAY } from "./history.mjs";

const FUNNEL = ["onWebChatLoaded", "onTrigger", "onClick", "onMaximize", "onStartWriting"];
const number = (cell) => Number(cell);

const byTime = (grain, name, days, sql, step, event) => ({
  name,
  days,
  path: `timeseries?grain=${grain}${event ? `&event=${event}` : ""}`,
  ours: ({ points }) => points.map(({ t, events, visitors }) => [t, events, visitors]),
  async theirs(rows, where, { from, to }) {
    const found = new Map();
    const only = event ? ` AND name = '${event}'` : "";
    for (const [t, events, visitors] of await rows(
      `SELECT toUInt32(${sql}) AS t, count(), uniqExact(visitor) FROM events WHERE ${where}${only} GROUP BY t`,
    ))
      found.set(1000 * t, [1000 * t, number(events), number(visitors)]);
    const points = [];
    for (let t = from; t < to; t += step) points.push(found.get(t) ?? [t, 0, 0]);
    return points;
  },
});

const totals = (days) => ({
  name: `totals, ${days} days`,
  days,
  path: "totals",
  ours: ({ events, visitors, sessions }) => [Object.entries(events).sort(), visitors, sessions],
  async theirs(rows, where) {
    const byName = await rows(
      `SELECT toString(name), count() FROM events WHERE ${where} GROUP BY name ORDER BY toString(name)`,
    );
    const [[visitors, sessions]] = await rows(
      `SELECT uniqExact(visitor), uniqExact(visit) FROM events WHERE ${where}`,
    );
    return [
      byName.map(([name, n]) => [name, number(n)]).sort(),
      number(visitors),
      number(sessions),
    ];
  },
});

const breakdown = (by, days, limit, only) => ({
  name: `${by}s, ${days} days`,
  days,
  path: `breakdown?by=${by}&limit=${limit}`,
  ours: ({ rows, other }) => [
    rows.map(({ value, events, visitors }) => [value, events, visitors]),
    other.events,
    other.values,
  ],
  async theirs(rows, where) {
    const found = await rows(
      `SELECT toString(${by}) AS value, count() AS n, uniqExact(visitor) FROM events WHERE ${where}${only}
       GROUP BY value ORDER BY n DESC, value LIMIT ${limit}`,
    );
    const [[events, values]] = await rows(
      `SELECT count(), uniqExact(${by}) FROM events WHERE ${where}${only}`,
    );
    const first = found.map(([value, n, visitors]) => [value, number(n), number(visitors)]);
    const shown = first.reduce((sum, [, n]) => sum + n, 0);
    return [first, number(events) - shown, number(values) - first.length];
  },
});

const firsts = (where) =>
  `SELECT visit, ${FUNNEL.map((name, i) => `minIf(ms, name = '${name}') AS t${i}`).join(", ")},
    maxIf(ms, name = 'message') AS t5 FROM events WHERE ${where} GROUP BY visit`;

export const QUESTIONS = [
  totals(30),
  totals(90),
  byTime("hour", "hours of 7 days", 7, "toStartOfHour(at)", DAY / 24),
  byTime("day", "days of 30 days", 30, "toStartOfDay(at)", DAY),
  byTime("day", "days of 90 days, onClick", 90, "toStartOfDay(at)", DAY, "onClick"),
  breakdown("page", 30, 50, ""),
  breakdown("trigger", 90, 10, " AND name = 'onTrigger'"),
  {
    name: "sessions, 30 days",
    days: 30,
    path: "sessions",
    ours: ({ sessions, events, interacted, duration: { mean_ms } }) => [
      sessions,
      events,
      interacted,
      mean_ms,
    ],
    async theirs(rows, where) {
      const [cells] =
        await rows(`SELECT count(), sum(n), countIf(acted > 0), sum(length) FROM (SELECT visit, count() AS n,
          countIf(name IN ('onClick', 'onMaximize', 'onStartWriting', 'message')) AS acted, max(ms) - min(ms) AS length
          FROM events WHERE ${where} GROUP BY visit)`);
      const [sessions, events, interacted, length] = cells.map(number);
      return [
        sessions,
        events,
        interacted,
        Math.floor((length + Math.floor(sessions / 2)) / sessions),
      ];
    },
  },
  {
    name: "funnel, 30 days",
    days: 30,
    path: "funnel",
    ours: ({ steps }) => steps.map(({ visits }) => visits),
    async theirs(rows, where) {
      // Each step for the first time not before the one before it.
      let all = "t0 > 0";
      const reached = [all];
      for (let i = 1; i <= 5; i++) reached.push((all += ` AND t${i} > 0 AND t${i} >= t${i - 1}`));
      const [cells] = await rows(
        `SELECT ${reached.map((test) => `countIf(${test})`).join(", ")} FROM (${firsts(where)})`,
      );
      return cells.map(number);
    },
  },
  {
    name: "timings, 30 days: counts",
    days: 30,
    path: "timings",
    ours: (answer) =>
      ["loaded_click", "loaded_maximize", "maximize_writing", "trigger_maximize"].map(
        (name) => answer[name].count,
      ),
    async theirs(rows, where) {
      const pairs = [
        [0, 2],
        [0, 3],
        [3, 4],
        [1, 3],
      ].map(([a, b]) => `countIf(t${a} > 0 AND t${b} >= t${a})`);
      const [cells] = await rows(`SELECT ${pairs.join(", ")} FROM (${firsts(where)})`);
      return cells.map(number);
    },
  },
  {
    name: "triggers, 30 days",
    days: 30,
    path: "triggers",
    ours: ({ triggers }) => triggers.map(({ id, shown, opened }) => [id, shown, opened]).sort(),
    async theirs(rows, where) {
      const found =
        await rows(`SELECT id, count(), countIf(opened > 0 AND opened >= shown) FROM (SELECT visit,
          anyIf(trigger, name = 'onTrigger') AS id, minIf(ms, name = 'onTrigger') AS shown, minIf(ms, name = 'onMaximize') AS opened
          FROM events WHERE ${where} GROUP BY visit HAVING shown > 0) GROUP BY id ORDER BY id`);
      return found.map(([id, shown, opened]) => [id, number(shown), number(opened)]).sort();
    },
  },
  {
    name: "retention by day, 30 days",
    days: 30,
    path: "retention?by=day",
    ours: ({ cohorts }) => cohorts.map(({ t, size, returned }) => [t, size, returned]),
    async theirs(rows, where, { site, from, to }) {
      const found = new Map();
      for (const [day, after, visitors] of await rows(
        `SELECT toUInt32(toStartOfDay(first)) AS day, intDiv(toUInt32(toStartOfDay(at)) - day, 86400) AS after, uniqExact(visitor)
         FROM (SELECT visitor, at, first FROM events ANY INNER JOIN
           (SELECT visitor, min(at) AS first FROM events WHERE site = ${site} GROUP BY visitor) USING visitor WHERE ${where})
         WHERE day >= ${from / 1000} GROUP BY day, after`,
      ))
        found.set(`${day * 1000} ${after}`, number(visitors));
      const cohorts = [];
      for (let t = from; t < to; t += DAY) {
        const returned = [];
        for (let after = 0; t + after * DAY < to; after++)
          returned.push(found.get(`${t} ${after}`) ?? 0);
        cohorts.push([t, returned[0], returned]);
      }
      return cohorts;
    },
  },
];
