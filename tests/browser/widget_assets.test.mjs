// SPDX-License-Identifier: MIT
// The built widget as a file: small, one place for the site's name, nothing that a strict page
// forbids.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { WIDGET_DIR, snippet, widgetFiles } from "./fake.mjs";

test("the whole widget is at most 15 KB gzipped", async () => {
  const size = gzipSync((await widgetFiles()).get("widget.js"), { level: 9 }).length;
  assert.ok(size > 2000 && size <= 15 * 1024, `${size} bytes`);
});

test("the place for the site's name occurs exactly once", async () => {
  const text = String((await widgetFiles()).get("widget.js"));
  assert.equal(text.split("__CHATBEACON_SITE__").length - 1, 1);
});

test("the script makes no code or HTML from text, and listens to neither unload nor message", async () => {
  const text = String((await widgetFiles()).get("widget.js"));
  const forbidden =
    /\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|"(before)?unload"|"message",\s*\(|onmessage|MutationObserver|document\.cookie/;
  assert.doesNotMatch(text, forbidden);
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
  writeFileSync(join(dir, "app.js"), 'import { a } from "./part.js"; console.log(a);');
  writeFileSync(join(dir, "part.js"), "export const a = [1];");
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
    /\{"page\.html", "text\/html; charset=utf-8", "\\"[0-9a-f]{20}\\"", data_1, 256, /,
  );
  assert.match(c, /\{NULL, NULL, NULL, NULL, 0, NULL, 0\},\n\};/);
  const literal = /data_1\[\] =\n([^;]*(?:;[^;]*)*?);\nextern|data_1\[\] =\n([\s\S]*?)";\n\n/.exec(
    c,
  );
  const text = (literal?.[1] ?? literal?.[2] ?? "").replace(/"\n\s*"/g, "").replace(/^\s*"/, "");
  const read = text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
  assert.deepEqual(Buffer.from(read, "latin1"), bytes);
  const dependencies = readFileSync(out + ".d", "utf8");
  for (const name of ["app.js", "part.js", "page.html"]) assert.ok(dependencies.includes(name));
  make();
  assert.equal(readFileSync(out, "utf8"), c, "the same sources give the same file");
});
