import { NetkilnError } from "../../lib/errors.ts";
import type { RecipeSpec } from "../../image/index.ts";
import type { Survey } from "./survey.ts";

/** What a recipe wants in an initrd beside its roots. */
export type InitrdWishes = Omit<NonNullable<RecipeSpec["initrd"]>, "roots">;

/** How a node comes to its root. */
export type RootKind = "live" | "ram" | "iscsi" | "nbd";

interface Need {
  readonly modules: readonly string[];
  /** Of each of these the first that the tree has; distributions differ. */
  readonly oneOf: readonly (readonly string[])[];
  readonly programs: readonly string[];
}

/** What dracut needs for each kind of root; the kernel parameters that go with them are in brackets. */
export const rootNeeds: Readonly<Record<RootKind, Need>> = {
  /** root=live:http://… */
  live: { modules: ["livenet", "dmsquash-live"], oneOf: [], programs: ["curl"] },
  /** An initramfs that is the whole root needs no initrd; one that fetches its root into memory needs what live needs. */
  ram: { modules: ["livenet", "dmsquash-live"], oneOf: [], programs: ["curl"] },
  /** netroot=iscsi:… root=live:/dev/disk/by-path/… rd.live.overlay.overlayfs=1 */
  iscsi: { modules: ["iscsi", "dmsquash-live"], oneOf: [], programs: ["iscsiadm", "iscsid", "iscsi-iname"] },
  /** root=nbd:HOST:PORT:squashfs:ro rootovl=1 (overlay-root; newer dracuts: rd.overlay) */
  nbd: { modules: ["nbd"], oneOf: [["overlay-root", "overlayfs"]], programs: ["nbd-client"] },
};

/**
 * Ways to a network in an initrd, the preferred first. systemd-networkd is not among them: a live root never comes up
 * with it in dracut 059.
 */
const networks = [
  { module: "network-legacy", program: "dhclient" },
  { module: "network-manager", program: "NetworkManager" },
] as const;
const otherNetworks = ["connman", "network-wicked", "systemd-networkd"];

/**
 * Drivers of every initrd, where the kernel has them as modules: without the bus of its network card a virtual node
 * has no network, and dracut's modules for networks bring the card's driver alone.
 */
export const ownDrivers: readonly string[] = ["virtio_pci", "virtio_net"];

/** Programs by which what the tree can do is told. */
export const wantedPrograms: readonly string[] = [
  ...new Set([
    ...Object.values(rootNeeds).flatMap((need) => need.programs),
    ...networks.map((network) => network.program),
    "zstd",
  ]),
];

type Packages = Readonly<Record<"deb" | "rpm" | "suse", string>>;
const everywhere = (name: string): Packages => ({ deb: name, rpm: name, suse: name });
const openIscsi: Packages = { deb: "open-iscsi", rpm: "iscsi-initiator-utils", suse: "open-iscsi" };
const dracutLive: Packages = { deb: "dracut-live", rpm: "dracut-live", suse: "dracut" };
const dracutNetwork: Packages = { deb: "dracut-network", rpm: "dracut-network", suse: "dracut" };

/** Packages that bring a program, or a module of dracut. */
const providers: Readonly<Record<string, Packages>> = {
  NetworkManager: { deb: "network-manager", rpm: "NetworkManager", suse: "NetworkManager" },
  arping: { deb: "iputils-arping", rpm: "iputils", suse: "iputils" },
  curl: everywhere("curl"),
  dhclient: { deb: "isc-dhcp-client", rpm: "dhcp-client", suse: "dhcp-client" },
  dmsetup: { deb: "dmsetup", rpm: "device-mapper", suse: "device-mapper" },
  dracut: everywhere("dracut"),
  ip: { deb: "iproute2", rpm: "iproute", suse: "iproute2" },
  "iscsi-iname": openIscsi,
  iscsiadm: openIscsi,
  iscsid: openIscsi,
  multipath: { deb: "multipath-tools", rpm: "device-mapper-multipath", suse: "multipath-tools" },
  "nbd-client": { deb: "nbd-client", rpm: "nbd", suse: "nbd" },
  pgrep: { deb: "procps", rpm: "procps-ng", suse: "procps" },
  "module dmsquash-live": dracutLive,
  "module iscsi": dracutNetwork,
  "module livenet": dracutLive,
  "module nbd": dracutNetwork,
  "module network-legacy": dracutNetwork,
  "module network-manager": dracutNetwork,
};

/** What an operator can do about a program or a module ("module NAME") that the tree has not. */
export function hintFor(what: string, family: Survey["family"]): string {
  const known = providers[what];
  if (known === undefined) return `add the package that has ${what} to the packages of the recipe`;
  const names = family === undefined ? [...new Set(Object.values(known))].join(" or ") : known[family];
  return `add ${names} to the packages of the recipe`;
}

/**
 * The modules of dracut for an initrd: what each node needs, what its kinds of root need, and what the recipe adds.
 * Throws `work_failed` for what the tree does not have.
 */
export function chooseModules(
  tree: Pick<Survey, "dracut" | "dracutModules" | "programs" | "family">,
  initrd: InitrdWishes | undefined,
  roots: readonly RootKind[],
): string[] {
  const { family } = tree;
  if (!tree.dracut) throw missing("the tree has no dracut, which makes the initrd", "dracut", family);
  const { modules: added = [], omit = [] } = initrd ?? {};
  const needs = roots.map((root) => [`a root of the kind ${root}`, rootNeeds[root]] as const);
  for (const [what, need] of needs) {
    for (const name of need.modules) {
      if (omit.includes(name)) {
        throw new NetkilnError(
          "work_failed",
          `initrd.omit leaves out the dracut module ${name}, and ${what} needs it`,
          {
            hint: "take it out of initrd.omit in recipe.yaml",
          },
        );
      }
      requireModule(name, `${what} needs it`, tree);
    }
    for (const name of need.programs) {
      if (!tree.programs.includes(name)) throw missing(`${what} needs ${name}, which the tree has not`, name, family);
    }
  }
  const either = needs.flatMap(([what, need]) => need.oneOf.map((names) => pickModule(names, what, tree)));
  for (const name of added) requireModule(name, "the recipe asks for it (initrd.modules)", tree);
  const chosen = [
    "base",
    ...network(tree, added, omit),
    // The network module adds this one when the machine that builds is a virtual one of QEMU: bytes must not tell.
    ...(tree.dracutModules.includes("qemu-net") ? ["qemu-net"] : []),
    ...["livenet", "netkiln"],
    ...needs.flatMap(([, need]) => need.modules),
    ...either,
    ...added,
  ];
  for (const name of ["livenet", "netkiln"]) requireModule(name, "every initrd has it", tree);
  return [...new Set(chosen)].filter((name) => !omit.includes(name));
}

function network(
  tree: Pick<Survey, "dracutModules" | "programs" | "family">,
  added: readonly string[],
  omit: readonly string[],
): string[] {
  const known: readonly string[] = [...networks.map(({ module }) => module), ...otherNetworks];
  if (added.some((name) => known.includes(name))) return [];
  const usable = networks.filter(({ module }) => !omit.includes(module) && tree.dracutModules.includes(module));
  const found = usable.find(({ program }) => tree.programs.includes(program));
  if (found !== undefined) return [found.module];
  const [first] = usable;
  if (first === undefined) {
    const names = networks.map(({ module }) => module).join(" nor ");
    throw missing(
      `the initrd needs a network, and the tree's dracut has neither ${names}`,
      "module network-legacy",
      tree.family,
    );
  }
  const wanted = usable.map(({ module, program }) => `${program} for ${module}`).join(" or ");
  throw missing(`the initrd needs a network, and the tree has no ${wanted}`, first.program, tree.family);
}

function pickModule(names: readonly string[], what: string, tree: Pick<Survey, "dracutModules" | "family">): string {
  const found = names.find((name) => tree.dracutModules.includes(name));
  if (found !== undefined) return found;
  const text = `${what} needs one of the dracut modules ${names.join(", ")}, and the tree has none of them`;
  throw missing(text, `module ${names[0]}`, tree.family);
}

function requireModule(name: string, why: string, tree: Pick<Survey, "dracutModules" | "family">): void {
  if (tree.dracutModules.includes(name)) return;
  throw missing(`the tree's dracut has no module ${name}: ${why}`, `module ${name}`, tree.family);
}

function missing(text: string, what: string, family: Survey["family"]): NetkilnError {
  return new NetkilnError("work_failed", text, { hint: hintFor(what, family) });
}
