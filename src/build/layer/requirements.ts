import { access, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv, RunOptions } from "../../lib/exec.ts";
import { parseAs } from "../../lib/parse.ts";
import { parseYaml } from "../../lib/yaml.ts";
import { collectionsOf, rolesOf, type AnsibleConfig } from "./ansible-repository.ts";
import { collectionManifestSchema, requirementsSchema, roleInstallSchema, type Requirements } from "./schema.ts";

/** Where ansible-galaxy and AWX look for them. */
const places = ["requirements", "roles/requirements", "collections/requirements"].flatMap((path) => [
  `${path}.yml`,
  `${path}.yaml`,
]);

/** Collections that come with Debian's package `ansible`, whose version is in the key of every layer. */
const hostCollections = "/usr/lib/python3/dist-packages/ansible_collections";

/** Something that ansible-galaxy fetched: what a lock has to know. */
export interface Fetched {
  readonly kind: "role" | "collection";
  readonly name: string;
  readonly version: string;
}

/** What the repository's requirements name and neither the repository nor this host has. */
export async function missingRequirements(
  repository: string,
  config: AnsibleConfig,
  files: readonly string[],
): Promise<Requirements> {
  const roles = rolesOf(config, files);
  const collections = new Set(collectionsOf(config, files).map(({ name }) => name));
  const missing = {
    roles: [] as Requirements["roles"][number][],
    collections: [] as Requirements["collections"][number][],
  };
  for (const path of places.filter((place) => files.includes(place))) {
    const source = parseYaml(await readFile(join(repository, path), "utf8"), path);
    if (source.problems.length > 0) {
      throw new NetkilnError("invalid_input", `${path} cannot be read`, { problems: source.problems });
    }
    const named = parseAs(requirementsSchema, source.value, path);
    missing.roles.push(...named.roles.filter((role) => !roles.has(roleName(role))));
    for (const collection of named.collections) {
      if (collections.has(collectionName(collection)) || (await isOnHost(collection))) continue;
      missing.collections.push(collection);
    }
  }
  return missing;
}

/** As ansible-galaxy names what it installs: by the name, or by the last part of where it comes from. */
function roleName(role: Requirements["roles"][number]): string {
  const { name, src } = typeof role === "string" ? { name: undefined, src: role } : role;
  return (
    name ??
    (src ?? "")
      .replace(/,.*$/, "")
      .replace(/^.*\//, "")
      .replace(/(\.git|\.tar\.gz)$/, "")
  );
}

function collectionName(collection: Requirements["collections"][number]): string {
  return typeof collection === "string" ? collection.replace(/:.*$/, "") : collection.name;
}

/** Only where any version will do: which one the host has is no promise of the recipe. */
async function isOnHost(collection: Requirements["collections"][number]): Promise<boolean> {
  const version = typeof collection === "string" ? /:(.*)$/.exec(collection)?.[1] : collection.version;
  const name = collectionName(collection);
  if ((version ?? "*") !== "*" || !/^\w+\.\w+$/.test(name)) return false;
  return access(join(hostCollections, ...name.split("."))).then(
    () => true,
    () => false,
  );
}

/** Where ansible-galaxy runs. */
export interface Galaxy {
  readonly work: string;
  readonly network: boolean;
  run(argv: Argv, options: RunOptions): Promise<unknown>;
}

/**
 * Installs what is missing into the folders `roles` and `collections` of `target`, by ansible-galaxy and over the
 * network, and says what has come.
 * Throws `invalid_input` when the layer has no network.
 */
export async function installRequirements(
  missing: Requirements,
  target: string,
  galaxy: Galaxy,
  options: RunOptions,
): Promise<Fetched[]> {
  const names = [...missing.roles.map(roleName), ...missing.collections.map(collectionName)];
  if (names.length === 0) return [];
  if (!galaxy.network) {
    throw new NetkilnError(
      "invalid_input",
      `requirements.yml names what is not in the repository: ${names.join(", ")}`,
      {
        hint: "this layer has no network: commit roles to roles/, and collections to collections/ansible_collections/",
      },
    );
  }
  for (const kind of ["roles", "collections"] as const) {
    if (missing[kind].length === 0) continue;
    const file = join(galaxy.work, `missing-${kind}.yml`);
    await writeFile(file, JSON.stringify({ [kind]: missing[kind] }));
    const command = kind === "roles" ? "role" : "collection";
    const argv = ["ansible-galaxy", command, "install", "-r", file, "-p", join(target, kind)] as const;
    await galaxy.run(argv, options).catch((error: unknown) => {
      if (!(error instanceof NetkilnError)) throw error;
      const told = error.output.filter((line) => /ERROR|WARNING/.test(line));
      throw new NetkilnError("work_failed", `requirements.yml: ansible-galaxy cannot install the ${kind}`, {
        output: told.length > 0 ? told : error.output.slice(-20),
        hint: "check the names and the network, or commit what is needed to the repository",
      });
    });
  }
  return [
    ...(await installedRoles(join(target, "roles"))),
    ...(await installedCollections(join(target, "collections"))),
  ];
}

async function installedRoles(folder: string): Promise<Fetched[]> {
  const names = (await readdir(folder).catch(() => [])).sort();
  return Promise.all(
    names.map(async (name) => {
      const info = await readForeign(join(folder, name, "meta/.galaxy_install_info"), roleInstallSchema);
      return { kind: "role" as const, name, version: info?.version ?? "unknown" };
    }),
  );
}

async function installedCollections(folder: string): Promise<Fetched[]> {
  const root = join(folder, "ansible_collections");
  const manifests = (await readdir(root, { recursive: true }).catch(() => []))
    .filter((path) => /^[^/]+\/[^/]+\/MANIFEST\.json$/.test(path))
    .sort();
  return Promise.all(
    manifests.map(async (path) => {
      const info = await readForeign(join(root, path), collectionManifestSchema);
      const name = path.split("/").slice(0, 2).join(".");
      return { kind: "collection" as const, name, version: info?.collection_info.version ?? "unknown" };
    }),
  );
}

async function readForeign<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseAs(schema, parseYaml(text, file).value, file);
}
