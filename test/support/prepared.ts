/** Data in which the base of a site's recipe is made already, for files that are about what comes after it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isAlive } from "./alive.ts";
import { makeFolder, startServer, waitUntil } from "./server.ts";
import { makeSite, recipe, tool } from "./site.ts";

/**
 * A new data folder with the recipe, and with the steps of an image that is gone. Where the run of all tests has named a
 * folder for it, they are made once, and copied for each file.
 */
export async function preparedData(): Promise<string> {
  const data = await makeFolder();
  const name = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
  const made = await madeOnce(name, prepare);
  if (made === undefined) await prepare(data);
  else await tool("cp", "-a", `${made}/.`, data);
  return data;
}

/** Longer than a maker takes, and than the next one where the first could not make it. */
const longestWaitSeconds = 1500;

/**
 * What several files start from and none of them changes: the folder of that name, made by whoever comes first. Undefined
 * where the run has named no place for it: then each file makes its own.
 */
export async function madeOnce(name: string, make: (folder: string) => Promise<void>): Promise<string | undefined> {
  const shared = process.env["NETKILN_TEST_SHARED"];
  if (shared === undefined) return undefined;
  const ready = join(shared, name);
  const claim = `${ready}.maker`;
  let isMine = false;
  await waitUntil(longestWaitSeconds, async () => {
    if (existsSync(ready)) return true;
    isMine = await claimed(claim);
    return isMine;
  });
  if (!isMine) return ready;
  const making = `${ready}.new`;
  try {
    if (!existsSync(ready)) {
      // Of a maker that was killed.
      await rm(making, { recursive: true, force: true });
      await mkdir(making);
      await make(making);
      await rename(making, ready);
    }
    return ready;
  } finally {
    // Also when it could not be made: the next one tries again.
    await rm(making, { recursive: true, force: true });
    await rm(claim, { force: true });
  }
}

/** One process has it, which is named in it; that of a process which is gone is taken over. */
async function claimed(claim: string): Promise<boolean> {
  const mine = `${claim}.${process.pid}`;
  await writeFile(mine, String(process.pid));
  try {
    // A link is there with what is in it, or not at all.
    await link(mine, claim);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const maker = Number(await readFile(claim, "utf8").catch(() => ""));
    if (maker > 0 && !isAlive(maker) && (await isFirst(`${claim}.of-${maker}`))) await rm(claim);
    return false;
  } finally {
    await rm(mine, { force: true });
  }
}

/** Of several who see that a maker is dead one takes its claim away; another might take away that of the next maker. */
async function isFirst(folder: string): Promise<boolean> {
  return mkdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      return false;
    },
  );
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
