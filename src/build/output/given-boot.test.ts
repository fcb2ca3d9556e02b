import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { checkGivenBoot } from "./given-boot.ts";
import { writeTree } from "./newc-writer.ts";

const arch = "x86_64";
let folder: string;
let kernel: string;
let number = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-boot-"));
  kernel = await written(bootHeader("6.1.0-9-amd64 (builder@example.org) #1 SMP"));
});
after(() => rm(folder, { recursive: true }));

const fresh = () => join(folder, String((number += 1)));

async function written(content: Buffer | string): Promise<string> {
  const file = fresh();
  await writeFile(file, content);
  return file;
}

/** The first sectors of a kernel for x86, as far as they are read. */
function bootHeader(version: string): Buffer {
  const head = Buffer.alloc(0x4000);
  head.write("HdrS", 0x202, "latin1");
  head.writeUInt16LE(0x3000, 0x20e);
  head.write(`${version}\0`, 0x3200, "latin1");
  return head;
}

/** An initrd with modules of this kernel, made with these modules of dracut. */
async function initrdOf(version: string, dracutModules: readonly string[]): Promise<string> {
  const [tree, file] = [fresh(), fresh()];
  const files = {
    init: "",
    [`usr/lib/modules/${version}/kernel/x.ko`]: "",
    "usr/lib/dracut/modules.txt": dracutModules.join("\n"),
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
  }
  const output = openSync(file, "w");
  await writeTree(tree, output, 0);
  closeSync(output);
  return file;
}

const live = ["base", "livenet", "dmsquash-live"];

test("boot files that fit are taken as they are; what is doubtful is told", async () => {
  const fitting = await initrdOf("6.1.0-9-amd64", live);
  assert.deepEqual(await checkGivenBoot({ kernel, initrd: fitting, arch }), []);
  const initrd = await written(gzipSync(await readFile(await initrdOf("6.1.0-9-amd64", ["base", "livenet"]))));
  assert.deepEqual(await checkGivenBoot({ kernel, initrd, arch }), [
    "the initrd lacks the dracut modules dmsquash-live: a node cannot come by a root of the kind live with it",
  ]);
  const packed = await written(Buffer.from("fd377a585a0000", "hex"));
  assert.deepEqual(await checkGivenBoot({ kernel, initrd: packed, arch }), [
    "the initrd is packed with xz, so it was not looked at",
  ]);
});

test("an initrd of another kernel is refused where the kernel says its version", async () => {
  const initrd = await initrdOf("5.14.0-427.el9.x86_64", live);
  await assert.rejects(checkGivenBoot({ kernel, initrd, arch }), {
    message: "the initrd does not fit: the kernel is 6.1.0-9-amd64, and it has modules of 5.14.0-427.el9.x86_64",
  });
  assert.deepEqual(await checkGivenBoot({ kernel, initrd, arch: "aarch64" }), []);
});

test("what is no kernel or no initrd is refused", async () => {
  const initrd = await initrdOf("6.1.0-9-amd64", live);
  const whole = await readFile(initrd);
  await assert.rejects(checkGivenBoot({ kernel: initrd, initrd, arch }), /the kernel is none for x86_64/);
  for (const content of ["#!/bin/sh\n", "", whole.subarray(0, 200), gzipSync(whole).subarray(0, -9)]) {
    await assert.rejects(
      checkGivenBoot({ kernel, initrd: await written(content), arch }),
      /the initrd cannot be read: /,
      String(content),
    );
  }
});
