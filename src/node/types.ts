import { canonicalXname } from "./xname.ts";

/** Architectures as HSM names them. */
export const nodeArchs = ["X86", "ARM", "Other", "Unknown"] as const;
export type NodeArch = (typeof nodeArchs)[number];

/** States as HSM names them. */
export const nodeStates = ["Unknown", "Empty", "Populated", "Off", "On", "Standby", "Halt", "Ready"] as const;
export type NodeState = (typeof nodeStates)[number];

export const powerDrivers = ["virtual", "simulated"] as const;

export interface NodeInterface {
  /** Six lower-case hexadecimal bytes with colons. */
  readonly mac: string;
  readonly ip: string | undefined;
}

export interface NodePower {
  readonly driver: (typeof powerDrivers)[number];
  /** The driver's own affair; it checks them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What an operator says about a node; the rest of `Node` is what happens to it. */
export interface NodeInput {
  /** Where it stands: x<cabinet>c<chassis>s<slot>b<bmc>n<node>. */
  readonly xname: string;
  readonly nid: number;
  readonly role: string;
  readonly subRole: string | undefined;
  readonly arch: NodeArch;
  readonly enabled: boolean;
  readonly interfaces: readonly NodeInterface[];
  readonly groups: readonly string[];
  /** Kernel parameters that only this node needs, behind those of what it boots. */
  readonly kernelParameters: string;
  readonly power: NodePower;
}

export interface Node extends NodeInput {
  /** `nid%06d`, the host name that the node gets. */
  readonly alias: string;
  readonly state: NodeState;
  /** A locked node is left out of sessions and its power is not touched. */
  readonly locked: boolean;
}

export interface Group {
  readonly label: string;
  readonly description: string;
  readonly members: readonly string[];
}

export function aliasOf(nid: number): string {
  return `nid${String(nid).padStart(6, "0")}`;
}

/** Accepts colons, hyphens, dots or nothing between the digits, as tools print them; undefined when it is no MAC. */
export function canonicalMac(text: string): string | undefined {
  const digits = text.toLowerCase().replace(/[:.-]/g, "");
  return /^[0-9a-f]{12}$/.test(digits) ? (digits.match(/../g) ?? []).join(":") : undefined;
}

/** What somebody means who names a node: a number and an alias (`nid000001`, with any number of zeros) are nids. */
export function nameKind(
  name: string,
): { readonly kind: "nid"; readonly value: number } | { readonly kind: "mac" | "xname"; readonly value: string } {
  const nid = /^(?:nid)?(\d{1,11})$/.exec(name)?.[1];
  if (nid !== undefined) return { kind: "nid", value: Number(nid) };
  const mac = canonicalMac(name);
  return mac === undefined ? { kind: "xname", value: canonicalXname(name) } : { kind: "mac", value: mac };
}

/** Flags as HSM names them. */
export const componentFlags = ["OK", "Warning", "Alert", "Locked", "Unknown"] as const;
export const componentClasses = ["River", "Mountain", "Hill"] as const;
export const netTypes = ["Sling", "Infiniband", "Ethernet", "OEM", "None"] as const;
export const roles = ["Compute", "Service", "System", "Application", "Storage", "Management"] as const;
export const subRoles = ["Worker", "Master", "Storage", "UAN", "Gateway", "LNETRouter", "Visualization", "UserDefined"];

/** What can be changed about a component, and of many at once. */
export interface ComponentState {
  readonly state: NodeState;
  readonly flag: (typeof componentFlags)[number];
  readonly enabled: boolean;
  readonly softwareStatus: string | undefined;
  readonly role: string | undefined;
  readonly subRole: string | undefined;
}

/** A piece of hardware by its place: a node, its BMC, a chassis, a router. Every `Node` is one of them. */
export interface Component extends ComponentState {
  readonly xname: string;
  /** What stands there, as `typeOfXname` says. */
  readonly type: string;
  readonly nid: number | undefined;
  readonly subtype: string | undefined;
  readonly netType: string | undefined;
  readonly arch: NodeArch;
  readonly class: string | undefined;
  readonly locked: boolean;
  /** No reservation of it can be made. */
  readonly reservationDisabled: boolean;
}

/** A component as it is made. A node without a nid gets one; other components go without. */
export type ComponentInput = Omit<Component, "type" | "locked" | "reservationDisabled" | "arch"> & {
  readonly arch: NodeArch | undefined;
};

/** Columns that take several values of a filter: one of them has to fit; `!` in front of one turns it around. */
export const filterColumns = [
  "type",
  "state",
  "flag",
  "role",
  "subRole",
  "enabled",
  "softwareStatus",
  "subtype",
  "arch",
  "class",
  "locked",
  "reservationDisabled",
] as const;

export interface ComponentFilter extends Partial<
  Record<(typeof filterColumns)[number], readonly string[] | undefined>
> {
  /** Only these xnames. */
  readonly xnames?: readonly string[] | undefined;
  /** Only these xnames and what stands in them: `x1000c0` has all that is in the chassis. */
  readonly within?: readonly string[] | undefined;
  /** From and to, both included. */
  readonly nids?: readonly (readonly [from: number, to: number])[] | undefined;
  /** Labels; `NULL` is for those that are in none. */
  readonly group?: readonly string[] | undefined;
  readonly partition?: readonly string[] | undefined;
  /** `true` or `false`: whether somebody has a reservation of it that lasts. */
  readonly reserved?: readonly string[] | undefined;
}

export interface HsmGroup {
  readonly label: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly exclusive: string | undefined;
  readonly members: readonly string[];
}

export interface Membership {
  readonly xname: string;
  readonly groups: readonly string[];
  readonly partition: string | undefined;
}

export interface InterfaceAddress {
  readonly ip: string;
  readonly network: string;
}

/** A network interface of a component, or of nobody yet. */
export interface Interface {
  readonly mac: string;
  readonly description: string;
  readonly addresses: readonly InterfaceAddress[];
  /** Empty while nobody said whose it is. */
  readonly xname: string;
  readonly type: string;
  /** When it was last said something about it, RFC 3339. */
  readonly updated: string;
}
