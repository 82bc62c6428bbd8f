// SPDX-License-Identifier: MIT
// No release has crash points: each file that names one is compiled as the release does it, and holds no name of a point.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryFolder } from "../lib/server.mjs";

const root = process.env.CB_SOURCE ?? ".";
const build = process.env.CB_BUILD ?? "build/check";
const read = (path) => readFileSync(join(root, path), "utf8");

/** The points that proto/crash.h lists. */
const points = [...read("proto/crash.h").matchAll(/^ \* {3}([a-z_]+)  /gm)].map((m) => m[1]);

test("each point that is listed stands in the code once, and none that is not listed", () => {
  assert.ok(points.length > 10);
  const commands = JSON.parse(readFileSync(join(build, "compile_commands.json"), "utf8"));
  const files = new Set(commands.map(({ file }) => file)); // some are compiled for tests, too
  const used = [...files]
    .filter((file) => file.endsWith(".c") && !file.includes("/tests/"))
    .flatMap((file) => {
      const text = readFileSync(file, "utf8");
      return [...text.matchAll(/cb_crash_point\("([a-z_]+)"\)/g)].map((m) => m[1]);
    });
  assert.deepEqual(used.sort(), [...points].sort());
});

test("the option is off by default, and on in the preset `check` alone", () => {
  assert.match(read("CMakeLists.txt"), /option\(CB_CRASH_POINTS "[^"]*" OFF\)/);
  for (const { name, cacheVariables } of JSON.parse(read("CMakePresets.json")).configurePresets) {
    assert.equal(cacheVariables.CB_CRASH_POINTS ?? "OFF", name === "check" ? "ON" : "OFF", name);
  }
});

test("without CB_CRASH_POINTS no object holds a point; with it each does", (t) => {
  const dir = temporaryFolder(t);
  const commands = JSON.parse(readFileSync(join(build, "compile_commands.json"), "utf8"));
  const holders = commands.filter(({ file }, i) => {
    const first = commands.findIndex((other) => other.file === file) === i;
    return (
      first && !file.includes("/tests/") && /cb_crash_point\("/.test(readFileSync(file, "utf8"))
    );
  });
  assert.ok(holders.length >= 6);
  for (const { file, command, directory } of holders) {
    for (const on of [false, true]) {
      const object = join(dir, "object.o");
      const compile = command
        .replace(/ -DCB_CRASH_POINTS\b| -f(no-)?sanitize\S*/g, "")
        .replace(/ -o \S+/, ` -o ${object}${on ? " -DCB_CRASH_POINTS" : ""}`);
      const made = spawnSync(compile, { cwd: directory, shell: true });
      assert.equal(made.status, 0, made.stderr.toString());
      const bytes = readFileSync(object, "latin1");
      const held = points.filter((point) => bytes.includes(point));
      assert.equal(held.length > 0, on, `${file}: ${held}`);
      assert.equal(bytes.includes("cb_crash"), on, file);
    }
  }
});
