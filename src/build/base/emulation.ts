import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Arch } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";

/** Architectures as Node names those of the machine that it runs on. */
const nodeArch: Readonly<Record<Arch, string>> = { x86_64: "x64", aarch64: "arm64" };

/** Whether programs of an architecture run on this machine only in qemu. */
export function isEmulated(arch: Arch): boolean {
  return process.arch !== nodeArch[arch];
}

/** Where the kernel tells which programs it runs with an interpreter (Documentation/admin-guide/binfmt-misc.rst). */
const binfmtFolder = "/proc/sys/fs/binfmt_misc";

/**
 * Throws `refused` with what to do when programs of an architecture cannot be run on this machine, not even inside of
 * a tree. Changes nothing: whether the host runs foreign programs is its administrator's to decide.
 */
export async function requireArch(arch: Arch, folder = binfmtFolder): Promise<void> {
  if (!isEmulated(arch)) return;
  const refuse = (because: string, hint: string) =>
    new NetkilnError("refused", `a tree for ${arch} cannot be made on this machine: ${because}`, { hint });
  const handler = `qemu-${arch}`;
  const register = `install qemu-user-static and arch-test, then, as root: update-binfmts --enable ${handler} (or write /usr/lib/binfmt.d/${handler}.conf to ${folder}/register)`;
  const read = (name: string) => readFile(join(folder, name), "utf8").catch(() => undefined);

  const status = await read("status");
  if (status === undefined) {
    throw refuse(
      "binfmt_misc is not mounted",
      `as root: mount -t binfmt_misc binfmt_misc ${binfmtFolder}; then ${register}`,
    );
  }
  if (status.trim() !== "enabled") {
    throw refuse("binfmt_misc is switched off", `as root: echo 1 > ${folder}/status`);
  }
  const found = (await read(handler))?.split("\n");
  if (found === undefined) throw refuse(`no handler ${handler} is registered in binfmt_misc`, register);
  if (found[0] !== "enabled") {
    throw refuse(`the handler ${handler} is switched off`, `as root: echo 1 > ${folder}/${handler}`);
  }
  const flags = found.find((line) => line.startsWith("flags:"))?.slice("flags:".length) ?? "";
  if (!flags.includes("F")) {
    throw refuse(
      `the handler ${handler} has no flag F, so its qemu is not found inside of a tree`,
      `as root: echo -1 > ${folder}/${handler}; then ${register}`,
    );
  }
}
