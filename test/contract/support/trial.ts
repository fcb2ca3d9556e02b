/** Tries the operations of a service one after the other, and holds every answer against the contract. */
import assert from "node:assert/strict";
import type { FastifyInstance } from "fastify";
import type { ContractOperation } from "./contract.ts";

export interface Sent {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | string[]>>;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Trial {
  /** Sends a request; the answer has to have this status, which the contract documents, and a body as it says. */
  ask<T = unknown>(id: string, status: number, sent?: Sent): Promise<T>;
  /** Fails when an operation was not tried with a request that works, or never with one that does not. */
  assertAllTried(except?: readonly string[]): void;
}

export function openTrial(app: FastifyInstance, base: string, contract: readonly ContractOperation[]): Trial {
  const byId = new Map(contract.map((operation) => [operation.id, operation]));
  const good = new Set<string>();
  const bad = new Set<string>();
  return {
    ask: async <T>(id: string, status: number, { params = {}, query = {}, body, headers = {} }: Sent = {}) => {
      const operation = byId.get(id);
      assert.ok(operation, `the contract has no operation ${id}`);
      const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
      const answer = await app.inject({
        method: operation.method,
        url: `${base}${path}`,
        query: { ...query },
        headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
        ...(body !== undefined && { payload: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const what = `${id} (${operation.method} ${path})`;
      assert.equal(answer.statusCode, status, `${what} answered ${answer.statusCode}: ${answer.body.slice(0, 500)}`);
      const { statuses } = operation;
      assert.ok(statuses.has(String(status)) || statuses.has("default"), `${what}: ${status} is not documented`);
      const isJson = /json/.test(String(answer.headers["content-type"]));
      const parsed = isJson && answer.body !== "" ? (JSON.parse(answer.body) as unknown) : answer.body;
      if (isJson) {
        const problem = operation.problemOf(status, parsed);
        assert.equal(problem, undefined, `${what} answered ${answer.body.slice(0, 500)}`);
      }
      if (status >= 400) {
        const { title, detail } = parsed as { title?: unknown; detail?: unknown };
        assert.ok(typeof title === "string" && typeof detail === "string", `${what}: no title and detail`);
        bad.add(id);
      } else good.add(id);
      return parsed as T;
    },
    assertAllTried: (except = []) => {
      const skipped = new Set(except);
      const left = [...byId.values()].filter(({ id }) => !skipped.has(id));
      const notTried = left.filter(({ id }) => !good.has(id)).map(({ id }) => `${id}: no request that works`);
      const neverBad = left
        .filter(({ id, statuses }) => !bad.has(id) && [...statuses].some((status) => status.startsWith("4")))
        .map(({ id }) => `${id}: no request that is refused`);
      assert.deepEqual([...notTried, ...neverBad], []);
    },
  };
}
