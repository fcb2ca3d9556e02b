import type { Image, Inventory, InventoryPackage } from "../../image/index.ts";
import { timestamp } from "../../lib/clock.ts";
import { sha256 } from "../../lib/files.ts";

/** The image that an SBOM is about. */
export interface SbomSubject extends Pick<Image, "name" | "buildId" | "arch" | "epoch"> {
  /** What writes the SBOM. */
  readonly tool: { readonly name: string; readonly version: string };
}

export function sbomTime({ epoch }: SbomSubject): string {
  return timestamp(new Date(epoch * 1000));
}

/** A name for a package that no other in the image has: letters, digits, "." and "-". */
export function elementId({ kind, name, path }: InventoryPackage, purl: string): string {
  return `${kind}-${name.replace(/[^A-Za-z0-9.]+/g, "-")}-${sha256(`${purl} ${path ?? ""}`).slice(0, 16)}`;
}

/** Says what the list of packages is worth: what it was read from, and what is missing. */
export function known({ databases, unread }: Inventory): string {
  const read =
    databases.length === 0
      ? "no package database was found: what the system's packages are is not known"
      : `packages of the databases of ${databases.join(" and ")}, and metadata of pip and npm that none of these owns`;
  if (unread.length === 0) return read;
  return `${read}; missing, as it could not be read: ${unread.map(({ path, reason }) => `${path} (${reason})`).join(", ")}`;
}

export function isUrl(text: string): boolean {
  return /^https?:\/\/[^\s<>"{}|\\^`]+$/.test(text) && URL.canParse(text);
}
