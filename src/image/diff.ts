import type { Digests } from "../lib/files.ts";
import {
  isUnitEnabled,
  privilegesOf,
  type Inventory,
  type InventoryFile,
  type InventoryPackage,
  type InventoryUnit,
} from "./inventory.ts";
import type { ArtifactName } from "./types.ts";

/** An image as far as it can be compared. */
export interface DescribedImage {
  readonly name: string;
  readonly id: string;
  readonly inventory: Inventory;
  readonly artifacts: Readonly<Partial<Record<string, Digests>>>;
}

export type PackageName = Pick<InventoryPackage, "kind" | "name" | "arch" | "version">;

export interface PackageChange {
  readonly kind: InventoryPackage["kind"];
  readonly name: string;
  readonly arch?: string | undefined;
  readonly from: string;
  readonly to: string;
}

/** What is different about a path that both have. `attributes` are extended ones; `device` is its number. */
export type FileAspect = "kind" | "content" | "link" | "mode" | "owner" | "capabilities" | "attributes" | "device";

export interface FileChange {
  readonly path: string;
  readonly aspects: readonly FileAspect[];
  readonly from: InventoryFile;
  readonly to: InventoryFile;
}

export interface UnitChange {
  readonly name: string;
  /** `changed`: another state, or wanted by others, but not from running to not running. */
  readonly change: "enabled" | "disabled" | "changed";
  readonly from?: InventoryUnit;
  readonly to?: InventoryUnit;
}

/** A value that one or both have; undefined where there is none. */
export interface ValueChange {
  readonly name: string;
  readonly from?: string;
  readonly to?: string;
}

export interface SizeChange {
  readonly name: string;
  /** Bytes. */
  readonly from?: number;
  readonly to?: number;
  readonly same: boolean;
}

/** What makes B different from A. Lists are in order. */
export interface ImageDiff {
  readonly from: Pick<DescribedImage, "name" | "id">;
  readonly to: Pick<DescribedImage, "name" | "id">;
  readonly packages: {
    readonly added: readonly PackageName[];
    readonly removed: readonly PackageName[];
    readonly changed: readonly PackageChange[];
  };
  readonly files: {
    readonly added: readonly InventoryFile[];
    readonly removed: readonly InventoryFile[];
    readonly changed: readonly FileChange[];
  };
  readonly units: readonly UnitChange[];
  readonly sysctl: readonly ValueChange[];
  /** Programs with setuid, setgid or capabilities, by path. */
  readonly privileges: readonly ValueChange[];
  /** The tree, then each artifact; `same` says equal digests. */
  readonly sizes: readonly SizeChange[];
}

export function imageDiff(from: DescribedImage, to: DescribedImage): ImageDiff {
  const [a, b] = [from.inventory, to.inventory];
  const files = diffFiles(a.files, b.files);
  return {
    from: { name: from.name, id: from.id },
    to: { name: to.name, id: to.id },
    packages: diffPackages(a.packages, b.packages),
    files,
    units: diffUnits(a.units, b.units),
    sysctl: diffValues(new Map(Object.entries(a.sysctl)), new Map(Object.entries(b.sysctl))),
    privileges: diffValues(privilegesByPath(a.files), privilegesByPath(b.files)),
    sizes: [
      { name: "tree", from: a.size, to: b.size, same: Object.values(files).every((list) => list.length === 0) },
      ...diffArtifacts(from.artifacts, to.artifacts),
    ],
  };
}

/** Of one name there can be several versions, as of kernels; only a single one for a single other is a change. */
function diffPackages(a: readonly InventoryPackage[], b: readonly InventoryPackage[]): ImageDiff["packages"] {
  const added: PackageName[] = [];
  const removed: PackageName[] = [];
  const changed: PackageChange[] = [];
  const [before, after] = [byName(a), byName(b)];
  for (const key of keysOfBoth(before, after)) {
    const gone = without(before.get(key), after.get(key));
    const come = without(after.get(key), before.get(key));
    const [old, fresh] = [gone[0], come[0]];
    if (gone.length === 1 && come.length === 1 && old !== undefined && fresh !== undefined) {
      const { version, ...name } = old;
      changed.push({ ...name, from: version, to: fresh.version });
    } else {
      removed.push(...gone);
      added.push(...come);
    }
  }
  return { added, removed, changed };
}

function byName(packages: readonly InventoryPackage[]): Map<string, PackageName[]> {
  const found = new Map<string, PackageName[]>();
  for (const { kind, name, arch, version } of packages) {
    // A blank stands in no name, and sorts before what does.
    const key = [name, kind, arch].join(" ");
    found.set(key, [...(found.get(key) ?? []), { kind, name, ...(arch !== undefined && { arch }), version }]);
  }
  return found;
}

/** Of `left` what `right` has not; of two that are equal, each counts. */
function without(left: readonly PackageName[] = [], right: readonly PackageName[] = []): PackageName[] {
  const others = right.map(({ version }) => version);
  return left.filter(({ version }) => {
    const at = others.indexOf(version);
    if (at >= 0) others.splice(at, 1);
    return at < 0;
  });
}

function diffFiles(a: readonly InventoryFile[], b: readonly InventoryFile[]): ImageDiff["files"] {
  const added: InventoryFile[] = [];
  const removed: InventoryFile[] = [];
  const changed: FileChange[] = [];
  const [before, after] = [a, b].map((files) => new Map(files.map((file) => [file.path, file])));
  for (const path of keysOfBoth(before, after)) {
    const [from, to] = [before?.get(path), after?.get(path)];
    if (from === undefined && to !== undefined) added.push(to);
    else if (to === undefined && from !== undefined) removed.push(from);
    else if (from !== undefined && to !== undefined) {
      const aspects = differingAspects(from, to);
      if (aspects.length > 0) changed.push({ path, aspects, from, to });
    }
  }
  return { added, removed, changed };
}

function differingAspects(from: InventoryFile, to: InventoryFile): FileAspect[] {
  const differs: Record<FileAspect, boolean> = {
    kind: from.kind !== to.kind,
    content: from.kind === to.kind && from.sha256 !== to.sha256,
    link: from.kind === to.kind && from.target !== to.target,
    mode: from.mode !== to.mode,
    owner: from.uid !== to.uid || from.gid !== to.gid,
    capabilities: from.capabilities !== to.capabilities,
    attributes: !sameRecords(from.attributes, to.attributes),
    device: from.kind === to.kind && from.device !== to.device,
  };
  return (Object.keys(differs) as FileAspect[]).filter((aspect) => differs[aspect]);
}

function sameRecords(a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}): boolean {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => a[name] === b[name]);
}

function diffUnits(a: readonly InventoryUnit[], b: readonly InventoryUnit[]): UnitChange[] {
  const [before, after] = [a, b].map((units) => new Map(units.map((unit) => [unit.name, unit])));
  return keysOfBoth(before, after).flatMap((name): UnitChange[] => {
    const [from, to] = [before?.get(name), after?.get(name)];
    const [was, is] = [from, to].map((unit) => unit !== undefined && isUnitEnabled(unit));
    const both = { name, ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
    if (was !== is) return [{ ...both, change: is ? "enabled" : "disabled" }];
    // A unit that came or went with its package and starts nothing is told by its file.
    if (from === undefined || to === undefined) return [];
    const same = from.state === to.state && from.preset === to.preset && from.wantedBy.join() === to.wantedBy.join();
    return same ? [] : [{ ...both, change: "changed" }];
  });
}

function privilegesByPath(files: readonly InventoryFile[]): Map<string, string> {
  return new Map(
    files.flatMap((file) => {
      const privileges = privilegesOf(file);
      return privileges === undefined ? [] : [[file.path, privileges] as const];
    }),
  );
}

function diffValues(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): ValueChange[] {
  return keysOfBoth(a, b).flatMap((name): ValueChange[] => {
    const [from, to] = [a.get(name), b.get(name)];
    if (from === to) return [];
    return [{ name, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }];
  });
}

const artifactOrder: readonly string[] = ["rootfs", "kernel", "initrd"] satisfies ArtifactName[];

function diffArtifacts(a: DescribedImage["artifacts"], b: DescribedImage["artifacts"]): SizeChange[] {
  // The manifest holds the image's own id, so it always differs and says nothing.
  const names = [...new Set([...artifactOrder, ...Object.keys(a), ...Object.keys(b)])];
  return names
    .filter((name) => name !== "manifest" && (a[name] !== undefined || b[name] !== undefined))
    .map((name) => {
      const [from, to] = [a[name], b[name]];
      return {
        name,
        ...(from !== undefined && { from: from.size }),
        ...(to !== undefined && { to: to.size }),
        same: from?.sha256 === to?.sha256,
      };
    });
}

function keysOfBoth(a: ReadonlyMap<string, unknown> = new Map(), b: ReadonlyMap<string, unknown> = new Map()) {
  return [...new Set([...a.keys(), ...b.keys()])].sort();
}
