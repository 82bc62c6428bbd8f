// SPDX-License-Identifier: MIT
// A client of the private API in a process of its own: what a script has in memory from filling, and the collection of it, is not
// in the times. One kept-alive connection; HTTP is read as far as chatbeacon writes it to such a client (Content-Length).
import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";

const HEAD_END = "\r\n\r\n";

/** One connection: ask(request) → ms, one at a time; answer() is the last one. What is not asked for is not made: no garbage. */
function connect(url) {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
  let answered;
  let chunks = [];
  let want = 0; // bytes of the answer; 0 while its head is not there
  let have = 0;
  const end = (error) => answered?.reject(error);
  socket.on("error", end);
  socket.on("close", () => end(new Error("the connection ended")));
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    have += chunk.length;
    if (want === 0) {
      const all = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      const head = all.indexOf(HEAD_END);
      if (head < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(all.toString("latin1", 0, head + 2));
      if (!length) return end(new Error("an answer without Content-Length"));
      want = head + HEAD_END.length + Number(length[1]);
    }
    if (have >= want) answered.resolve(performance.now());
  });
  const ask = async (request) => {
    [chunks, want, have] = [[], 0, 0];
    const begin = performance.now();
    const done = new Promise((resolve, reject) => (answered = { resolve, reject }));
    socket.write(request);
    return (await done) - begin;
  };
  const answer = () => {
    const text = Buffer.concat(chunks).toString();
    const head = text.indexOf(HEAD_END);
    return { head: text.slice(0, head), body: text.slice(head + HEAD_END.length) };
  };
  return { ask, answer };
}

/** Asks a path again and again: {body, times}, ms each; the first `warm` answers are in no time. */
async function run({ url, token, path, warm, asks }) {
  const { ask, answer } = connect(url);
  const text = `GET ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const request = Buffer.from(text);
  await ask(request);
  const { head, body } = answer();
  if (!head.startsWith("HTTP/1.1 200 "))
    throw new Error(`${path}: ${head.split("\r\n")[0]} ${body.slice(0, 300)}`);
  for (let i = 0; i < warm; i++) await ask(request);
  process.send({ warmed: true });
  await once(process, "message");
  const times = [];
  for (let i = 0; i < asks; i++) times.push(await ask(request));
  return { body, times };
}

/** Runs one question in a process of its own; warmed() is called when the times begin. */
export function askApart(question, warmed) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url));
    let said = { error: "the client ended" };
    child.on("message", (message) => {
      if (message.warmed) {
        warmed();
        return child.send("go on");
      }
      said = message;
      child.kill();
    });
    child.on("exit", () => (said.error ? reject(new Error(said.error)) : resolve(said)));
    child.send(question);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.once("message", (question) =>
    run(question).then(
      (found) => process.send(found),
      (error) => process.send({ error: `${error.message}` }),
    ),
  );
