import { NetkilnError, type Problem } from "../../lib/errors.ts";
import { countOf } from "../../lib/text.ts";
import { toText, type BytePath } from "../tree/byte-paths.ts";

export type EntryKind = "file" | "directory" | "symlink" | "link" | "fifo" | "socket" | "device" | "unknown";

/** An entry of an archive, as far as it decides where unpacking writes. */
export interface ArchiveEntry {
  /** As it stands in the archive. */
  readonly path: BytePath;
  readonly kind: EntryKind;
  /** Of a hard link: the path that it names. */
  readonly target?: BytePath;
}

/** What was seen of an archive that may be unpacked. */
export interface ArchiveSummary {
  readonly entries: number;
  /** First components of all paths. */
  readonly tops: readonly string[];
}

const withoutDevices =
  "device nodes are made at boot, not kept in images: make it without them (tar and mksquashfs: leave out what is in " +
  "dev; cpio: find . -path ./dev/\\* -prune -o -print)";
/** For archives that are cut off or damaged. */
export const copyAgain = "copy it again, and compare its sha256 with the one where it was made";
const fromMachine =
  "make it again on the machine that it comes from: tar -C ROOT -c . (GNU tar keeps such paths out by itself)";

/** Nobody reads more, and an archive of another kind may have a million of them. */
const shownProblems = 10;

/**
 * Looks at the entries of an archive in their order and refuses it when unpacking could write anywhere but into its
 * own tree. Nothing is unpacked to find out.
 */
export class EntryRules {
  readonly #symlinks = new Set<string>();
  readonly #tops = new Set<string>();
  readonly #problems: Problem[] = [];
  #entries = 0;
  #refused = 0;
  #devices = 0;

  add(entry: ArchiveEntry): void {
    this.#entries += 1;
    const parts = partsOf(entry.path);
    const refusal = this.#refuse(entry, parts);
    if (refusal !== undefined) {
      this.#refused += 1;
      if (entry.kind === "device") this.#devices += 1;
      if (this.#problems.length < shownProblems) {
        this.#problems.push({ message: `entry "${toText(entry.path)}": ${refusal}` });
      }
      return;
    }
    if (parts[0] !== undefined) this.#tops.add(toText(parts[0]));
    const path = parts.join("/");
    if (entry.kind === "symlink" || this.#isLinkToSymlink(entry)) this.#symlinks.add(path);
    else this.#symlinks.delete(path);
  }

  /** Throws `invalid_input` with the first of the refused entries. */
  finish(): ArchiveSummary {
    if (this.#refused === 0) return { entries: this.#entries, tops: [...this.#tops].sort() };
    const more = this.#refused > this.#problems.length ? ` (the first ${this.#problems.length} are shown)` : "";
    throw new NetkilnError(
      "invalid_input",
      `the archive is refused: ${countOf(this.#refused, "unsafe entry", "unsafe entries")}${more}`,
      { problems: this.#problems, hint: this.#devices === this.#refused ? withoutDevices : fromMachine },
    );
  }

  #refuse({ path, kind, target }: ArchiveEntry, parts: readonly BytePath[]): string | undefined {
    if (path === "") return "it has no name";
    if (path.startsWith("/")) return "its path is absolute";
    if (parts.includes("..")) return 'its path has ".."';
    if (parts.length === 0 && kind !== "directory") return "it stands for the root, and is no folder";
    if (kind === "device") return "it is a device node";
    if (kind === "unknown") return "it is of a kind that root trees do not have";
    const through = this.#throughSymlink(parts.slice(0, -1));
    if (through !== undefined) return `its path goes through the symbolic link "${toText(through)}" of the archive`;
    if (parts.at(-1)?.startsWith(".wh.")) {
      return "it is a whiteout: this is one layer of an OCI image, not a whole tree";
    }
    if (kind !== "link") return undefined;
    const targetParts = partsOf(target ?? "");
    if (target === undefined || target.startsWith("/") || targetParts.includes("..") || targetParts.length === 0)
      return `it is a hard link that leaves the tree, to "${toText(target ?? "")}"`;
    const onTheWay = this.#throughSymlink(targetParts.slice(0, -1));
    return onTheWay === undefined ? undefined : `it is a hard link through the symbolic link "${toText(onTheWay)}"`;
  }

  /** A hard link to a symbolic link is one. */
  #isLinkToSymlink({ kind, target = "" }: ArchiveEntry): boolean {
    return kind === "link" && this.#symlinks.has(partsOf(target).join("/"));
  }

  #throughSymlink(parts: readonly BytePath[]): BytePath | undefined {
    let path = "";
    for (const part of parts) {
      path = path === "" ? part : `${path}/${part}`;
      if (this.#symlinks.has(path)) return path;
    }
    return undefined;
  }
}

function partsOf(path: BytePath): BytePath[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
