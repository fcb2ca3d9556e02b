import type { TreeReader } from "../../compliance/index.ts";
import type { Inventory } from "../../image/index.ts";

/** Reads os-release(5); a tree without one is "linux", as the manual says. */
export async function readOsRelease(tree: TreeReader): Promise<Inventory["os"]> {
  const text = (await tree.readText("/etc/os-release")) ?? (await tree.readText("/usr/lib/os-release")) ?? "";
  const fields = new Map(text.split("\n").flatMap(assignment));
  const optional = (name: string, field: string) => {
    const value = fields.get(field);
    return value === undefined || value === "" ? {} : { [name]: value };
  };
  return {
    id: fields.get("ID") || "linux",
    name: fields.get("NAME") || "Linux",
    ...optional("versionId", "VERSION_ID"),
    ...optional("codename", "VERSION_CODENAME"),
    ...optional("prettyName", "PRETTY_NAME"),
  };
}

/** NAME=VALUE as a shell reads it, without what a shell would do beyond quotes and backslashes. */
function assignment(line: string): [name: string, value: string][] {
  const [, name, raw = ""] = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim()) ?? [];
  if (name === undefined) return [];
  const quoted = /^(["'])(.*)\1$/.exec(raw);
  if (quoted?.[1] === "'") return [[name, quoted[2] ?? ""]];
  return [[name, (quoted?.[2] ?? raw).replace(/\\(.)/g, "$1")]];
}
