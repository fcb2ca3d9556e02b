import type { ImageArtifacts } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { canonicalJson, sha256, type Digests } from "../lib/files.ts";
import { keepStep } from "./keep-step.ts";
import { formatVersion } from "./key.ts";
import { packCpio } from "./output/cpio.ts";
import { erofsCompression, packErofs } from "./output/erofs.ts";
import { makeInitrd } from "./output/initrd.ts";
import { takeKernel } from "./output/kernel.ts";
import { firstDifference } from "./output/observed.ts";
import { packOci } from "./output/pack-oci.ts";
import { makeVerity } from "./output/verity.ts";
import { packSquashfs } from "./pack-squashfs.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import type { OutputKind, Planned, StepResult } from "./types.ts";
import type { LazyView, ViewInTurns } from "./view-tree.ts";
import { sandboxOf, streamedRun, together, type StreamedRun, type Tree, type Work } from "./work.ts";

/** What packing leaves: the files of the image but for its manifest. */
export interface Packed {
  readonly artifacts: Omit<ImageArtifacts, "manifest">;
  /** Of the verity tree, in hexadecimal. */
  readonly rootHash?: string | undefined;
}

/** Makes every form of the tree that the plan names, the boot files beside the root. */
export async function pack(tree: Tree, views: ViewInTurns, work: Work): Promise<Packed> {
  const [roots, boot] = await together(
    work,
    (part) => packRoots(tree, views, part).finally(views.planned),
    (part) => packBoot(tree, views.others, part),
  );
  return { ...roots, artifacts: { ...roots.artifacts, ...boot } };
}

type MakeFile = (sandbox: Sandbox, options: StreamedRun) => Promise<string | ({ readonly file: string } & Digests)>;

/** One after the other: each of them uses every processor. */
async function packRoots(tree: Tree, { root, planned }: ViewInTurns, work: Work): Promise<Packed> {
  const { plan, context, request } = work;
  const { epoch, arch } = plan.inherited;
  const makers: Partial<Record<OutputKind, MakeFile>> = {
    rootfs: async ({ work: folder }) => packSquashfs(await root(), folder, work, planned),
    erofs: async (sandbox, options) =>
      packErofs(sandbox, { compression: await erofsCompression(), content: tree.chain, epoch }, options),
    "cpio.gz": (sandbox, options) => packCpio(sandbox, "gz", epoch, options),
    "cpio.zst": (sandbox, options) => packCpio(sandbox, "zst", epoch, options),
  };
  const artifacts: Partial<Record<OutputKind, Digests>> = {};
  for (const [kind, make] of Object.entries(makers) as [OutputKind, MakeFile][]) {
    const step = plan.outputs[kind];
    if (step !== undefined) artifacts[kind] = await keepFile(step, tree, work, make);
    planned();
  }
  const { verity, oci } = plan.outputs;
  if (oci !== undefined) {
    const about = { name: request.name, arch, epoch, buildId: tree.release?.buildId ?? "" };
    const { file } = await keepStep(oci, tree.chain, work, async (folder) => ({
      file: await packOci(tree.layers, about, folder, context),
    }));
    artifacts.oci = requireFile(oci, file);
  }
  if (verity === undefined) return { artifacts };
  const { file, rootHash } = await keepVerity(verity, artifacts.rootfs ?? artifacts.erofs, work);
  return { artifacts: { ...artifacts, verity: requireFile(verity, file) }, rootHash };
}

/** The hash tree is that of a file, whatever tree this was made from. */
function keepVerity(planned: Planned, root: Digests | undefined, work: Work): Promise<StepResult> {
  const { context, signal } = work;
  if (root === undefined) {
    throw new NetkilnError("invalid_input", "verity is the hash tree of a squashfs or an erofs, and there is neither", {
      hint: 'add squashfs or erofs to "outputs"',
    });
  }
  return keepStep(planned, root.sha256, work, async (folder) => {
    const data = { path: context.blobs.path(root.sha256), sha256: root.sha256 };
    const { file, rootHash } = await makeVerity(data, folder, { signal });
    return { file: await context.blobs.putFile(file), rootHash };
  });
}

async function packBoot(tree: Tree, view: LazyView, work: Work): Promise<Packed["artifacts"]> {
  const { kernel, initrd } = work.plan.outputs;
  const { kernel: given, initrd: givenInitrd } = work.request.given ?? {};
  return {
    ...(kernel !== undefined && {
      kernel: await keepFile(kernel, tree, work, async ({ work: folder }) => takeKernel((await view()).root, folder)),
    }),
    ...(initrd !== undefined && { initrd: await keepInitrd(initrd, tree, view, work) }),
    ...(given !== undefined && { kernel: given }),
    ...(givenInitrd !== undefined && { initrd: givenInitrd }),
  };
}

async function keepFile(planned: Planned, tree: Tree, work: Work, make: MakeFile): Promise<Digests> {
  const { context } = work;
  const { file } = await keepStep(planned, tree.chain, work, async (folder) => {
    const made = await make(sandboxOf(tree.layers, folder, context), streamedRun(work));
    if (typeof made === "string") return { file: await context.blobs.putFile(made) };
    const { file, ...digests } = made;
    return { file: await context.blobs.putFile(file, digests) };
  });
  return requireFile(planned, file);
}

function requireFile(planned: Planned, file: Digests | undefined): Digests {
  if (file === undefined) throw new NetkilnError("internal", `${planned.title} left no file behind`);
  return file;
}

/** Makes the initrd, or takes one that was made from a tree which is the same as far as dracut looked. */
async function keepInitrd(planned: Planned, tree: Tree, view: LazyView, work: Work): Promise<Digests> {
  const { context, plan, journal, signal } = work;
  const { initrd, epoch } = plan.inherited;
  const family = sha256(canonicalJson(["observed", formatVersion, planned.inputs, epoch]));
  const { file } = await keepStep(planned, tree.chain, work, (folder) =>
    // Two images of one run often want the same: the second one waits, and takes what the first has made.
    context.turns.take(family, async () => {
      // The turn may have come after the gate has refused the image.
      signal.throwIfAborted();
      const sandbox = sandboxOf(tree.layers, folder, context);
      const { root } = await view();
      let because: string | undefined;
      for (const trace of await context.steps.traces(family)) {
        // Nothing else may point at it any more, and a garbage collection be about to take it.
        if (!(await context.blobs.renew(trace.file.sha256))) continue;
        const difference = firstDifference(root, trace.observed);
        if (difference === undefined) {
          journal.line("nothing has changed that dracut looked at: the initrd of an earlier tree is taken");
          return { file: trace.file, reused: true };
        }
        because ??= difference;
      }
      if (because !== undefined) journal.line(`dracut runs again: ${because}`);
      const how = { roots: initrd?.roots ?? ["live"], traced: context.tools.strace !== "none" } as const;
      const made = await makeInitrd(root, sandbox, { initrd, epoch }, how, streamedRun(work));
      const digests = await context.blobs.putFile(made.file);
      if (made.observed !== undefined) await context.steps.putTrace(family, { observed: made.observed, file: digests });
      return { file: digests };
    }),
  );
  return requireFile(planned, file);
}
