// SPDX-License-Identifier: MIT
// Holds every answer against query/openapi.json: its status, its type and its body must stand there, and nothing else may.
// Ajv checks the schemas (JSON Schema 2020-12, which OpenAPI 3.1 uses): no checker of our own is as strict as that.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const LINES_MAX = 200; // of a stream of JSON that are checked
const METHODS = ["get", "put", "post", "patch", "delete"];

export const document = JSON.parse(
  readFileSync(new URL("../../query/openapi.json", import.meta.url), "utf8"),
);

/** What a JSON pointer of the document leads to. */
export function resolve(ref) {
  const at = ref
    .slice("#/".length)
    .split("/")
    .reduce((node, key) => node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
  if (at === undefined) throw new Error(`openapi.json: ${ref} leads nowhere`);
  return at;
}

const follow = (node) => (node?.$ref ? resolve(node.$ref) : node);

/** Parts that others are put together of (allOf): these say themselves when they are complete. */
const shared = new Set();
JSON.stringify(document, (key, value) => {
  if (key === "allOf") for (const part of value) if (part.$ref) shared.add(part.$ref);
  return value;
});

/** Members that no schema names are refused: an answer that says more than the document is one, too. */
function close(node, open = false) {
  if (Array.isArray(node)) return node.map((part) => close(part, open));
  if (node === null || typeof node !== "object") return node;
  const closed = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, close(value, key === "allOf")]),
  );
  const whole = node.allOf || (node.properties && node.type === "object");
  return whole && !open && !("additionalProperties" in node)
    ? { ...closed, unevaluatedProperties: false }
    : closed;
}

/** The components; a shared schema stays open at its own top. */
function closedComponents() {
  const { schemas, ...others } = document.components;
  const closed = Object.entries(schemas).map(([name, schema]) => [
    name,
    close(schema, shared.has(`#/components/schemas/${name}`)),
  ]);
  return { ...others, schemas: Object.fromEntries(closed) };
}

/** An answer that is a shared part alone must be complete, too. */
function whole(schema) {
  return shared.has(schema.$ref) ? { allOf: [schema], unevaluatedProperties: false } : schema;
}

const ajv = new Ajv({
  strict: true,
  strictTypes: false, // schemas put together by allOf leave the type to their parts

  strictRequired: false,
  allowUnionTypes: true,
  allErrors: true,
});
formats(ajv);
// Keywords of OpenAPI's own dialect that assert nothing.
for (const keyword of ["example", "discriminator", "xml", "externalDocs", "components"])
  if (!ajv.getKeyword(keyword)) ajv.addKeyword(keyword);
ajv.addSchema({ $id: "openapi:", components: closedComponents() });

const validators = new Map();

function validatorOf(schema) {
  const text = JSON.stringify(whole(schema));
  if (!validators.has(text)) {
    const absolute = JSON.parse(text.replaceAll('"$ref":"#/', '"$ref":"openapi:#/'));
    validators.set(text, ajv.compile(close(absolute)));
  }
  return validators.get(text);
}

const paths = Object.entries(document.paths).map(([template, item]) => ({
  template,
  item,
  pattern: new RegExp(`^${template.replaceAll(".", "\\.").replace(/\{[a-z]+\}/g, "[^/]+")}$`),
}));

/** The description of an answer: {operation, response}, or nothing. */
function find(method, path, status) {
  // The most literal template wins: /v1/tokens before /v1/{anything}.
  const fits = paths
    .filter(({ pattern }) => pattern.test(path))
    .sort((a, b) => a.template.split("{").length - b.template.split("{").length);
  if (fits.length === 0) return undefined;
  const { item, template } = fits[0];
  const asked = method === "HEAD" ? "get" : method.toLowerCase();
  const operations = item[asked]
    ? [item[asked]]
    : METHODS.filter((m) => item[m]).map((m) => item[m]);
  for (const operation of operations) {
    const response = follow(operation.responses[status] ?? operation.responses.default);
    if (response) return { template, operation, response };
  }
  return { template, operation: operations[0] };
}

function checkJson(schema, text, what) {
  const validate = validatorOf(schema);
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${what}: not JSON: ${error.message}`);
  }
  if (!validate(value))
    throw new Error(
      `${what}: not as openapi.json says: ${ajv.errorsText(validate.errors)}; ${text.slice(0, 500)}`,
    );
}

/** Throws when the answer is not one that the document describes. answer: of client.mjs's request. */
export function checkAnswer(method, url, { status, headers, text }) {
  const { pathname } = new URL(url);
  if (method === "OPTIONS") return; // of CORS: no part of the API
  const found = find(method, pathname, status);
  const what = `${method} ${pathname}: ${status}`;
  const type = (headers["content-type"] ?? "").split(";")[0].trim();
  if (!found) {
    if (status === 404 && type === "application/json")
      checkJson({ $ref: "#/components/schemas/Error" }, text, what);
    else if (status !== 200 || method === "POST")
      throw new Error(`${what}: no such path in openapi.json`);
    return; // a file of the dashboard's
  }
  if (!found.response) throw new Error(`${what}: openapi.json does not have this status`);
  const content = found.response.content ?? {};
  if (method === "HEAD" || text === "") return;
  if (!content[type])
    throw new Error(`${what}: openapi.json has no ${type || "body without a type"} here`);
  if (!content[type].schema) return;
  if (type === "application/json") checkJson(content[type].schema, text, what);
  if (type === "application/x-ndjson")
    for (const line of text.split("\n").slice(0, LINES_MAX))
      if (line !== "" && text.endsWith("\n")) checkJson(content[type].schema, line, what);
}

/** Throws when an event of a live stream is not one that the document describes; returns it. */
export function checkEvent(event) {
  const text = JSON.stringify(event);
  checkJson({ $ref: "#/components/schemas/LiveEvent" }, text, `live: ${event.event}`);
  return event;
}
