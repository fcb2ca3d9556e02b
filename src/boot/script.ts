import { NetkilnError } from "../lib/errors.ts";
import { canonicalMac, type NamedNode } from "../node/index.ts";
import { requireOneLine, requireOneWord } from "./line.ts";
import { fileOfLink } from "./links.ts";
import type { BootQuery } from "./resolve.ts";
import type { BootEntry } from "./types.ts";

/** Seconds before a node that could not boot asks again, as BSS_RETRY_DELAY. */
export const usualRetryDelay = 30;

/** Where scripts are fetched: of OpenCHAMI's kind, and of CSM's. */
export const scriptPaths = ["/boot/v1/bootscript", "/apis/bss/boot/v1/bootscript"] as const;
export type ScriptPath = (typeof scriptPaths)[number];

export interface ScriptQuery {
  /** `host:port` under which the node reached the node door. */
  readonly door: string;
  readonly asked: BootQuery;
  /** How often the node has asked before without having booted. */
  readonly retry: number;
  /** By which path it asked, and will ask again. OpenCHAMI's when not given. */
  readonly path?: ScriptPath;
  readonly retryDelay?: number;
}

/** What of a script is not known before it is asked for: the door, and the boot that it belongs to. */
export interface BootContent {
  /** Undefined for a node that is not known: nothing of it goes into the script. */
  readonly node: Pick<NamedNode, "xname" | "nid" | "kernelParameters" | "interfaces"> | undefined;
  readonly entry: BootEntry;
  /** What goes with kernel and initrd, whoever boots them. */
  readonly fileParams?: readonly string[];
}

/** Where the door's own links begin, as the node sees it; refuses what does not look like a host. */
export function doorUrl(door: string): string {
  if (!/^(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.test(door)) {
    throw new NetkilnError("invalid_input", "the Host header of the request names no host");
  }
  return `http://${door}`;
}

/** The link without `http://DOOR`, by which the node asks once more. */
function againPath({ asked, path = scriptPaths[0] }: Pick<ScriptQuery, "asked" | "path">, more: string): string {
  const [key = "name", value = ""] =
    Object.entries({ mac: asked.mac, name: asked.name, nid: asked.nid }).find(([, part]) => part !== undefined) ?? [];
  const escaped = encodeURIComponent(String(value)).replaceAll("%3A", ":");
  return `${path}?${key}=${escaped}&${more}`;
}

/**
 * The iPXE script of the Boot Script Service, line by line. `bootId` is the boot that it belongs to; without one (an
 * operator looks at the script) the links and the parameters carry no trace of it. `token` is what the node shows for
 * its cloud-init data, where its address does not say who it is.
 */
export function bootScript(
  query: ScriptQuery & BootContent & { bootId: string | undefined; token?: string | undefined },
): string {
  return scriptText({ ...query, url: doorUrl(query.door), next: String(query.retry + 1), seed: seedOf(query.token) });
}

type TextParts = Omit<ScriptQuery, "door" | "retry"> &
  BootContent & { url: string; bootId: string | undefined; next: string; seed?: string | undefined };

/** What comes between the address of cloud-init data and their names, and what stands for it in kernel parameters. */
function seedOf(token: string | undefined): string {
  return token === undefined ? "" : `boots/${token}/`;
}
const seedPlace = "${NETKILN_SEED}";

function scriptText(parts: TextParts): string {
  const { kernel, initrd, params } = bootParts(parts);
  const initrdLines = initrd === "" ? "" : `initrd --name initrd ${initrd} || goto boot_retry\n`;
  // A node that is not known may have become known until it asks again, and says what it is then too.
  const again = parts.node === undefined ? `arch=\${buildarch}&retry=${parts.next}` : `retry=${parts.next}`;
  return `#!ipxe
kernel --name kernel ${kernel}${initrd === "" ? "" : " initrd=initrd"} ${params} || goto boot_retry
${initrdLines}imgstat || echo Could not show image information.
boot || goto boot_retry
:boot_retry
sleep ${parts.retryDelay ?? usualRetryDelay}
chain ${parts.url}${againPath(parts, again)}
`;
}

/** Kernel and initrd as the node can fetch them, and the whole command line. */
function bootParts(parts: Omit<TextParts, "next">): { kernel: string; initrd: string; params: string } {
  const { entry, url, bootId } = parts;
  return {
    kernel: fetchableUrl(requireOneWord(entry.kernel, "the kernel's link"), url, bootId),
    initrd: fetchableUrl(requireOneWord(entry.initrd, "the initrd's link"), url, bootId),
    params: kernelParameters(parts),
  };
}

/** What of a script is not the same from one fetch to the next. */
export interface ScriptFetched {
  readonly door: string;
  readonly retry: number;
  /** The boot that it belongs to; undefined when somebody only looks. */
  readonly bootId?: string | undefined;
  /** Of that boot, where the node needs it. */
  readonly token?: string | undefined;
}

/** A script that is printed but for that. */
export type ScriptForm = (fetched: ScriptFetched) => string;

/** Texts from outside hold no control characters (line.ts), so these can mark the places of what comes later. */
const gaps = { url: "\u0001", bootId: "\u0002", seed: "\u0003", next: "\u0004" } as const;

/** What is there for a boot alone. */
// oxlint-disable-next-line no-control-regex -- these are the gaps
const ofBoot = /\?boot=\u0002| netkiln\.report=\u0001\S*\u0002/g;

/** The same text as `bootScript` gives, made once for many fetches. Throws as it does. */
export function scriptForm(parts: Omit<ScriptQuery, "door" | "retry"> & BootContent): ScriptForm {
  const text = scriptText({ ...parts, ...gaps });
  let printed = false;
  let kept: readonly string[] | undefined;
  return (fetched) => {
    if (fetched.bootId === undefined) return fill(piecesOf(text.replace(ofBoot, "")), fetched);
    const pieces = kept ?? piecesOf(text);
    // Most scripts are fetched once, and what is kept of thousands weighs on the collector of garbage.
    if (printed) kept = pieces;
    printed = true;
    return fill(pieces, fetched);
  };
}

/** Texts and gaps in turn. */
function piecesOf(text: string): string[] {
  // oxlint-disable-next-line no-control-regex -- these are the gaps
  return text.split(/([\u0001-\u0004])/);
}

function fill(pieces: readonly string[], { door, retry, bootId, token }: ScriptFetched): string {
  const url = doorUrl(door);
  const seed = seedOf(token);
  let text = "";
  for (const piece of pieces) {
    if (piece === gaps.url) text += url;
    else if (piece === gaps.bootId) text += bootId ?? "";
    else if (piece === gaps.seed) text += seed;
    else if (piece === gaps.next) text += retry + 1;
    else text += piece;
  }
  return text;
}

/** What `?json=1` gives instead of a script: the same links and parameters. */
export function bootJson(query: Omit<ScriptQuery, "retry"> & BootContent): {
  kernel: string;
  initrd?: string;
  params: string;
} {
  const { initrd, ...rest } = bootParts({ ...query, url: doorUrl(query.door), bootId: undefined });
  return { ...rest, ...(initrd !== "" && { initrd }) };
}

/** For a node that gets nothing: says why on its console, waits, and asks again. */
export function waitScript(query: ScriptQuery & { because: string }): string {
  const because = query.because.replace(/[^\x20-\x7e]|[$;|&#]/g, "?");
  const delay = query.retryDelay ?? usualRetryDelay;
  return `#!ipxe
echo netkiln: ${because}
echo netkiln: asking again in ${delay} seconds, try ${query.retry + 1}
sleep ${delay}
chain ${doorUrl(query.door)}${againPath(query, `retry=${query.retry + 1}`)}
`;
}

/** For a node whose architecture decides: it asks at once again, and says it. */
export function archScript(query: Omit<ScriptQuery, "retry"> & { seconds: number }): string {
  return `#!ipxe
chain ${doorUrl(query.door)}${againPath(query, `arch=\${buildarch}&ts=${query.seconds}`)}
`;
}

/** What DHCP sends a node's iPXE to: it names itself and goes on to its own script. */
export function chainScript(door: string): string {
  const url = doorUrl(door);
  return `#!ipxe
chain ${url}/boot/v1/bootscript?mac=\${mac}&arch=\${buildarch} || goto retry
:retry
sleep ${usualRetryDelay}
chain ${url}/boot.ipxe
`;
}

function fetchableUrl(link: string, url: string, bootId: string | undefined): string {
  const file = fileOfLink(link);
  if (file === undefined) return link;
  return `${url}/boot-images/${file.image}/${file.file}${bootId === undefined ? "" : `?boot=${bootId}`}`;
}

/** Parameters whose s3 link the node fetches over HTTP. What others hold means something to what reads them there. */
const linkParameter = /^(metal\.server=|root=live:)(s3:\/\/.*)$/i;

/** The links that have to lead to something for this entry to boot. */
export function linksOf({ entry, fileParams = [] }: Pick<BootContent, "entry" | "fileParams">): string[] {
  const linked = wordsOf([entry.params, ...fileParams]).flatMap((word) => linkParameter.exec(word)?.[2] ?? []);
  return [entry.kernel, entry.initrd, ...linked];
}

function wordsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) => text.split(" ")).filter((word) => word !== "");
}

/** A token that whoever reads the command line could use is no secret, so there is none to put in its place. */
const joinToken = "${SPIRE_JOIN_TOKEN}";

/** The entry's parameters with their links made fetchable, and behind them those that the node needs and lacks. */
function kernelParameters({
  asked,
  path = scriptPaths[0],
  node,
  entry,
  fileParams = [],
  url,
  bootId,
  seed = "",
}: Omit<TextParts, "next">) {
  const given = wordsOf([entry.params, ...fileParams, node?.kernelParameters ?? ""]).filter(
    (word) => !word.includes(joinToken) && !(entry.initrd !== "" && word.startsWith("initrd=")),
  );
  requireOneLine(given.join(" "), "the kernel parameters");
  const has = (key: string) => given.some((word) => word.startsWith(`${key}=`));
  const asking = canonicalMac(asked.mac ?? "");
  const { mac } = node?.interfaces.find((one) => one.mac === asking) ?? node?.interfaces[0] ?? {};
  const wanted: readonly (readonly [key: string, value: string | undefined])[] = [
    ["xname", node?.xname],
    ["nid", node && String(node.nid)],
    ["bss_referral_token", node && entry.referralToken],
    ["BOOTIF", path === scriptPaths[0] && mac !== undefined ? `01-${mac.replaceAll(":", "-")}` : undefined],
    ["ds", `nocloud-net;s=${url}/${seed}`],
    ["netkiln.report", bootId === undefined || node === undefined ? undefined : `${url}/netkiln/v1/boots/${bootId}`],
  ];
  const printed = given.map((word) => {
    const [, key, link] = linkParameter.exec(word) ?? [];
    if (key === undefined || link === undefined) return word.replaceAll(seedPlace, seed);
    return `${key}${fetchableUrl(link, url, bootId)}`;
  });
  const added = wanted.flatMap(([key, value]) => (value === undefined || has(key) ? [] : [`${key}=${value}`]));
  return [...printed, ...added].join(" ");
}
