import { NetkilnError } from "../lib/errors.ts";
import { countOf } from "../lib/yaml.ts";
import type { Arch, Image } from "../image/index.ts";
import type { Node, NodeArch } from "../node/index.ts";
import { rootArguments } from "../projection/index.ts";
import { applyLimit, nodesByName } from "./limit.ts";
import type { BootSet, BootTargetState, Session, SessionTemplate } from "./types.ts";

export type FindImage = (id: string) => Promise<Image | undefined>;

const nodeArchOf: Readonly<Record<Arch, NodeArch>> = { x86_64: "X86", aarch64: "ARM" };

/** Which nodes a session acts upon, and what each is to run: undefined for off. Throws what makes it impossible. */
export async function planSession(
  session: Pick<Session, "operation" | "limit" | "include_disabled">,
  template: SessionTemplate,
  nodes: readonly Node[],
  findImage: FindImage,
): Promise<Map<string, BootTargetState | undefined>> {
  const targets = new Map<string, BootTargetState | undefined>();
  const setOf = new Map<string, string>();
  for (const [name, set] of Object.entries(template.boot_sets)) {
    const chosen = nodesOf(session, set, nodes);
    const target =
      session.operation === "shutdown" || chosen.length === 0
        ? undefined
        : await targetOf(name, set, template, findImage);
    for (const xname of chosen) {
      const other = setOf.get(xname);
      if (other !== undefined) {
        throw new NetkilnError(
          "invalid_input",
          `${xname} is in two boot sets of ${template.name}: ${other} and ${name}`,
        );
      }
      setOf.set(xname, name);
      targets.set(xname, target);
    }
  }
  if (targets.size === 0) throw noNodes(session, template, nodes);
  return targets;
}

/** The first sentence is BOS's own; the second says where the nodes went. */
function noNodes(session: Pick<Session, "limit">, template: SessionTemplate, nodes: readonly Node[]): NetkilnError {
  const names = nodesByName(nodes);
  const limited = Object.values(template.boot_sets).flatMap((set) => [...limitedTo(session.limit, set, names)]);
  const known = nodes.filter(({ xname }) => limited.includes(xname));
  const kept = session.limit === "" ? "its boot sets name" : `its boot sets and the limit "${session.limit}" name`;
  const why =
    known.length === 0 ? "none of them in the inventory" : "all of them locked, disabled or of another architecture";
  return new NetkilnError(
    "invalid_input",
    `No nodes were found to act upon. Of ${template.name}, ${kept} ${countOf(new Set(limited).size, "node")}, ${why}.`,
  );
}

function limitedTo(limit: string, set: BootSet, names: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const members = [...set.node_groups, ...set.node_roles_groups].flatMap((name) => [...(names.get(name) ?? [])]);
  return applyLimit(limit, new Set([...set.node_list, ...members]), names);
}

/** The nodes that the set names, then the limit, then what BOS leaves out: locked, of another arch, disabled. */
function nodesOf(session: Pick<Session, "limit" | "include_disabled">, set: BootSet, nodes: readonly Node[]): string[] {
  const chosen = limitedTo(session.limit, set, nodesByName(nodes));
  return nodes
    .filter(({ xname }) => chosen.has(xname))
    .filter(({ locked }) => !locked)
    .filter(({ arch }) => arch === set.arch || (set.arch === "X86" && arch === "Unknown"))
    .filter(({ enabled }) => enabled || session.include_disabled)
    .map(({ xname }) => xname);
}

async function targetOf(
  name: string,
  set: BootSet,
  template: SessionTemplate,
  findImage: FindImage,
): Promise<BootTargetState> {
  const id = /^s3:\/\/boot-images\/([^/]+)\//.exec(set.path)?.[1] ?? "";
  const image = await findImage(id);
  if (image?.id !== id) {
    throw new NetkilnError("not_found", `there is no image ${id}, which boot set "${name}" of ${template.name} wants`);
  }
  if ((set.arch === "X86" || set.arch === "ARM") && nodeArchOf[image.arch] !== set.arch) {
    throw new NetkilnError(
      "invalid_input",
      `image ${id} is for ${image.arch}, but boot set "${name}" is for ${set.arch}`,
    );
  }
  if (image.artifacts.kernel === undefined || image.artifacts.initrd === undefined) {
    throw new NetkilnError("invalid_input", `image ${id} has no kernel and initrd, so it cannot be booted`, {
      hint: "its recipe installs no kernel package",
    });
  }
  const link = (file: string) => `s3://boot-images/${id}/${file}`;
  const given = [image.kernelParameters, set.kernel_parameters].filter((part) => part !== "").join(" ");
  const root = rootArguments(set.rootfs_provider, {
    image,
    rootUrl: link("rootfs"),
    passthrough: set.rootfs_provider_passthrough,
    given,
  });
  return {
    imageId: id,
    buildId: image.buildId,
    kernel: link("kernel"),
    initrd: link("initrd"),
    kernelParameters: [given, root].filter((part) => part !== "").join(" "),
    configuration: template.enable_cfs ? (set.cfs.configuration ?? template.cfs.configuration ?? "") : "",
  };
}
