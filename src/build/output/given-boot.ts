import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { modulesIn } from "./initrd-check.ts";
import type { InitrdContent } from "./newc-reader.ts";
import { rootNeeds } from "./roots.ts";

/** Boot files that came with a root tree; paths. */
export interface GivenBoot {
  readonly kernel: string;
  readonly initrd: string;
  readonly arch: "x86_64" | "aarch64";
}

const program = fileURLToPath(new URL("../inside/read-initrd.ts", import.meta.url));

/**
 * Looks at a kernel and an initrd that were made elsewhere, before they are published as they are. Returns what an
 * operator should know; throws `invalid_input` for what is no kernel, no initrd, or an initrd of another kernel.
 */
export async function checkGivenBoot({ kernel, initrd, arch }: GivenBoot): Promise<string[]> {
  const version = arch === "x86_64" ? await versionOf(kernel) : undefined;
  const content = await contentOf(initrd);
  if ("problem" in content) {
    if (content.packedWith !== undefined) {
      return [`the initrd is packed with ${content.packedWith}, so it was not looked at`];
    }
    throw new NetkilnError("invalid_input", `the initrd cannot be read: ${content.problem}`, {
      hint: "an initrd is one or more cpio archives (newc), packed or not; copy it again if it was cut off",
    });
  }
  const versions = modulesIn(content.names);
  if (version !== undefined && versions.length > 0 && !versions.includes(version)) {
    throw new NetkilnError(
      "invalid_input",
      `the initrd does not fit: the kernel is ${version}, and it has modules of ${versions.join(", ")}`,
      { hint: "give the initrd that was made for this kernel; or neither of them, and both come from the tree" },
    );
  }
  const missing = rootNeeds.live.modules.filter((name) => !content.dracutModules.includes(name));
  if (missing.length === 0) return [];
  return [
    `the initrd lacks the dracut modules ${missing.join(", ")}: a node cannot come by a root of the kind live with it`,
  ];
}

/** Somebody waits for the answer; an initrd takes a second. */
const readingMs = 60_000;

async function contentOf(initrd: string): Promise<InitrdContent> {
  const options = { name: "the reading of the initrd", timeoutMs: readingMs };
  const { stdout } = await run([process.execPath, program, initrd], options);
  const content = JSON.parse(stdout) as InitrdContent;
  return "names" in content && content.names.length === 0 ? { problem: "nothing is in it" } : content;
}

/** The field at 0x20e is 16 bits wide and counts from 0x200; a version is much shorter than what follows here. */
const headBytes = 0x10000 + 0x400;

/** Of the boot header of x86 (https://docs.kernel.org/arch/x86/boot.html); undefined when the kernel does not say. */
async function versionOf(kernel: string): Promise<string | undefined> {
  const handle = await open(kernel, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    const head = buffer.subarray(0, bytesRead);
    if (head.toString("latin1", 0x202, 0x206) !== "HdrS") {
      throw new NetkilnError("invalid_input", "the kernel is none for x86_64: it has no boot header", {
        hint: "give the file that boots, as /boot/vmlinuz-VERSION, or the right --arch",
      });
    }
    const at = head.readUInt16LE(0x20e);
    return at === 0 ? undefined : /^[^\s\0]+/.exec(head.toString("latin1", at + 0x200, at + 0x300))?.[0];
  } finally {
    await handle.close();
  }
}
