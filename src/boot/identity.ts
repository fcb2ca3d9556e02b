import { BlockList, isIP } from "node:net";
import { NetkilnError } from "../lib/errors.ts";
import type { InterfaceStore, Node, NodeStore } from "../node/index.ts";
import type { BootTokens } from "../telemetry/index.ts";

export interface IdentityParts {
  readonly nodes: Pick<NodeStore, "get">;
  readonly interfaces: Pick<InterfaceStore, "ownersOf" | "hasAddress">;
  readonly bootTokens: BootTokens;
  /** Addresses and networks behind which several nodes stand: such an address says of nobody who it is. */
  readonly sharedAddresses: readonly string[];
}

/** Which node asks. An address is that of the connection, or what a trusted proxy says of it; never a header's claim. */
export interface NodeIdentities {
  /** The node of whose interfaces one has this address; undefined when there is none, or when several have it. */
  byAddress(address: string | undefined): Promise<Node | undefined>;
  /** Throws `not_found` for a token that is none, or whose boot is long over. */
  byToken(token: string): Promise<Node>;
  /**
   * The token of a boot of this node, whose script goes to this address; undefined where the address itself says that
   * it is this node. None for the address of another component, and none when the inventory knows where the node is
   * and it is not there: asking in somebody's name is no proof of being it.
   */
  tokenFor(xname: string, bootId: string, address: string | undefined): string | undefined;
}

export function openNodeIdentities({ nodes, interfaces, bootTokens, sharedAddresses }: IdentityParts): NodeIdentities {
  const isShared = membership(sharedAddresses);
  return {
    byAddress: async (address) => {
      const ip = plainAddress(address);
      if (ip === undefined || isShared(ip)) return undefined;
      const [xname, other] = interfaces.ownersOf(ip);
      return xname === undefined || other !== undefined ? undefined : nodes.get(xname);
    },
    byToken: async (token) => {
      const boot = await bootTokens.find(token);
      const node = boot && (await nodes.get(boot.xname));
      if (node !== undefined) return node;
      throw new NetkilnError("not_found", "this is not the token of a boot, or of one that is long over");
    },
    tokenFor: (xname, bootId, address) => {
      const ip = plainAddress(address);
      if (ip === undefined) return undefined;
      if (isLoopback(ip) || isShared(ip)) return bootTokens.of(bootId);
      const isKnown = interfaces.ownersOf(ip).length > 0 || interfaces.hasAddress(xname);
      return isKnown ? undefined : bootTokens.of(bootId);
    },
  };
}

/** Without the prefix that IPv4 addresses have on a socket for both kinds; undefined for what is no address. */
function plainAddress(address: string | undefined): string | undefined {
  const plain = address?.replace(/^::ffff:(?=\d+\.)/i, "");
  return plain !== undefined && isIP(plain) !== 0 ? plain.toLowerCase() : undefined;
}

/** Virtual nodes come from this host itself, whatever the inventory says of their addresses. */
function isLoopback(ip: string): boolean {
  return ip === "::1" || ip.startsWith("127.");
}

function membership(networks: readonly string[]): (ip: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (ip) => list.check(ip, isIP(ip) === 6 ? "ipv6" : "ipv4");
}
