import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";
import { imageNames, type Kernel, type Survey } from "./survey.ts";

const program = fileURLToPath(new URL("../inside/survey.ts", import.meta.url));

/** Finds out what of the tree decides how it boots; `programs` are looked for where dracut looks for them. */
export async function surveyTree(
  sandbox: Sandbox,
  programs: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Survey> {
  const command = { at: "host", argv: [process.execPath, program, treeMountPoint] } as const;
  const { stdout } = await runInSandbox(sandbox, command, { signal, input: JSON.stringify(programs) });
  return JSON.parse(stdout) as Survey;
}

/** The newest kernel in the tree of the sandbox, wherever its distribution puts it. */
export async function findKernel(sandbox: Sandbox, signal: AbortSignal | undefined): Promise<Kernel> {
  return newestKernel(await surveyTree(sandbox, [], signal));
}

export function newestKernel({ kernels, withoutImage }: Pick<Survey, "kernels" | "withoutImage">): Kernel {
  if (kernels[0] !== undefined) return kernels[0];
  const hint = "name a kernel package in recipe.yaml (kernel.package)";
  if (withoutImage.length === 0) {
    throw new NetkilnError("work_failed", "the tree has no kernel: /usr/lib/modules is empty", { hint });
  }
  const places = withoutImage.flatMap((version) =>
    imageNames.flatMap((name) => [`/usr/lib/modules/${version}/${name}`, `/boot/${name}-${version}`]),
  );
  throw new NetkilnError(
    "work_failed",
    `the tree has modules of ${withoutImage.join(", ")}, but no kernel: none of ${places.join(", ")} is there`,
    { hint },
  );
}

/** Copies the kernel out of the tree and returns the path of the copy. */
export async function takeKernel(sandbox: Sandbox, kernel: Kernel, options: RunOptions): Promise<string> {
  const file = join(sandbox.work, "kernel");
  const argv = ["cp", "--", join(treeMountPoint, kernel.image), file] as const;
  await runInSandbox(sandbox, { at: "host", argv }, options);
  return file;
}
