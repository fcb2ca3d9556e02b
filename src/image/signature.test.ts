import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { copyFileSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { useClock } from "../lib/clock.ts";
import {
  openSigningKey,
  parsePublicKey,
  publicKeyText,
  readPublicKeys,
  rotateSigningKey,
  verifySignature,
} from "./signature.ts";

async function keyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "netkiln-keys-"));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, "keys");
}

/** Fixed bytes, so that equal keys come out; they differ from call to call. */
function countingChance(t: TestContext): void {
  let calls = 0;
  t.after(
    useClock({
      randomHex: (bytes) =>
        createHash("sha512")
          .update(`${(calls += 1)}`)
          .digest("hex")
          .slice(0, bytes * 2),
    }),
  );
}

const content = Buffer.from("the root of a node");

test("the first use makes a key that only its owner can read; the next one takes it", async (t) => {
  const folder = await keyFolder(t);
  const [first, ...others] = await Promise.all([
    openSigningKey(folder),
    openSigningKey(folder),
    openSigningKey(folder),
  ]);
  for (const other of [...others, await openSigningKey(folder)]) assert.equal(other.id, first.id);
  assert.deepEqual((await readdir(folder)).sort(), ["image.key", "image.pub"]);
  assert.equal((await stat(join(folder, "image.key"))).mode & 0o777, 0o600);
  assert.equal((await stat(folder)).mode & 0o777, 0o755);
  assert.match(await readFile(join(folder, "image.key"), "utf8"), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.equal(await readFile(join(folder, "image.pub"), "utf8"), publicKeyText(first));
});

test("a key that another process makes at the same moment is taken, not replaced", async (t) => {
  const folder = await keyFolder(t);
  const other = await openSigningKey(join(folder, "other"));
  // Chance is asked for after it was seen that there is no key.
  const restore = useClock({
    randomHex: (bytes) => {
      copyFileSync(join(folder, "other/image.key"), join(folder, "image.key"));
      return randomBytes(bytes).toString("hex");
    },
  });
  t.after(restore);
  assert.equal((await openSigningKey(folder)).id, other.id);
  assert.deepEqual((await readdir(folder)).sort(), ["image.key", "image.pub", "other"]);
});

test("the same key signs the same bytes the same way, from memory and from a file", async (t) => {
  countingChance(t);
  const folder = await keyFolder(t);
  const key = await openSigningKey(folder);
  const text = await key.sign(content, "image:compute\tbuildid:0123");
  const lines = text.split("\n");
  assert.equal(lines[0], `untrusted comment: signature from netkiln key ${key.id}`);
  assert.equal(lines[2], "trusted comment: image:compute\tbuildid:0123");
  const file = join(folder, "content");
  await writeFile(file, content);
  assert.equal(await key.sign({ file }, "image:compute\tbuildid:0123"), text);
  assert.deepEqual(await verifySignature([key], { file }, text), {
    keyId: key.id,
    trustedComment: "image:compute\tbuildid:0123",
  });
});

test("what is not valid is refused with the reason", async (t) => {
  const folder = await keyFolder(t);
  const key = await openSigningKey(folder);
  const other = await openSigningKey(join(folder, "other"));
  const text = await key.sign(content, "comment");
  const [untrusted, head = "", trusted, whole = ""] = text.split("\n");
  const join4 = (...lines: (string | undefined)[]) => `${lines.join("\n")}\n`;
  const flip = (base64: string, at: number) => {
    const bytes = Buffer.from(base64, "base64");
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes.toString("base64");
  };
  const refuses = (signature: string, reason: RegExp, keys = [key], of = content) =>
    assert.rejects(verifySignature(keys, of, signature), { code: "refused", message: reason });

  await refuses(text, new RegExp(`key ${key.id} is not known`), [other]);
  await refuses(text, /is not known/, []);
  await refuses(text, /not of this content/, [key], Buffer.from("the root of another node"));
  await refuses(join4(untrusted, flip(head, 40), trusted, whole), /not of this content/);
  await refuses(join4(untrusted, head, "trusted comment: another", whole), /trusted comment was changed/);
  await refuses(join4(untrusted, head, trusted, flip(whole, 3)), /trusted comment was changed/);
  await refuses(join4(untrusted, flip(head, 0), trusted, whole), /algorithm is unknown/);
  const old = Buffer.from(head, "base64");
  old.write("Ed");
  await refuses(join4(untrusted, old.toString("base64"), trusted, whole), /old form/);
  for (const damaged of [
    "",
    "x",
    text.slice(0, 120),
    `${text}more\n`,
    text.replace(head, head.slice(4)),
    join4(head, trusted, whole),
  ]) {
    await refuses(damaged, /damaged/);
  }
});

test("a key of another's with our key's number is not ours", async (t) => {
  const folder = await keyFolder(t);
  const key = await openSigningKey(folder);
  const other = await openSigningKey(join(folder, "other"));
  const impostor = { ...other, number: key.number };
  const text = await key.sign(content, "");
  await assert.rejects(verifySignature([impostor], content, text), /not of this content/);
  assert.equal((await verifySignature([impostor, key], content, text)).keyId, key.id);
});

test("after a rotation the new key signs, and what the old one signed is still accepted", async (t) => {
  const folder = await keyFolder(t);
  const old = await openSigningKey(folder);
  const before = await old.sign(content, "before");
  const fresh = await rotateSigningKey(folder);
  assert.notEqual(fresh.id, old.id);
  assert.equal((await openSigningKey(folder)).id, fresh.id);
  const keys = await readPublicKeys(folder);
  assert.deepEqual(keys.map(({ id }) => id).sort(), [old.id, fresh.id].sort());
  assert.equal((await verifySignature(keys, content, before)).keyId, old.id);
  assert.equal((await verifySignature(keys, content, await fresh.sign(content, ""))).keyId, fresh.id);
  await rm(join(folder, `image-${old.id}.pub`));
  await assert.rejects(verifySignature(await readPublicKeys(folder), content, before), /is not known/);
});

test("when the signing key is lost a new one signs, and what the old one signed is still accepted", async (t) => {
  const folder = await keyFolder(t);
  const old = await openSigningKey(folder);
  const before = await old.sign(content, "before");
  await rm(join(folder, "image.key"));
  const fresh = await openSigningKey(folder);
  assert.notEqual(fresh.id, old.id);
  assert.equal((await verifySignature(await readPublicKeys(folder), content, before)).keyId, old.id);
});

test("a public key file that does not belong to the key is put right", async (t) => {
  const folder = await keyFolder(t);
  const key = await openSigningKey(folder);
  await writeFile(join(folder, "image.pub"), "torn");
  assert.equal((await openSigningKey(folder)).id, key.id);
  assert.equal(parsePublicKey(await readFile(join(folder, "image.pub"), "utf8"), "image.pub").id, key.id);
});

test("a key that others can read, or that is none, is refused and not shown", async (t) => {
  const folder = await keyFolder(t);
  await openSigningKey(folder);
  const path = join(folder, "image.key");
  await chmod(path, 0o640);
  await assert.rejects(openSigningKey(folder), { code: "refused", message: /others than its owner/ });
  await chmod(path, 0o600);
  await writeFile(path, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
  await assert.rejects(openSigningKey(folder), (error: Error) => {
    assert.match(error.message, /holds no Ed25519 private key/);
    assert.doesNotMatch(JSON.stringify(error), /c2VjcmV0/);
    return true;
  });
});

test("public keys are read as minisign writes them, and nothing else", () => {
  const line = "RWQphxmpl6pAJaWt8ynN47eXrLqGzZcmQvnc9Y6lLyPuvvO581skmHjS";
  const text = `untrusted comment: minisign public key 2540AA97A9198729\n${line}\n`;
  const key = parsePublicKey(text, "site.pub");
  assert.equal(key.id, "2540AA97A9198729");
  assert.equal(publicKeyText(key), text);
  assert.equal(parsePublicKey(line, "site.pub").id, key.id);
  for (const wrong of ["", "x", line.slice(4), `${line}\n${line}\n${line}`, line.replace("RWQ", "RUQ")]) {
    assert.throws(() => parsePublicKey(wrong, "site.pub"), /site\.pub is no public key of minisign/);
  }
});

test("a trusted comment of more than one line is not signed", async (t) => {
  const key = await openSigningKey(await keyFolder(t));
  for (const comment of ["a\nb", "a\rb", "a\0b", "x".repeat(9000)]) {
    await assert.rejects(key.sign(content, comment), /must be one line/);
  }
});
