// SPDX-License-Identifier: MIT
// store.js: the browser's storage, which may be missing, full, blocked or unwanted.
//
// Nothing here throws. Where the visitor's browser asks not to be tracked, or storage is blocked,
// everything lives in memory and ends with the page.

/** @typedef {ReturnType<typeof createStore>} Store */

/** @param {number} bytes */
export function randomHex(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** Whether the browser asks for privacy (Global Privacy Control, Do Not Track). */
function wantsPrivacy() {
  const asked = /** @type {{globalPrivacyControl?: boolean, doNotTrack?: string | null}} */ (
    navigator
  );
  return asked.globalPrivacyControl === true || asked.doNotTrack === "1";
}

/**
 * @param {"localStorage" | "sessionStorage"} kind
 * @param {string} prefix of every key
 */
export function createStore(kind, prefix) {
  /** @type {Map<string, string>} */
  const memory = new Map();
  /** @type {Storage | undefined} */
  let storage;
  try {
    if (!wantsPrivacy()) {
      storage = window[kind];
      storage.setItem(prefix + "?", "");
      storage.removeItem(prefix + "?");
    }
  } catch {
    // A full storage cannot be written to, but what is in it can still be read and removed.
    if (storage && !storage.length) storage = undefined;
  }

  return {
    /** False where nothing outlives the page. */
    lasting: !!storage,
    /**
     * @param {string} key
     * @returns {string | null}
     */
    get(key) {
      try {
        const value = storage?.getItem(prefix + key);
        if (value != null) return value;
      } catch {
        // Blocked since: as if it were empty.
      }
      return memory.get(key) ?? null;
    },
    /**
     * @param {string} key
     * @param {string} value
     * @returns {boolean} whether it will outlive the page
     */
    set(key, value) {
      try {
        if (storage) {
          storage.setItem(prefix + key, value);
          memory.delete(key);
          return true;
        }
      } catch {
        // Full or blocked since.
      }
      memory.set(key, value);
      return false;
    },
    /** @param {string} key */
    remove(key) {
      memory.delete(key);
      try {
        storage?.removeItem(prefix + key);
      } catch {
        // Blocked since: nothing to remove.
      }
    },
    /**
     * The keys that begin with start and outlived their page.
     * @param {string} start
     * @returns {string[]}
     */
    keys(start) {
      try {
        return Object.keys(storage ?? {})
          .filter((key) => key.startsWith(prefix + start))
          .map((key) => key.slice(prefix.length));
      } catch {
        return [];
      }
    },
  };
}

/**
 * The visitor's id: 128 random bits that only this browser and, on its way, the server know.
 * @param {Store} store
 * @param {string} [erased] an id that is not to be used any more
 */
export function visitorId(store, erased) {
  const known = store.get("visitor");
  // Another page of this browser may have taken a new one already.
  if (known && known !== erased && /^[0-9a-f]{32}$/.test(known)) return known;
  const id = randomHex(16);
  store.set("visitor", id);
  return id;
}
