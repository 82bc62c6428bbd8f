// SPDX-License-Identifier: MIT
// panel.js: the launcher and the chat panel, in a shadow root at the end of the page's body.
//
// It only shows and tells: what a click means is decided by whoever handed in the actions. Nothing
// here moves the page's content, and nothing takes the focus before the visitor asks for the chat.
import { direct, element, icon } from "./element.js";
import { createForm } from "./form.js";
import style from "./panel.css" with { type: "text" };
import { directionOf, textsOf } from "./texts.js";

/** @typedef {import("./texts.js").Texts} Texts */
/** @typedef {ReturnType<typeof createPanel>} Panel */
/**
 * @typedef {object} Actions
 * @property {() => void} click on the launcher
 * @property {() => void} minimize
 * @property {() => void} write the visitor changed the text that is being written
 * @property {(text: string, settled: (missing: string) => void) => void} send settled is told what
 *   of the text could not be left: "" when all of it is on the server's disk
 * @property {(key: string) => string} field a field of the visitor
 * @property {(key: string, value: string, settled: (ok: boolean) => void) => void} setField
 * @property {(given: boolean) => void} consent the visitor agrees, or refuses
 */
/**
 * @typedef {object} State
 * @property {import("./boot.js").Settings} settings
 * @property {string} language see textsOf
 * @property {boolean} online
 * @property {boolean} shown
 * @property {boolean} asks the visitor has to agree first
 */

const ASIDE_MS = 250; // after the panel opens by itself, it speaks
const HIGHEST = 132; // pixels of the box in which a message is written
const FULL_SCREEN = "(max-width: 480px)"; // as in panel.css

/** @param {ShadowRoot} root */
function addStyle(root) {
  try {
    // Not inline style in the sense of a Content-Security-Policy.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(element("style", {}, style)); // browsers before 2023
  }
}

/**
 * How light a colour is (WCAG 2, relative luminance): 0 to 1, and 0.004 more or less, since 2.2 is
 * only nearly how light grows. Near 0.179 black and white are as easy to read.
 * @param {string} colour #rrggbb
 */
function luminance(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * Live regions are read out whenever they are written to: not for nothing.
 * @param {Element} place
 * @param {string} text
 */
function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** @param {Actions} actions */
export function createPanel(actions) {
  const host = element("div", { "data-chatbeacon": "" });
  const root = host.attachShadow({ mode: "open" });
  addStyle(root);

  const dot = () => element("span", { class: "dot" });
  const title = element("bdi");
  const status = element("div", { class: "status", role: "status" });
  const close = element("button", { class: "close" }, icon("down"));
  const log = element("div", { class: "log", role: "log" });
  const ask = createForm(actions, arrange);
  const terms = element("p");
  const accept = element("button", { class: "primary" });
  const decline = element("button", { class: "link" });
  const consent = element("div", { class: "card" }, terms, accept, decline);
  const body = element(
    "div",
    { class: "body", role: "group", tabindex: "0" },
    log,
    consent,
    ask.form,
  );
  const input = element("textarea", { rows: "1", maxlength: "4000", enterkeyhint: "send" });
  const send = element("button", { class: "send" }, icon("send"));
  const write = element("form", { class: "write" }, input, send);
  const panel = element(
    "section",
    { class: "panel", id: "panel", role: "dialog", tabindex: "-1", "aria-labelledby": "title" },
    element(
      "header",
      {},
      element("div", { class: "face" }, icon("person"), dot()),
      element("div", { class: "who" }, element("h2", { id: "title" }, title), status),
      close,
    ),
    body,
    write,
  );
  const launcher = element("button", {
    class: "launcher",
    "aria-controls": "panel",
    "aria-expanded": "false",
  });
  const frame = element("div", {}, panel, launcher);
  panel.hidden = true;
  host.hidden = true;
  root.append(frame);

  /** @type {State} */
  let state;
  /** @type {Texts} */
  let texts;
  let begun = false; // a message: the form no longer comes in between
  /** @type {(() => void)[]} write a message's words, again when the language changes */
  const labels = [];
  add(
    false,
    () => (state.online ? texts.welcome : texts.away),
    () => "",
  );

  /**
   * Adds a message to the log.
   * @param {boolean} mine
   * @param {() => string} text
   * @param {() => string} note what stands below it
   */
  function add(mine, text, note) {
    const bubble = element("div", { class: "text", dir: "auto" });
    const line = element("span", { dir: "auto" });
    const foot = element("div", { class: "note" }, line);
    const message = element("div", { class: mine ? "message mine" : "message" }, bubble, foot);
    const label = () => {
      put(bubble, text());
      put(line, note());
    };
    labels.push(label);
    if (texts) label();
    log.append(message);
    toEnd();
    return { message, foot, label };
  }

  function toEnd() {
    body.scrollTop = body.scrollHeight;
  }

  function grow() {
    direct(input);
    input.style.height = "auto";
    input.style.height = `${Math.min(HIGHEST, input.scrollHeight)}px`;
    send.disabled = !input.value.trim();
  }

  /**
   * Leaves a message, and says what became of it: only the server's word counts.
   * @param {string} text
   */
  function leave(text) {
    /** @type {"sending" | "sent" | "failed"} */
    let fate = "sending";
    let missing = text;
    const { message, foot, label } = add(
      true,
      () => text,
      () => texts[fate],
    );
    const again = element("button", { class: "link" });
    labels.push(() => put(again, texts.retry));
    const attempt = () =>
      actions.send(missing, (rest) => {
        missing = rest;
        tell(rest ? "failed" : "sent");
      });
    /** @param {"sending" | "sent" | "failed"} news */
    function tell(news) {
      fate = news;
      label();
      put(again, texts.retry);
      message.classList.toggle("failed", news === "failed");
      if (news === "failed") foot.append(again);
      else again.remove();
      toEnd();
    }
    again.addEventListener("click", () => {
      tell("sending");
      input.focus(); // the button is gone
      attempt();
    });
    attempt();
  }

  /** Consent, the form, or the box to write in: whichever it is the time for. */
  function arrange() {
    const at = root.activeElement;
    consent.hidden = !state.asks;
    ask.form.hidden = state.asks || !ask.wanted(begun);
    write.hidden = state.asks || !ask.form.hidden;
    if (at && !at.getClientRects().length) first().focus(); // it has just gone
    grow();
  }

  /** Where a person begins; but on a touch screen the keyboard would cover what there is to read. */
  function first() {
    if (panel.hidden || matchMedia("(pointer: coarse)").matches) return panel;
    return state.asks ? accept : write.hidden ? ask.first() : input;
  }

  /** While the panel fills the screen, Tab stays in it: the page behind is not to be seen. */
  function keepFocus(/** @type {KeyboardEvent} */ event) {
    if (!matchMedia(FULL_SCREEN).matches) return;
    const stops = [
      .../** @type {NodeListOf<HTMLElement>} */ (
        panel.querySelectorAll("button:enabled, input, textarea, [tabindex='0']")
      ),
    ].filter((stop) => stop.getClientRects().length);
    const [from, to] = event.shiftKey ? [0, stops.length - 1] : [stops.length - 1, 0];
    const at = root.activeElement;
    if (at !== stops[from] && !(at === panel && event.shiftKey)) return;
    event.preventDefault();
    stops[to].focus();
  }

  launcher.addEventListener("click", actions.click);
  close.addEventListener("click", actions.minimize);
  accept.addEventListener("click", () => actions.consent(true));
  decline.addEventListener("click", () => actions.consent(false));
  frame.addEventListener("keydown", (event) => {
    if (event.isComposing || panel.hidden) return;
    if (event.key === "Escape") actions.minimize();
    if (event.key === "Tab") keepFocus(event);
  });
  // The page's shortcuts would take these keys for its own: the event seems to come from a plain div.
  for (const type of ["keydown", "keypress", "keyup"]) {
    frame.addEventListener(type, (event) => event.stopPropagation());
  }
  input.addEventListener("input", () => {
    grow();
    if (!input.value.trim()) return;
    begun = true;
    actions.write();
  });
  input.addEventListener("keydown", (event) => {
    // 229: Safari's Enter that ends a composition says that it is none.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229)
      return;
    event.preventDefault();
    write.requestSubmit();
  });
  write.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    grow();
    input.focus();
    leave(text);
  });

  // A keyboard on the screen covers the page's lower part: the panel keeps to what is left.
  const view = window.visualViewport;
  function fit() {
    if (!view || view.scale > 1.01) return; // enlarged by two fingers: leave it where it is
    frame.style.setProperty("--top", `${view.offsetTop}px`);
    frame.style.setProperty("--height", `${view.height}px`);
  }
  view?.addEventListener("resize", fit);
  view?.addEventListener("scroll", fit);

  function render() {
    const { settings, online } = state;
    const way = directionOf(texts);
    const open = !panel.hidden;
    const [vertical, side] = /^(top|bottom)-(left|right)$/
      .exec(String(settings.position))
      ?.slice(1) ?? [
      "bottom",
      [way, getComputedStyle(document.body).direction].includes("rtl") ? "left" : "right",
    ];
    frame.className = `${vertical} ${side} ${online ? "online" : ""} ${open ? "open" : ""}`;
    frame.lang = texts.lang;
    frame.dir = way;
    const [colour = ""] = /^#[0-9a-f]{6}$/i.exec(String(settings.colour)) ?? [];
    const light = luminance(colour) > 0.179; // black is easier to read on it than white
    frame.style.setProperty("--accent", colour); // "" removes it
    frame.style.setProperty("--on-accent", colour && (light ? "#000" : "#fff"));

    put(title, texts.title);
    put(status, online ? texts.online : texts.offline);
    body.setAttribute("aria-label", texts.title);
    log.setAttribute("aria-label", texts.title);
    close.setAttribute("aria-label", texts.close);
    launcher.setAttribute("aria-label", open ? texts.close : texts.open);
    launcher.setAttribute("aria-expanded", String(open));
    launcher.replaceChildren(icon(open ? "down" : "chat"), ...(open ? [] : [dot()]));
    input.placeholder = texts.write;
    input.setAttribute("aria-label", texts.write);
    send.setAttribute("aria-label", texts.send);
    put(terms, texts.consent);
    put(accept, texts.accept);
    put(decline, texts.decline);
    for (const label of labels) label();
    ask.update(settings.form, texts);
    arrange();
  }

  document.body.append(host);
  return {
    /** @param {State} news */
    update(news) {
      state = news;
      texts = textsOf(news.settings, news.language);
      render();
      host.hidden = !news.shown;
    },
    /**
     * Opens or closes the panel.
     * @param {boolean} open
     * @param {boolean} byPerson then the focus follows
     */
    open(open, byPerson) {
      const inside = panel.contains(root.activeElement);
      panel.hidden = !open;
      panel.setAttribute("aria-modal", String(open && matchMedia(FULL_SCREEN).matches));
      fit();
      render();
      toEnd();
      if (open && byPerson) first().focus();
      if (!open && inside) launcher.focus();
    },
    /**
     * A message that the visitor did not write.
     * @param {string} text
     * @param {string} [agent] who says it; unless given, the one of the texts
     */
    say(text, agent) {
      const speak = () =>
        add(
          false,
          () => text,
          () => agent ?? texts.agent,
        );
      // Screen readers miss what a log holds as it comes into sight, and read what is added to it.
      if (panel.hidden) setTimeout(speak, ASIDE_MS);
      else speak();
    },
  };
}
