export { openFileBlobs } from "./fs.ts";
export type { BlobStore } from "./store.ts";
