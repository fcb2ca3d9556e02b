import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";
import { NetkilnError } from "../lib/errors.ts";
import { writeFileAtomic } from "../lib/files.ts";

/** What the tokens of CSM and OpenCHAMI are signed with. */
export const algorithm = "RS256";
const keyBits = 2048;
const file = "token.key";

/** The key that signs tokens of accounts. */
export interface TokenKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The public key's thumbprint (RFC 7638). */
  readonly id: string;
  /** The public key as clients read it. */
  readonly jwk: JWK;
}

/**
 * `token.key` in the folder of keys: PKCS#8 in PEM, only for its owner, made on first use. Without the file a new key is
 * made, and the tokens of the one before end.
 */
export async function openTokenKey(folder: string): Promise<TokenKey> {
  const path = join(folder, file);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const made = await promisify(generateKeyPair)("rsa", { modulusLength: keyBits });
    await writeFileAtomic(path, String(made.privateKey.export({ format: "pem", type: "pkcs8" })), 0o600);
  } else if ((found.mode & 0o077) !== 0) {
    throw new NetkilnError("refused", `others than its owner may read the key of tokens ${path}`, {
      hint: `if nobody has read it, run chmod 600 ${path}; else remove it, and all have to log in again`,
    });
  }
  const privateKey = await readKey(path);
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const id = await calculateJwkThumbprint(jwk);
  return { privateKey, publicKey, id, jwk: { ...jwk, kid: id, alg: algorithm, use: "sig" } };
}

async function readKey(path: string): Promise<KeyObject> {
  try {
    const key = createPrivateKey(await readFile(path));
    if (key.asymmetricKeyType === "rsa") return key;
  } catch {
    // Told below, as a key of another kind is.
  }
  throw new NetkilnError("refused", `${path} is no RSA private key`, {
    hint: "restore it from the backup, or remove it: a new one is made, and all have to log in again",
  });
}
