/** The configurations of a plan: every branch becomes a commit, every playbook is there at that commit. */
import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { FileConfiguration, FileInventory, FileLayer, GitReference, LayerOrigin, Place, Text } from "./file.ts";
import type { Planning } from "./planning.ts";
import type {
  CommitReference,
  ExistingConfiguration,
  PlannedConfiguration,
  PlannedInventory,
  PlannedLayer,
} from "./ports.ts";
import { findProductRepository } from "./products.ts";

export async function planConfigurations(planning: Planning): Promise<readonly PlannedConfiguration[]> {
  if (!planning.includes("configurations")) return [];
  const planned = await Promise.all(planning.file.configurations.map((item) => planConfiguration(planning, item)));
  return planned.filter((configuration) => configuration !== undefined);
}

/** What is kept of a planned configuration. */
export function configurationContent({
  layers,
  additionalInventory,
}: Pick<PlannedConfiguration, "layers" | "additionalInventory">): Omit<ExistingConfiguration, "name"> {
  const kept = <R extends PlannedInventory>(repository: R) => {
    const { headOf: _, ...rest } = repository;
    return rest;
  };
  return {
    layers: layers.map(kept),
    ...(additionalInventory !== undefined && { additionalInventory: kept(additionalInventory) }),
  };
}

async function planConfiguration(
  planning: Planning,
  item: FileConfiguration,
): Promise<PlannedConfiguration | undefined> {
  const name = item.name.text;
  const existing = await planning.ports.findConfiguration(name);
  const policy = planning.policy("configurations", item.ifExists);
  if (existing !== undefined && policy === "skip") return { ...existing, name, action: "skip" };
  if (existing !== undefined && policy === "abort") planning.reportExisting(item.name, "configuration", name);

  const subject = `configuration "${name}"`;
  const [inventory, ...layers] = await Promise.all([
    item.additionalInventory === undefined ? undefined : planInventory(planning, item.additionalInventory, subject),
    ...item.layers.map((layer, index) => planLayer(planning, layer, subjectOf(subject, layer, index))),
  ]);
  reportTwice(planning, item, layers, subject);
  const content = {
    layers: layers.filter((layer) => layer !== undefined),
    ...(inventory !== undefined && { additionalInventory: inventory }),
  };
  if (existing === undefined) return { name, action: "create", ...content };
  if (policy === "overwrite") return { name, action: "overwrite", ...content };
  const { name: _, ...old } = existing;
  return { name, action: isDeepStrictEqual(old, configurationContent(content)) ? "reuse" : "update", ...content };
}

function subjectOf(configuration: string, layer: FileLayer, index: number): string {
  return `${configuration}, layer ${layer.name?.text ?? index + 1}`;
}

/** CFS takes no configuration that runs a playbook of a repository twice. */
function reportTwice(
  planning: Planning,
  { layers: written }: FileConfiguration,
  planned: readonly (PlannedLayer | undefined)[],
  subject: string,
): void {
  const seen = new Set<string>();
  for (const [index, layer] of planned.entries()) {
    const place = written[index];
    if (layer === undefined || place === undefined) continue;
    const key = JSON.stringify([layer.url, layer.playbook]);
    if (seen.has(key)) {
      const message = `an earlier layer runs ${layer.playbook} of ${layer.url} already`;
      planning.report(place, `${subjectOf(subject, place, index)}: ${message}`);
    }
    seen.add(key);
  }
}

async function planLayer(planning: Planning, layer: FileLayer, subject: string): Promise<PlannedLayer | undefined> {
  const { origin } = layer;
  const playbook = layer.playbook?.text ?? (await planning.ports.defaultPlaybook());
  const where = await findRepository(planning, origin, subject);
  if (where === undefined) return undefined;
  const resolved = await resolveReference(planning, where, subject, { text: playbook, place: layer.playbook ?? layer });
  if (resolved === undefined) return undefined;
  return {
    ...(layer.name !== undefined && { name: layer.name.text }),
    ...resolved,
    ...(origin.kind === "source" && { source: origin.name.text }),
    playbook,
    specialParameters: layer.specialParameters,
  };
}

/** A repository and what of it is wanted, with the places of both. */
interface Where {
  readonly url: Text;
  readonly reference: GitReference;
}

async function findRepository(planning: Planning, origin: LayerOrigin, subject: string): Promise<Where | undefined> {
  switch (origin.kind) {
    case "git":
      return { url: absoluteUrl(origin.url, planning.options.directory), reference: origin.reference };
    case "source": {
      const found = await planning.ports.findSource(origin.name.text);
      if (found !== undefined) return { url: { ...origin.name, text: found.url }, reference: origin.reference };
      const hint = "sources are made by clients of CFS, such as cray cfs sources create";
      return planning.report(origin, `${subject}: there is no source "${origin.name.text}"`, hint);
    }
    case "product": {
      const found = await findProductRepository(planning, origin, subject);
      if (found === undefined) return undefined;
      const url = { ...origin.name, text: found.url };
      if (origin.reference !== undefined) return { url, reference: origin.reference };
      if (!("commit" in found)) return undefined;
      return { url, reference: { ...(origin.version ?? origin.name), text: found.commit, kind: "commit" } };
    }
  }
}

async function planInventory(
  planning: Planning,
  item: FileInventory,
  subject: string,
): Promise<PlannedInventory | undefined> {
  const where = { url: absoluteUrl(item.url, planning.options.directory), reference: item.reference };
  const resolved = await resolveReference(planning, where, `${subject}, additional_inventory`);
  return resolved && { ...(item.name !== undefined && { name: item.name.text }), ...resolved };
}

type Resolved = Pick<PlannedInventory, "url" | "branch" | "commit" | "headOf">;

async function resolveReference(
  planning: Planning,
  { url, reference }: Where,
  subject: string,
  playbook?: { readonly text: string; readonly place: Place },
): Promise<Resolved | undefined> {
  const wanted: CommitReference = reference.kind === "branch" ? { branch: reference.text } : { commit: reference.text };
  const place = (message: string): Place => {
    if (playbook !== undefined && message.includes(playbook.text)) return playbook.place;
    return message.includes(reference.text) ? reference : url;
  };
  const { ports } = planning;
  const found = await planning.ask(subject, place, async () => {
    const commit = await ports.resolveCommit(url.text, wanted);
    if (playbook !== undefined) await ports.requirePlaybook(url.text, commit.commit, playbook.text);
    return commit;
  });
  if (found === undefined) return undefined;
  const { branch, ...rest } = found;
  if (branch === undefined) return rest;
  return planning.options.resolveBranches === false ? { ...rest, branch } : { ...rest, headOf: branch };
}

/** As git tells them apart: a scheme, or a colon before the first slash (scp's HOST:PATH), is remote; the rest is a path. */
function absoluteUrl(url: Text, directory: string): Text {
  const isRemote = /^[a-z][a-z0-9+.-]*:\/\//i.test(url.text) || /^[^/]*:/.test(url.text);
  return isRemote ? url : { ...url, text: resolve(directory, url.text) };
}
