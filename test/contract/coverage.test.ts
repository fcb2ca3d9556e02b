/** Every operation of the contracts is served, or told with its reason in not-covered.txt, which only shrinks. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { csmServices, type CsmParts } from "../../src/api/csm/services.ts";
import { contractFile, contracts, readContract, servedBy } from "./support/contract.ts";

const notCovered = readFileSync(new URL("not-covered.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [, service = "", id = "", reason = ""] = /^(\S+) {2}(.+?) {2,}(\S.*)$/.exec(line) ?? [];
    return { line, service, id, reason };
  });

// Only the tables are looked at; nothing is asked of what stands behind them.
const services = csmServices({ inventory: {} } as CsmParts);

for (const { service: name, file, below } of contracts) {
  const skip = existsSync(contractFile(file)) ? false : `the contract's file ${file} is not here`;
  test(`${name}: every operation is served, or told why not`, { skip }, () => {
    const contract = readContract(file);
    const service = services.find((one) => one.name === name);
    const served = service === undefined ? new Set<string>() : servedBy(service, contract, below);
    const told = notCovered.filter((entry) => entry.service === name);
    assert.deepEqual(
      told.filter(({ reason }) => reason === "").map(({ line }) => line),
      [],
      "each has a reason",
    );
    const ids = new Set(told.map(({ id }) => id));
    const all = contract.map(({ id }) => id);
    assert.deepEqual(
      all.filter((id) => !served.has(id) && !ids.has(id)),
      [],
      "neither served nor told",
    );
    assert.deepEqual(
      [...ids].filter((id) => served.has(id) || !all.includes(id)),
      [],
      "told, and served or unknown",
    );
  });
}
