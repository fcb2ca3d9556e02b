/** The cloud-init objects of boot parameters, as the Boot Script Service gives them to nodes. */
import { sha256 } from "../../lib/files.ts";
import type { Node } from "../../node/index.ts";
import type { BootEntryStore } from "../store.ts";
import { defaultTag, type BootEntry } from "../types.ts";

type Data = Readonly<Record<string, unknown>>;
type Entries = Pick<BootEntryStore, "get">;

/** Boot parameters whose meta-data every node gets, under this name. */
const globalTag = "Global";

/** Of the node's role and subrole, and over them its own; of `Default` when it is no node, or has none. */
export async function entryMetaData(entries: Entries, node: Node | undefined): Promise<Data> {
  const said = await gather(entries, node, "meta-data");
  const generated =
    node === undefined
      ? { "instance-id": "default" }
      : {
          "instance-id": `${node.xname}-${sha256(node.xname).slice(0, 12)}`,
          "local-hostname": node.xname,
          // As CSM's nodes know them; they have meant role and subrole since long.
          "shasta-type": node.role,
          "shasta-role": node.subRole ?? "",
        };
  return { ...mergeOver(generated, said), [globalTag]: await globalMetaData(entries) };
}

/** What is below a path of names such as `Global.ntp.servers`; undefined when there is nothing. */
export function drill(data: Data, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((value, key) => (isData(value) && Object.hasOwn(value, key) ? value[key] : undefined), data);
}

export async function entryUserData(entries: Entries, node: Node | undefined): Promise<Data> {
  const said = await gather(entries, node, "user-data");
  const name = said["local-hostname"] ?? (await gather(entries, node, "meta-data"))["local-hostname"] ?? node?.xname;
  return name === undefined ? said : { ...said, "local-hostname": name };
}

async function gather(entries: Entries, node: Node | undefined, part: "meta-data" | "user-data"): Promise<Data> {
  const tagged = (tag: string | undefined) => (tag === undefined ? undefined : entries.get("host", tag));
  const [role, subRole] = [await tagged(node?.role), await tagged(node?.subRole)];
  const own = (node && (await entries.get("host", node.xname))) ?? role ?? (await tagged(defaultTag));
  return [role, subRole, own].reduce((below, entry) => mergeOver(below, partOf(entry, part)), {});
}

async function globalMetaData(entries: Entries): Promise<Data> {
  return partOf(await entries.get("host", globalTag), "meta-data");
}

function partOf(entry: BootEntry | undefined, part: string): Data {
  const data = entry?.cloudInit?.[part];
  return isData(data) ? data : {};
}

function isData(value: unknown): value is Data {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Objects become one, member by member; of everything else the second counts. */
function mergeOver(first: Data, second: Data): Data {
  const merged = new Map(Object.entries(first));
  for (const [key, value] of Object.entries(second)) {
    const below = merged.get(key);
    merged.set(key, isData(below) && isData(value) ? mergeOver(below, value) : value);
  }
  return Object.fromEntries(merged);
}
