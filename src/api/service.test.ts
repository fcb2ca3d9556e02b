import assert from "node:assert/strict";
import { request as ask } from "node:http";
import { test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { z } from "zod";
import { NetkilnError } from "../lib/errors.ts";
import { answerProblems } from "./problem.ts";
import { answer, operation, registerService, type Operation, type Service } from "./service.ts";

const echo: Operation[] = [
  operation({
    id: "echo",
    method: "POST",
    path: "/things/{thing_id}",
    query: z.object({ limit: z.coerce.number().int().optional() }),
    body: z.strictObject({ name: z.string() }),
    run: async ({ params, query, body }) => answer(201, { ...params, ...query, ...body }, { "X-Seen": "yes" }),
  }),
  operation({
    id: "look",
    method: "GET",
    path: "/things",
    body: z.object({ hosts: z.array(z.string()) }).optional(),
    bodyLimit: 1000,
    run: async ({ body }) => answer(200, body?.hosts ?? null),
  }),
  operation({
    id: "name",
    method: "DELETE",
    path: "/names",
    run: async ({ principal }) => answer(200, principal()),
  }),
  operation({ id: "word", method: "GET", path: "/word", run: async () => answer(200, "word") }),
  operation({ id: "gone", method: "DELETE", path: "/things", run: async () => answer(204) }),
];

function serve(more: Partial<Service> = {}): FastifyInstance {
  const app = fastify();
  answerProblems(app);
  registerService(app, { name: "test", title: "Test", bases: ["/apis/test", "/t"], operations: echo, ...more });
  return app;
}

test("an operation is served under every base, with its path, query and body", async () => {
  const app = serve();
  for (const base of ["/apis/test", "/t"]) {
    const found = await app.inject({ method: "POST", url: `${base}/things/a%20b?limit=3`, payload: { name: "n" } });
    assert.deepEqual([found.statusCode, found.json()], [201, { thing_id: "a b", limit: 3, name: "n" }]);
    assert.equal(found.headers["x-seen"], "yes");
  }
  const word = await app.inject("/t/word");
  assert.deepEqual([word.headers["content-type"], word.body], ["application/json; charset=utf-8", '"word"']);
  assert.deepEqual((await app.inject({ method: "DELETE", url: "/t/things" })).body, "");
});

test("a body is read whatever type it says that it has", async () => {
  const app = serve();
  for (const type of [
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/merge-patch+json",
  ]) {
    const headers = { "content-type": type };
    const found = await app.inject({ method: "POST", url: "/t/things/1", headers, payload: '{"name": "n"}' });
    assert.equal(found.statusCode, 201, type);
  }
  const bare = await app.inject({ method: "POST", url: "/t/things/1", payload: Buffer.from('{"name": "n"}') });
  assert.equal(bare.statusCode, 201);
});

test("a GET may have a body", async (t) => {
  const app = serve();
  t.after(() => app.close());
  const url = new URL(await app.listen({ port: 0, host: "127.0.0.1" }));
  const get = (body: string) =>
    new Promise<string>((resolve, reject) => {
      const sent = ask({ host: url.hostname, port: url.port, path: "/t/things", method: "GET" }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += String(chunk)));
        response.on("end", () => resolve(`${response.statusCode} ${text}`));
      });
      sent.on("error", reject).setHeader("content-length", Buffer.byteLength(body)).end(body);
    });
  assert.equal(await get('{"hosts": ["x1"]}'), '200 ["x1"]');
  assert.equal(await get(""), "200 null");
  assert.match(await get("{"), /^400 /);
  assert.match(await get(`{"hosts": ["${"x".repeat(2000)}"]}`), /^413 /);
});

test("mistakes are told with title and detail, as the service words them", async () => {
  const unknown = { method: "POST", url: "/t/things/1", payload: { nam: "n" } } as const;
  const plain = await serve().inject(unknown);
  assert.equal(plain.headers["content-type"], "application/problem+json; charset=utf-8");
  assert.match(JSON.stringify(plain.json()), /"status":400,"title":"Bad Request","detail":"the request's body is not/);
  const worded = serve({ problem: ({ message }) => ({ status: 422, title: "No", detail: message, errors: {} }) });
  const { statusCode, body } = await worded.inject(unknown);
  assert.deepEqual([statusCode, (JSON.parse(body) as { title: string }).title], [422, "No"]);
  const torn = await serve().inject({ method: "POST", url: "/t/things/1", payload: "{" });
  assert.match(torn.body, /no JSON/);
  const large = await serve().inject({ method: "POST", url: "/t/things/1", payload: Buffer.alloc(17 << 20) });
  assert.equal(large.statusCode, 413);
});

test("what an operation throws is told, and what nobody expects is not", async () => {
  const throwing = (error: unknown) =>
    operation({ id: "x", method: "GET", path: "/x", run: async () => Promise.reject(error as Error) });
  const known = serve({ operations: [throwing(new NetkilnError("not_found", "there is no x"))] });
  assert.deepEqual((await known.inject("/t/x")).json(), {
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: "there is no x",
    code: "not_found",
  });
  const unknown = await serve({ operations: [throwing(new Error("secret"))] }).inject("/t/x");
  assert.equal(unknown.statusCode, 500);
  assert.doesNotMatch(unknown.body, /secret/);
});

test("nothing is done in the name of a caller who was never asked who he is", async () => {
  const { statusCode, body } = await serve().inject({ method: "DELETE", url: "/t/names" });
  assert.equal(statusCode, 401, body);
});
