/** Signatures against the real minisign: it accepts ours, and we accept its. */
import assert from "node:assert/strict";
import { execFile, type ExecFileException } from "node:child_process";
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openSigningKey, parsePublicKey, rotateSigningKey, verifySignature } from "../../src/image/index.ts";
import { makeFolder } from "../support/server.ts";

let folder: string;
let file: string;

before(async () => {
  folder = await makeFolder();
  file = join(folder, "rootfs");
  // More than one read of the file.
  await writeFile(file, Buffer.alloc(3 << 20, "netkiln"));
});

after(() => rm(folder, { recursive: true }));

function minisign(...args: string[]): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string) =>
      resolve({ ok: error === null, output: stdout + stderr });
    // It asks for a password on standard input where it finds an encrypted key.
    execFile("minisign", args, { cwd: folder }, done).stdin?.end();
  });
}

test("minisign accepts what we sign, shows the trusted comment, and refuses another content", async () => {
  const keys = join(folder, "keys");
  const key = await openSigningKey(keys);
  const comment = "timestamp:1750000000\tfile:rootfs\timage:compute-1.0.0";
  await writeFile(`${file}.minisig`, await key.sign({ file }, comment));
  const verify = () => minisign("-V", "-H", "-p", "keys/image.pub", "-m", "rootfs");
  const good = await verify();
  assert.ok(good.ok, good.output);
  assert.match(good.output, /Signature and comment signature verified/);
  assert.ok(good.output.includes(`Trusted comment: ${comment}`), good.output);

  const text = await readFile(`${file}.minisig`, "utf8");
  await writeFile(`${file}.minisig`, text.replace("compute-1.0.0", "compute-2.0.0"));
  assert.match((await verify()).output, /Comment signature verification failed/);
  await writeFile(`${file}.minisig`, text);

  await rotateSigningKey(keys);
  assert.ok((await verify()).output.startsWith(`Signature key id in rootfs.minisig is ${key.id}\nbut the key id`));
  const withOld = await minisign("-V", "-p", `keys/image-${key.id}.pub`, "-m", "rootfs");
  assert.ok(withOld.ok, withOld.output);

  await appendFile(file, "x");
  const bad = await minisign("-V", "-p", `keys/image-${key.id}.pub`, "-m", "rootfs");
  assert.equal(bad.ok, false);
  assert.match(bad.output, /Signature verification failed/);
});

test("we accept what minisign signs, and refuse its old form and another content", async () => {
  const made = await minisign("-G", "-W", "-p", "site.pub", "-s", "site.key");
  assert.ok(made.ok, made.output);
  const key = parsePublicKey(await readFile(join(folder, "site.pub"), "utf8"), "site.pub");
  const signed = await minisign("-S", "-s", "site.key", "-m", "rootfs", "-x", "site.minisig", "-t", "from the site");
  assert.ok(signed.ok, signed.output);
  const text = await readFile(join(folder, "site.minisig"), "utf8");
  assert.deepEqual(await verifySignature([key], { file }, text), { keyId: key.id, trustedComment: "from the site" });
  await assert.rejects(verifySignature([key], Buffer.from("x"), text), /not of this content/);

  const old = await minisign("-S", "-l", "-s", "site.key", "-m", "rootfs", "-x", "old.minisig");
  assert.ok(old.ok, old.output);
  const oldText = await readFile(join(folder, "old.minisig"), "utf8");
  await assert.rejects(verifySignature([key], { file }, oldText), /old form/);
});
