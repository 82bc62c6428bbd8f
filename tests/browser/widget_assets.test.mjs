// SPDX-License-Identifier: MIT
// The built widget as a file: small, one place for the site's name, nothing that a strict page
// forbids.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { WIDGET_DIR, snippet, widgetFiles } from "./fake.mjs";

/** The interface's script, whose name is a hash. */
const interfaceOf = (/** @type {Map<string, Buffer>} */ files) => {
  const name = [...files.keys()].find((path) => path.startsWith("w/"));
  return { name: String(name), data: /** @type {Buffer} */ (files.get(String(name))) };
};
const gzipped = (/** @type {Buffer} */ data) => gzipSync(data, { level: 9 }).length;

test("gzipped the loader with the beacon is at most 5 KB, with the interface at most 15 KB", async (t) => {
  const files = await widgetFiles();
  const face = gzipped(interfaceOf(files).data);
  for (const name of ["widget.js", "consent.js"]) {
    const first = gzipped(/** @type {Buffer} */ (files.get(name)));
    t.diagnostic(`${name} ${first}, interface ${face}: ${first + face} bytes`);
    assert.ok(first > 2000 && first <= 5 * 1024, `${name}: ${first} bytes`);
    assert.ok(first + face <= 15 * 1024, `${name} and the interface: ${first + face} bytes`);
  }
});

test("the interface has an address of its content, which the first script names", async () => {
  const files = await widgetFiles();
  const { name, data } = interfaceOf(files);
  const hash = createHash("sha256").update(data).digest("hex").slice(0, 20);
  assert.equal(name, `w/${hash}.js`);
  for (const script of ["widget.js", "consent.js"]) {
    assert.equal(String(files.get(script)).split("/" + name).length - 1, 1);
  }
});

test("the scripts make no code or HTML from text, and listen to neither unload nor message", async () => {
  const forbidden =
    /\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|"(before)?unload"|"message",\s*\(|onmessage|MutationObserver|document\.cookie/;
  for (const [name, data] of await widgetFiles()) {
    if (name !== "demo.js") assert.doesNotMatch(String(data), forbidden);
  }
});

test("the demo page has no inline script and no inline handler", () => {
  const html = readFileSync(WIDGET_DIR + "demo.html", "utf8");
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|\son[a-z]+\s*=/);
});

for (const [path, src] of [
  ["README.md", "https://chat.example/clientchat/SITE"],
  ["../../README.md", "http://127.0.0.1:8080/clientchat/demo"],
]) {
  test(`${path} shows the snippet as it is`, async () => {
    const readme = readFileSync(WIDGET_DIR + path, "utf8");
    const code = (await snippet(src))
      .split("\n")
      .filter((line) => line && !line.startsWith("//"))
      .map((line) => "  " + line);
    assert.ok(readme.includes(["<script>", ...code, "</script>"].join("\n")), code.join("\n"));
  });
}

test("embed: a file becomes a row of C that holds its very bytes, and names what it was made from", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "embed-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  writeFileSync(join(dir, "page.html"), bytes);
  writeFileSync(
    join(dir, "app.js"),
    'import { a } from "./part.js"; import later from "./later.js?url"; console.log(a, import(later));',
  );
  writeFileSync(join(dir, "part.js"), "export const a = [1];");
  writeFileSync(join(dir, "later.js"), 'import { b } from "./deep.js"; export const c = b;');
  writeFileSync(join(dir, "deep.js"), `export const b = "${"two ".repeat(50)}";`);
  const script = fileURLToPath(new URL("../../proto/embed.mjs", import.meta.url));
  const out = join(dir, "out.c");
  const args = ["--symbol", "cb_x", "--source", dir, "--out", out, "--depfile", out + ".d"];
  const make = () =>
    execFileSync(process.execPath, [script, ...args, "--entry", "app.js", "--static", "page.html"]);
  make();
  const c = readFileSync(out, "utf8");
  assert.match(c, /const struct cb_asset cb_x\[\] = \{/);
  assert.match(
    c,
    /\{"page\.html", "text\/html; charset=utf-8", "\\"[0-9a-f]{20}\\"", \{data_1, 256\}, \{NULL, 0\}, /,
  );
  assert.match(c, /\{"w\/[0-9a-f]{20}\.js", [^\n]*\},\n {4}\{\.path = NULL\},\n\};/);
  const literal = /data_1\[\] =\n((?: +".*"\n?)+);\n/.exec(c);
  const text = (literal?.[1] ?? "").replace(/"\n\s*"/g, "").replace(/^\s*"|"\s*$/g, "");
  const read = text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
  assert.deepEqual(Buffer.from(read, "latin1"), bytes);
  for (const form of ["gzip", "brotli"]) assert.match(c, new RegExp(`\\{${form}_\\d, \\d+\\}`));
  const dependencies = readFileSync(out + ".d", "utf8");
  for (const name of ["app.js", "part.js", "later.js", "deep.js", "page.html"]) {
    assert.ok(dependencies.includes(join(dir, name)), name);
  }
  make();
  assert.equal(readFileSync(out, "utf8"), c, "the same sources give the same file");
});
