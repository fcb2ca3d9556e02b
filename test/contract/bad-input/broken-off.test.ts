/** Requests that do not come to their end, over sockets: who sends nothing more, too much, or no HTTP. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fastify, { type FastifyInstance } from "fastify";
import { answerProblems, failureAnswers } from "../../../src/api/problem.ts";
import { cutSilentSenders } from "../../../src/api/silent-senders.ts";

const silentMs = 400;
let app: FastifyInstance;
let port: number;

before(async () => {
  app = fastify({ ...failureAnswers, forceCloseConnections: true });
  answerProblems(app);
  cutSilentSenders(app, silentMs);
  app.addHook("onRequest", async ({ url }, reply) => (url === "/refused" ? reply.code(401).send() : undefined));
  app.post("/read", async ({ body }) => ({ body }));
  app.post("/refused", async () => ({}));
  app.post("/long", async ({ body }) => {
    await sleep(4 * silentMs);
    return { body };
  });
  // What the server itself does not fetch yet is no silence of the sender's.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    scope.post("/later", { bodyLimit: 100 << 20 }, async ({ body }) => {
      await sleep(4 * silentMs);
      let size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) size += chunk.length;
      return { size };
    });
  });
  port = Number(new URL(await app.listen({ host: "127.0.0.1", port: 0 })).port);
});
after(() => app.close());

interface Line {
  readonly socket: Socket;
  said(): string;
  readonly closed: Promise<unknown>;
}

async function dial(method: string, path: string, headers: string): Promise<Line> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let said = "";
  socket.setEncoding("utf8").on("data", (text: string) => (said += text));
  socket.on("error", () => undefined);
  const closed = once(socket, "close");
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${headers}\r\n\r\n`);
  return { socket, said: () => said, closed };
}

const late = () => sleep(20_000, "still open", { ref: false });

describe("a body", () => {
  for (const headers of ["content-length: 10", "transfer-encoding: chunked"]) {
    test(`that never comes is not waited for (${headers})`, async () => {
      const { closed, said } = await dial("POST", "/read", headers);
      assert.notEqual(await Promise.race([closed, late()]), "still open");
      assert.match(said(), /^HTTP\/1\.1 408 [\s\S]*the request did not come to its end/);
    });
  }

  test("that comes slowly is read to its end", async () => {
    const { socket, said } = await dial("POST", "/read", "content-length: 10\r\nconnection: close");
    for (const letter of '"12345678"') {
      await sleep(silentMs / 2);
      socket.write(letter);
    }
    await once(socket, "close");
    assert.match(said(), /^HTTP\/1\.1 200 [\s\S]*"12345678"/);
  });

  test("is not the reason to cut off who waits for us", async () => {
    for (const [path, body, expected] of [
      ["/long", '"a"', /^HTTP\/1\.1 200 [\s\S]*"body":"a"/],
      ["/later", "a".repeat(30 << 20), /^HTTP\/1\.1 200 [\s\S]*"size":31457280/],
    ] as const) {
      const { socket, said, closed } = await dial("POST", path, `content-length: ${body.length}\r\nconnection: close`);
      socket.write(body);
      await closed;
      assert.match(said(), expected, path);
    }
  });
});

test("a URL that is none is answered, and what is sent behind it is not read for ever", async () => {
  const { socket, said, closed } = await dial("POST", "/%", "content-length: 100000000");
  const drip = setInterval(() => socket.write(" "), 50);
  const end = await Promise.race([closed, late()]);
  clearInterval(drip);
  assert.match(said(), /^HTTP\/1\.1 400 /);
  assert.notEqual(end, "still open");
});

test("what is no HTTP behind an answer is not answered with a second one", async () => {
  const { socket, said, closed } = await dial("POST", "/refused", "transfer-encoding: chunked");
  while (!said().includes("\r\n\r\n")) await sleep(10);
  socket.write("no length\r\n");
  await closed;
  assert.equal(said().match(/HTTP\/1\.1/g)?.length, 1, said());
  assert.match(said(), /^HTTP\/1\.1 401 /);
});

test("what is no HTTP at all is told that", async () => {
  const { socket, said, closed } = await dial("GET", "/ x", "a");
  socket.write("\r\n");
  await closed;
  assert.match(said(), /^HTTP\/1\.1 400 [\s\S]*this is no HTTP request/);
});

test("a request that is only played needs no connection", async () => {
  const thrown: Error[] = [];
  const note = (error: Error) => thrown.push(error);
  process.on("uncaughtException", note);
  assert.equal((await app.inject({ method: "POST", url: "/refused", payload: { a: 1 } })).statusCode, 401);
  assert.equal((await app.inject({ method: "POST", url: "/%", payload: { a: 1 } })).statusCode, 400);
  // As long as what is sent after an answer is read.
  await sleep(6000);
  process.off("uncaughtException", note);
  assert.deepEqual(thrown, []);
});
