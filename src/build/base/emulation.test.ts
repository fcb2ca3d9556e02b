import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Arch } from "../../image/index.ts";
import { isEmulated, requireArch } from "./emulation.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-binfmt-"));
after(() => rm(folder, { recursive: true }));
const [native, foreign]: Arch[] = process.arch === "arm64" ? ["aarch64", "x86_64"] : ["x86_64", "aarch64"];
const handler = (state: string, flags: string) =>
  `${state}\ninterpreter /usr/bin/qemu-${foreign}-static\n${flags}\noffset 0\nmagic 7f454c46\n`;

async function refused(files: Readonly<Record<string, string>>, because: string, hint: RegExp): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await assert.rejects(requireArch(foreign as Arch, folder), (error: Error & { code?: string; hint?: string }) => {
    assert.equal(error.code, "refused");
    assert.equal(error.message, `a tree for ${foreign} cannot be made on this machine: ${because}`);
    assert.match(error.hint ?? "", hint);
    return true;
  });
}

test("programs of this machine's own architecture need nothing", async () => {
  assert.equal(isEmulated(native as Arch), false);
  await requireArch(native as Arch, join(folder, "nothing"));
});

test("for another one, what is missing is said, and what to do, until all is there", async () => {
  const name = `qemu-${foreign}`;
  await refused({}, "binfmt_misc is not mounted", /^as root: mount -t binfmt_misc binfmt_misc \/proc\/sys\/fs\/binf/);
  await refused({ status: "disabled\n" }, "binfmt_misc is switched off", /^as root: echo 1 > .*\/status$/);
  await refused({ status: "enabled\n" }, `no handler ${name} is registered in binfmt_misc`, /install qemu-user-static/);
  await refused({ [name]: handler("disabled", "flags: POF") }, `the handler ${name} is switched off`, /echo 1 > /);
  await refused(
    { [name]: handler("enabled", "flags: PO") },
    `the handler ${name} has no flag F, so its qemu is not found inside of a tree`,
    /^as root: echo -1 > .*; then install qemu-user-static/,
  );
  await writeFile(join(folder, name), handler("enabled", "flags: POF"));
  await requireArch(foreign as Arch, folder);
});
