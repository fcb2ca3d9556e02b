/** Data in which the base of a site's recipe is made already, for files that are about what comes after it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, startServer, waitUntil } from "./server.ts";
import { makeSite, recipe, tool } from "./site.ts";

/**
 * A new data folder with the recipe, and with the steps of an image that is gone. Where the run of all tests has named a
 * folder for it, they are made once, and copied for each file.
 */
export async function preparedData(): Promise<string> {
  const data = await makeFolder();
  const shared = process.env["NETKILN_TEST_SHARED"];
  if (shared === undefined) await prepare(data);
  else await tool("cp", "-a", `${await preparedOnce(shared)}/.`, data);
  return data;
}

async function preparedOnce(shared: string): Promise<string> {
  const ready = join(shared, createHash("sha256").update(recipe).digest("hex").slice(0, 12));
  const making = `${ready}.new`;
  let isMine = false;
  await waitUntil(600, async () => {
    isMine = await mkdir(making).then(
      () => true,
      () => false,
    );
    return isMine || existsSync(ready);
  });
  if (!isMine) return ready;
  try {
    if (!existsSync(ready)) {
      await prepare(making);
      await rename(making, ready);
    }
    return ready;
  } finally {
    // Also when it could not be made: the next one tries again.
    await rm(making, { recursive: true, force: true });
  }
}

async function prepare(data: string): Promise<void> {
  const site = await makeSite();
  const server = await startServer({ data, cwd: site.folder });
  try {
    for (const command of [
      ["recipes", "import", "recipe"],
      ["builds", "start", "prepared", "--recipe", "tiny", "--follow"],
      ["images", "delete", "prepared"],
      ["images", "destroy", "prepared"],
    ]) {
      const { exitCode, stderr } = await server.cli(...command);
      assert.equal(exitCode, 0, `${command.join(" ")}: ${stderr}`);
    }
  } finally {
    await server.stop();
    await site.clear();
  }
}
