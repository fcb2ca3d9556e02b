/** Every call that clients are known to send (listed.txt) is replayed by a row of the tables, or says why not. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { memberOf, type Call } from "./calls.ts";
import * as crayBoot from "./tables/cray-boot.ts";
import * as crayBss from "./tables/cray-bss.ts";
import * as crayHsm from "./tables/cray-hsm.ts";
import * as crayIms from "./tables/cray-ims.ts";
import * as ochamiBoot from "./tables/ochami-boot.ts";
import * as ochamiSmd from "./tables/ochami-smd.ts";
import * as others from "./tables/others.ts";
import * as sat from "./tables/sat.ts";

/** Of what a table's file exports, what is a table. */
function rowsOf(...files: readonly Readonly<Record<string, unknown>>[]): readonly Call[] {
  return files.flatMap((file) =>
    Object.values(file)
      .filter((one): one is readonly Call[] => Array.isArray(one))
      .flat(),
  );
}

const tables: Readonly<Record<string, readonly Call[]>> = {
  cray: rowsOf(crayIms, crayBoot, crayBss, crayHsm),
  ochami: rowsOf(ochamiSmd, ochamiBoot),
  sat: rowsOf(sat),
  others: rowsOf(others),
};

interface Listed {
  readonly line: string;
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
  readonly members: readonly string[];
  /** Why it is not replayed. */
  readonly because: string | undefined;
}

const listed = readFileSync(new URL("listed.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line): Listed => {
    const [call = "", because] = line.split(" -- ");
    const [client = "", method = "", place = "", ...members] = call.split(/\s+/);
    const [path = "", query] = place.split("?");
    return {
      line,
      client,
      method,
      path,
      query: query?.split("&") ?? [],
      members: members.map((one) => one.slice(1)),
      because,
    };
  });

const literal = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Only a call that works is one: what is refused says nothing about what is not. */
function isReplay({ method, path, query, members }: Listed, row: Call): boolean {
  const [verb, target = ""] = row.sends.split(" ");
  const [place = "", asked] = target.split("?");
  const given = new URLSearchParams(asked);
  const pattern = path
    .split(/\{\w+\}/)
    .map(literal)
    .join("[^/]+");
  return (
    row.status < 400 &&
    verb === method &&
    new RegExp(`^${pattern}$`).test(place) &&
    query.every((name) => given.has(name)) &&
    members.every((member) => memberOf(row.body, member) !== undefined)
  );
}

test("every call that is listed is replayed, or says why it is not", () => {
  const missing = listed.filter((one) => {
    assert.ok(one.client in tables && /^[A-Z]+$/.test(one.method) && one.path.startsWith("/"), one.line);
    return one.because === undefined && !tables[one.client]?.some((row) => isReplay(one, row));
  });
  assert.deepEqual(
    missing.map(({ line }) => line),
    [],
  );
});

test("what says why it is not replayed is not", () => {
  const told = listed.filter(({ because }) => because !== undefined);
  for (const one of told) {
    assert.ok((one.because ?? "").length > 10, one.line);
    assert.ok(!tables[one.client]?.some((row) => isReplay(one, row)), `${one.line}: it is replayed`);
  }
});

test("every row that works is of a call that is listed", () => {
  const rows = Object.entries(tables).flatMap(([client, calls]) => calls.map((row) => ({ client, row })));
  const unlisted = rows.filter(
    ({ client, row }) =>
      row.status < 400 &&
      row.command !== "(planted)" &&
      !listed.some((one) => one.client === client && isReplay(one, row)),
  );
  assert.deepEqual(
    unlisted.map(({ client, row }) => `${client} ${row.sends}`),
    [],
  );
});
