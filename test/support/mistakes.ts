/** A site, and a server with its recipe, for mistakes: nothing may have changed after one. */
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { preparedData } from "./prepared.ts";
import { assertNoWorkLeft, listing, startServer, type CliResult, type TestServer } from "./server.ts";
import { makeSite, type Site } from "./site.ts";

export interface MistakenSite {
  readonly site: Site;
  readonly server: TestServer;
  /** What netkiln calls the repository: relative URLs start at the folder of the bootprep file. */
  readonly repository: string;
  run(...more: string[]): Promise<CliResult>;
  /** Everything that a request can change: all records, and all files of the data folder but the database's own. */
  state(): Promise<unknown>;
  /** The names of the layers that are kept. */
  layers(): Promise<string[]>;
  /** Runs what must be refused before anything is changed. */
  refused(action: () => Promise<CliResult>, stderr: string): Promise<void>;
  close(): Promise<void>;
}

export async function openMistakenSite(): Promise<MistakenSite> {
  const site = await makeSite();
  const server = await startServer({
    ...{ data: await preparedData(), cwd: site.folder, args: ["--listen", "127.0.0.1:0"] },
  });
  const layers = () => readdir(join(server.data, "layers"));
  const state = async () => {
    const nouns = ["recipes", "configurations", "images", "builds", "templates", "bootprep/runs", "tokens"];
    const records = await Promise.all(nouns.map((noun) => server.http("GET", `/apis/netkiln/v1/${noun}?limit=1000`)));
    return [records.map(({ body }) => body), await listing(join(server.data, "blobs")), await layers()];
  };
  return {
    ...{ site, server, repository: join(site.folder, "ansible") },
    ...{ state, layers },
    run: (...more) => server.cli("bootprep", "run", ...more, "bootprep.yaml"),
    refused: async (action, stderr) => {
      const before = await state();
      const result = await action();
      assert.equal(result.stderr, stderr);
      assert.equal(result.stdout, "");
      assert.equal(result.exitCode, 2);
      assert.deepEqual(await state(), before, "nothing has changed");
      await assertNoWorkLeft(server.data);
    },
    close: async () => {
      await server.stop();
      await rm(server.data, { recursive: true });
      await site.clear();
    },
  };
}
