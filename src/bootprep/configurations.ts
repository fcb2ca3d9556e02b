/** The configurations of a plan: every branch becomes a commit, every playbook is there at that commit. */
import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { FileConfiguration, FileInventory, FileLayer, GitReference, Place, Text } from "./file.ts";
import type { Planning } from "./planning.ts";
import type { PlannedConfiguration, PlannedInventory, PlannedLayer, ResolvedCommit } from "./ports.ts";

/** What CFS runs when a layer names no playbook. */
const defaultPlaybook = "site.yml";

export async function planConfigurations(planning: Planning): Promise<readonly PlannedConfiguration[]> {
  if (!planning.includes("configurations")) return [];
  const planned = await Promise.all(planning.file.configurations.map((item) => planConfiguration(planning, item)));
  return planned.filter((configuration) => configuration !== undefined);
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
    ...item.layers.map((layer, index) =>
      planLayer(planning, layer, `${subject}, layer ${layer.name?.text ?? index + 1}`),
    ),
  ]);
  const content = {
    layers: layers.filter((layer) => layer !== undefined),
    ...(inventory !== undefined && { additionalInventory: inventory }),
  };
  if (existing === undefined) return { name, action: "create", ...content };
  if (policy === "overwrite") return { name, action: "overwrite", ...content };
  const { name: _, ...old } = existing;
  return { name, action: isDeepStrictEqual(old, content) ? "reuse" : "update", ...content };
}

async function planLayer(planning: Planning, layer: FileLayer, subject: string): Promise<PlannedLayer | undefined> {
  const { origin } = layer;
  if (origin.kind === "product") {
    return planning.report(
      origin,
      `${subject}: product lookups need a product catalog, which this server does not have`,
      "use git.url",
    );
  }
  if (origin.kind === "source") {
    return planning.report(origin, `${subject}: sources cannot be looked up by this server`, "use git.url");
  }
  const playbook = layer.playbook?.text ?? defaultPlaybook;
  const resolved = await resolveReference(planning, origin, subject, {
    text: playbook,
    place: layer.playbook ?? layer,
  });
  if (resolved === undefined) return undefined;
  return {
    ...(layer.name !== undefined && { name: layer.name.text }),
    url: resolved.url,
    playbook,
    ...(resolved.branch !== undefined && { branch: resolved.branch }),
    commit: resolved.commit,
    specialParameters: layer.specialParameters,
  };
}

async function planInventory(
  planning: Planning,
  item: FileInventory,
  subject: string,
): Promise<PlannedInventory | undefined> {
  const resolved = await resolveReference(planning, item, `${subject}, additional_inventory`);
  if (resolved === undefined) return undefined;
  return {
    ...(item.name !== undefined && { name: item.name.text }),
    url: resolved.url,
    ...(resolved.branch !== undefined && { branch: resolved.branch }),
    commit: resolved.commit,
  };
}

async function resolveReference(
  planning: Planning,
  { url, reference }: { readonly url: Text; readonly reference: GitReference },
  subject: string,
  playbook?: { readonly text: string; readonly place: Place },
): Promise<ResolvedCommit | undefined> {
  const wanted = reference.kind === "branch" ? { branch: reference.text } : { commit: reference.text };
  const place = (message: string): Place => {
    if (playbook !== undefined && message.includes(playbook.text)) return playbook.place;
    return message.includes(reference.text) ? reference : url;
  };
  return planning.ask(subject, place, () =>
    planning.ports.resolveCommit(absoluteUrl(url.text, planning.options.directory), wanted, playbook?.text),
  );
}

/** As git tells them apart: a scheme, or a colon before the first slash (scp's HOST:PATH), is remote; the rest is a path. */
function absoluteUrl(url: string, directory: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(url) || /^[^/]*:/.test(url) ? url : resolve(directory, url);
}
