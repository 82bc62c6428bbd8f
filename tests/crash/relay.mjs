// SPDX-License-Identifier: MIT
// Stands between ingest and store on tcp, and loses, doubles or delays whole messages. What it reads of nanomsg: a
// greeting of 8 bytes each way, then messages, each behind its length in 8 bytes (big-endian).
import net from "node:net";

const GREETING = 8;
const HEAD = 8;

/** Cuts a stream into the greeting and messages. */
class Cutter {
  constructor(each) {
    this.each = each;
    this.rest = Buffer.alloc(0);
    this.greeted = false;
  }

  push(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (;;) {
      const len = this.greeted
        ? this.rest.length >= HEAD && HEAD + Number(this.rest.readBigUInt64BE(0))
        : GREETING;
      if (!len || this.rest.length < len) return;
      const piece = this.rest.subarray(0, len);
      this.rest = this.rest.subarray(len);
      this.each(piece, this.greeted);
      this.greeted = true;
    }
  }
}

/**
 * Listens on three ports from `port` on for those from `to` on. frames(n) and acks(n) say what becomes of the n-th
 * message: {copies} (0 loses it), {late_ms}. Returns {frames, acks, close()}: the numbers of messages so far.
 */
export async function startRelay(t, port, to, { frames = () => ({}), acks = () => ({}) }) {
  const state = { frames: 0, acks: 0 };
  const sockets = new Set();
  const faulty = (from, into, channel, rule) => {
    const cutter = new Cutter((piece, message) => {
      const { copies = 1, late_ms = 0 } = message ? rule(state[channel]++) : {};
      const bytes = Buffer.concat(Array.from({ length: copies }, () => piece));
      const write = () => !into.destroyed && into.write(bytes);
      if (late_ms > 0) setTimeout(write, late_ms);
      else write();
    });
    from.on("data", (data) => cutter.push(data));
  };
  const servers = [0, 1, 2].map((channel) =>
    net.createServer((near) => {
      const far = net.connect(to + channel, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ]) {
        sockets.add(one);
        one.on("error", () => {});
        one.on("close", () => {
          sockets.delete(one);
          other.destroy();
        });
      }
      if (channel === 0) faulty(near, far, "frames", frames);
      else near.pipe(far);
      if (channel === 1) faulty(far, near, "acks", acks);
      else far.pipe(near);
    }),
  );
  for (const [i, server] of servers.entries()) {
    await new Promise((resolve, reject) => {
      server.on("error", reject);
      server.listen(port + i, "127.0.0.1", resolve);
    });
  }
  t.after(() => {
    servers.forEach((server) => server.close());
    sockets.forEach((socket) => socket.destroy());
  });
  return state;
}
