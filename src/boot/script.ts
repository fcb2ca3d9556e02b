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

/** Of `BootContent` what is not the same for all that boot the same. */
export interface ScriptOwner {
  readonly node: BootContent["node"];
  readonly entry: Pick<BootEntry, "referralToken">;
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
  return `${path}?${askedName(asked)}&${more}`;
}

/** By which name the node asks, as a query has it. */
function askedName({ mac, name = "", nid }: BootQuery): string {
  if (mac === undefined && name === "" && nid !== undefined) return `nid=${nid}`;
  const [key, value] = mac === undefined ? ["name", name] : ["mac", mac];
  return `${key}=${encodeURIComponent(value).replaceAll("%3A", ":")}`;
}

/**
 * The iPXE script of the Boot Script Service, line by line. `bootId` is the boot that it belongs to; without one (an
 * operator looks at the script) the links and the parameters carry no trace of it. `token` is what the node shows for
 * its cloud-init data, where its address does not say who it is.
 */
export function bootScript(
  query: ScriptQuery & BootContent & { bootId: string | undefined; token?: string | undefined },
): string {
  const { door, retry, bootId, token } = query;
  const own = { ...ownOf(query), url: doorUrl(door), bootId, next: String(retry + 1), seed: seedOf(token) };
  return scriptText(query, own);
}

/** What many scripts have in common. */
type Shared = Pick<ScriptQuery, "path" | "retryDelay"> & {
  readonly node: Pick<NamedNode, "kernelParameters"> | undefined;
  readonly entry: Pick<BootEntry, "params" | "kernel" | "initrd">;
  readonly fileParams?: readonly string[];
};

/** What is of one script alone. */
interface Own {
  readonly url: string;
  readonly bootId: string | undefined;
  readonly next: string;
  readonly seed: string;
  /** By which name the node asks, and will ask again. */
  readonly asked: string;
  readonly xname: string;
  readonly nid: string;
  readonly referralToken: string;
  /** Of the interface that it boots from, or else of its first, with dashes; undefined when it has none. */
  readonly mac: string | undefined;
}

function ownOf({
  asked,
  node,
  entry,
}: Pick<ScriptQuery, "asked"> & ScriptOwner): Omit<Own, "url" | "bootId" | "next" | "seed"> {
  const asking = asked.mac === undefined ? undefined : canonicalMac(asked.mac);
  const { mac } = node?.interfaces.find((one) => one.mac === asking) ?? node?.interfaces[0] ?? {};
  return {
    asked: askedName(asked),
    xname: node?.xname ?? "",
    nid: String(node?.nid ?? ""),
    referralToken: entry.referralToken,
    mac: mac?.replaceAll(":", "-"),
  };
}

/** What comes between the address of cloud-init data and their names, and what stands for it in kernel parameters. */
function seedOf(token: string | undefined): string {
  return token === undefined ? "" : `boots/${token}/`;
}
const seedPlace = "${NETKILN_SEED}";

function scriptText(shared: Shared, own: Own): string {
  const { kernel, initrd, params } = bootParts(shared, own);
  const initrdLines = initrd === "" ? "" : `initrd --name initrd ${initrd} || goto boot_retry\n`;
  // A node that is not known may have become known until it asks again, and says what it is then too.
  const arch = shared.node === undefined ? "arch=${buildarch}&" : "";
  return `#!ipxe
kernel --name kernel ${kernel}${initrd === "" ? "" : " initrd=initrd"} ${params} || goto boot_retry
${initrdLines}imgstat || echo Could not show image information.
boot || goto boot_retry
:boot_retry
sleep ${shared.retryDelay ?? usualRetryDelay}
chain ${own.url}${shared.path ?? scriptPaths[0]}?${own.asked}&${arch}retry=${own.next}
`;
}

/** Kernel and initrd as the node can fetch them, and the whole command line. */
function bootParts(shared: Shared, own: Omit<Own, "next">): { kernel: string; initrd: string; params: string } {
  const { entry } = shared;
  const { url, bootId } = own;
  return {
    kernel: fetchableUrl(requireOneWord(entry.kernel, "the kernel's link"), url, bootId),
    initrd: fetchableUrl(requireOneWord(entry.initrd, "the initrd's link"), url, bootId),
    params: kernelParameters(shared, own),
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
const gaps = {
  ...{ url: "\u0001", bootId: "\u0002", seed: "\u0003", next: "\u0004" },
  ...{ asked: "\u0005", xname: "\u0006", nid: "\u0007", referralToken: "\u0008", mac: "\u000b" },
} satisfies Readonly<Record<keyof Own, string>>;

/** What is there for a boot alone. */
// oxlint-disable-next-line no-control-regex -- these are the gaps
const ofBoot = /\?boot=\u0002| netkiln\.report=\u0001\S*\u0002/g;

/** Makes the forms of scripts that boot the same; the text, which takes longest, is made once for all of them. */
export function openScriptForms(
  same: Pick<Shared, "entry" | "fileParams" | "retryDelay">,
): (query: Pick<ScriptQuery, "asked" | "path">, owner: ScriptOwner) => ScriptForm {
  const texts = new Map<string, ReturnType<typeof textsOf>>();
  const textsOf = (shared: Shared, hasMac: boolean) => {
    const text = scriptText(shared, { ...gaps, ...(!hasMac && { mac: undefined }) });
    // Few look at scripts of no boot, so their pieces are not kept.
    return { ofBoot: piecesOf(text), ofNoBoot: () => piecesOf(text.replace(ofBoot, "")) };
  };
  return ({ asked, path = scriptPaths[0] }, { node, entry }) => {
    const own = ownOf({ asked, node, entry });
    const key = `${path} ${own.mac === undefined} ${node === undefined ? "" : `of ${node.kernelParameters}`}`;
    const made = texts.get(key) ?? textsOf({ ...same, node, path }, own.mac !== undefined);
    texts.set(key, made);
    const ofNode = [own.asked, own.xname, own.nid, own.referralToken, own.mac ?? ""];
    return ({ door, retry, bootId, token }) => {
      const ofFetch = [doorUrl(door), bootId ?? "", seedOf(token), String(retry + 1)];
      return fill(bootId === undefined ? made.ofNoBoot() : made.ofBoot, [...ofFetch, ...ofNode]);
    };
  };
}

/** The first text, and for each gap which one it is, by its place in `gaps`, and the text behind it. */
interface Pieces {
  readonly first: string;
  readonly gaps: readonly number[];
  readonly texts: readonly string[];
}

function piecesOf(text: string): Pieces {
  const places = Object.values(gaps);
  // oxlint-disable-next-line no-control-regex -- these are the gaps
  const [first = "", ...parts] = text.split(/([\u0001-\u0008\u000b])/);
  return {
    first,
    gaps: parts.filter((_, index) => index % 2 === 0).map((gap) => places.indexOf(gap)),
    texts: parts.filter((_, index) => index % 2 === 1),
  };
}

/** @param values of the gaps, by their places; a list is half as long on the way as an object is */
function fill({ first, gaps: inside, texts }: Pieces, values: readonly string[]): string {
  let text = first;
  for (let index = 0; index < inside.length; index += 1)
    text += (values[inside[index] as number] as string) + (texts[index] as string);
  return text;
}

/** What `?json=1` gives instead of a script: the same links and parameters. */
export function bootJson(query: Omit<ScriptQuery, "retry"> & BootContent): {
  kernel: string;
  initrd?: string;
  params: string;
} {
  const own = { ...ownOf(query), url: doorUrl(query.door), bootId: undefined, seed: "" };
  const { initrd, ...rest } = bootParts(query, own);
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

/** What DHCP sends a node's iPXE to. */
export const chainPath = "/boot.ipxe";

/** It names itself and goes on to its own script. */
export function chainScript(door: string): string {
  const url = doorUrl(door);
  return `#!ipxe
chain ${url}/boot/v1/bootscript?mac=\${mac}&arch=\${buildarch} || goto retry
:retry
sleep ${usualRetryDelay}
chain ${url}${chainPath}
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
function kernelParameters(
  { path = scriptPaths[0], node, entry, fileParams = [] }: Shared,
  { url, bootId, seed, xname, nid, referralToken, mac }: Omit<Own, "next">,
): string {
  const given = wordsOf([entry.params, ...fileParams, node?.kernelParameters ?? ""]).filter(
    (word) => !word.includes(joinToken) && !(entry.initrd !== "" && word.startsWith("initrd=")),
  );
  requireOneLine(given.join(" "), "the kernel parameters");
  const has = (key: string) => given.some((word) => word.startsWith(`${key}=`));
  const ofNode: readonly (readonly [key: string, value: string | undefined])[] = [
    ["xname", xname],
    ["nid", nid],
    ["bss_referral_token", referralToken],
    ["BOOTIF", path === scriptPaths[0] && mac !== undefined ? `01-${mac}` : undefined],
  ];
  const wanted: typeof ofNode = [
    ...(node === undefined ? [] : ofNode),
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
