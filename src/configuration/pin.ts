/** Turns what somebody wants of a configuration into what is kept: every repository at a commit. */
import { NetkilnError } from "../lib/errors.ts";
import type { GitStore } from "./git.ts";
import type { SourceStore } from "./sources.ts";
import type { Configuration, ConfigurationContent, Layer, PinnedRepository } from "./types.ts";

/** Exactly one of `url` and `source`; without branch and commit, what the repository shows first. */
export interface WantedRepository {
  readonly name?: string;
  readonly url?: string;
  readonly source?: string;
  readonly branch?: string;
  readonly commit?: string;
}

export interface WantedLayer extends WantedRepository, Pick<Layer, "playbook" | "specialParameters"> {}

export interface WantedConfiguration extends Pick<Configuration, "description" | "tenant"> {
  readonly layers: readonly WantedLayer[];
  readonly additionalInventory?: WantedRepository;
}

interface Context {
  readonly git: Pick<GitStore, "resolve">;
  readonly sources: Pick<SourceStore, "find">;
}

/**
 * Resolves branches and sources. A commit is taken as it is: whether the repository has it is seen when it is read.
 * Throws `invalid_input` for contradictions, unknown sources and branches that cannot be resolved.
 */
export async function pinConfiguration(
  { layers, additionalInventory, ...rest }: WantedConfiguration,
  context: Context,
  { dropBranches = false }: { dropBranches?: boolean } = {},
): Promise<ConfigurationContent> {
  const pinned: Layer[] = [];
  const seen = new Set<string>();
  for (const { playbook, specialParameters, ...repository } of layers) {
    const layer = { ...(await pin(repository, context, dropBranches)), playbook };
    const key = JSON.stringify([layer.url, playbook]);
    if (seen.has(key)) {
      throw new NetkilnError(
        "invalid_input",
        "Two or more layers apply the same playbook from the same repo, but have different commit ids.",
      );
    }
    seen.add(key);
    pinned.push({ ...layer, ...(specialParameters !== undefined && { specialParameters }) });
  }
  return {
    ...rest,
    layers: pinned,
    ...(additionalInventory !== undefined && {
      additionalInventory: await pin(additionalInventory, context, dropBranches),
    }),
  };
}

/** The same configuration with its branches where they are now. */
export function renewPins(configuration: Configuration, context: Context): Promise<ConfigurationContent> {
  const wanted = <R extends PinnedRepository>({ commit, ...repository }: R) => {
    const { branch, source, url, ...rest } = repository;
    return {
      ...rest,
      ...(source === undefined ? { url } : { source }),
      ...(branch === undefined ? { commit } : { branch }),
    };
  };
  const { name: _, lastUpdated: __, layers, additionalInventory, ...rest } = configuration;
  return pinConfiguration(
    {
      ...rest,
      layers: layers.map(({ playbook, specialParameters, ...repository }) => ({
        ...wanted(repository),
        playbook,
        ...(specialParameters !== undefined && { specialParameters }),
      })),
      ...(additionalInventory !== undefined && { additionalInventory: wanted(additionalInventory) }),
    },
    context,
  );
}

async function pin(wanted: WantedRepository, context: Context, dropBranches: boolean): Promise<PinnedRepository> {
  const { name, source, branch } = wanted;
  if (branch !== undefined && wanted.commit !== undefined) {
    throw refused("Only branch or commit should be specified for each layer, not both.");
  }
  const url = await placeOf(wanted, context);
  const commit = wanted.commit ?? (await resolved(url, branch ?? "HEAD", context));
  return {
    ...(name !== undefined && { name }),
    url,
    commit,
    ...(branch !== undefined && !dropBranches && { branch }),
    ...(source !== undefined && { source }),
  };
}

async function placeOf({ url, source }: WantedRepository, { sources }: Context): Promise<string> {
  if (url !== undefined && source !== undefined) {
    throw refused("Only source or clone_url should be specified for each layer, not both.");
  }
  if (url !== undefined) return url;
  if (source === undefined) throw refused("Either source or clone_url must be specified for each layer.");
  const found = await sources.find(source);
  if (found === undefined) throw refused(`The source ${source} does not exist.`);
  return found.cloneUrl;
}

async function resolved(url: string, branch: string, { git }: Context): Promise<string> {
  try {
    return await git.resolve(url, { branch });
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    throw new NetkilnError("invalid_input", `Error converting branch name to commit: ${error.message}`, error);
  }
}

function refused(why: string): NetkilnError {
  return new NetkilnError("invalid_input", why);
}
