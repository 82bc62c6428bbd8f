// SPDX-License-Identifier: MIT
// boot.js: asks the server for the site's status and settings and for this visitor's fields.
import { post } from "./post.js";
import { warn } from "./warn.js";

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
 * @property {Rule[]} [triggers]
 * @property {boolean} [consent_needed]
 */
/**
 * @typedef {object} About
 * @property {"online" | "offline"} status
 * @property {Record<string, string>} [visitor] the fields
 * @property {boolean} [erased] the visitor was erased: the id is not to be used any more
 */
/** @typedef {Settings & About} Boot the server's answer */

/**
 * Calls settled once for the first try, with null when it failed, and once more when a later try
 * succeeds; never when the server does not want this site or page.
 * @param {string} url
 * @param {() => {site: string, visitor?: string}} question
 * @param {(boot: Boot | null) => void} settled
 * @param {number} [tries] this one as well
 */
export function boot(url, question, settled, tries = 1) {
  void post(url, question(), ANSWER_MS, false, (status, answer, waitMs) => {
    if (status === 200 && answer) return settled(answer);
    if (status >= 400 && status < 500 && status !== 429) {
      return warn(`the widget stays away: ${answer?.error?.message ?? status}`);
    }
    if (tries === 1) settled(null);
    if (tries === TRIES) return;
    const ms = (waitMs || 2000 * 2 ** tries) * (1 + Math.random() / 4);
    setTimeout(boot, ms, url, question, settled, tries + 1);
  });
}
