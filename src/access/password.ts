import { scrypt, timingSafeEqual, type ScryptOptions } from "node:crypto";
import { promisify } from "node:util";
import { clock } from "../lib/clock.ts";

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** How much work one guess is: scrypt's N as a power of two, r and p (RFC 7914). */
export interface Cost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB and some tenths of a second for each guess. */
export const usualCost: Cost = { logN: 15, r: 8, p: 3 };

const keyBytes = 32;
const saltBytes = 16;

async function keyOf(password: string, salt: Buffer, { logN, r, p }: Cost): Promise<Buffer> {
  const N = 2 ** logN;
  // Typed in another way on another keyboard, it is the same password.
  const text = password.normalize("NFKC");
  return derive(text, salt, keyBytes, { N, r, p, maxmem: 2 * 128 * N * r });
}

/** `scrypt$LOGN$R$P$SALT$KEY`: what is kept of a password. */
export async function hashPassword(password: string, cost: Cost = usualCost): Promise<string> {
  const salt = Buffer.from(clock.randomHex(saltBytes), "hex");
  const key = await keyOf(password, salt, cost);
  return ["scrypt", cost.logN, cost.r, cost.p, salt.toString("base64url"), key.toString("base64url")].join("$");
}

/** Whether a password is the one whose hash this is; as slow for a wrong one as for the right one. */
export async function isPassword(password: string, hash: string): Promise<boolean> {
  const [, logN, r, p, salt = "", key = ""] = hash.split("$");
  const kept = Buffer.from(key, "base64url");
  const cost = { logN: Number(logN), r: Number(r), p: Number(p) };
  return timingSafeEqual(await keyOf(password, Buffer.from(salt, "base64url"), cost), kept);
}
