import { canonicalJson, sha256 } from "../lib/files.ts";

/** Raised when the same inputs give other bytes than before, so that old results are not taken for new ones. */
export const formatVersion = 2;

/** The key of a step on a tree: what has the same key gives the same result. */
export function stepKey(kind: string, inputs: Readonly<Record<string, string>>, below: string): string {
  return sha256(canonicalJson({ formatVersion, kind, below, inputs }));
}

/** The chain ID of nothing. */
export const emptyChain = "";

/**
 * The chain ID of a tree with one more layer: it names the whole content, whatever steps led to it
 * (OCI image specification, config.md, "Layer ChainID").
 */
export function chainWith(chain: string, layer: string): string {
  return chain === emptyChain ? layer : sha256(`sha256:${chain} sha256:${layer}`);
}

/** The place of a step in an image; results at the same place are compared to tell what changed. */
export function slotOf(image: string, kind: string, title: string): string {
  return `${image}/${kind}/${title}`;
}

/** Tells two sets of inputs apart, in an operator's words. */
export function explain(
  now: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>> | undefined,
): string[] {
  if (before === undefined) return ["not built before"];
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  const changes = names.flatMap((name) => {
    const [from, to] = [before[name], now[name]];
    if (from === to) return [];
    if (from === undefined) return [`${name} is new`];
    if (to === undefined) return [`${name} is gone`];
    return [`${name} changed (${brief(from)} -> ${brief(to)})`];
  });
  return changes;
}

function brief(value: string): string {
  if (/^[0-9a-f]{40,64}/.test(value)) return value.slice(0, 8);
  return value.length > 40 ? `${value.slice(0, 37)}...` : value;
}
