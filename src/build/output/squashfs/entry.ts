import type { Entry, EntryKind } from "../../tree/listing.ts";

/**
 * Something in a tree that becomes an image. Times before 1970 are stored as 0, and what 32 bits do not hold is refused.
 * Extended attributes outside user, trusted and security have no place in squashfs, and are left out as mksquashfs does.
 */
export interface TreeEntry extends Omit<Entry, "kind" | "inode" | "opaque"> {
  readonly kind: EntryKind | "socket";
  /** Equal for the names of one file (hard links); undefined for a file with one name. */
  readonly inode?: string;
}
