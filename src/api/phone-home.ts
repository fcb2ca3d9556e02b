import { z } from "zod";
import type { PhoneHome } from "../boot/index.ts";
import { parseJson } from "./service.ts";

const text = z.string().max(16_384).optional();

/** What cloud-init's module phone_home sends, as much of it as it is told to. */
export const phoneHomeSchema = z
  .object({
    ...{ pub_key_dsa: text, pub_key_rsa: text, pub_key_ecdsa: text, pub_key_ed25519: text },
    ...{ instance_id: text, hostname: text, fqdn: text },
  })
  .refine((said) => Object.keys(said).length > 0, "says nothing: no key, instance_id, hostname or fqdn")
  .transform((said): PhoneHome =>
    Object.fromEntries(Object.entries(said).filter((member): member is [string, string] => member[1] !== undefined)),
  );

/** cloud-init sends a form; the Boot Script Service's contract has JSON. */
export function parsePhoneHome(body: string): unknown {
  return body.trimStart().startsWith("{") ? parseJson(body) : Object.fromEntries(new URLSearchParams(body));
}

export const phoneHomeBytes = 64 << 10;
