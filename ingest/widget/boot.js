// SPDX-License-Identifier: MIT
// boot.js: asks the server for the site's status and settings and for this visitor's fields.

const TRIES = 4;
const ANSWER_MS = 5000;

/** @typedef {import("./trigger.js").Rule} Rule */
/** @typedef {import("./texts.js").Texts} Texts */
/**
 * @typedef {object} Settings what the owner set for the site's pages, as it came: whoever uses one
 *   checks it. A setting that was never set is not there.
 * @property {{l1?: Partial<Texts>, l2?: Partial<Texts>}} [texts]
 * @property {string[]} [l2_languages] visitors whose browser speaks one of these get l2
 * @property {string} [position] bottom-right, bottom-left, top-right, top-left
 * @property {string} [colour] #rrggbb
 * @property {{field: string, required?: boolean}[]} [form] the form before a chat
 * @property {boolean} [hide_when_offline]
 */
/**
 * @typedef {object} Boot
 * @property {"online" | "offline"} status
 * @property {Record<string, string>} visitor the fields
 * @property {boolean} erased the visitor was erased: the id is not to be used any more
 * @property {Rule[]} triggers
 * @property {Settings} settings
 */

/**
 * The server's answer, with every field there and of its type.
 * @param {any} answer
 * @returns {Boot}
 */
function checked(answer) {
  /** @type {Record<string, string>} */
  const visitor = {};
  for (const [key, value] of Object.entries(answer?.visitor ?? {})) {
    if (typeof value === "string") visitor[key] = value;
  }
  return {
    status: answer?.status === "online" ? "online" : "offline",
    visitor,
    erased: answer?.erased === true,
    triggers: Array.isArray(answer?.triggers) ? answer.triggers : [],
    settings: answer ?? {},
  };
}

/**
 * Calls settled once for the first try, with null when it failed, and once more when a later try
 * succeeds. Calls refused instead when the server does not want this site or page.
 * @param {string} url
 * @param {{site: string, visitor: string}} question
 * @param {(boot: Boot | null) => void} settled
 * @param {(message: string) => void} refused
 */
export async function boot(url, question, settled, refused) {
  for (let tries = 1; tries <= TRIES; tries++) {
    let waitMs = 0;
    try {
      const response = await fetch(url, {
        method: "POST",
        body: JSON.stringify(question),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout?.(ANSWER_MS),
      });
      const answer = await response.json();
      if (response.ok) return settled(checked(answer));
      if (response.status < 500 && response.status !== 429) {
        return refused(String(answer?.error?.message ?? response.status));
      }
      waitMs = Math.min(Number(response.headers.get("Retry-After")) || 0, 3600) * 1000;
    } catch {
      // No answer, or not JSON: try again.
    }
    if (tries === 1) settled(null);
    waitMs ||= 2000 * 2 ** tries;
    await new Promise((resolve) => setTimeout(resolve, waitMs * (1 + Math.random() / 4)));
  }
}
