// SPDX-License-Identifier: MIT
// fields.js: what this browser knows of the visitor's fields. The latest value that was set here
// counts until the server has answered for it: it becomes the saved one, or it is as if it had never
// been set.

/** @typedef {import("./delivery.js").Outcome} Outcome */
/** @typedef {ReturnType<typeof createFields>} Fields */

export function createFields() {
  /** @type {Record<string, string>} */
  let saved = {};
  /** @type {Map<string, {value: string}[]>} set here and not answered for, oldest first */
  const pending = new Map();

  return {
    /**
     * @param {string} key
     * @param {string} value
     * @param {boolean} [earlier] by an earlier page: whatever was set here is newer
     * @returns {(outcome: Outcome) => void} to be told what became of it
     */
    set(key, value, earlier) {
      const values = pending.get(key) ?? [];
      const mine = { value };
      pending.set(key, values);
      if (earlier) values.unshift(mine);
      else values.push(mine);
      return (outcome) => {
        const index = values.indexOf(mine);
        // A later one was saved already; or another page sends it, and its answer will not be seen.
        if (index < 0 || (!outcome.ok && outcome.code === "handed_over")) return;
        if (outcome.ok) {
          saved[key] = value;
          values.splice(0, index + 1);
        } else {
          values.splice(index, 1);
        }
      };
    },

    /**
     * @param {string} key
     * @returns {string | undefined}
     */
    get(key) {
      const values = pending.get(key);
      return values?.length ? values[values.length - 1].value : saved[key];
    },

    /**
     * What the server said at the start. What was saved since it was asked is newer.
     * @param {Record<string, string>} [answer]
     */
    boot(answer) {
      saved = { ...answer, ...saved };
    },

    /** Knows nothing any more. */
    clear() {
      saved = {};
      pending.clear();
    },
  };
}
