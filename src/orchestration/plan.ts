import { NetkilnError } from "../lib/errors.ts";
import { countOf } from "../lib/text.ts";
import type { Arch, Image } from "../image/index.ts";
import type { NodeArch, NodeNames } from "../node/index.ts";
import { rootArguments } from "../projection/index.ts";
import { applyLimit, namesInLimit } from "./limit.ts";
import type { BootSet, BootTargetState, Session, SessionTemplate } from "./types.ts";

export type FindImage = (id: string) => Promise<Image | undefined>;

const nodeArchOf: Readonly<Record<Arch, NodeArch>> = { x86_64: "X86", aarch64: "ARM" };

type Wanted = Pick<Session, "operation" | "limit" | "include_disabled">;

/** Which nodes a session acts upon, and what each is to run: undefined for off. Throws what makes it impossible. */
export async function planSession(
  session: Wanted,
  template: SessionTemplate,
  nodes: NodeNames,
  findImage: FindImage,
): Promise<Map<string, BootTargetState | undefined>> {
  const targets = new Map<string, BootTargetState | undefined>();
  const chosenFor = new Map<string, readonly string[]>();
  const limited = await limitedSets(session.limit, template, nodes);
  for (const [name, set] of Object.entries(template.boot_sets)) {
    const chosen = await nodes.eligible(limited.get(name) ?? new Set(), {
      archs: set.arch === "X86" ? ["X86", "Unknown"] : [set.arch],
      includeDisabled: session.include_disabled,
    });
    const target =
      session.operation === "shutdown" || chosen.length === 0
        ? undefined
        : await targetOf(name, set, template, findImage);
    for (const xname of chosen) {
      if (targets.has(xname)) {
        const [other] = [...chosenFor].find(([, others]) => others.includes(xname)) ?? [];
        throw new NetkilnError(
          "invalid_input",
          `${xname} is in two boot sets of ${template.name}: ${other} and ${name}`,
        );
      }
      targets.set(xname, target);
    }
    chosenFor.set(name, chosen);
  }
  if (targets.size === 0) throw await noNodes(session, template, nodes, limited);
  return targets;
}

/** The nodes that each boot set names, within the limit. */
async function limitedSets(
  limit: string,
  { boot_sets }: SessionTemplate,
  nodes: NodeNames,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const labelsOf = ({ node_groups = [], node_roles_groups = [] }: BootSet) => [...node_groups, ...node_roles_groups];
  const names = await nodes.named([...namesInLimit(limit), ...Object.values(boot_sets).flatMap(labelsOf)]);
  const candidatesOf = (set: BootSet): ReadonlySet<string> => {
    const parts = [...labelsOf(set).map((label) => names.get(label) ?? new Set<string>()), new Set(set.node_list)];
    const [only, ...others] = parts.filter(({ size }) => size > 0);
    // Sets can be large: the usual one is taken as it is.
    return only === undefined || others.length > 0 ? new Set(parts.flatMap((part) => [...part])) : only;
  };
  return new Map(Object.entries(boot_sets).map(([name, set]) => [name, applyLimit(limit, candidatesOf(set), names)]));
}

/** The first sentence is BOS's own; the second says where the nodes went. */
async function noNodes(
  { limit }: Wanted,
  { name }: SessionTemplate,
  nodes: NodeNames,
  limited: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<NetkilnError> {
  const all = new Set([...limited.values()].flatMap((set) => [...set]));
  const known = await nodes.named([...all]);
  const kept = limit === "" ? "its boot sets name" : `its boot sets and the limit "${limit}" name`;
  const why =
    known.size === 0 ? "none of them in the inventory" : "all of them locked, disabled or of another architecture";
  return new NetkilnError(
    "invalid_input",
    `No nodes were found to act upon. Of ${name}, ${kept} ${countOf(all.size, "node")}, ${why}.`,
  );
}

/** What the nodes of a boot set are to run. Throws why it cannot be booted. */
export async function targetOf(
  name: string,
  set: BootSet,
  template: SessionTemplate,
  findImage: FindImage,
): Promise<BootTargetState> {
  const image = await imageOf(name, set, template, findImage);
  const link = (file: string) => `s3://boot-images/${image.id}/${file}`;
  const given = [image.kernelParameters, set.kernel_parameters].filter((part) => (part ?? "") !== "").join(" ");
  const root = rootArguments(set.rootfs_provider, {
    image,
    rootUrl: link("rootfs"),
    passthrough: set.rootfs_provider_passthrough ?? "",
    given,
  });
  const { enable_cfs = true } = template;
  return {
    imageId: image.id,
    buildId: image.buildId,
    kernel: link("kernel"),
    initrd: link("initrd"),
    kernelParameters: [given, root].filter((part) => part !== "").join(" "),
    configuration: enable_cfs ? (set.cfs?.configuration ?? template.cfs?.configuration ?? "") : "",
  };
}

async function imageOf(
  name: string,
  { type, path, arch }: BootSet,
  template: SessionTemplate,
  findImage: FindImage,
): Promise<Image> {
  const id = /^s3:\/\/boot-images\/([^/]+)\/manifest\.json$/.exec(path)?.[1];
  if (type !== "s3" || id === undefined) {
    throw new NetkilnError(
      "invalid_input",
      `boot set "${name}" of ${template.name} has type ${type} and path ${path}, and can be booted only with type s3 and s3://boot-images/IMAGE/manifest.json`,
    );
  }
  const image = await findImage(id);
  if (image?.id !== id) {
    throw new NetkilnError("not_found", `there is no image ${id}, which boot set "${name}" of ${template.name} wants`);
  }
  if ((arch === "X86" || arch === "ARM") && nodeArchOf[image.arch] !== arch) {
    throw new NetkilnError("invalid_input", `image ${id} is for ${image.arch}, but boot set "${name}" is for ${arch}`);
  }
  if (image.artifacts.kernel === undefined || image.artifacts.initrd === undefined) {
    throw new NetkilnError("invalid_input", `image ${id} has no kernel and initrd, so it cannot be booted`, {
      hint: "its recipe installs no kernel package",
    });
  }
  return image;
}
