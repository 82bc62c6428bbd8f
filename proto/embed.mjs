// SPDX-License-Identifier: MIT
// embed.mjs: bundles a web folder with esbuild and writes it as one C file with a table of
// struct cb_asset (asset.h). Run by cb_embed() of embed.cmake, never by hand:
//
//   node embed.mjs --symbol NAME --source DIR --out FILE.c --depfile FILE.d
//        --entry widget.js … --static demo.html …
//
// The same sources and lock file give the same bytes: nothing here reads a clock or a host name.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const TYPES = new Map([
  [".html", "text/html; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".json", "application/json"],
  [".svg", "image/svg+xml"],
  [".png", "image/png"],
  [".ico", "image/x-icon"],
  [".woff2", "font/woff2"],
  [".txt", "text/plain; charset=utf-8"],
]);

/**
 * A stylesheet that a script imports as text (`with { type: "text" }`, for a shadow root) is
 * minified like any other; esbuild's own text loader would keep it as it is.
 * @type {import("esbuild").Plugin}
 */
const styleAsText = {
  name: "style-as-text",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async (args) => {
      if (args.with.type !== "text") return undefined;
      const { code } = await esbuild.transform(await readFile(args.path, "utf8"), {
        loader: "css",
        minify: true,
        target: build.initialOptions.target,
      });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

/**
 * @param {string} source
 * @returns {import("esbuild").BuildOptions & {write: false, metafile: true}}
 */
function options(source) {
  return {
    absWorkingDir: resolve(source),
    outbase: resolve(source),
    outdir: resolve(source, ".out"), // named only: nothing is written there
    bundle: true,
    minify: true,
    charset: "utf8",
    target: ["chrome91", "firefox90", "safari15"],
    legalComments: "eof",
    loader: { ".svg": "dataurl", ".png": "dataurl", ".woff2": "dataurl" },
    plugins: [styleAsText],
    write: false,
    metafile: true,
    logLevel: "warning",
  };
}

/**
 * The sources of a build.
 * @param {string} source
 * @param {import("esbuild").Metafile} metafile
 */
function inputsOf(source, metafile) {
  return Object.keys(metafile.inputs).map((path) =>
    resolve(source, path.replace(/^[a-z-]+:/, "").replace(/\?.*$/, "")),
  );
}

/**
 * A script that another imports as `./name.js?url` becomes a file of its own, an ES module at an
 * address that has the hash of its content: what is there never changes. The import is the address.
 * @param {string} source
 * @param {Map<string, Buffer>} files gets the file
 * @param {Set<string>} inputs gets what it was made from
 * @returns {import("esbuild").Plugin}
 */
function scriptAsAddress(source, files, inputs) {
  return {
    name: "script-as-address",
    setup(build) {
      build.onResolve({ filter: /\.js\?url$/ }, ({ path, resolveDir }) => ({
        path: resolve(resolveDir, path.replace("?url", "")),
        namespace: "address",
      }));
      build.onLoad({ filter: /.*/, namespace: "address" }, async ({ path }) => {
        const { outputFiles, metafile } = await esbuild.build({
          ...options(source),
          entryPoints: [path],
          format: "esm",
        });
        for (const input of inputsOf(source, metafile)) inputs.add(input);
        const data = Buffer.from(outputFiles[0].contents);
        const name = `w/${hashOf(data)}.js`;
        files.set(name, data);
        return { contents: "/" + name, loader: "text" };
      });
    },
  };
}

/** @param {Buffer} data */
function hashOf(data) {
  return createHash("sha256").update(data).digest("hex").slice(0, 20);
}

/**
 * Bundles the entries; each keeps its name.
 * @param {string} source
 * @param {string[]} entries
 * @returns {Promise<{files: Map<string, Buffer>, inputs: string[]}>}
 */
export async function bundle(source, entries) {
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  if (entries.length === 0) return { files, inputs: [] };
  /** @type {Set<string>} */
  const inputs = new Set();
  const result = await esbuild.build({
    ...options(source),
    entryPoints: entries.map((entry) => resolve(source, entry)),
    format: "iife",
    plugins: [styleAsText, scriptAsAddress(source, files, inputs)],
  });
  for (const file of result.outputFiles) {
    files.set(relative(resolve(source, ".out"), file.path), Buffer.from(file.contents));
  }
  for (const input of inputsOf(source, result.metafile)) inputs.add(input);
  return { files, inputs: [...inputs] };
}

/**
 * The compressed forms that are smaller than the data itself.
 * @param {Buffer} data
 */
function compressed(data) {
  const gzip = gzipSync(data, { level: 9 });
  gzip[9] = 255; // the operating system's number: unknown, so that builds are alike
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  };
  const brotli = brotliCompressSync(data, { params });
  const all = Object.entries({ gzip, brotli });
  return new Map(all.filter(([, { length }]) => length < data.length));
}

/**
 * Bytes as C string literals: compiles many times faster than a list of numbers.
 * @param {Buffer} bytes
 */
function literal(bytes) {
  const lines = [];
  let line = "";
  for (const byte of bytes) {
    // Three octal digits always: a digit that follows cannot join the escape. ? because of trigraphs.
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c && byte !== 0x3f;
    line += plain ? String.fromCharCode(byte) : "\\" + byte.toString(8).padStart(3, "0");
    if (line.length >= 90) {
      lines.push(line);
      line = "";
    }
  }
  if (line || lines.length === 0) lines.push(line);
  return lines.map((text) => `    "${text}"`).join("\n");
}

/**
 * @param {string} symbol
 * @param {Map<string, Buffer>} files
 */
function table(symbol, files) {
  let arrays = "";
  let rows = "";
  [...files.keys()].sort().forEach((path, i) => {
    const data = /** @type {Buffer} */ (files.get(path));
    const type = TYPES.get(extname(path));
    if (!type) throw new Error(`${path}: no content type is known for this kind of file`);
    arrays += `static const unsigned char data_${i}[] =\n${literal(data)};\n`;
    rows += `    {"${path}", "${type}", "\\"${hashOf(data)}\\"", {data_${i}, ${data.length}}, `;
    const packed = compressed(data);
    const forms = ["gzip", "brotli"].map((name) => {
      const bytes = packed.get(name);
      if (!bytes) return "{NULL, 0}";
      arrays += `static const unsigned char ${name}_${i}[] =\n${literal(bytes)};\n`;
      return `{${name}_${i}, ${bytes.length}}`;
    });
    rows += `${forms.join(", ")}},\n`;
  });
  return (
    `/* Made by proto/embed.mjs: edit the web folder instead. */\n#include "proto/asset.h"\n\n${arrays}\n` +
    `extern const struct cb_asset ${symbol}[];\nconst struct cb_asset ${symbol}[] = {\n${rows}` +
    `    {.path = NULL},\n};\n`
  );
}

async function main() {
  const { values } = parseArgs({
    options: {
      symbol: { type: "string" },
      source: { type: "string" },
      out: { type: "string" },
      depfile: { type: "string" },
      entry: { type: "string", multiple: true, default: [] },
      static: { type: "string", multiple: true, default: [] },
    },
  });
  const { symbol, source, out, depfile, entry = [], static: copied = [] } = values;
  if (!symbol || !source || !out || !depfile) {
    throw new Error("--symbol, --source, --out and --depfile are needed");
  }
  const { files, inputs } = await bundle(source, entry);
  for (const path of copied) {
    files.set(path, await readFile(join(source, path)));
    inputs.push(resolve(source, path));
  }
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, table(symbol, files));
  const escaped = inputs.map((path) => path.replace(/([ #$\\])/g, "\\$1"));
  await writeFile(depfile, `${out}: ${escaped.join(" \\\n  ")}\n`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(`embed: ${error.message}`);
    process.exitCode = 1;
  });
}
