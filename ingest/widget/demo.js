// SPDX-License-Identifier: MIT
// demo.js: the demo page's buttons and logs, behind the snippet that loads the widget.
import "./snippet.js";

/** @type {any} */
const onWebChat = /** @type {any} */ (window).onWebChat;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Adds a line to a log, the newest first.
 * @param {string} id
 * @param {string[]} cells
 */
function line(id, ...cells) {
  const row = document.createElement("li");
  for (const cell of cells) {
    const span = document.createElement("span");
    span.textContent = cell;
    row.append(span);
  }
  const list = byId(id);
  list.prepend(row);
  while (list.children.length > 60) list.lastChild?.remove();
  return row;
}

const time = () => new Date().toLocaleTimeString([], { hour12: false });

for (const name of ["onClick", "onMaximize", "onMinimize", "onStartWriting"]) {
  onWebChat.set(name, () => line("callbacks", time(), name));
}
onWebChat.set("onTrigger", (/** @type {any} */ trigger) => {
  line("callbacks", time(), "onTrigger", trigger.name);
});
onWebChat.set("onWebChatLoaded", () => {
  line("callbacks", time(), "onWebChatLoaded");
  refresh();
});
onWebChat.on("onError", (/** @type {any} */ { where, error }) => {
  line("callbacks", time(), "onError", `${where}: ${error}`);
});

/** The rows of events that the server has not answered for, by their number. */
const waiting = new Map();
let stored = 0;
onWebChat.on("onEvent", (/** @type {any} */ { seq, name, key, state }) => {
  if (state === "sending") {
    const row = line("events", `#${seq}`, key ? `${name} ${key}` : name, "sending");
    row.dataset.state = state;
    waiting.set(seq, row);
    return;
  }
  const row = waiting.get(seq);
  waiting.delete(seq);
  if (state === "stored") byId("stored").textContent = String(++stored);
  if (!row) return;
  row.dataset.state = state;
  row.lastChild.textContent = state;
});

function refresh() {
  for (const key of ["status", "name", "email", "phone", "notes"]) {
    byId("get-" + key).textContent = onWebChat.get(key) || "–";
  }
}
byId("refresh").addEventListener("click", refresh);

/**
 * A call by a button: what was called and what came of it are shown.
 * @param {string} key
 * @param {any} value
 */
function call(key, value) {
  const shown = JSON.stringify(value);
  onWebChat.set(key, value, (/** @type {any} */ outcome) => {
    const result = outcome.ok ? "ok" : `${outcome.code}: ${outcome.message}`;
    byId("result").textContent = `set("${key}", ${shown}) → ${result}`;
    if (outcome.ok && byId("get-" + key)) byId("get-" + key).textContent = value || "–";
  });
}

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (form.querySelector("input"));
    call(input.name, input.value);
  });
}
for (const button of document.querySelectorAll("button[data-set]")) {
  const { set = "", value = "" } = /** @type {HTMLElement} */ (button).dataset;
  button.addEventListener("click", () => call(set, JSON.parse(value)));
}
byId("trigger").addEventListener("click", () => {
  call("trigger", {
    id: "demo-hello",
    name: "Hello after a second",
    delay_s: 1,
    message: "You have been here for a moment. Is there anything that we can do for you?",
  });
});
