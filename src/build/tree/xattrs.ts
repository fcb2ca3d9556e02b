import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { toBytePath, type BytePath } from "./byte-paths.ts";

/** Extended attributes by name; never empty where a path has an entry. */
export type Xattrs = ReadonlyMap<string, Buffer>;

const noXattrs: Xattrs = new Map();
/** The kernel takes at most 128 KiB as one argument and 2 MiB as all; 500 paths of 4096 bytes stay below. */
const pathsAtOnce = 500;

/**
 * The extended attributes of everything in some folders, themselves included, by absolute path; links are not
 * followed. Node cannot read them, so one getfattr(1) does for all.
 */
export async function readXattrs(...folders: readonly string[]): Promise<Map<BytePath, Xattrs>> {
  return dump(["--recursive", "--physical", "--", ...folders]);
}

/** The same for single files. */
export async function readXattrsOf(files: readonly string[]): Promise<Map<BytePath, Xattrs>> {
  const found = new Map<BytePath, Xattrs>();
  for (let start = 0; start < files.length; start += pathsAtOnce) {
    const some = await dump(["--", ...files.slice(start, start + pathsAtOnce)]);
    for (const [path, xattrs] of some) found.set(path, xattrs);
  }
  return found;
}

/** Takes overlayfs' mark off folders, so that they show what the layers below have in them. */
export async function removeOpaque(folders: readonly string[]): Promise<void> {
  for (let start = 0; start < folders.length; start += pathsAtOnce) {
    await run(["setfattr", "--remove=trusted.overlay.opaque", "--", ...folders.slice(start, start + pathsAtOnce)]);
  }
}

async function dump(what: readonly string[]): Promise<Map<BytePath, Xattrs>> {
  const { stdout } = await run([
    ...["getfattr", "--no-dereference", "--absolute-names", "--dump", "--match=-", "--encoding=base64"],
    ...what,
  ] as [string, ...string[]]);
  return parseDump(stdout);
}

/**
 * Reads what `getfattr --dump --encoding=base64` prints: a paragraph for each file, with octal escapes (\012) for
 * bytes that would break the lines.
 */
function parseDump(text: string): Map<BytePath, Xattrs> {
  const found = new Map<BytePath, Xattrs>();
  for (const paragraph of text.split("\n\n")) {
    const [heading, ...lines] = paragraph.split("\n").filter((line) => line !== "");
    if (heading === undefined) continue;
    if (!heading.startsWith("# file: ")) throw unreadable(heading);
    const xattrs = new Map<string, Buffer>();
    for (const line of lines) {
      const [, name, , value] = /^([^=]+)(=0s([A-Za-z0-9+/=]*))?$/.exec(line) ?? [];
      if (name === undefined) throw unreadable(line);
      xattrs.set(unescaped(name), Buffer.from(value ?? "", "base64"));
    }
    found.set(unescaped(heading.slice("# file: ".length)), xattrs);
  }
  return found;
}

function unescaped(text: string): BytePath {
  return toBytePath(text).replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}

function unreadable(line: string): NetkilnError {
  return new NetkilnError("internal", "getfattr printed something unexpected", { output: [line] });
}

/** Those that belong to the tree: overlayfs keeps its own in `trusted.overlay`, which says nothing outside a mount. */
export function xattrsOfTree(xattrs: Xattrs | undefined): Xattrs {
  if (xattrs === undefined) return noXattrs;
  return new Map([...xattrs].filter(([name]) => treeNamespaces.test(name)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const treeNamespaces = /^(user\.(?!overlay\.)|security\.|system\.posix_acl_(access|default)$)/;

export function isOpaque(xattrs: Xattrs | undefined): boolean {
  return xattrs?.get("trusted.overlay.opaque")?.toString("latin1") === "y";
}

/** The name of an attribute by which a layer's content is found in another layer or place, if there is one. */
export function foreignToArchives(xattrs: Xattrs | undefined): string | undefined {
  const opaque = xattrs?.get("trusted.overlay.opaque")?.toString("latin1") ?? "y";
  if (opaque !== "y") return `trusted.overlay.opaque=${opaque}`;
  return ["redirect", "metacopy", "whiteout"]
    .map((name) => `trusted.overlay.${name}`)
    .find((name) => xattrs?.has(name));
}
