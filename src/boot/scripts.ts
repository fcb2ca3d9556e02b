import { clock } from "../lib/clock.ts";
import { readTogether, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openRevision } from "../lib/revision.ts";
import { openNodeFinder, type NamedNode } from "../node/index.ts";
import { openBootFiles } from "./files.ts";
import type { FindImage } from "./links.ts";
import { openBootLoads, type BootLoad } from "./loads.ts";
import { nameOf, resolveBoot, type BootQuery, type Resolution, type ResolveStores } from "./resolve.ts";
import {
  archScript,
  bootJson,
  usualRetryDelay,
  waitScript,
  type ScriptForm,
  type ScriptOwner,
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
  /**
   * Works out the scripts of the next nodes before they are asked for, at most `count` behind `after`. Returns the last
   * one; undefined when there are no more, or enough are kept.
   */
  prepare(after: string, count: number): string | undefined;
  /** Another number when something has changed of which scripts are made. */
  revision(): number;
  /** The same as JSON, for who looks at it. Throws `not_found` when there is nothing to boot. */
  json(ask: ScriptAsk, door: string): Promise<object>;
  /** What a node gets and why, with what stands in the way. */
  explain(query: BootQuery): Promise<Resolution>;
}

/** Some 0.5 KiB each. When more are asked for, it begins anew; moving what is used to the end takes longer. */
const maxKept = 60_000;
/** What is worked out before it is asked for stays in memory, whether it is asked for or not. */
const maxPrepared = 20_000;
/** Some 2 KiB each: what is booted, which most nodes have in common with others. */
const maxLoads = 20_000;

/** What somebody boots, in whatever way it asks. */
interface Answer {
  readonly because: string;
  readonly asksArch: boolean;
  readonly owner: ScriptOwner;
  /** Undefined when there is nothing to boot. */
  readonly load: BootLoad | undefined;
  /** The last script that was made of it: a node asks in the same form each time. */
  made?: { readonly ask: ScriptAsk; readonly script: FoundScript };
}

export function openBootScripts(
  { db, findImage }: { readonly db: Database; readonly findImage: FindImage },
  { blockedRoles = [], retryDelay = usualRetryDelay }: ScriptOptions = {},
): BootScripts {
  const stores = { nodes: openNodeFinder(db), entries: openBootEntries(db) };
  const files = openBootFiles(db);
  const readRevision = openRevision(db);
  let revision = -1;
  let kept = openKept();
  let loads = openBootLoads({ files, findImage, retryDelay });
  const forgetOld = () => {
    const now = readRevision();
    if (now === revision && kept.size() < maxKept && loads.size() < maxLoads) return;
    revision = now;
    kept = openKept();
    loads = openBootLoads({ files, findImage, retryDelay });
  };

  /** @param nodes where it is looked up, unless it is known already */
  const workOut = (asked: BootQuery, nodes: ResolveStores["nodes"] = stores.nodes): Answer | Promise<Answer> => {
    const found = resolveBoot({ ...stores, nodes }, asked, blockedRoles);
    const into = kept;
    const keep = (load: BootLoad | undefined) => {
      const answer = answerOf(found, load);
      into.keep(asked, found, answer);
      return answer;
    };
    const load = found.entry && loads.of(found.entry);
    return load instanceof Promise ? load.then(keep) : keep(load);
  };
  const scriptFor = (ask: ScriptAsk, answer: Answer): FoundScript => {
    if (answer.made === undefined || !isSameForm(answer.made.ask, ask))
      answer.made = { ask, script: make(ask, answer) };
    return answer.made.script;
  };
  const make = (ask: ScriptAsk, { because, asksArch, owner, load }: Answer): FoundScript => {
    if (load === undefined) return asksArch ? askArch(ask, because) : nothingFor({ ...ask, retryDelay }, because);
    return { kind: "boot", because, xname: owner.node?.xname, target: load.target, print: load.form(ask, owner) };
  };
  const find = (ask: ScriptAsk): FoundScript | Promise<FoundScript> => {
    const answer = kept.find(ask.asked) ?? workOut(ask.asked);
    return answer instanceof Promise ? answer.then((ready) => scriptFor(ask, ready)) : scriptFor(ask, answer);
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
  const prepareOne = (asked: BootQuery, node: NamedNode) => {
    const made = async () => {
      const { load, owner } = await workOut(asked, { find: () => node });
      // So the text is there that it has in common with others.
      load?.form({ asked }, owner);
    };
    // What cannot be worked out is told to who asks.
    made().catch(() => undefined);
  };
  const prepare: BootScripts["prepare"] = (after, count) =>
    readTogether(db, () => {
      forgetOld();
      const nodes = stores.nodes.after(after, count);
      for (const node of nodes) {
        for (const asked of [{ name: node.xname }, ...node.interfaces.map(({ mac }) => ({ mac }))]) {
          if (kept.find(asked) === undefined) prepareOne(asked, node);
        }
      }
      const isRoom = kept.size() < maxPrepared && loads.size() < maxLoads / 2;
      return isRoom ? nodes.at(-1)?.xname : undefined;
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
    prepare,
    revision: readRevision,
  };
}

function isSameForm({ asked, path }: ScriptAsk, other: ScriptAsk): boolean {
  const { mac, name, nid, arch } = other.asked;
  return path === other.path && asked.name === name && asked.mac === mac && asked.nid === nid && asked.arch === arch;
}

function answerOf(found: Resolution, load: BootLoad | undefined): Answer {
  const { entry, unknown, asksArch } = found;
  return {
    ...{ because: whyWith(found, load), asksArch },
    owner: { node: unknown ? undefined : partOf(found.node), entry: { referralToken: entry?.referralToken ?? "" } },
    load: load?.nothing === undefined ? load : undefined,
  };
}

/** What goes into scripts: thousands are kept. */
function partOf(node: NamedNode | undefined): ScriptOwner["node"] {
  if (node === undefined) return undefined;
  const { xname, nid, kernelParameters, interfaces } = node;
  return { xname, nid, kernelParameters, interfaces };
}

function whyWith({ because }: Resolution, load: BootLoad | undefined): string {
  return load?.nothing === undefined ? because : `${because}, but ${load.nothing}`;
}

/** Answers by the name that is asked with, and by the architecture where it matters. */
function openKept() {
  const byName = new Map<string, Answer>();
  const byArch = new Map<string, Answer>();
  // As JSON, so that no name can be made up that gives another's key.
  const keyOf = (asked: BootQuery) => JSON.stringify([nameOf(asked), asked.arch]);
  return {
    size: () => byName.size + byArch.size,
    find: (asked: BootQuery) => byName.get(nameOf(asked)) ?? (byArch.size > 0 ? byArch.get(keyOf(asked)) : undefined),
    keep: (asked: BootQuery, { node, entry, unknown }: Resolution, answer: Answer) => {
      if (node?.enabled === true && entry !== undefined && !unknown) byName.set(nameOf(asked), answer);
      else byArch.set(keyOf(asked), answer);
    },
  };
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
