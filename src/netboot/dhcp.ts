import { NetkilnError } from "../lib/errors.ts";
import type { Node } from "../node/index.ts";

export interface DhcpOptions {
  /** `host:port` under which nodes reach the node door. */
  readonly door: string;
  /** The boot network's interface; dnsmasq listens on all when it is not given. */
  readonly interface?: string | undefined;
  /** Whatever dnsmasq takes behind `dhcp-range=`; only the nodes listed are answered when it is not given. */
  readonly range?: string | undefined;
}

/**
 * A dnsmasq configuration (dnsmasq(8)) that gives every node its address and its way into iPXE, and iPXE the way to
 * the node door. The boot loaders undionly.kpxe and snponly.efi come from iPXE and stand in dnsmasq's tftp-root.
 */
export function dnsmasqConfig(nodes: readonly Node[], options: DhcpOptions): string {
  for (const [name, value] of Object.entries(options)) {
    if (/[\r\n]/.test(String(value))) throw new NetkilnError("invalid_input", `${name} holds a line break`);
  }
  const hosts = nodes.flatMap((node) =>
    node.interfaces.map(({ mac, ip }, index) => {
      // A host name belongs to one address, so only the first interface bears it.
      const parts = [mac, ip, index === 0 ? node.alias : undefined];
      return `dhcp-host=${parts.filter((part) => part !== undefined).join(",")}`;
    }),
  );
  const networks = [...new Set(nodes.flatMap(({ interfaces }) => interfaces.map(({ ip }) => ip)))];
  const range = options.range ?? staticRange(networks.find((ip) => ip !== undefined));
  return [
    "# dnsmasq for netkiln; made from the inventory, so change nodes there and write this file anew.",
    ...(options.interface === undefined ? [] : [`interface=${options.interface}`, "bind-interfaces"]),
    "# no DNS",
    "port=0",
    ...(range === undefined ? [] : [`dhcp-range=${range}`]),
    "",
    "# iPXE says so by option 175. Firmware says what it is by option 93 (RFC 4578 and IANA's list of its values):",
    "# 0 BIOS, 7 and 9 UEFI on x86-64, 11 UEFI on arm64, 16 and 19 the same two booting over HTTP.",
    "dhcp-match=set:ipxe,175",
    "dhcp-match=set:uefi,option:client-arch,7",
    "dhcp-match=set:uefi,option:client-arch,9",
    "dhcp-match=set:uefi-arm64,option:client-arch,11",
    "dhcp-match=set:uefi-http,option:client-arch,16",
    "dhcp-match=set:uefi-http-arm64,option:client-arch,19",
    "",
    "# UEFI takes an HTTP link only from a server that calls itself HTTPClient.",
    "dhcp-option-force=tag:uefi-http,60,HTTPClient",
    "dhcp-option-force=tag:uefi-http-arm64,60,HTTPClient",
    `dhcp-boot=tag:ipxe,http://${options.door}/boot.ipxe`,
    "dhcp-boot=tag:!ipxe,tag:uefi,snponly.efi",
    "dhcp-boot=tag:!ipxe,tag:uefi-arm64,snponly-arm64.efi",
    "dhcp-boot=tag:!ipxe,tag:!uefi,tag:!uefi-arm64,tag:!uefi-http,tag:!uefi-http-arm64,undionly.kpxe",
    "enable-tftp",
    "tftp-root=/srv/tftp",
    "",
    ...hosts,
    "",
  ].join("\n");
}

/** `static`: dnsmasq answers only hosts that it knows, in the network of this address. */
function staticRange(ip: string | undefined): string | undefined {
  return ip === undefined ? undefined : `${ip.replace(/\.\d+$/, ".0")},static`;
}
