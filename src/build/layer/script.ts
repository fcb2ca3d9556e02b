import { chmod, copyFile, mkdir, open } from "node:fs/promises";
import { basename, join } from "node:path";
import type { BlobStore } from "../../artifact/index.ts";
import type { Recipe, RecipeEntry } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { exchangeInTree, exchangeOf, runInSandbox, type Sandbox } from "../sandbox/sandbox.ts";

export interface ScriptLayer {
  readonly recipe: Recipe;
  /** Its path in the recipe. */
  readonly script: string;
  readonly network: boolean;
}

/** The file of a recipe that a layer runs. */
function scriptFile({ recipe, script }: Pick<ScriptLayer, "recipe" | "script">): RecipeEntry {
  const found = recipe.files.find((file) => file.path === script);
  if (found !== undefined) return found;
  throw new NetkilnError("not_found", `the recipe ${recipe.name} has no file ${script}`);
}

const toldLines = 20;

/**
 * Runs a file of the recipe in the tree, as root and by its own first line, in the folder / and without input.
 * Throws `invalid_input` when its interpreter is not in the tree, `work_failed` with its last lines when it fails.
 */
export async function applyScriptLayer(
  layer: ScriptLayer,
  epoch: number,
  blobs: BlobStore,
  sandbox: Sandbox,
  options: RunOptions,
): Promise<void> {
  const { script, network } = layer;
  const source = blobs.path(scriptFile(layer).sha256);
  const interpreter = await interpreterOf(source);
  if (interpreter === undefined) {
    throw new NetkilnError("invalid_input", `${script} does not say what runs it`, {
      hint: "its first line has to be #! and a program of the tree, such as #!/bin/sh",
    });
  }
  const name = basename(script);
  await mkdir(exchangeOf(sandbox), { recursive: true });
  await copyFile(source, join(exchangeOf(sandbox), name));
  await chmod(join(exchangeOf(sandbox), name), 0o755);
  const env = {
    SOURCE_DATE_EPOCH: String(epoch),
    DEBIAN_FRONTEND: "noninteractive",
    PYTHONDONTWRITEBYTECODE: "1",
    INITRD: "No",
  };
  const command = { at: "tree", argv: [`${exchangeInTree}/${name}`] } as const;
  await runInSandbox({ ...sandbox, devices: true, network }, command, { ...options, env, name: script }).catch(
    (error: unknown) => {
      if (!(error instanceof NetkilnError)) throw error;
      // What chroot(1) says when the kernel does not find the interpreter of a file that is there.
      const isMissing = error.output.some((line) => /^chroot: failed to run command .*No such file/.test(line));
      if (!isMissing)
        throw new NetkilnError(error.code, error.message, { ...error, output: error.output.slice(-toldLines) });
      throw new NetkilnError(
        "invalid_input",
        `the tree has no ${interpreter.replace("\r", "\\r")}, by which ${script} is to run`,
        {
          hint: "install it in an earlier layer, or name another program in the script's first line",
        },
      );
    },
  );
}

/** The program in a script's first line; undefined when there is none (execve(2), "Interpreter scripts"). */
async function interpreterOf(file: string): Promise<string | undefined> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0);
    return /^#![ \t]*(\/[^ \t\n]+)/.exec(buffer.toString("latin1", 0, bytesRead))?.[1];
  } finally {
    await handle.close();
  }
}
