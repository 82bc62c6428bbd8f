// SPDX-License-Identifier: MIT
// pages.js: what counts as a view of a page: its load, a new path in a single-page app, and its
// return from the back-forward cache; not while it is only prerendered (see start.js).

/** @param {() => void} viewed called for each view */
export function watchPages(viewed) {
  let path = location.pathname;

  function moved() {
    if (location.pathname === path) return;
    path = location.pathname;
    viewed();
  }

  try {
    const { pushState } = history;
    history.pushState = function (...args) {
      pushState.apply(this, args);
      moved();
    };
  } catch {
    // The page froze its history object: popstate still tells.
  }
  addEventListener("popstate", moved);
  addEventListener("pageshow", (event) => {
    if (event.persisted) viewed();
  });
  viewed();
}
