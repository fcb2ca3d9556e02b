import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { syncDirectory, writeFileAtomic } from "../lib/files.ts";

/** Bytes, or a file that may be larger than memory. */
export type Signed = Buffer | { readonly file: string };

export interface PublicKey {
  /** As minisign prints it: 16 hexadecimal digits, upper case. */
  readonly id: string;
  /** The eight bytes that signatures name the key by. */
  readonly number: Buffer;
  readonly key: KeyObject;
}

export interface SigningKey extends PublicKey {
  /** The text of FILE.minisig. The trusted comment is one line, signed along. */
  sign(content: Signed, trustedComment: string): Promise<string>;
}

/** What a valid signature says. */
export interface Signature {
  readonly keyId: string;
  readonly trustedComment: string;
}

/*
 * The format of signatures and public keys is minisign's (https://jedisct1.github.io/minisign/, "Signature format"):
 * algorithm (2 bytes), key number (8 bytes), then the signature or key, in base64 under a comment line. "ED" is
 * Ed25519 over the BLAKE2b-512 digest of the content, which is what minisign makes since 0.10; the older "Ed", over
 * the content itself, is refused, as it needs all of the content in memory.
 */
const prehashed = "ED";
const legacy = "Ed";
const numberBytes = 8;
const keyBytes = 32;
const signatureBytes = 64;
const untrusted = "untrusted comment: ";
const trusted = "trusted comment: ";
/** What minisign 0.11 reads of a comment (TRUSTEDCOMMENTMAXBYTES), with room for the words in front of it. */
const maxComment = 8000;

/** DER of everything that stands around the 32 bytes of an Ed25519 key (RFC 8410). */
const privatePrefix = Buffer.from("302e020100300506032b657004220420", "hex");
const publicPrefix = Buffer.from("302a300506032b6570032100", "hex");

const privateFile = "image.key";
const publicFile = "image.pub";

/**
 * The key that signs, from `folder`; made there on first use. `image.key` is PKCS#8 in PEM, not encrypted, and only
 * its owner may read it: whoever can is able to sign. `image.pub` is minisign's public key file.
 */
export async function openSigningKey(folder: string): Promise<SigningKey> {
  const path = join(folder, privateFile);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    // Others may read the public keys: a server that is not root checks signatures by them.
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await createKeyFile(path);
  } else if ((found.mode & 0o077) !== 0) {
    throw new NetkilnError("refused", `others than its owner may read the signing key ${path}`, {
      hint: `if nobody has read it, run chmod 600 ${path}; else make a new key`,
    });
  }
  const key = await readPrivateKey(path);
  const own = toPublicKey(createPublicKey(key));
  const text = publicKeyText(own);
  const publicPath = join(folder, publicFile);
  const before = await readFile(publicPath, "utf8").catch(() => undefined);
  // Also heals what a crash between the two files left behind.
  if (before !== text) {
    if (before !== undefined) await keepPublicKey(folder, before);
    await writeFileAtomic(publicPath, text);
  }
  return { ...own, sign: (content, comment) => signContent(key, own, content, comment) };
}

/**
 * Makes a new signing key. What the old one has signed stays valid: its public key is kept beside as image-ID.pub, and
 * `readPublicKeys` accepts it until that file is removed. The old private key is gone.
 */
export async function rotateSigningKey(folder: string): Promise<SigningKey> {
  const old = await openSigningKey(folder);
  await keepPublicKey(folder, publicKeyText(old));
  await writeFileAtomic(join(folder, privateFile), newPrivateKey(), 0o600);
  return openSigningKey(folder);
}

/** Keeps the public key of a signing key that is gone, also when it was lost: what it has signed stays valid. */
async function keepPublicKey(folder: string, text: string): Promise<void> {
  let id: string;
  try {
    ({ id } = parsePublicKey(text, publicFile));
  } catch {
    // Somebody has put something else there, and nothing can be signed by that.
    return;
  }
  await writeFileAtomic(join(folder, `image-${id}.pub`), text);
}

/** The id of the key that signs now; undefined before the first image. */
export async function signingKeyId(folder: string): Promise<string | undefined> {
  const path = join(folder, publicFile);
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text === undefined ? undefined : parsePublicKey(text, path).id;
}

/** All public keys (*.pub) of the folder: those whose signatures are accepted. */
export async function readPublicKeys(folder: string): Promise<PublicKey[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".pub")).sort();
  return Promise.all(
    names.map(async (name) => parsePublicKey(await readFile(join(folder, name), "utf8"), join(folder, name))),
  );
}

/** Never replaces a key: of two processes that make one at the same time, the first one's is taken by both. */
async function createKeyFile(path: string): Promise<void> {
  const temporary = `${path}.${clock.randomHex(6)}.tmp`;
  const handle = await open(temporary, "wx", 0o600);
  try {
    await handle.writeFile(newPrivateKey());
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(temporary, path);
    await syncDirectory(join(path, ".."));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(temporary);
  }
}

function newPrivateKey(): string {
  const seed = Buffer.from(clock.randomHex(keyBytes), "hex");
  const key = createPrivateKey({ key: Buffer.concat([privatePrefix, seed]), format: "der", type: "pkcs8" });
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}

async function readPrivateKey(path: string): Promise<KeyObject> {
  const text = await readFile(path, "utf8");
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // The reason could quote what the file holds.
  }
  throw new NetkilnError("invalid_input", `${path} holds no Ed25519 private key`, {
    hint: "put the key back from a backup; without it, move the file away and a new key is made",
  });
}

/** The key's number is a digest of the key, so that the private key alone says everything. */
function toPublicKey(key: KeyObject): PublicKey {
  const number = createHash("blake2b512").update(rawKey(key)).digest().subarray(0, numberBytes);
  return { id: idOf(number), number, key };
}

function rawKey(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" }).subarray(publicPrefix.length);
}

/** minisign shows the number as a little-endian integer. */
function idOf(number: Buffer): string {
  return number
    .toReversed()
    .reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), "")
    .toUpperCase();
}

/** The text of a public key file that `minisign -V -p` takes. */
export function publicKeyText({ id, number, key }: PublicKey): string {
  const bytes = Buffer.concat([Buffer.from(legacy), number, rawKey(key)]);
  return `${untrusted}minisign public key ${id}\n${bytes.toString("base64")}\n`;
}

/** Reads a public key file of minisign, or its second line alone; `name` is what to call it in an error. */
export function parsePublicKey(text: string, name: string): PublicKey {
  const lines = text.split("\n").filter((line) => line !== "");
  const bytes = fromBase64(lines.at(-1) ?? "");
  const [algorithm, number, raw] = partsOf(bytes);
  if (lines.length > 2 || algorithm !== legacy || raw.length !== keyBytes) {
    throw new NetkilnError("invalid_input", `${name} is no public key of minisign`);
  }
  const key = createPublicKey({ key: Buffer.concat([publicPrefix, raw]), format: "der", type: "spki" });
  return { id: idOf(number), number, key };
}

async function signContent(key: KeyObject, own: PublicKey, content: Signed, comment: string): Promise<string> {
  if (hasControls(comment) || Buffer.byteLength(comment) > maxComment) {
    throw new NetkilnError("internal", "a trusted comment must be one line without control characters but tabs");
  }
  const signature = sign(null, await digestOf(content), key);
  const whole = sign(null, Buffer.concat([signature, Buffer.from(comment)]), key);
  const head = Buffer.concat([Buffer.from(prehashed), own.number, signature]);
  return [
    `${untrusted}signature from netkiln key ${own.id}`,
    head.toString("base64"),
    `${trusted}${comment}`,
    whole.toString("base64"),
    "",
  ].join("\n");
}

/**
 * Checks a signature in minisign's format against the keys that are accepted. Throws `refused` with the reason when
 * it is not valid: damaged, by an unknown key, not of this content, or with a trusted comment that was changed.
 * Returns what may be believed.
 */
export async function verifySignature(
  accepted: readonly PublicKey[],
  content: Signed,
  signatureText: string,
): Promise<Signature> {
  const [, head = "", commentLine = "", last = "", ...rest] = signatureText.split("\n");
  const [algorithm, number, signature] = partsOf(fromBase64(head));
  const whole = fromBase64(last);
  const complete = signature.length === signatureBytes && whole.length === signatureBytes;
  if (!signatureText.startsWith(untrusted) || !commentLine.startsWith(trusted) || rest.join("") !== "" || !complete) {
    throw refusal("it is damaged, or not in minisign's format");
  }
  if (algorithm === legacy) throw refusal("it is of minisign's old form, which is not prehashed", "sign it again");
  if (algorithm !== prehashed) throw refusal("its algorithm is unknown");
  // Several keys may bear one number: it is only eight bytes.
  const candidates = accepted.filter((candidate) => candidate.number.equals(number));
  if (candidates.length === 0) {
    const known = accepted.map(({ id }) => id).join(", ") || "none";
    throw refusal(`key ${idOf(number)} is not known`, `accepted are: ${known}`);
  }
  const digest = await digestOf(content);
  const signer = candidates.find(({ key }) => verify(null, digest, key, signature));
  if (signer === undefined) throw refusal(`it is not of this content (key ${idOf(number)})`);
  const comment = commentLine.slice(trusted.length);
  if (!verify(null, Buffer.concat([signature, Buffer.from(comment)]), signer.key, whole)) {
    throw refusal(`its trusted comment was changed (key ${signer.id})`);
  }
  return { keyId: signer.id, trustedComment: comment };
}

function refusal(reason: string, hint?: string): NetkilnError {
  return new NetkilnError("refused", `the signature is not valid: ${reason}`, { hint });
}

async function digestOf(content: Signed): Promise<Buffer> {
  const hash = createHash("blake2b512");
  if (Buffer.isBuffer(content)) return hash.update(content).digest();
  await pipeline(createReadStream(content.file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest();
}

/** Empty for what is not the base64 of bytes and nothing else. */
function fromBase64(line: string): Buffer {
  const bytes = Buffer.from(line, "base64");
  return bytes.toString("base64") === line ? bytes : Buffer.alloc(0);
}

function partsOf(bytes: Buffer): [algorithm: string, number: Buffer, rest: Buffer] {
  const [algorithm, number] = [bytes.subarray(0, 2), bytes.subarray(2, 2 + numberBytes)];
  return [algorithm.toString("latin1"), number, bytes.subarray(2 + numberBytes)];
}

function hasControls(text: string): boolean {
  return [...text].some((character) => character !== "\t" && /\p{Cc}/u.test(character));
}
