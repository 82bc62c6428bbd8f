// SPDX-License-Identifier: MIT
// events.js: server-sent events out of the bytes of an answer (WHATWG HTML, "Parsing an event
// stream"), as far as the service writes them: lines end with a line feed, data is one line of JSON.

/** @typedef {import("./api.js").LiveEvent} LiveEvent */

/**
 * Gives each event, and null for what is none (a comment, `retry`).
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<LiveEvent | null>}
 */
export async function* eventsOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) yield eventOf(block);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * @param {string} block
 * @returns {LiveEvent | null}
 */
function eventOf(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
  }
  if (!fields.event || !fields.data) return null;
  return /** @type {LiveEvent} */ ({
    event: fields.event,
    id: fields.id ?? "",
    data: JSON.parse(fields.data),
  });
}
