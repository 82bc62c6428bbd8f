// SPDX-License-Identifier: MIT
// store.js: the browser's storage, which may be missing, full, blocked or unwanted.
//
// Nothing here throws. Until it is opened, where the browser asks not to be tracked, and where
// storage is blocked, everything lives in memory and ends with the page.
import { attempt } from "./warn.js";

/** @typedef {ReturnType<typeof createStore>} Store */

/** @param {number} bytes */
export function randomHex(bytes) {
  let hex = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) {
    hex += (byte + 256).toString(16).slice(1);
  }
  return hex;
}

/** Whether the browser asks for privacy (Global Privacy Control, Do Not Track). */
function wantsPrivacy() {
  const asked = /** @type {{globalPrivacyControl?: boolean, doNotTrack?: string | null}} */ (
    navigator
  );
  return asked.globalPrivacyControl === true || asked.doNotTrack === "1";
}

/** @param {string} prefix of every key */
export function createStore(prefix) {
  /** @type {Map<string, string>} */
  const memory = new Map();
  const wanted = !wantsPrivacy();
  let open = false;

  /**
   * Does something with the storage; undefined where that failed or is not wanted.
   * @template T
   * @param {(storage: Storage) => T} use
   */
  const stored = (use) => (wanted ? attempt(() => use(localStorage)) : undefined);

  /** @param {string} start */
  function keys(start) {
    const all = attempt(() => Object.keys(localStorage)) ?? [];
    return all
      .filter((key) => key.startsWith(prefix + start))
      .map((key) => key.slice(prefix.length));
  }

  /** @param {string} key */
  function remove(key) {
    memory.delete(key);
    attempt(() => localStorage.removeItem(prefix + key));
  }

  /**
   * @param {string} key
   * @param {string} value
   * @returns {boolean} whether it will outlive the page
   */
  function set(key, value) {
    const lasts = open && stored((storage) => (storage.setItem(prefix + key, value), true));
    if (lasts) memory.delete(key);
    else memory.set(key, value);
    return !!lasts;
  }

  function removeAll() {
    for (const key of keys("")) remove(key);
  }

  if (!wanted) removeAll(); // from before the browser asked

  return {
    prefix,
    /**
     * What memory has, else what is stored: also before it is opened, which only asks what an earlier
     * page was allowed to keep.
     * @param {string} key
     * @returns {string | null}
     */
    get: (key) => memory.get(key) ?? stored((storage) => storage.getItem(prefix + key)) ?? null,
    set,
    remove,
    keys,
    /** From now on what is kept outlives the page, if the browser lets it. */
    open() {
      open = true;
      for (const [key, value] of [...memory]) set(key, value);
    },
    /** Nothing of ours is left, nor kept from now on. */
    clear() {
      open = false;
      memory.clear();
      removeAll();
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
