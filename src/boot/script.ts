import { NetkilnError } from "../lib/errors.ts";
import type { Node } from "../node/index.ts";
import { requireOneLine, requireOneWord } from "./line.ts";
import type { BootQuery } from "./resolve.ts";
import type { BootEntry } from "./types.ts";

/** Seconds before a node that could not boot asks again, as BSS_RETRY_DELAY. */
const retryDelay = 30;

export interface ScriptQuery {
  /** `host:port` under which the node reached the node door. */
  readonly door: string;
  readonly asked: BootQuery;
  /** How often the node has asked before without having booted. */
  readonly retry: number;
}

/** Where the door's own links begin, as the node sees it; refuses what does not look like a host. */
function doorUrl(door: string): string {
  if (!/^(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.test(door)) {
    throw new NetkilnError("invalid_input", "the Host header of the request names no host");
  }
  return `http://${door}`;
}

function retryUrl({ door, asked, retry }: ScriptQuery): string {
  const [key, value] = Object.entries(asked).find(([, part]) => part !== undefined) ?? ["name", ""];
  const escaped = encodeURIComponent(String(value)).replaceAll("%3A", ":");
  return `${doorUrl(door)}/boot/v1/bootscript?${key}=${escaped}&retry=${retry + 1}`;
}

/** The image whose file an s3 link names, or undefined for other links. */
export function imageOfLink(link: string): string | undefined {
  return /^s3:\/\/boot-images\/([\w.-]+)\/[\w.-]+$/.exec(link)?.[1];
}

/**
 * The iPXE script of the Boot Script Service, line by line. `bootId` is the boot that it belongs to; without one (an
 * operator looks at the script) the links and the parameters carry no trace of it.
 */
export function bootScript(query: ScriptQuery & { node: Node; entry: BootEntry; bootId: string | undefined }): string {
  const { node, entry, bootId } = query;
  const fetchable = (link: string) => fetchableUrl(link, doorUrl(query.door), bootId);
  const kernel = requireOneWord(fetchable(entry.kernel), "the kernel's link");
  const initrd = requireOneWord(fetchable(entry.initrd), "the initrd's link");
  const params = requireOneLine(kernelParameters(query, node, entry, bootId), "the kernel parameters");
  const initrdLines = initrd === "" ? "" : `initrd --name initrd ${initrd} || goto boot_retry\n`;
  return `#!ipxe
kernel --name kernel ${kernel}${initrd === "" ? "" : " initrd=initrd"} ${params} || goto boot_retry
${initrdLines}imgstat || echo Could not show image information.
boot || goto boot_retry
:boot_retry
sleep ${retryDelay}
chain ${retryUrl(query)}
`;
}

/** For a node that gets nothing: says why on its console, waits, and asks again. */
export function waitScript(query: ScriptQuery & { because: string }): string {
  const because = query.because.replace(/[^\x20-\x7e]|[$;|&#]/g, "?");
  return `#!ipxe
echo netkiln: ${because}
echo netkiln: asking again in ${retryDelay} seconds, try ${query.retry + 1}
sleep ${retryDelay}
chain ${retryUrl(query)}
`;
}

/** What DHCP sends a node's iPXE to: it names itself and goes on to its own script. */
export function chainScript(door: string): string {
  const url = doorUrl(door);
  return `#!ipxe
chain ${url}/boot/v1/bootscript?mac=\${mac}&arch=\${buildarch} || goto retry
:retry
sleep ${retryDelay}
chain ${url}/boot.ipxe
`;
}

function fetchableUrl(link: string, door: string, bootId: string | undefined): string {
  if (imageOfLink(link) === undefined) return link;
  return `${link.replace(/^s3:\//, door)}${bootId === undefined ? "" : `?boot=${bootId}`}`;
}

/** The entry's parameters with their links made fetchable, and behind them those that the node needs and lacks. */
function kernelParameters(query: ScriptQuery, node: Node, entry: BootEntry, bootId: string | undefined): string {
  const door = doorUrl(query.door);
  const given = [entry.params, node.kernelParameters]
    .join(" ")
    .split(" ")
    .filter((word) => word !== "");
  const has = (key: string) => given.some((word) => word.startsWith(`${key}=`));
  const wanted: readonly (readonly [key: string, value: string, absent: boolean])[] = [
    ["xname", node.xname, !has("xname")],
    ["nid", String(node.nid), !has("nid")],
    ["bss_referral_token", entry.referralToken, !has("bss_referral_token")],
    ["ds", `nocloud-net;s=${door}/`, !has("ds")],
    ["netkiln.report", `${door}/netkiln/v1/boots/${bootId}`, bootId !== undefined && !has("netkiln.report")],
  ];
  // As BSS does, only these two: other parameters carry s3 links that mean something to what reads them on the node.
  const printed = given.map((word) => {
    const [, key, link] = /^(metal\.server=|root=live:)(s3:\/\/.*)$/.exec(word) ?? [];
    return key === undefined || link === undefined ? word : `${key}${fetchableUrl(link, door, bootId)}`;
  });
  return [...printed, ...wanted.flatMap(([key, value, absent]) => (absent ? [`${key}=${value}`] : []))].join(" ");
}
