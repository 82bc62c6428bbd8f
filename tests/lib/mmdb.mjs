// SPDX-License-Identifier: MIT
// mmdb.mjs: writes a small MaxMind database (https://maxmind.github.io/MaxMind-DB/), since the real
// ones may not be handed on. The file of tests/ingest/geo_test.c was made by
// `node tests/lib/mmdb.mjs > tests/ingest/countries.mmdb`.
import { fileURLToPath } from "node:url";

const UINT16 = 5;
const UINT32 = 6;
const UINT64 = 9;

/** A control byte or two; sizes stay below 29. */
const control = (type, size) =>
  type <= 7 ? Buffer.from([(type << 5) | size]) : Buffer.from([size, type - 7]);

function uint(type, value) {
  const bytes = [];
  for (let left = value; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return Buffer.concat([control(type, bytes.length), Buffer.from(bytes)]);
}

/** Strings, arrays, objects; numbers are given as [type, value]. */
function encode(value) {
  if (typeof value === "string")
    return Buffer.concat([control(2, value.length), Buffer.from(value)]);
  if (value.type) return uint(value.type, value.value);
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const pairs = Object.entries(value);
  return Buffer.concat([control(7, pairs.length), ...pairs.flat().map(encode)]);
}

/** The 128 bits of an address; IPv4 stands in ::/96. */
function bitsOf(address) {
  let groups;
  if (address.includes(".")) {
    const [a, b, c, d] = address.split(".").map(Number);
    groups = [0, 0, 0, 0, 0, 0, a * 256 + b, c * 256 + d];
  } else {
    const [left, right] = address.split("::").map((part) => (part ? part.split(":") : []));
    const between = Array(8 - left.length - (right?.length ?? 0)).fill("0");
    groups = [...left, ...between, ...(right ?? [])].map((group) => parseInt(group, 16));
  }
  return groups.map((group) => group.toString(2).padStart(16, "0")).join("");
}

/**
 * @param {Record<string, string>} networks "10.1.0.0/16" or "2001:db8::/32" to a country's code
 * @param {string} [type]
 */
export function mmdb(networks, type = "Test-Country") {
  const nodes = [[null, null]];
  const data = [];
  let dataBytes = 0;
  for (const [network, country] of Object.entries(networks)) {
    const [address, length] = network.split("/");
    const bits = bitsOf(address).slice(0, Number(length) + (address.includes(".") ? 96 : 0));
    const entry = encode({ country: { iso_code: country } });
    let node = 0;
    for (const bit of bits.slice(0, -1)) {
      if (nodes[node][bit] === null) nodes[node][bit] = nodes.push([null, null]) - 1;
      node = nodes[node][bit];
    }
    nodes[node][bits.at(-1)] = { at: dataBytes };
    data.push(entry);
    dataBytes += entry.length;
  }
  const tree = Buffer.alloc(nodes.length * 6);
  nodes.flat().forEach((record, i) => {
    const value =
      record === null
        ? nodes.length
        : record.at === undefined
          ? record
          : nodes.length + 16 + record.at;
    tree.writeUIntBE(value, i * 3, 3);
  });
  const metadata = encode({
    node_count: { type: UINT32, value: nodes.length },
    record_size: { type: UINT16, value: 24 },
    ip_version: { type: UINT16, value: 6 },
    database_type: type,
    languages: ["en"],
    binary_format_major_version: { type: UINT16, value: 2 },
    binary_format_minor_version: { type: UINT16, value: 0 },
    build_epoch: { type: UINT64, value: 1700000000 },
    description: { en: "for tests" },
  });
  const marker = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1");
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata]);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(mmdb({ "10.1.0.0/16": "GR", "10.2.3.0/24": "DE", "2001:db8::/32": "JP" }));
