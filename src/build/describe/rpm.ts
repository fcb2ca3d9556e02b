import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TreeReader } from "../../compliance/index.ts";
import type { InventoryPackage } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { runIsolated } from "../sandbox/sandbox.ts";

/** Newer distributions first; where one is a link to the other, the first is taken. */
const databases = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
/** Files that hold packages: SQLite, and the Berkeley DB of EL 8 and older. */
const readable = ["rpmdb.sqlite", "Packages"];
/** SUSE's ndb; Debian's rpm is built without it, and would find an empty database. */
const unreadable = "Packages.db";

/** Between fields and after records, as no field of a header holds these. */
const [fieldEnd, recordEnd] = ["\u001f", "\u001e"];
const fields = [
  "NAME",
  "EPOCHNUM",
  "VERSION",
  "RELEASE",
  "ARCH",
  "SOURCERPM",
  "LICENSE",
  "VENDOR",
  "URL",
  "GROUP",
  "LONGSIZE",
];
/** What rpm prints where a header has no such field. */
const none = "(none)";
/** The keys that packages were checked with stand among them under this name. */
const keyName = "gpg-pubkey";

export interface RpmDatabase {
  readonly packages: readonly InventoryPackage[];
  /** Paths of all files that the packages own. */
  readonly owned: readonly string[];
}

/**
 * The packages of the tree's rpm database, in order, as this host's rpm reads them; undefined when there is none.
 * rpm wants to write beside a database also when it only reads, so it reads a copy in the folder `scratch`.
 */
export async function readRpms(
  tree: TreeReader,
  onHost: (path: string) => string,
  scratch: string,
): Promise<RpmDatabase | undefined> {
  const copy = join(scratch, "rpmdb");
  const found = await copyDatabase(tree, onHost, copy);
  if (!found) return undefined;
  try {
    const format = `${fields.map((field) => `%{${field}}`).join(fieldEnd)}${recordEnd}`;
    const records = (await query(copy, format)).split(recordEnd).slice(0, -1);
    const packages = records.map(describe).filter(({ name }) => name !== keyName);
    const owned = (await query(copy, "[%{FILENAMES}\\n]")).split("\n").filter((path) => path !== "");
    return packages.length === 0 ? undefined : { packages, owned };
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function copyDatabase(tree: TreeReader, onHost: (path: string) => string, copy: string): Promise<boolean> {
  for (const directory of databases) {
    const entries = (await tree.readdir(directory)) ?? [];
    const files = entries.filter(({ type }) => type === "file").map(({ name }) => name);
    if (!readable.some((name) => files.includes(name))) {
      if (!files.includes(unreadable)) continue;
      throw new NetkilnError("work_failed", `the tree's rpm database is of a kind that this host cannot read (ndb)`, {
        hint: `convert it inside the image: set %_db_backend to sqlite and run rpmdb --rebuilddb`,
      });
    }
    await mkdir(copy, { recursive: true });
    for (const name of files) {
      const place = await tree.locate(`${directory}/${name}`);
      if (place !== undefined) await copyFile(onHost(place), join(copy, name));
    }
    return true;
  }
  return false;
}

/** The database may be hostile, so rpm is kept away from the network and from other processes. */
async function query(database: string, format: string): Promise<string> {
  const argv = ["rpm", "--dbpath", database, "--nosignature", "--nodigest", "-qa", "--queryformat", format] as const;
  const options = { name: "rpm", okExitCodes: "any" } as const;
  const { stdout, stderr, exitCode } = await runIsolated(["unshare", "--net", "--", ...argv], options);
  // It complains about databases that it cannot open, and may end with 0 all the same.
  const errors = stderr.split("\n").filter((line) => line.startsWith("error:"));
  if (errors.length === 0 && exitCode === 0) return stdout;
  throw new NetkilnError("work_failed", "the tree's rpm database cannot be read", { output: errors });
}

function describe(record: string): InventoryPackage {
  const values = record.split(fieldEnd).map((value) => (value === none ? "" : value));
  if (values.length !== fields.length) throw new Error("a header in the tree's rpm database is damaged");
  const [name = "", epoch, version, release, arch, sourceFile = "", license, vendor, url, group, size] = values;
  const optional = (field: string, content: string | undefined) =>
    content === undefined || content === "" || content === "Unspecified" ? {} : { [field]: content };
  const source = sourceOf(sourceFile);
  return {
    kind: "rpm",
    name,
    version: `${epoch === "0" || epoch === "" ? "" : `${epoch}:`}${version}-${release}`,
    ...optional("arch", arch),
    ...(source !== undefined && { source }),
    ...optional("supplier", vendor),
    ...optional("homepage", url),
    ...optional("section", group),
    ...(license !== "" && license !== undefined && { licenses: [license] }),
    ...(Number(size) > 0 && { size: Number(size) }),
  };
}

/** bash-5.1.8-6.el9.src.rpm */
function sourceOf(file: string): InventoryPackage["source"] {
  const [, name, version] = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(file) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version };
}
