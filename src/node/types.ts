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
