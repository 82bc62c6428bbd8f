// SPDX-License-Identifier: MIT
// demo.js: the demo page: its buttons call the API, its log shows what comes of it, behind the
// snippet that loads the widget.
import "./snippet.js";
// @ts-expect-error: the same file, this time as its text
import text from "./snippet.js" with { type: "text" };

const KEPT = 100; // lines of the log
const SNIPPET = /** @type {string} */ (text);
const FIELDS = ["name", "email", "phone", "notes"];

/** @type {any} */
const onWebChat = /** @type {any} */ (window).onWebChat;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Adds a line to the log, the newest first.
 * @param {"call" | "callback" | "event"} kind
 * @param {string} what
 * @param {string} [state]
 */
function line(kind, what, state = "") {
  const row = document.createElement("li");
  row.dataset.kind = kind;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  row.append(time);
  for (const [name, text] of [
    ["kind tag", kind],
    ["what", what],
    ["state tag", ""],
  ]) {
    const cell = document.createElement("span");
    cell.className = name;
    cell.textContent = text;
    row.append(cell);
  }
  settle(row, state);
  const log = byId("log");
  log.prepend(row);
  while (log.children.length > KEPT) log.lastChild?.remove();
  return row;
}

/**
 * @param {HTMLElement} row
 * @param {string} state
 */
function settle(row, state) {
  row.dataset.state = state;
  /** @type {HTMLElement} */ (row.lastChild).textContent = state;
}

for (const name of ["onClick", "onMaximize", "onMinimize", "onStartWriting"]) {
  onWebChat.set(name, () => line("callback", `${name}()`));
}
onWebChat.set("onTrigger", (/** @type {any} */ trigger) => {
  line("callback", `onTrigger(${JSON.stringify(trigger)})`);
});
onWebChat.set("onWebChatLoaded", () => {
  line("callback", "onWebChatLoaded()");
  refresh();
});
onWebChat.on("onError", (/** @type {any} */ { where, error }) => {
  line("callback", `onError: ${where} threw ${error}`);
});

/** Fields that were set by a call here. @type {Set<string>} */
const called = new Set();
/** The rows of events that the server has not answered for, by their number. */
const waiting = new Map();
const counts = { stored: 0, refused: 0, waiting: 0 };
onWebChat.on("onEvent", (/** @type {any} */ { seq, name, key, state }) => {
  const sending = state === "sending";
  if (sending) {
    waiting.set(seq, line("event", `#${seq} ${key ? `${name} ${key}` : name}`, state));
  } else {
    const row = waiting.get(seq);
    if (row) settle(row, state);
    waiting.delete(seq);
    counts[/** @type {"stored" | "refused"} */ (state)]++;
  }
  counts.waiting = waiting.size;
  for (const [id, count] of Object.entries(counts)) byId(id).textContent = String(count);
  // The form of a chat sets them as well.
  if (name === "set" && state === "stored" && !called.delete(key)) show(key);
});

/** @param {string} key */
function show(key) {
  byId("get-" + key).textContent = onWebChat.get(key) || "–";
}

function refresh() {
  for (const key of ["status", ...FIELDS]) show(key);
}
byId("refresh").addEventListener("click", refresh);

/**
 * A call by a button: what was called and what came of it are shown.
 * @param {string} key
 * @param {any} value
 */
function call(key, value) {
  const text = `set("${key}", ${JSON.stringify(value)})`;
  const row = line("call", text, "waits");
  called.add(key);
  onWebChat.set(key, value, (/** @type {any} */ outcome) => {
    settle(row, outcome.ok ? "ok" : "refused");
    if (!outcome.ok) called.delete(key);
    else if (FIELDS.includes(key)) byId("get-" + key).textContent = value || "–";
    const result = outcome.ok ? "ok" : `${outcome.code}: ${outcome.message}`;
    if (!outcome.ok) /** @type {any} */ (row.children[2]).textContent = `${text} → ${result}`;
    byId("result").textContent = `${text} → ${result}`; // for screen readers
  });
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = new FormData(form);
    const field = form.dataset.field;
    if (field) return call(field, String(values.get(field)));
    call("trigger", {
      id: "demo",
      name: "Demo",
      delay_s: Number(values.get("delay")),
      message: values.get("message"),
      agent: values.get("agent") || undefined,
    });
  });
}
for (const button of document.querySelectorAll("button[data-set]")) {
  const { set = "", value = "" } = /** @type {HTMLElement} */ (button).dataset;
  button.addEventListener("click", () => call(set, JSON.parse(value)));
}
byId("why").addEventListener("click", () => {
  line("call", `get("triggers") → ${JSON.stringify(onWebChat.get("triggers"))}`);
});
byId("throws").addEventListener("click", () => {
  line("call", 'on("onMinimize", () => { throw new Error("oops"); })');
  const undo = onWebChat.on("onMinimize", () => {
    undo();
    throw new Error("oops");
  });
  call("max", 1);
  call("max", 0);
});

const here = `${location.origin}/clientchat/demo`;
byId("snippet").textContent = [
  "<script>",
  ...SNIPPET.replace("/clientchat/demo", here)
    .split("\n")
    .filter((line) => line && !line.startsWith("//"))
    .map((line) => "  " + line),
  "</script>",
].join("\n");

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = byId(/** @type {HTMLElement} */ (button).dataset.copy ?? "");
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      button.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(code); // not allowed, or not over https: by hand, then
      button.textContent = "Selected: press Ctrl+C";
    }
  });
}
