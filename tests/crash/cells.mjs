// SPDX-License-Identifier: MIT
// The matrix of crashes: which process dies at which moment, and how one such crash is made and judged.
import { apiJson, until } from "../lib/client.mjs";
import { Rig } from "./rig.mjs";

/** point: see proto/crash.h; most: how many different passes of it are tried; of: the process that has it. */
const AT = {
  idle: [],
  batching: [
    { point: "ingest_before_send", most: 40, of: "ingest" },
    { point: "journal_in_batch", most: 40, of: "store" },
  ],
  "before commit": [
    { point: "ingest_after_send", most: 40, of: "ingest" },
    { point: "journal_before_commit", most: 40, of: "store" },
  ],
  "between commit and ack": [{ point: "journal_before_ack", most: 40, of: "store" }],
  "between ack and answer": [
    { point: "journal_after_ack", most: 40, of: "store" },
    { point: "ingest_before_answer", most: 40, of: "ingest" },
  ],
  "during a fold commit": [
    { point: "fold_in_batch", most: 40, of: "store" },
    { point: "views_before_commit", most: 4, of: "store" },
    { point: "fold_before_drop", most: 4, of: "store" },
  ],
  "during a report": [{ point: "query_in_report", most: 6, of: "query" }],
  "during recovery": [
    { point: "fold_in_batch", most: 1, of: "store", starting: true },
    { point: "views_before_commit", most: 1, of: "store", starting: true },
    { point: "recovery_in_catch_up", most: 1, of: "store", starting: true },
  ],
};

const NOT = {
  ingest: {
    "between commit and ack":
      "ingest commits nothing: for it this is `before commit`, its frame is sent",
    "during a fold commit": "ingest does not fold: its death leaves the store as it is",
    "during a report": "ingest makes no reports",
    "during recovery": "ingest keeps nothing, so it recovers nothing",
  },
  store: { "during a report": "the store makes no reports" },
  query: {
    batching: "query only reads: no beacon goes through it",
    "before commit": "query commits nothing",
    "between commit and ack": "query commits nothing",
    "between ack and answer": "query answers no beacons",
    "during a fold commit": "query does not fold; dying with a snapshot open is `during a report`",
    "during recovery": "query keeps nothing, so it recovers nothing",
  },
};

export const TARGETS = ["serve", "ingest", "store", "query"];
export const SITES = ["demo", "shop"];

/** All combinations: {target, moment, points, skip}; skip is a reason. */
export const cells = TARGETS.flatMap((target) =>
  Object.entries(AT).map(([moment, points]) => ({
    target,
    moment,
    points: points.filter(({ of }) => target === "serve" || target === of),
    skip: NOT[target]?.[moment],
  })),
);

/** All processes that the target needs, running. */
export function startRig(t, target) {
  return new Rig(t, target, { sites: SITES.join(",") }).startAll();
}

/** The first 2xx for a request that was begun after a death; where only query died, its first report. */
function firstSign(rig, oracle, name, died) {
  if (name === "query") {
    return until(() => apiJson(rig.server, "/v1/balance"), "a report").then(() =>
      performance.now(),
    );
  }
  return oracle.firstAck(died);
}

/**
 * Starts the dead process again while clients go on, or, where look is set, while they hold still, to see what the
 * crash left before they send anything again. Judges; returns the ms from the death to the first sign, or null.
 */
async function recover(rig, oracle, load, { name = rig.target, look = false }) {
  const died = performance.now();
  if (look) {
    const stopped = load.stop();
    await rig.start(name);
    await stopped;
    await oracle.verifyBounds(rig.server);
    await oracle.verify(rig.server);
    return null;
  }
  const first = name === "query" ? null : firstSign(rig, oracle, name, died);
  first?.catch(() => {}); // a start that fails is the error to show
  await rig.start(name);
  const recovery_ms = (await (first ?? firstSign(rig, oracle, name, died))) - died;
  await load.stop();
  await oracle.verify(rig.server);
  return recovery_ms;
}

/**
 * Kills the target once more and judges. round chooses the point and its pass. The target runs before and after.
 * Returns {point, recovery_ms}.
 */
export async function crash(rig, oracle, cell, round) {
  oracle.turnOver();
  if (cell.moment === "idle") {
    const before = oracle.load(rig.server);
    await before.acks(20);
    await before.stop();
    await rig.kill();
    const load = oracle.load(rig.server);
    return { point: "SIGKILL", recovery_ms: await recover(rig, oracle, load, {}) };
  }
  const at = cell.points[round % cell.points.length];
  const look = Math.floor(round / cell.points.length) % 2 === 1;
  const first = at.starting ? 1 : 3; // the hello of a start passes some points before `ready`
  const pass = `${at.point}:${first + ((round * 7 + 3) % at.most)}`;
  await rig.kill(); // idle; the next one is armed
  let load;
  if (at.starting) {
    // What is committed and not yet folded is what the start has to fold.
    await rig.start(rig.target, `journal_before_ack:${3 + (round % 20)}`);
    load = oracle.load(rig.server);
    await rig.death("journal_before_ack");
    await rig.startInVain(pass);
  } else {
    await rig.start(rig.target, pass);
    load = oracle.load(rig.server);
    await rig.death(pass);
  }
  const recovery_ms = await recover(rig, oracle, load, { look });
  return { point: at.point + (at.starting ? " at start" : ""), recovery_ms };
}

/** SIGKILL from outside under load, at a moment drawn by chance; some of the starts that follow are killed, too. */
export async function crashByChance(rig, oracle, random, name) {
  oracle.turnOver();
  const load = oracle.load(rig.server);
  await load.acks(1 + Math.floor(random() * 60));
  await rig.kill(name);
  while (random() < 0.3) await rig.startAndKill(name, random() * 400);
  const recovery_ms = await recover(rig, oracle, load, { name, look: random() < 0.3 });
  return { point: "SIGKILL under load", recovery_ms };
}
