import type { RegistryOptions } from "../../artifact/index.ts";
import type { PackageSource, Recipe } from "../../image/index.ts";
import { canonicalJson, sha256 } from "../../lib/files.ts";
import { archiveBase } from "./archive.ts";
import { debian } from "./debian.ts";
import { el } from "./el.ts";
import { kiwiBase } from "./kiwi.ts";
import { ociBase } from "./oci.ts";
import { keyFiles } from "./rpm-inputs.ts";
import { suse } from "./suse.ts";
import type { BaseMaker, BaseWorld, Lock } from "./types.ts";

/** What netkiln's configuration says about where bases come from. */
export interface BaseSettings {
  /** `deb` lines to build Debian trees from, instead of this host's own. */
  readonly aptSources?: readonly string[];
  readonly registries?: Pick<RegistryOptions, "authFile" | "insecure">;
}

/** A recipe's own way to come by a tree, with what it says filled in; the functions are those of BaseMaker. */
export interface Base {
  title(): string;
  inputs(): Promise<Readonly<Record<string, string>>>;
  lockedBy(): Readonly<Record<string, string>>;
  resolve(world: BaseWorld): Promise<Lock>;
  make(lock: Lock, tree: string, world: BaseWorld): Promise<void>;
}

type Described = Pick<Recipe, "spec" | "files">;

/** Every kind of base; undefined for a recipe that only adds to another one or to an image. */
export function baseOf({ spec, files }: Described, settings: BaseSettings): Base | undefined {
  switch (spec.distribution) {
    case "debian":
    case "ubuntu":
      return bind(debian, spec);
    case "el":
      return trusting(keyFiles(spec), files, bind(el, spec));
    case "suse":
      return trusting(keyFiles(spec), files, bind(suse, spec));
    case "kiwi":
      return bind(kiwiBase(files), spec);
    default:
      if (spec.from.oci !== undefined) return bind(ociBase(settings.registries ?? {}), spec);
      return spec.from.archive === undefined ? undefined : bind(archiveBase, spec);
  }
}

function bind<Spec>(maker: BaseMaker<Spec>, spec: Spec): Base {
  return {
    title: () => maker.title(spec),
    inputs: () => maker.inputs(spec),
    lockedBy: () => maker.lockedBy(spec),
    resolve: (world) => maker.resolve(spec, world),
    make: (lock, tree, world) => maker.make(spec, lock, tree, world),
  };
}

/** Other keys are other inputs, even under the same names. */
function trusting(keys: readonly string[], files: Described["files"], base: Base): Base {
  const contents = Object.fromEntries(
    files.filter(({ path }) => keys.includes(path)).map(({ path, sha256: digest }) => [`key ${path}`, digest]),
  );
  return {
    ...base,
    inputs: async () => ({ ...(await base.inputs()), ...contents }),
    lockedBy: () => ({ ...base.lockedBy(), ...contents }),
  };
}

/** Where layers on top of a recipe's tree get more packages from; undefined when the recipe does not tell. */
export function packageSourceOf({ spec, files }: Described): PackageSource | undefined {
  switch (spec.distribution) {
    case "debian":
    case "ubuntu":
      return { suite: spec.suite, components: spec.components };
    case "el":
    case "suse": {
      const { distribution, repositories, exclude_packages } = spec;
      const named = new Set(repositories.flatMap(({ keys }) => keys));
      const keys = files.filter(({ path }) => named.has(path)).map((file) => [file.path, file.sha256]);
      return { distribution, repositories, exclude_packages, keys: Object.fromEntries(keys) as Record<string, string> };
    }
    default:
      return undefined;
  }
}

/** Recipes of one family can share a lock: they want the same, from the same places. */
export function familyOf(recipe: Described, settings: BaseSettings): string {
  const { distribution = "from" } = recipe.spec;
  const from = baseOf(recipe, settings)?.lockedBy() ?? {};
  return sha256(canonicalJson([distribution, from, settings.aptSources ?? []]));
}
