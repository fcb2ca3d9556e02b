import { posix } from "node:path";

/** Where Ansible looks in a repository of playbooks; folders relative to its top. */
export interface AnsibleConfig {
  /** Folders that hold roles, the first that has a role wins. */
  readonly roles: readonly string[];
  /** Folders that hold `ansible_collections`. */
  readonly collections: readonly string[];
  /** Other files and folders that ansible.cfg names. */
  readonly others: readonly string[];
}

export interface Collection {
  /** `NAMESPACE.NAME` */
  readonly name: string;
  readonly folder: string;
  readonly files: readonly string[];
}

/**
 * What the repository's ansible.cfg says of places in it, and where Ansible looks anyway: beside the playbook (in the
 * folder `home`), and in the folders `roles` and `collections` at the top.
 */
export function readAnsibleConfig(text: string, home: string): AnsibleConfig {
  const settings = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [, name = "", value = ""] = /^\s*([a-z_]+)\s*[=:]\s*([^;#]*)/.exec(line) ?? [];
    if (name !== "") settings.set(name, value.split(/[:,]/).flatMap(placeInRepository));
  }
  const taken = ["roles_path", "collections_path", "collections_paths"];
  const said = (...names: string[]) => names.flatMap((name) => settings.get(name) ?? []);
  return {
    roles: distinct([posix.join(home, "roles"), ...said("roles_path"), "roles", home]),
    collections: distinct([
      posix.join(home, "collections"),
      ...said("collections_path", "collections_paths"),
      "collections",
    ]),
    others: distinct(said(...[...settings.keys()].filter((name) => !taken.includes(name)))),
  };
}

/** A value of ansible.cfg as a path in the repository; relative ones count from the file, which is at the top. */
function placeInRepository(value: string): string[] {
  const path = value.trim().replace(/^\{\{\s*CWD\s*\}\}\/?/, "");
  if (path === "" || /^[/~$]/.test(path)) return [];
  const place = posix.normalize(path).replace(/\/$/, "");
  return place === "." || place.startsWith("..") ? [] : [place];
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** The collections that the repository holds; of two with one name the first in Ansible's search path. */
export function collectionsOf(config: AnsibleConfig, files: readonly string[]): Collection[] {
  const found = new Map<string, Collection & { files: string[] }>();
  for (const root of config.collections) {
    const before = `${root}/ansible_collections/`;
    for (const file of files) {
      if (!file.startsWith(before)) continue;
      const [namespace, name, ...rest] = file.slice(before.length).split("/");
      if (rest.length === 0) continue;
      const full = `${namespace}.${name}`;
      const collection = found.get(full) ?? { name: full, folder: `${before}${namespace}/${name}`, files: [] };
      if (file.startsWith(`${collection.folder}/`)) collection.files.push(file);
      found.set(full, collection);
    }
  }
  return [...found.values()];
}

/** The roles that the repository holds, by name. */
export function rolesOf(config: AnsibleConfig, files: readonly string[]): ReadonlySet<string> {
  const inside = config.roles.flatMap((root) => {
    const before = root === "." ? "" : `${root}/`;
    return files.filter((file) => file.startsWith(before)).map((file) => file.slice(before.length));
  });
  return new Set(inside.filter((path) => path.includes("/")).map((path) => path.slice(0, path.indexOf("/"))));
}
