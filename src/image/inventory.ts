import { z } from "zod";
import { NetkilnError } from "../lib/errors.ts";
import { parseAs } from "../lib/parse.ts";

/** What brought a package: the database or the metadata that it was found in. */
const packageKinds = ["deb", "rpm", "pypi", "npm"] as const;

/** As a package describes itself; what it does not say is not there. */
const inventoryPackage = z.strictObject({
  kind: z.enum(packageKinds),
  name: z.string(),
  /** Of an rpm "[EPOCH:]VERSION-RELEASE". */
  version: z.string(),
  arch: z.string().optional(),
  /** The source package; equal name and version are not repeated for Debian's. */
  source: z.strictObject({ name: z.string(), version: z.string() }).optional(),
  /** Maintainer of a .deb, vendor of an rpm, author of the others. */
  supplier: z.string().optional(),
  homepage: z.string().optional(),
  section: z.string().optional(),
  /** In the package's own words; each is of a part of it, so all hold. */
  licenses: z.array(z.string()).optional(),
  /** Bytes when installed. */
  size: z.number().optional(),
  /** Where the metadata stands, for packages that no package manager of the system knows. */
  path: z.string().optional(),
});

const inventoryFile = z.strictObject({
  /** From the tree's root; bytes of a name that is no UTF-8 are written \xNN. */
  path: z.string(),
  kind: z.enum(["file", "directory", "symlink", "character-device", "block-device", "pipe", "socket"]),
  /** Four octal digits. */
  mode: z.string(),
  uid: z.number(),
  gid: z.number(),
  /** Bytes of a regular file. */
  size: z.number().optional(),
  sha256: z.string().optional(),
  /** Of a symbolic link. */
  target: z.string().optional(),
  /** MAJOR:MINOR of a device. */
  device: z.string().optional(),
  /** As getcap prints them. */
  capabilities: z.string().optional(),
  /** Extended attributes but the capabilities, in hexadecimal: access control lists, SELinux labels. */
  attributes: z.record(z.string(), z.string()).optional(),
});

const inventoryUnit = z.strictObject({
  name: z.string(),
  /** What `systemctl is-enabled` says. */
  state: z.string(),
  /** Units whose .wants or .requires folder has a link to it. */
  wantedBy: z.array(z.string()),
  /** The tree has no machine-id, so the first boot of each node enables it by its preset. */
  preset: z.literal("enable").optional(),
});

/** What a finished tree holds. The same tree gives the same inventory: lists are in order, and nothing tells a time. */
const inventory = z.strictObject({
  version: z.literal(1),
  /** From os-release(5). */
  os: z.strictObject({
    id: z.string(),
    name: z.string(),
    versionId: z.string().optional(),
    codename: z.string().optional(),
    prettyName: z.string().optional(),
  }),
  /** The package databases that were there. Without one, what packages the tree is from is not known. */
  databases: z.array(z.enum(["dpkg", "rpm"])),
  packages: z.array(inventoryPackage),
  /** Metadata of packages that could not be made sense of: these packages are missing above. */
  unread: z.array(z.strictObject({ path: z.string(), reason: z.string() })),
  files: z.array(inventoryFile),
  units: z.array(inventoryUnit),
  /** Effective kernel parameters as sysctl.d sets them, by their names; rows of numbers with single blanks. */
  sysctl: z.record(z.string(), z.string()),
  /** Bytes of all regular files, hard links counted once. */
  size: z.number(),
});

export type InventoryPackage = Readonly<z.infer<typeof inventoryPackage>>;
export type InventoryFile = Readonly<z.infer<typeof inventoryFile>>;
export type InventoryUnit = Readonly<z.infer<typeof inventoryUnit>>;
export type Inventory = Readonly<z.infer<typeof inventory>>;

/** Reads an inventory that was stored; throws `invalid_input` when it is damaged or of another form. */
export function parseInventory(text: string, what: string): Inventory {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new NetkilnError("invalid_input", `${what} is no JSON, or only a part of it`);
  }
  return parseAs(inventory, value, what);
}

/** States in which systemd starts a unit that nothing else wants. */
const enabledStates: ReadonlySet<string> = new Set(["enabled", "enabled-runtime"]);

/** Whether a node starts the unit by itself: enabled, wanted by a link that came with it, or to be enabled by preset. */
export function isUnitEnabled({ state, wantedBy, preset }: InventoryUnit): boolean {
  if (state.startsWith("masked") || state === "not-found") return false;
  return enabledStates.has(state) || wantedBy.length > 0 || preset !== undefined;
}

/** What a program gets from its file alone when it is run: another user or group, or capabilities. */
export function privilegesOf({ kind, mode, uid, gid, capabilities }: InventoryFile): string | undefined {
  if (kind !== "file") return undefined;
  const bits = Number.parseInt(mode, 8);
  const words = [
    ...((bits & 0o4000) === 0 ? [] : [`setuid ${uid}`]),
    // Without the right to execute, the bit meant mandatory locking and gives nothing.
    ...((bits & 0o2010) === 0o2010 ? [`setgid ${gid}`] : []),
    ...(capabilities === undefined ? [] : [capabilities]),
  ];
  return words.length === 0 ? undefined : words.join(" ");
}
