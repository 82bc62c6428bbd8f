// SPDX-License-Identifier: MIT
// form.js: the form before a chat. It asks for the fields of the visitor that the site's settings
// name, and fills the same fields as the page's calls.
import { direct, element } from "./element.js";

/** @type {Record<string, [string, string, number]>} autocomplete, type, characters (as in api.js) */
const FIELDS = {
  name: ["name", "text", 200],
  email: ["email", "email", 254],
  phone: ["tel", "tel", 40],
  notes: ["off", "", 4000],
};

/** @typedef {"name" | "email" | "phone" | "notes"} Field */
/** @typedef {ReturnType<typeof createRow>} Row */

/** @param {Field} field */
function createRow(field) {
  const [autocomplete, type, maxlength] = FIELDS[field];
  /** @type {Record<string, string>} */
  const attributes = { id: field, name: field, autocomplete, maxlength: String(maxlength) };
  const input = type
    ? element("input", { ...attributes, type })
    : element("textarea", { ...attributes, rows: "2" });
  const label = element("label", { for: field });
  const error = element("p", { class: "error", id: field + "-error" });
  return {
    field,
    input,
    label,
    error,
    box: element("div", { class: "field" }, label, input, error),
    required: false,
    edited: false,
    /** @type {"" | "required" | "invalid" | "failed"} */
    wrong: "",
  };
}

/** @param {Row} row */
function wrong({ field, input, required }) {
  const value = input.value.trim();
  if (!value) return required ? "required" : "";
  return field === "email" && !/^[^\s@]+@[^\s@]+$/.test(value) ? "invalid" : "";
}

/**
 * @param {Pick<import("./panel.js").Actions, "field" | "setField">} visitor
 * @param {() => void} changed it may be wanted no longer, or again
 */
export function createForm(visitor, changed) {
  const intro = element("p", { dir: "auto" });
  const start = element("button", { class: "primary start" });
  const fields = element("div");
  const form = element("form", { class: "card ask", novalidate: "" }, intro, fields, start);
  /** @type {Map<Field, Row>} those that were ever asked for: what was typed stays */
  const known = new Map();
  /** @type {Row[]} */
  let rows = [];
  let filled = false;
  /** @type {import("./texts.js").Texts} */
  let texts;

  /** @param {Row} row */
  function label(row) {
    const { field, input, error } = row;
    row.label.textContent = texts[field];
    if (row.required) row.label.append(element("span", { "aria-hidden": "true" }, " *"));
    input.required = row.required;
    error.textContent = row.wrong && texts[row.wrong];
    input.setAttribute("aria-invalid", String(!!row.wrong));
    if (row.wrong) input.setAttribute("aria-describedby", error.id);
    else input.removeAttribute("aria-describedby");
  }

  /** @param {Field} field */
  function rowOf(field) {
    const row = known.get(field) ?? createRow(field);
    if (!known.has(field)) {
      known.set(field, row);
      row.input.addEventListener("input", () => {
        row.edited = true;
        direct(row.input);
        if (row.wrong && !wrong(row)) {
          row.wrong = "";
          label(row);
        }
      });
    }
    return row;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const row of rows) {
      row.wrong = wrong(row);
      label(row);
    }
    const first = rows.find((row) => row.wrong);
    if (first) return first.input.focus();
    filled = true;
    for (const row of rows) {
      const { field, input } = row;
      const value = input.value.trim();
      if (value !== visitor.field(field)) visitor.setField(field, value, (ok) => settled(ok, row));
    }
    changed();
  });

  /**
   * What the server did not take is asked for again.
   * @param {boolean} ok
   * @param {Row} row
   */
  function settled(ok, row) {
    if (ok) return;
    row.wrong = "failed";
    label(row);
    changed();
  }

  return {
    form,
    /** Where the focus goes. */
    first: () => rows[0].input,
    /**
     * Whether there is something to ask this visitor for.
     * @param {boolean} late the visitor writes already: only what went wrong is asked for
     */
    wanted(late) {
      if (rows.some((row) => row.wrong)) return true;
      if (late || filled || !rows.length) return false;
      const empty = rows.filter(({ field }) => !visitor.field(field));
      return (
        rows.some((row) => row.edited) ||
        empty.length === rows.length ||
        empty.some(({ required }) => required)
      );
    },
    /**
     * @param {unknown} asked for, by the settings
     * @param {import("./texts.js").Texts} newTexts
     */
    update(asked, newTexts) {
      texts = newTexts;
      const before = rows;
      rows = [];
      for (const wish of Array.isArray(asked) ? asked : []) {
        if (!FIELDS.hasOwnProperty(wish?.field)) continue;
        const row = rowOf(wish.field);
        row.required = wish.required === true;
        if (!rows.includes(row)) rows.push(row);
      }
      // Moving an input takes the focus from it.
      if (rows.some((row, i) => row !== before[i]) || rows.length < before.length) {
        fields.replaceChildren(...rows.map(({ box }) => box));
      }
      for (const row of rows) {
        if (!row.edited) row.input.value = visitor.field(row.field);
        direct(row.input);
        label(row);
      }
      intro.textContent = texts.form;
      start.textContent = texts.start;
    },
  };
}
