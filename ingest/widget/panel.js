// SPDX-License-Identifier: MIT
// panel.js: the launcher and the chat panel, in a shadow root at the end of the page's body.
//
// It only shows and tells: what a click means is decided by whoever handed in the actions. Text
// reaches the page by textContent alone.
import style from "./panel.css" with { type: "text" };

const ICONS = {
  chat: "M21 11.5a8.4 8.4 0 0 1-12 7.6L3.5 20.5 5 15.6A8.4 8.4 0 1 1 21 11.5ZM8.5 11.5h.01M12.5 11.5h.01M16.5 11.5h.01",
  down: "m6 9.5 6 6 6-6",
  face: "M4 13v-1a8 8 0 0 1 16 0v1M4 13h3v6H6a2 2 0 0 1-2-2v-4Zm16 0h-3v6h1a2 2 0 0 0 2-2v-4Zm-2 6a4 4 0 0 1-4 2.5h-1.5",
  send: "M4.5 12h7M4.5 12 3 4.5 21 12 3 19.5 4.5 12Z",
};

/** @typedef {import("./texts.js").Texts} Texts */
/** @typedef {ReturnType<typeof createPanel>} Panel */
/**
 * @typedef {object} Actions
 * @property {() => void} click on the launcher
 * @property {() => void} minimize
 * @property {() => void} write the visitor changed the text that is being written
 * @property {(text: string, settled: (ok: boolean) => void) => void} send
 */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

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

/** @param {Actions} actions */
export function createPanel(actions) {
  const host = element("div", { "data-chatbeacon": "" });
  const root = host.attachShadow({ mode: "open" });
  addStyle(root);

  const title = element("h2", { id: "title" });
  const statusText = element("span");
  const dot = () => element("span", { class: "dot" });
  const close = element("button", { class: "close", type: "button" }, icon("down"));
  const log = element("div", { class: "log", role: "log", "aria-live": "polite", tabindex: "0" });
  const input = element("textarea", { rows: "1", dir: "auto", maxlength: "4000" });
  const send = element("button", { class: "send", type: "submit" }, icon("send"));
  const form = element("form", {}, input, send);
  const panel = element(
    "section",
    { class: "panel", id: "panel", role: "dialog", "aria-labelledby": "title" },
    element(
      "header",
      {},
      element("div", { class: "face" }, icon("face")),
      element(
        "div",
        { class: "who" },
        title,
        element("div", { class: "status" }, dot(), statusText),
      ),
      close,
    ),
    log,
    form,
  );
  const launcher = element("button", {
    class: "launcher",
    type: "button",
    "aria-controls": "panel",
    "aria-expanded": "false",
  });
  const frame = element("div", {}, panel, launcher);
  panel.hidden = true;
  host.hidden = true;
  root.append(frame);

  /** @type {Texts} */
  let texts;
  let online = false;
  /** @type {HTMLElement | undefined} */
  let greeting;

  /**
   * @param {string} text
   * @param {boolean} mine
   * @param {string} [by] who speaks
   */
  function addMessage(text, mine, by) {
    const note = element("div", { class: "note", dir: "auto" });
    const bubble = element("div", { class: "text", dir: "auto" });
    bubble.textContent = text;
    note.textContent = by ?? "";
    const message = element("div", { class: mine ? "message mine" : "message" }, bubble, note);
    log.append(message);
    log.scrollTop = log.scrollHeight;
    return { message, bubble, note };
  }

  function grow() {
    input.style.height = "auto";
    input.style.height = `${Math.min(132, Math.max(44, input.scrollHeight + 2))}px`;
    send.disabled = !input.value.trim();
  }

  launcher.addEventListener("click", actions.click);
  close.addEventListener("click", actions.minimize);
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    actions.minimize();
  });
  // The page's shortcuts would take these keys for its own: the event seems to come from a plain div.
  for (const type of ["keydown", "keypress", "keyup"]) {
    frame.addEventListener(type, (event) => event.stopPropagation());
  }
  input.addEventListener("input", () => {
    grow();
    if (input.value.trim()) actions.write();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    grow();
    input.focus();
    const { message, note } = addMessage(text, true, texts.sending);
    actions.send(text, (ok) => {
      note.textContent = ok ? texts.sent : texts.failed;
      message.classList.toggle("failed", !ok);
    });
  });

  function render() {
    const { lang } = texts;
    frame.lang = lang;
    title.textContent = texts.title;
    log.setAttribute("aria-label", texts.title);
    statusText.textContent = online ? texts.online : texts.offline;
    frame.classList.toggle("online", online);
    close.setAttribute("aria-label", texts.close);
    launcher.setAttribute("aria-label", panel.hidden ? texts.open : texts.close);
    launcher.replaceChildren(
      icon(panel.hidden ? "chat" : "down"),
      ...(panel.hidden ? [dot()] : []),
    );
    input.placeholder = texts.write;
    input.setAttribute("aria-label", texts.write);
    send.setAttribute("aria-label", texts.send);
    greeting ??= addMessage("", false).bubble;
    greeting.textContent = online ? texts.welcome : texts.away;
  }

  return {
    /** Puts it into the page; nothing is seen before the first show. */
    attach() {
      document.body.append(host);
      grow();
    },
    /** @param {boolean} shown */
    show(shown) {
      host.hidden = !shown;
    },
    /**
     * @param {Texts} newTexts
     * @param {boolean} nowOnline
     */
    update(newTexts, nowOnline) {
      texts = newTexts;
      online = nowOnline;
      render();
    },
    /**
     * Opens or closes the panel.
     * @param {boolean} open
     * @param {boolean} byPerson then the focus follows
     */
    open(open, byPerson) {
      const inside = panel.contains(root.activeElement);
      panel.hidden = !open;
      launcher.setAttribute("aria-expanded", String(open));
      frame.classList.toggle("open", open);
      render();
      log.scrollTop = log.scrollHeight;
      if (open && byPerson) input.focus();
      if (!open && inside) launcher.focus();
    },
    /**
     * A message that the visitor did not write.
     * @param {string} text
     * @param {string} by
     */
    say(text, by) {
      addMessage(text, false, by);
    },
  };
}
