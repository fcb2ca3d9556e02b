/** What a garbage collection must know of this room's records. */
import type { Database } from "../lib/db.ts";
import { layerPartKeys } from "./layer-parts.ts";
import type { Trace } from "./store.ts";
import type { StepResult } from "./types.ts";

type Tables = {
  build: { id: string; image: string; status: string; created: string };
  step_result: { key: string; data: string };
  trace: { sequence: number; data: string };
};

export interface UnfinishedBuild {
  readonly id: string;
  readonly image: string;
  readonly created: string;
  /** A worker has begun with it. */
  readonly running: boolean;
}

/** A record that saves work while what it names is there, and keeps nothing: a step's result, a trace of dracut. */
export interface CacheRecord {
  readonly id: string;
  /** Digests and layers that it names. */
  readonly names: readonly string[];
  /** The chain ID of the tree that a step's result is about, or the diff ID of the layer while it is of use there. */
  readonly chain: string | undefined;
}

export interface BuildRecords {
  unfinished(): Promise<UnfinishedBuild[]>;
  cached(): Promise<CacheRecord[]>;
  forget(id: string): Promise<void>;
}

/** `squashfsLevel`: what is kept of layers for another one keeps nothing. */
export function openBuildRecords(database: Database, squashfsLevel: number): BuildRecords {
  const db = database.withTables<Tables>();
  return {
    unfinished: async () => {
      const rows = db.selectFrom("build").select(["id", "image", "status", "created"]);
      const unfinished = await rows.where("status", "in", ["pending", "running"]).execute();
      return unfinished.map(({ status, ...build }) => ({ ...build, running: status === "running" }));
    },
    cached: async () => {
      const results = await db.selectFrom("step_result").select(["key", "data"]).execute();
      const traces = await db.selectFrom("trace").select(["sequence", "data"]).execute();
      return [
        ...results.map(({ key, data }) => {
          const { kind, chain, layer, file, downloads } = JSON.parse(data) as StepResult;
          const names = [layer, file?.sha256, downloads].filter((name) => name !== undefined);
          const isOfLayer = kind === "listing" || kind === "content";
          const isOld = isOfLayer && !layerPartKeys(chain, squashfsLevel).has(key);
          return { id: `step ${key}`, names, chain: isOld ? undefined : chain };
        }),
        ...traces.map(({ sequence, data }) => ({
          id: `trace ${sequence}`,
          names: [(JSON.parse(data) as Trace).file.sha256],
          chain: undefined,
        })),
      ];
    },
    forget: async (id) => {
      const [kind = "", name = ""] = id.split(" ");
      if (kind === "step") await db.deleteFrom("step_result").where("key", "=", name).execute();
      else await db.deleteFrom("trace").where("sequence", "=", Number(name)).execute();
    },
  };
}
