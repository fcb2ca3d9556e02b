export { openFileBlobs } from "./fs.ts";
export { mark, openReferences, sort, type Marks, type Root, type Sorted, type Stored, type Sweepable } from "./gc.ts";
export { migrations, openGcRunStore, type GcRunStore } from "./gc-runs.ts";
export {
  addRemoved,
  emptyReport,
  type Amount,
  type GcReport,
  type GcRun,
  type HistoryKind,
  type KeptThing,
  type StoredKind,
  type StoreStatus,
  type Why,
} from "./report.ts";
export type { BlobStore } from "./store.ts";
export { openSweepableBlobs, type SweepableBlobs } from "./sweep.ts";
export * from "./oci/index.ts";
