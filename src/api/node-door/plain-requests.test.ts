import assert from "node:assert/strict";
import { connect, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fastify from "fastify";
import { useClock } from "../../lib/clock.ts";
import { failureAnswers } from "../problem.ts";
import { takePlainRequests, type PlainRequest } from "./plain-requests.ts";

/** A door that takes `/plain`, answers at once unless it is told to wait, and says on which way a request came. */
async function openDoor(t: TestContext, limits: { headersTimeout?: number; keepAliveTimeout?: number } = {}) {
  const { keepAliveTimeout = 5000, headersTimeout = 5000 } = limits;
  const app = fastify({ ...failureAnswers, forceCloseConnections: true, keepAliveTimeout, http: { headersTimeout } });
  const handedOver: Socket[] = [];
  app.server.on("connection", (socket: Socket) => handedOver.push(socket));
  const waiting: PlainRequest[] = [];
  const seen: string[] = [];
  let waits = false;
  takePlainRequests(app, (request) => {
    if (request.url !== "/plain") return false;
    seen.push(`${request.host} ${request.address}`);
    if (waits) waiting.push(request);
    else request.answer("plain\n");
    return true;
  });
  app.all("/plain", async (request, reply) =>
    reply.type("text/plain").send(`http ${request.method} ${request.body ?? ""}\n`),
  );
  app.get("/other", async (_request, reply) => reply.type("text/plain").send("other\n"));
  await app.listen({ port: 0, host: "127.0.0.1" });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const open = async () => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    t.after(() => socket.destroy());
    const client = { socket, text: "", ended: false };
    socket.setEncoding("latin1").on("data", (part: string) => (client.text += part));
    socket.on("end", () => (client.ended = true)).on("error", () => undefined);
    return client;
  };
  return { app, open, waiting, seen, handedOver, wait: () => (waits = true) };
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn += 1) {
    assert.ok(turn < 500, `never: ${what}`);
    await sleep(10);
  }
}

const get = "GET /plain HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: iPXE/1.21.1\r\n\r\n";
const bodies = (text: string) => [...text.matchAll(/\r\n\r\n([^]*?\n)/g)].map(([, body]) => body);

test("a plain request is answered as the HTTP server would, and the connection stays", async (t) => {
  const { open, seen } = await openDoor(t);
  const giveBack = useClock({ now: () => new Date("2026-11-22T10:00:00.5Z") });
  t.after(giveBack);
  const client = await open();
  client.socket.write(get);
  await until("answered", () => client.text.endsWith("plain\n"));
  assert.equal(
    client.text,
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n" +
      "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nplain\n",
  );
  client.socket.write(get);
  await until("answered again", () => bodies(client.text).length === 2);
  client.socket.write("GET /plain HTTP/1.1\r\nconnection: Keep-Alive\r\nhost:a\r\n\r\n");
  await until("answered with other headers", () => bodies(client.text).length === 3);
  assert.deepEqual(bodies(client.text), ["plain\n", "plain\n", "plain\n"]);
  assert.deepEqual(seen, ["10.0.0.1:8080 127.0.0.1", "10.0.0.1:8080 127.0.0.1", "a 127.0.0.1"]);
});

test("the HTTP server answers whatever is not plain, and all that comes behind it", async (t) => {
  const { open, seen } = await openDoor(t);
  const lines = (...more: string[]) => ["GET /plain HTTP/1.1", "Host: a", ...more, "", ""].join("\r\n");
  const cases: readonly (readonly [what: string, sent: string | string[], answer: RegExp])[] = [
    ["another path", "GET /other HTTP/1.1\r\nHost: a\r\n\r\n", /^HTTP\/1.1 200 [^]*other\n$/],
    [
      "a body",
      "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
      /http POST hi/,
    ],
    ["a body of a GET", lines("Content-Length: 4").concat("GET "), /http GET/],
    ["chunks", lines("Transfer-Encoding: chunked").concat("0\r\n\r\n"), /http GET/],
    ["another proxy's word", lines("X-Forwarded-For: 10.9.9.9"), /http GET/],
    ["an expectation", lines("Expect: 100-continue"), /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK[^]*http GET/],
    ["the wish to close", lines("Connection: close"), /Connection: close[^]*http GET/i],
    ["HTTP/1.0", "GET /plain HTTP/1.0\r\nHost: a\r\n\r\n", /Connection: close[^]*http GET/i],
    ["pieces", ["GET /pla", "in HTTP/1.1\r\nHo", "st: a\r\n\r", "\n"], /http GET/],
    ["two at once", get + get, /http GET[^]*http GET/],
    ["one and a half", [get + get.slice(0, 20), get.slice(20)], /http GET[^]*http GET/],
    ["much", lines(`X-Long: ${"x".repeat(3000)}`), /http GET/],
    ["an empty header", lines("Accept:"), /http GET/],
    ["a folded header", lines("Accept: a,", " b"), /HTTP\/1.1 400 /],
    ["two hosts", lines("Host: b"), /http GET/],
    ["no host", "GET /plain HTTP/1.1\r\nAccept: a\r\n\r\n", /HTTP\/1.1 400 /],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", /^HTTP\/1.1 400 [^]*this is no HTTP request/],
    ["a header that is none", lines("a b: c"), /^HTTP\/1.1 400 /],
    ["a space in the URL", "GET /pl ain HTTP/1.1\r\nHost: a\r\n\r\n", /^HTTP\/1.1 400 /],
  ];
  for (const [what, sent, expected] of cases) {
    const client = await open();
    for (const part of [sent].flat()) {
      client.socket.write(part, "latin1");
      await sleep(20);
    }
    await until(what, () => expected.test(client.text));
    assert.deepEqual(seen, [], what);
    client.socket.destroy();
  }
  const client = await open();
  client.socket.write("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
  await until("other", () => bodies(client.text).length === 1);
  client.socket.write(get);
  await until("plain behind it", () => bodies(client.text).length === 2);
  assert.deepEqual(bodies(client.text), ["other\n", "http GET \n"]);
});

test("what comes after a plain request, or before its answer, gets its answer in its turn", async (t) => {
  const { open, waiting, wait } = await openDoor(t);
  const first = await open();
  first.socket.write(get);
  await until("plain", () => bodies(first.text).length === 1);
  first.socket.write("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
  await until("other", () => bodies(first.text).length === 2);
  assert.deepEqual(bodies(first.text), ["plain\n", "other\n"]);

  wait();
  const second = await open();
  second.socket.write(get);
  await until("asked", () => waiting.length === 1);
  second.socket.write("GET /other HTTP/1.1\r\nHost: a\r\n\r\nGET /pl");
  await sleep(50);
  second.socket.write("ain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  second.socket.end();
  await sleep(50);
  assert.equal(second.text, "", "nothing before its turn");
  waiting[0]?.answer("late\n");
  await until("closed", () => second.ended);
  assert.deepEqual(bodies(second.text), ["late\n", "other\n", "http GET \n"]);
});

test("who asks on and on and reads nothing is waited for", async (t) => {
  const { open, seen, waiting, wait } = await openDoor(t);
  wait();
  const client = await open();
  client.socket.pause();
  const text = `${"x".repeat(500_000)}\n`;
  for (let turn = 1; seen.length === turn - 1 && turn < 100; turn += 1) {
    client.socket.write(get);
    for (let tries = 0; seen.length < turn && tries < 20; tries += 1) await sleep(10);
    if (seen.length === turn) waiting.at(-1)?.answer(text);
  }
  assert.ok(seen.length < 50, `${seen.length} answers were taken`);
  client.socket.resume();
  await until("the last answer, by HTTP", () => client.text.endsWith("http GET \n"));
  assert.deepEqual(bodies(client.text), [...seen.map(() => text), "http GET \n"]);
});

test("a client that sends no more gets its answer, and one that has gone does no harm", async (t) => {
  const { open, waiting, wait, app, handedOver } = await openDoor(t);
  wait();
  const half = await open();
  half.socket.end(get);
  const [gone, early] = [await open(), await open()];
  gone.socket.write(get);
  early.socket.write(get);
  await until("all asked", () => waiting.length === 3);
  early.socket.write(get);
  await sleep(50);
  gone.socket.resetAndDestroy();
  early.socket.resetAndDestroy();
  await sleep(50);
  for (const request of waiting) request.answer("answer\n");
  await until("closed", () => half.ended);
  assert.match(half.text, /\r\nConnection: close\r\n\r\nanswer\n$/);
  const silent = await open();
  silent.socket.end();
  await until("closed too", () => silent.ended);
  assert.equal(silent.text, "");
  await sleep(20);
  const left = await new Promise((resolve) => app.server.getConnections((_, count) => resolve(count)));
  assert.equal(left, 0);
  // It would wait for the end of a connection that has ended.
  assert.deepEqual(handedOver, []);
});

test("texts are counted in bytes, and what is refused says why", async (t) => {
  const { open, waiting, wait } = await openDoor(t);
  wait();
  const client = await open();
  client.socket.write(get);
  await until("asked", () => waiting.length === 1);
  waiting[0]?.answer("é\n");
  await until("answered", () => client.text.endsWith("\n"));
  assert.match(client.text, /content-length: 3\r\n[^]*\r\n\r\n\u00c3\u00a9\n$/);
  client.socket.write(get);
  await until("asked again", () => waiting.length === 2);
  waiting[1]?.refuse({ type: "about:blank", status: 404, title: "Not Found", detail: "there is none" });
  await until("refused", () => client.text.endsWith("}"));
  assert.match(
    client.text,
    /HTTP\/1.1 404 Not Found\r\ncontent-type: application\/problem\+json\r\ncontent-length: 80\r\n[^]*"there is none"}$/,
  );
});

test("who sends nothing is told that it is late, and who sends no more is closed; not while it is answered", async (t) => {
  const { open, waiting, wait } = await openDoor(t, { headersTimeout: 200, keepAliveTimeout: 400 });
  const [silent, asking] = [await open(), await open()];
  asking.socket.write(get);
  await until("late", () => silent.ended);
  assert.match(silent.text, /^HTTP\/1.1 408 [^]*did not come to its end/);
  assert.equal(asking.ended, false);
  await until("closed", () => asking.ended);
  assert.deepEqual(bodies(asking.text), ["plain\n"]);
  wait();
  const patient = await open();
  patient.socket.write(get);
  await sleep(600);
  assert.equal(patient.ended, false);
  waiting[0]?.answer("at last\n");
  await until("answered", () => patient.text.endsWith("at last\n"));
});

test("the door closes with connections open, whatever they do", async (t) => {
  const { app, open, waiting, wait } = await openDoor(t);
  const sockets: { socket: Socket; ended: boolean }[] = [await open()];
  const used = await open();
  used.socket.write(get);
  await until("answered", () => used.text.endsWith("plain\n"));
  wait();
  const asking = await open();
  asking.socket.write(get);
  await until("asked", () => waiting.length === 1);
  sockets.push(used, asking);
  const closed = sockets.map(({ socket }) => new Promise((resolve) => socket.once("close", resolve)));
  for (const { socket } of sockets) socket.on("end", () => socket.destroy());
  await app.close();
  await Promise.all(closed);
  waiting[0]?.answer("too late\n");
});
