import { clock } from "../lib/clock.ts";
import { readTogether, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openRevision } from "../lib/revision.ts";
import { openNodeFinder } from "../node/index.ts";
import { openBootFiles } from "./files.ts";
import type { FindImage } from "./links.ts";
import { openBootLoads, type BootLoad } from "./loads.ts";
import { resolveBoot, type BootQuery, type Resolution } from "./resolve.ts";
import { archScript, bootJson, usualRetryDelay, waitScript, type ScriptForm, type ScriptPath } from "./script.ts";
import { openBootEntries } from "./store.ts";

/** Whose script is asked for, and by which path: requests that are equal in this get the same one. */
export interface ScriptAsk {
  readonly asked: BootQuery;
  readonly path: ScriptPath;
}

export interface ScriptOptions {
  /** Nodes of these roles get nothing from `Default`. */
  readonly blockedRoles?: readonly string[];
  /** Seconds before a node that could not boot asks again. */
  readonly retryDelay?: number;
}

/**
 * What somebody gets who asks so, worked out once for as long as nothing changes. It holds no more than it needs: thousands
 * are kept.
 */
export interface FoundScript {
  readonly because: string;
  readonly kind: "boot" | "arch" | "none";
  /** The node that the script is for; undefined also where it is that for unknown nodes. */
  readonly xname: string | undefined;
  /** Of the image that is booted, when it is one of ours. */
  readonly target: { readonly imageId: string | undefined; readonly expectedBuildId: string | undefined };
  print: ScriptForm;
}

/** Boot scripts, for thousands of nodes at once. */
export interface BootScripts {
  find(ask: ScriptAsk): Promise<FoundScript>;
  /** For many who ask at the same time: the database is read together for all of them. */
  findAll(asks: readonly ScriptAsk[]): (FoundScript | Promise<FoundScript>)[];
  /** The same as JSON, for who looks at it. Throws `not_found` when there is nothing to boot. */
  json(ask: ScriptAsk, door: string): Promise<object>;
  /** What a node gets and why, with what stands in the way. */
  explain(query: BootQuery): Promise<Resolution>;
}

/** Some 0.4 KiB each. When more are asked for, it begins anew; moving what is used to the end takes longer. */
const maxKept = 60_000;
/** Some 2 KiB each: what is booted, which most nodes have in common with others. */
const maxLoads = 20_000;

export function openBootScripts(
  { db, findImage }: { readonly db: Database; readonly findImage: FindImage },
  { blockedRoles = [], retryDelay = usualRetryDelay }: ScriptOptions = {},
): BootScripts {
  const stores = { nodes: openNodeFinder(db), entries: openBootEntries(db) };
  const files = openBootFiles(db);
  const readRevision = openRevision(db);
  let revision = -1;
  let kept = new Map<string, FoundScript>();
  let loads = openBootLoads({ files, findImage, retryDelay });
  const forgetOld = () => {
    const now = readRevision();
    if (now === revision && kept.size < maxKept && loads.size() < maxLoads) return;
    revision = now;
    kept = new Map();
    loads = openBootLoads({ files, findImage, retryDelay });
  };

  const scriptOf = (ask: ScriptAsk, found: Resolution, load: BootLoad | undefined): FoundScript => {
    const { node, entry, unknown, asksArch } = found;
    const because = whyWith(found, load);
    if (entry === undefined || load?.nothing !== undefined)
      return asksArch ? askArch(ask, because) : nothingFor({ ...ask, retryDelay }, because);
    const { target, form } = load as BootLoad;
    const known = unknown ? undefined : node;
    return { kind: "boot", because, xname: known?.xname, target, print: form({ ...ask, node: known, entry }) };
  };
  const find = (ask: ScriptAsk): FoundScript | Promise<FoundScript> => {
    const key = keyOf(ask);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const into = kept;
    const keep = (found: FoundScript) => {
      into.set(key, found);
      return found;
    };
    const found = resolveBoot(stores, ask.asked, blockedRoles);
    const load = found.entry && loads.of(found.entry);
    return load instanceof Promise
      ? load.then((ready) => keep(scriptOf(ask, found, ready)))
      : keep(scriptOf(ask, found, load));
  };
  const findAll: BootScripts["findAll"] = (asks) =>
    readTogether(db, () => {
      forgetOld();
      return asks.map((ask) => {
        try {
          return find(ask);
        } catch (error) {
          // It is that of one.
          return Promise.reject(error);
        }
      });
    });
  const explain = async (query: BootQuery) => {
    forgetOld();
    const found = resolveBoot(stores, query, blockedRoles);
    const load = found.entry && (await loads.of(found.entry));
    const because = whyWith(found, load);
    return { ...found, because, ...(load?.nothing !== undefined && { entry: undefined }), load };
  };

  return {
    json: async (ask, door) => {
      const { node, entry, unknown, asksArch, because, load } = await explain(ask.asked);
      if (entry !== undefined)
        return bootJson({ ...ask, node: unknown ? undefined : node, entry, fileParams: load?.fileParams ?? [], door });
      throw new NetkilnError("not_found", because, asksArch ? { hint: "say it with arch=" } : {});
    },
    explain: async (query) => {
      const { load: _, ...resolution } = await explain(query);
      return resolution;
    },
    find: async (ask) => findAll([ask])[0] as FoundScript | Promise<FoundScript>,
    findAll,
  };
}

function whyWith({ because }: Resolution, load: BootLoad | undefined): string {
  return load?.nothing === undefined ? because : `${because}, but ${load.nothing}`;
}

/** As JSON, so that no name can be made up that gives another's key. */
function keyOf({ asked: { mac, name, nid, arch }, path }: ScriptAsk): string {
  return JSON.stringify([path, mac, name, nid, arch]);
}

const noTarget = { imageId: undefined, expectedBuildId: undefined };

function askArch(ask: ScriptAsk, because: string): FoundScript {
  return {
    kind: "arch",
    because,
    xname: undefined,
    target: noTarget,
    print: ({ door }) => archScript({ ...ask, door, seconds: Math.floor(clock.now().getTime() / 1000) }),
  };
}

function nothingFor(ask: ScriptAsk & { retryDelay: number }, because: string): FoundScript {
  return {
    kind: "none",
    because,
    xname: undefined,
    target: noTarget,
    print: ({ door, retry }) => waitScript({ ...ask, door, retry, because }),
  };
}
