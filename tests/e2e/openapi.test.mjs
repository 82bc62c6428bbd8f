// SPDX-License-Identifier: MIT
// openapi.json by itself: a document by the OpenAPI 3.1 schema, and by the rules below, which a generator of clients needs.
// That answers are as it says is checked wherever a test asks anything (lib/openapi.mjs); here, that this check can fail.
import assert from "node:assert/strict";
import test from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { checkAnswer, document, resolve } from "../lib/openapi.mjs";

const METHODS = ["get", "put", "post", "patch", "delete"];
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => ({
    path,
    method,
    item,
    operation: item[method],
  })),
);

/** All nodes of the document with the keys that lead to them. */
function* walk(node, at = []) {
  yield { node, at };
  if (node !== null && typeof node === "object")
    for (const [key, value] of Object.entries(node)) yield* walk(value, [...at, key]);
}

test("it is an OpenAPI 3.1 document", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 1));
  assert.match(document.openapi, /^3\.1\./);
});

test("every operation has a name of its own, a summary, a tag and an answer for each failure", () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length, "operationId twice");
  const tags = new Set(document.tags.map(({ name }) => name));
  for (const { path, method, operation } of operations) {
    const what = `${method} ${path}`;
    assert.match(operation.operationId ?? "", /^[a-z][a-zA-Z]+$/, what);
    assert.ok(operation.summary?.length > 0, what);
    assert.ok(operation.tags?.length > 0 && operation.tags.every((tag) => tags.has(tag)), what);
    assert.ok(operation.responses[405], `${what}: 405`);
    if (operation.security?.length > 0)
      for (const status of [401, 403]) assert.ok(operation.responses[status], `${what}: ${status}`);
  }
});

test("every parameter is described, and those of a path are there", () => {
  for (const { path, method, item, operation } of operations) {
    const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((p) =>
      p.$ref ? resolve(p.$ref) : p,
    );
    const names = parameters.filter((p) => p.in === "path").map((p) => p.name);
    const wanted = [...path.matchAll(/\{([a-z]+)\}/g)].map((match) => match[1]);
    assert.deepEqual(names.sort(), wanted.sort(), `${method} ${path}`);
    for (const p of parameters) {
      assert.ok(p.description?.length > 0 && p.schema, `${method} ${path}: ${p.name}`);
      if (p.in === "path") assert.equal(p.required, true, `${method} ${path}: ${p.name}`);
    }
  }
});

test("every reference leads somewhere, and every part is used", () => {
  const used = new Set();
  for (const { node } of walk(document))
    if (typeof node?.$ref === "string") {
      resolve(node.$ref);
      used.add(node.$ref);
    }
  const schemes = new Set(
    operations.flatMap(({ operation }) => operation.security ?? []).flatMap(Object.keys),
  );
  for (const [kind, parts] of Object.entries(document.components))
    for (const name of Object.keys(parts))
      assert.ok(
        used.has(`#/components/${kind}/${name}`) ||
          (kind === "securitySchemes" && schemes.has(name)),
        `components/${kind}/${name} is not used`,
      );
});

test("an answer that the document does not describe is found", () => {
  const url = "http://127.0.0.1/v1/balance";
  const headers = { "content-type": "application/json; charset=utf-8" };
  const books = { received: 1, counted: 1, duplicate: 0, rejected: {}, lost: 0 };
  const check = (status, value, more = headers) =>
    checkAnswer("GET", url, { status, headers: more, text: JSON.stringify(value) });
  const rest = { total: books, balanced: true, position: 7 };
  check(200, { sites: { demo: books }, ...rest });
  assert.throws(() => check(200, { sites: { demo: books }, ...rest, total: undefined }), /total/);
  assert.throws(() => check(200, { sites: { demo: books }, ...rest, more: 1 }), /more|unevaluated/);
  assert.throws(() => check(200, { sites: { demo: { ...books, lost: "0" } }, ...rest }), /lost/);
  assert.throws(() => check(418, {}), /does not have this status/);
  assert.throws(() => check(200, {}, { "content-type": "text/plain" }), /no text\/plain/);
  assert.throws(
    () => checkAnswer("POST", "http://127.0.0.1/v1/nowhere", { status: 200, headers, text: "{}" }),
    /no such path/,
  );
});
