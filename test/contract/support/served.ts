/** The real server in this process, asked over its own doors; only builds are not done, as there is no worker. */
import assert from "node:assert/strict";
import type { OutgoingHttpHeaders } from "node:http";
import { rm } from "node:fs/promises";
import { readConfig, type Config } from "../../../src/server/config.ts";
import { openHouse, type House } from "../../../src/server/open.ts";
import { serve } from "../../../src/server/serve.ts";
import { send } from "../../support/send.ts";
import { makeFolder } from "../../support/server.ts";

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Of a JSON body. */
  // oxlint-disable-next-line typescript/no-explicit-any -- each test knows what it asks for
  readonly json: any;
}

export interface Sent {
  /** Sent as JSON; text and bytes are sent as they are. */
  readonly body?: unknown;
  /** Nothing beside these and what HTTP needs: no content type that is not named. */
  readonly headers?: OutgoingHttpHeaders;
}

export interface Served {
  /** The same data, seen by a second connection, as a worker sees them. */
  readonly house: House;
  readonly admin: URL;
  readonly nodeDoor: URL;
  /** Where its data are. */
  readonly data: string;
  /** The token of an administrator. */
  readonly token: string;
  /** At the administrators' door, with the token of an administrator where no other `authorization` is given. */
  ask(method: string, path: string, sent?: Sent): Promise<Reply>;
  /** At any door, as it is. */
  askAt(door: URL, method: string, path: string, sent?: Sent): Promise<Reply>;
  close(): Promise<void>;
}

export async function openServed(more: Partial<Pick<Config, "sat" | "open_reads">> = {}): Promise<Served> {
  const listen = { admin_listen: "127.0.0.1:0", node_door_listen: "127.0.0.1:0" };
  const read = readConfig({ data: await makeFolder() }, { NETKILN_CONFIG: undefined }, listen);
  const config = { ...read, ...more };
  const until = new AbortController();
  let ended = Promise.resolve();
  const doors = await new Promise<{ admin: string | undefined; nodeDoor: string }>((onReady, onFailure) => {
    ended = serve(config, { worker: false, onReady }, until.signal);
    ended.catch(onFailure);
  });
  const house = await openHouse(config);
  const { secret } = await house.tokens.create({ name: "tests", days: 1, role: "admin" });
  const admin = new URL(doors.admin ?? "");
  return {
    ...{ house, admin, nodeDoor: new URL(`http://${doors.nodeDoor}`), askAt: ask },
    ...{ data: config.data, token: secret },
    ask: (method, path, { body, headers } = {}) =>
      ask(admin, method, path, { body, headers: { authorization: `Bearer ${secret}`, ...headers } }),
    close: async () => {
      await house.db.destroy();
      until.abort();
      await ended;
      await rm(config.data, { recursive: true });
    },
  };
}

async function ask(door: URL, method: string, path: string, { body, headers }: Sent = {}): Promise<Reply> {
  const { body: text, ...answer } = await send({ url: door }, method, path, { body: bytesOf(body), headers });
  const isJson = /json/.test(String(answer.headers["content-type"])) && text !== "";
  return { ...answer, text, json: isJson ? JSON.parse(text) : undefined };
}

function bytesOf(body: unknown): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

/** What clients show of a failure: both are there, or neither is shown. */
export function assertProblem({ status, headers, json, text }: Reply, expected: number, what: string): void {
  assert.equal(status, expected, `${what} answered ${status}: ${text.slice(0, 500)}`);
  assert.match(String(headers["content-type"]), /^application\/problem\+json/, what);
  assert.ok(typeof json.title === "string" && json.title !== "", `${what}: no title in ${text}`);
  assert.ok(typeof json.detail === "string" && json.detail !== "", `${what}: no detail in ${text}`);
  assert.equal(json.status, expected, what);
}
