import { z } from "zod";
import { parseDeb822, type Stanza } from "./deb822.ts";
import type { LockedPackage } from "./types.ts";

/** A package as an archive's index describes it; of what the index says of where it is, nothing is left. */
export interface IndexedPackage extends LockedPackage {
  readonly fields: Stanza;
}

/** Debian policy 5.6.1, 5.6.12, 5.6.8: none of them can leave a folder when they are put into a file's name. */
const name = z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/);
const version = z.string().regex(/^[0-9A-Za-z.+~:-]+$/);
const arch = z.string().regex(/^[a-z0-9-]+$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.string().regex(/^\d+$/).transform(Number);

const stanza = z.object({ package: name, version, architecture: arch, size, sha256 });

/** Packages of an index, as apt-cache shows them; those whose stanza is not whole or has no SHA256 are left out. */
export function readIndex(text: string): IndexedPackage[] {
  return parseDeb822(text).flatMap((fields) => {
    const found = stanza.safeParse(Object.fromEntries(fields));
    if (!found.success) return [];
    const { package: name, architecture: arch, ...rest } = found.data;
    return [{ name, arch, ...rest, fields }];
  });
}

/** A file that apt wants, and where it would fetch it from. */
export interface WantedFile {
  readonly uri: string;
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  /** Bytes. */
  readonly size: number;
  /** Absent when the archive's index has none. */
  readonly sha256: string | undefined;
}

const wanted = z.object({ uri: z.string(), name, version, arch, size, sha256: sha256.optional() });
/** `'URI' NAME_VERSION_ARCH.deb SIZE SHA256:DIGEST`; a colon in the version is written as %3a. */
const wantedLine =
  /^'(?<uri>[^']+)' (?<name>[^_ ]+)_(?<version>[^_ ]+)_(?<arch>[^_ ]+)\.deb (?<size>\d+)(?: SHA256:(?<sha256>\S+))?/;

/** What `apt-get --print-uris` printed. */
export function readWanted(text: string): WantedFile[] {
  return text.split("\n").flatMap((line) => {
    const groups = wantedLine.exec(line)?.groups;
    if (groups === undefined) return [];
    const file = wanted.parse({ ...groups, version: groups["version"]?.replaceAll("%3a", ":") });
    return [{ ...file, sha256: file.sha256 }];
  });
}
