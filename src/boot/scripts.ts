import { clock } from "../lib/clock.ts";
import { readTogether, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openRevision } from "../lib/revision.ts";
import { openNodeFinder } from "../node/index.ts";
import { openBootFiles } from "./files.ts";
import { imageOfLink, isS3, whyNothing, type FindImage } from "./links.ts";
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

/** Some 1.3 KiB each. When more nodes ask at a time, it begins anew; moving what is used to the end takes longer. */
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

  const resolve = async (query: BootQuery): Promise<Resolved> => {
    const found = resolveBoot(stores, query, blockedRoles);
    if (found.entry === undefined) return { ...found, fileParams: [] };
    const fileParams = files.paramsOf(found.entry.kernel, found.entry.initrd);
    for (const link of linksOf({ entry: found.entry, fileParams }).filter(isS3)) {
      const nothing = await whyNothing(link, findImageOnce);
      if (nothing === undefined) continue;
      return { ...found, entry: undefined, because: `${found.because}, but ${nothing}`, fileParams };
    }
    return { ...found, fileParams };
  };
  const workOut = async (ask: ScriptAsk): Promise<FoundScript> => {
    const found = await resolve(ask.asked);
    const { because, asksArch } = found;
    const content = contentOf(found);
    if (content === undefined) return asksArch ? askArch(ask, because) : nothingFor({ ...ask, retryDelay }, because);
    const imageId = imageOfLink(content.entry.kernel);
    const image = imageId === undefined ? undefined : await findImageOnce(imageId);
    return {
      kind: "boot",
      because,
      xname: content.node?.xname,
      target: { imageId, expectedBuildId: image?.buildId },
      print: scriptForm({ ...ask, ...content, retryDelay }),
    };
  };

  const find = (ask: ScriptAsk): FoundScript | Promise<FoundScript> => {
    const key = keyOf(ask);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const into = kept;
    return workOut(ask).then((found) => {
      into.set(key, found);
      return found;
    });
  };
  const findAll: BootScripts["findAll"] = (asks) =>
    readTogether(db, () => {
      forgetOld();
      return asks.map(find);
    });

  return {
    json: async (ask, door) => {
      forgetOld();
      const found = await resolve(ask.asked);
      const content = contentOf(found);
      if (content !== undefined) return bootJson({ ...ask, ...content, door });
      throw new NetkilnError("not_found", found.because, found.asksArch ? { hint: "say it with arch=" } : {});
    },
    explain: (query) => {
      forgetOld();
      return resolve(query);
    },
    find: async (ask) => findAll([ask])[0] as FoundScript | Promise<FoundScript>,
    findAll,
  };
}

/** As JSON, so that no name can be made up that gives another's key. */
function keyOf({ asked: { mac, name, nid, arch }, path }: ScriptAsk): string {
  return JSON.stringify([path, mac, name, nid, arch]);
}

type Resolved = Resolution & { readonly fileParams: readonly string[] };

/** Undefined when there is nothing to boot. */
function contentOf({ node, entry, unknown, fileParams }: Resolved): BootContent | undefined {
  return entry === undefined ? undefined : { node: unknown ? undefined : node, entry, fileParams };
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
