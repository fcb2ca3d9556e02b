import { posix } from "node:path";
import { Recent } from "../../lib/recent.ts";
import { parseYaml } from "../../lib/yaml.ts";
import { collectionsOf, readAnsibleConfig, type AnsibleConfig } from "./ansible-repository.ts";

/** What a playbook can read, as far as its text tells. */
export interface PlaybookInputs {
  /** Paths of the repository whose content can change what the playbook does, sorted. */
  readonly paths: readonly string[];
  /** Why every file of the repository counts, when the text does not tell; undefined when it does. */
  readonly wholeBecause: string | undefined;
}

/** Read by ansible-playbook whatever the playbook says; relative to the playbook's folder or the repository's top. */
const alwaysRead =
  /^(group_vars|host_vars|library|module_utils|[a-z]+_plugins)(\/|\.ya?ml$)|^ansible\.cfg$|^((roles|collections)\/)?requirements\.ya?ml$/;

/** Keys whose value names a role or a file that Ansible loads; a value that is only known at run time hides it. */
const loaders =
  /^(ansible\.builtin\.)?(import_playbook|include_tasks|import_tasks|include_vars|include_role|import_role|include|vars_files|roles)$/;
/** Keys that name what is loaded, inside a loader's own arguments. */
const loaderArguments = /^(name|role|file|dir|tasks_from|vars_from|defaults_from)$/;

/** A template that takes in others, or a lookup, in any file that the playbook reads. */
const reachingOut = /\{%-?\s*(include|import|from|extends)\b|\b(lookup|query|q)\s*\(/;

/**
 * Files of a collection that can name others; of the rest, such as modules, the whole collection counts anyway, and
 * what they import from another collection is among the dependencies of galaxy.yml.
 */
const namingInCollection = /^(galaxy\.yml|MANIFEST\.json|meta\/runtime\.yml|(roles|playbooks)\/.*(\.ya?ml|\.j2))$/;

/**
 * Finds the files that a playbook depends on by following the names in its text: roles, included tasks and
 * variables, templates and copied files. Every string that is the path of a file counts, so the result may name too
 * much; where a name is only known at run time, or a lookup may read anything, the whole repository counts.
 * Of the repository's collections those count that a file names (`NAMESPACE.NAME`), each with all its files.
 */
export async function playbookInputs(
  playbook: string,
  files: readonly string[],
  read: (path: string) => Promise<string>,
): Promise<PlaybookInputs> {
  const known = new Set(files);
  const found = new Set<string>();
  const queue: string[] = [];
  const add = (path: string) => {
    if (found.has(path)) return;
    found.add(path);
    queue.push(path);
  };
  const home = posix.dirname(playbook);
  const config = readAnsibleConfig(known.has("ansible.cfg") ? await read("ansible.cfg") : "", home);
  const collections = collectionsOf(config, files);
  for (const path of files) {
    const fromHome = home === "." ? path : path.startsWith(`${home}/`) ? path.slice(home.length + 1) : undefined;
    const always = alwaysRead.test(path) || (fromHome !== undefined && alwaysRead.test(fromHome));
    if (always || config.others.some((folder) => isIn(path, folder))) add(path);
  }
  add(playbook);
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const collection = collections.find(({ folder }) => isIn(path ?? "", folder));
    if (collection !== undefined && !namingInCollection.test(path.slice(collection.folder.length + 1))) continue;
    const text = await read(path);
    // In whatever form: a task's key, a role, a filter, an import.
    for (const { name, files: all } of collections) if (text.includes(name)) for (const file of all) add(file);
    if (reachingOut.test(text)) return whole(files, `${path} includes or looks up other files`);
    if (!/\.ya?ml$/.test(path)) continue;
    const parsed = valueOf(text);
    if (parsed === undefined) return whole(files, `${path} cannot be parsed`);
    const hidden = visit(parsed.value, { key: "", itemsWritten: false }, (word) => {
      for (const candidate of candidates(word, posix.dirname(path ?? ""), home, config, known, files)) add(candidate);
    });
    if (hidden !== undefined) return whole(files, `${path} has ${hidden}`);
  }
  return { paths: [...found].sort(), wholeBecause: undefined };
}

/** Characters; of a repository's files most are the same as in the commit before. */
const keptCharacters = 8_000_000;
const kept = new Recent<{ readonly value: unknown }>(keptCharacters);

/** What a YAML file says; undefined when it is none. */
function valueOf(text: string): { readonly value: unknown } | undefined {
  const known = kept.get(text);
  if (known !== undefined) return known;
  const { value, problems } = parseYaml(text, "");
  if (problems.length > 0) return undefined;
  kept.put(text, { value }, text.length);
  return { value };
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function whole(files: readonly string[], because: string): PlaybookInputs {
  return { paths: [...files].sort(), wholeBecause: because };
}

/** What is known of the place in a playbook: the key that leads there, and whether `item` can only be what is written. */
interface Place {
  readonly key: string;
  readonly itemsWritten: boolean;
}

/** Calls `take` with every string of a YAML value; returns what makes the names unknowable, if anything does. */
function visit(value: unknown, place: Place, take: (text: string) => void): string | undefined {
  if (typeof value === "string") {
    const hidden = hiddenName(value, place);
    if (hidden === undefined) take(value);
    return hidden;
  }
  if (Array.isArray(value)) return firstOf(value, (item) => visit(item, place, take));
  if (value === null || typeof value !== "object") return undefined;
  const entries = Object.entries(value);
  const loops = entries.filter(([name]) => name === "loop" || name === "with_items");
  const itemsWritten = place.itemsWritten || (loops.length > 0 && loops.every(([, items]) => isWritten(items)));
  return firstOf(entries, ([name, part]) => {
    const key = loaders.test(place.key) && loaderArguments.test(name) ? place.key : name;
    return visit(part, { key, itemsWritten }, take);
  });
}

function hiddenName(text: string, { key, itemsWritten }: Place): string | undefined {
  if (/^with_(?!items|dict|list|sequence|nested|together)/.test(key)) return "a lookup";
  // An absolute path is not in the repository, whatever it ends with.
  if (!text.includes("{{") || text.startsWith("/")) return undefined;
  // Of a loop over what is written in the task, every string is looked at anyway.
  if (itemsWritten && /^\{\{ *item(\.\w+)* *\}\}$/.test(text)) return undefined;
  if (loaders.test(key) || key === "src") return `a ${key} that is only known at run time`;
  return undefined;
}

/** Whether a value holds no template. */
function isWritten(value: unknown): boolean {
  if (typeof value === "string") return !value.includes("{{");
  return value === null || typeof value !== "object" || Object.values(value).every(isWritten);
}

function firstOf<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The files and roles that a string may mean, by Ansible's search paths. */
function candidates(
  text: string,
  folder: string,
  home: string,
  config: AnsibleConfig,
  known: ReadonlySet<string>,
  files: readonly string[],
): string[] {
  if (text.length > 200 || text.includes("\n") || text.startsWith("/")) return [];
  // `key=value` arguments, as in `template: src=a.j2 dest=/etc/a`.
  const words = text.includes("=") ? text.split(/\s+/).map((word) => word.replace(/^\w+=/, "")) : [text];
  const bases = [folder, home, posix.dirname(folder)];
  return words.flatMap((word) => {
    if (word === "") return [];
    const spots = bases.flatMap((base) =>
      ["", "templates", "files", "tasks", "vars"].map((sub) => posix.join(base, sub, word)),
    );
    const single = spots.filter((spot) => known.has(spot));
    const folders = [...spots, ...config.roles.map((root) => posix.join(root, word))];
    const inside = files.filter((file) => folders.some((spot) => spot !== "." && file.startsWith(`${spot}/`)));
    return [...single, ...inside];
  });
}
