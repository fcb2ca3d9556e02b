import type { ErrorRecord } from "../lib/errors.ts";

export type StoredKind = "blob" | "layer" | "build log";

/** What is written down of things that happened. */
export type HistoryKind = "boot" | "boot token" | "boot access" | "event";

export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

/** What a garbage collection removed, or would remove. */
export interface GcReport {
  /** Images taken out of use (`delete`) and ended for good (`destroy`) by the retention rules. */
  readonly images: readonly { readonly id: string; readonly name: string; readonly fate: "delete" | "destroy" }[];
  /** Deleted recipes ended for good. */
  readonly recipes: readonly { readonly id: string; readonly name: string }[];
  /** Records of steps and of what dracut looked at, whose results go. */
  readonly records: number;
  /** Old rows of the database. Absent in reports of earlier versions. */
  readonly history?: Readonly<Record<HistoryKind, number>>;
  readonly removed: Readonly<Record<StoredKind, Amount>>;
  /** Of all kinds together, bytes. */
  readonly freed: number;
  /** What was removed, the largest first; no more than the largest `itemsKept`. */
  readonly items: readonly { readonly kind: StoredKind; readonly name: string; readonly bytes: number }[];
  /** Nothing leads to it, but it is too young to go, or a build is under way that may want it. */
  readonly young: Amount;
  readonly kept: Amount;
  /** The largest things that are kept, if they are large, with what keeps them. */
  readonly keptMost: readonly KeptThing[];
}

export interface KeptThing {
  readonly kind: StoredKind;
  readonly name: string;
  readonly bytes: number;
  readonly keptBy: readonly { readonly name: string; readonly because: readonly string[] }[];
}

export const itemsKept = 1000;

export function emptyReport(): GcReport {
  const none = { count: 0, bytes: 0 };
  return {
    images: [],
    recipes: [],
    records: 0,
    removed: { blob: none, layer: none, "build log": none },
    freed: 0,
    items: [],
    young: none,
    kept: none,
    keptMost: [],
  };
}

export function addRemoved(report: GcReport, kind: StoredKind, name: string, bytes: number): GcReport {
  const before = report.removed[kind];
  const removed = { ...report.removed, [kind]: { count: before.count + 1, bytes: before.bytes + bytes } };
  return { ...report, removed, freed: report.freed + bytes, items: largest([...report.items, { kind, name, bytes }]) };
}

function largest(items: GcReport["items"]): GcReport["items"] {
  return items.length <= itemsKept ? items : [...items].sort((a, b) => b.bytes - a.bytes).slice(0, itemsKept);
}

export interface GcRun {
  readonly id: string;
  readonly status: "pending" | "running" | "succeeded" | "failed";
  readonly created: string;
  readonly finished?: string;
  /** What it is doing, for people. */
  readonly phase: string;
  /** What it has done so far. */
  readonly report: GcReport;
  readonly error?: ErrorRecord;
}

export interface StoreStatus {
  readonly images: number;
  readonly deletedImages: number;
  readonly stored: Readonly<Record<StoredKind, Amount>>;
  /** What a garbage collection would remove now, and what it would not yet. */
  readonly garbage: Amount;
  readonly young: Amount;
  /** The newest garbage collection. */
  readonly gc?: GcRun;
}

/** Why something is kept. */
export type Why =
  | {
      readonly kind: "image" | "deleted image";
      readonly name: string;
      /** What the retention rules would do with it now. */
      readonly fate: "keep" | "delete" | "destroy";
      /** Why it is kept, in sentences about "it". */
      readonly because: readonly string[];
      /** What has to end before it can be deleted. */
      readonly inUse: readonly string[];
      /** Of its blobs and layers, and of those that nothing else keeps. */
      readonly bytes: number;
      readonly bytesAlone: number;
    }
  | (KeptThing & { readonly kind: "blob" | "layer"; readonly state: "kept" | "young" | "condemned" });
