import type { Readable } from "node:stream";
import type { Digests } from "../lib/files.ts";

/** Content-addressed storage: a blob's name is the sha256 of its bytes, in lower-case hexadecimal. */
export interface BlobStore {
  /**
   * Takes the file over by renaming it, so it must stand on the store's file system; durable when it returns. Who has
   * digested it while it was written says so: `known` is then not worked out again.
   */
  putFile(file: string, known?: Digests): Promise<Digests>;
  putBytes(bytes: Buffer | string): Promise<Digests>;
  has(digest: string): Promise<boolean>;
  /**
   * As `has`, for whoever is about to point at a blob that was put long ago: it then counts as put now. False also when
   * that cannot be noted, and then it has to be put again.
   */
  renew(digest: string): Promise<boolean>;
  /** Where the blob's file is or would be. */
  path(digest: string): string;
  /** `start` and `end` count from 0, both inclusive. */
  read(digest: string, range?: { start: number; end: number }): Readable;
}
