/** The administrators' door with a real house behind it, for tests; what needs a worker or machines is not there. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import type { FastifyInstance, InjectOptions } from "fastify";
import { openAccounts } from "../access/index.ts";
import { openAdminDoor, type AdminParts } from "../api/admin.ts";
import { openServedRepositories } from "../configuration/index.ts";
import { accessParts } from "./access.ts";
import { readConfig } from "./config.ts";
import { openHouse, type House } from "./open.ts";

export interface PlantedDoor {
  readonly house: House;
  /** As over TCP. */
  readonly app: FastifyInstance;
  ask(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    url: string,
    sent?: {
      token?: string | undefined;
      tenant?: string;
      headers?: Record<string, string>;
      payload?: InjectOptions["payload"];
    },
    // oxlint-disable-next-line typescript/no-explicit-any -- each test knows what it asks for
  ): Promise<{ status: number; headers: Readonly<Record<string, unknown>>; text: string; body: any }>;
  close(): Promise<void>;
}

/** Of the door that is planted with `sat`. */
export const gitLogin = { username: "git-reader", password: "0".repeat(64) };

export async function plantAdminDoor(
  folder: string,
  more: { openReads?: boolean; requireToken?: boolean; sat?: boolean } = {},
): Promise<PlantedDoor> {
  const config = {
    ...readConfig({ data: folder }, { NETKILN_CONFIG: undefined }),
    open_reads: more.openReads ?? false,
  };
  const opened = await openHouse(config);
  // Passwords that are quick to check.
  const house = { ...opened, accounts: openAccounts(opened.db, { logN: 4, r: 1, p: 1 }) };
  const parts = {
    ...house,
    ...accessParts(config, house, () => "https://admin.example.org"),
    ...{ certificates: undefined, power: {}, bootprep: {}, lifecycle: {}, work: {}, locks: {}, version: "0.0.0" },
    door: () => "10.1.0.1:8077",
    wake: () => undefined,
    sat: more.sat === true ? { gitLogin, repositories: openServedRepositories({}, house.git) } : undefined,
  } as unknown as AdminParts;
  const app = openAdminDoor(parts, { requireToken: more.requireToken ?? true });
  return {
    house,
    app,
    ask: async (method, url, { token, tenant, headers = {}, payload } = {}) => {
      const answer = await app.inject({
        ...{ method, url, ...(payload !== undefined && { payload }) },
        headers: {
          ...headers,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(tenant !== undefined && { "cray-tenant-name": tenant }),
        },
      });
      const isJson = /json/.test(String(answer.headers["content-type"])) && answer.body !== "";
      const { statusCode: status, body: text } = answer;
      return { status, headers: answer.headers, text, body: isJson ? JSON.parse(text) : undefined };
    },
    close: async () => {
      await app.close();
      await house.db.destroy();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What fastify serves, once it is ready. It prints a tree; each line is a part of a path, with the methods that end there. */
export function routesOf(app: FastifyInstance): { method: string; path: string }[] {
  const above: string[] = [];
  const lines = app.printRoutes({ commonPrefix: false }).split("\n");
  // What stands before a wildcard with nothing beside it is not printed; the only such one is known.
  const unnamed = lines.filter((line) => /^[├└]── \* /.test(line)).length;
  assert.ok(unnamed <= 1, `${unnamed} wildcards are printed without what stands before them`);
  return lines.flatMap((line) => {
    const [, indent = "", part = "", methods] = /^((?:│ {3}| {4})*)[├└]── (.*?)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? [];
    if (part === "") return [];
    above.length = indent.length / 4;
    above.push(part === "(empty root node)" ? "" : part);
    const path = above.join("").replace(/^\*$/, "/vcs/*");
    return (methods ?? "")
      .split(", ")
      .filter((method) => method !== "" && method !== "HEAD")
      .map((method) => ({ method, path }));
  });
}
