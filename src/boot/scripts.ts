import { clock } from "../lib/clock.ts";
import type { Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openRevision } from "../lib/revision.ts";
import { openNodeFinder } from "../node/index.ts";
import { openBootFiles } from "./files.ts";
import { imageOfLink, whyNothing, type FindImage } from "./links.ts";
import { resolveBoot, type BootQuery, type Resolution } from "./resolve.ts";
import {
  archScript,
  bootJson,
  linksOf,
  scriptForm,
  usualRetryDelay,
  waitScript,
  type BootContent,
  type ScriptForm,
  type ScriptPath,
} from "./script.ts";
import { openBootEntries } from "./store.ts";

/** A request for a script, without the door by which it came. */
export interface ScriptAsk {
  readonly asked: BootQuery;
  readonly retry: number;
  readonly path: ScriptPath;
}

export interface ScriptOptions {
  /** Nodes of these roles get nothing from `Default`. */
  readonly blockedRoles?: readonly string[];
  /** Seconds before a node that could not boot asks again. */
  readonly retryDelay?: number;
}

/** What somebody gets who asks so, worked out once for as long as nothing changes. */
export interface FoundScript extends ScriptAsk {
  readonly because: string;
  readonly kind: "boot" | "arch" | "none";
  /** The node that the script is for; undefined also where it is that for unknown nodes. */
  readonly xname: string | undefined;
  /** Of the image that is booted, when it is one of ours. */
  readonly target: { readonly imageId: string | undefined; readonly expectedBuildId: string | undefined };
  /** The script by `door`; with a boot's id, that boot's, and with its token where the node needs it. */
  print(door: string, bootId?: string, token?: string): string;
  /** Throws `not_found` when there is nothing to boot. */
  json(door: string): object;
}

/** Boot scripts, for thousands of nodes at once. */
export interface BootScripts {
  /** @param key the same for the same request; `ask` is called when it is not known */
  find(key: string, ask: () => ScriptAsk): FoundScript | Promise<FoundScript>;
  /** What a node gets and why, with what stands in the way. */
  explain(query: BootQuery): Promise<Resolution>;
}

/** Some 4 KiB each. When more nodes ask at a time, it begins anew. */
const maxKept = 20_000;

export function openBootScripts(
  { db, findImage }: { readonly db: Database; readonly findImage: FindImage },
  { blockedRoles = [], retryDelay = usualRetryDelay }: ScriptOptions = {},
): BootScripts {
  const stores = { nodes: openNodeFinder(db), entries: openBootEntries(db) };
  const files = openBootFiles(db);
  const readRevision = openRevision(db);
  let revision = -1;
  let kept = new Map<string, FoundScript>();
  let images = new Map<string, ReturnType<FindImage>>();
  // Every node of a boot set names the same few images.
  const findImageOnce: FindImage = (id) => {
    const known = images.get(id);
    if (known !== undefined) return known;
    const looked = findImage(id);
    images.set(id, looked);
    looked.catch(() => images.delete(id));
    return looked;
  };
  const forgetOld = () => {
    const now = readRevision();
    if (now === revision && kept.size < maxKept) return;
    revision = now;
    kept = new Map();
    images = new Map();
  };

  const explain = async (query: BootQuery): Promise<Resolution & { fileParams: readonly string[] }> => {
    forgetOld();
    const found = resolveBoot(stores, query, blockedRoles);
    if (found.entry === undefined) return { ...found, fileParams: [] };
    const fileParams = files.paramsOf(found.entry.kernel, found.entry.initrd);
    for (const link of linksOf({ entry: found.entry, fileParams })) {
      const nothing = await whyNothing(link, findImageOnce);
      if (nothing === undefined) continue;
      return { ...found, entry: undefined, because: `${found.because}, but ${nothing}`, fileParams };
    }
    return { ...found, fileParams };
  };
  const find = async (ask: ScriptAsk): Promise<FoundScript> => {
    const { node, entry, because, unknown, asksArch, fileParams } = await explain(ask.asked);
    if (entry === undefined) return asksArch ? askArch(ask, because) : nothingFor({ ...ask, retryDelay }, because);
    const content = { node: unknown ? undefined : node, entry, fileParams };
    const imageId = imageOfLink(entry.kernel);
    const image = imageId === undefined ? undefined : await findImageOnce(imageId);
    const target = { imageId, expectedBuildId: image?.buildId };
    return { ...bootOf({ ...ask, ...content, retryDelay }, because), target };
  };

  return {
    explain,
    find: (key, ask) => {
      forgetOld();
      const known = kept.get(key);
      if (known !== undefined) return known;
      const into = kept;
      return find(ask()).then((found) => {
        into.set(key, found);
        return found;
      });
    },
  };
}

function bootOf(parts: ScriptAsk & BootContent & { retryDelay: number }, because: string): Omit<FoundScript, "target"> {
  const { asked, retry, path, node } = parts;
  const form: ScriptForm = scriptForm(parts);
  return {
    kind: "boot",
    asked,
    retry,
    path,
    because,
    xname: node?.xname,
    print: (door, bootId, token) => form.print(door, bootId, token),
    json: (door) => bootJson({ ...parts, door }),
  };
}

const noTarget = { imageId: undefined, expectedBuildId: undefined };

function askArch(ask: ScriptAsk, because: string): FoundScript {
  return {
    ...ask,
    kind: "arch",
    because,
    xname: undefined,
    target: noTarget,
    print: (door) => archScript({ ...ask, door, seconds: Math.floor(clock.now().getTime() / 1000) }),
    json: () => {
      throw new NetkilnError("not_found", because, { hint: "say it with arch=" });
    },
  };
}

function nothingFor(ask: ScriptAsk & { retryDelay: number }, because: string): FoundScript {
  return {
    ...ask,
    kind: "none",
    because,
    xname: undefined,
    target: noTarget,
    print: (door) => waitScript({ ...ask, door, because }),
    json: () => {
      throw new NetkilnError("not_found", because);
    },
  };
}
