import { readFile } from "node:fs/promises";
import { NetkilnError } from "../../lib/errors.ts";
import { parseDocument } from "./content.ts";
import type { Repository } from "./reference.ts";
import { authFileSchema } from "./schema.ts";

export interface Credentials {
  /** `USER:PASSWORD` in base64, as the Authorization header wants it. */
  readonly basic?: string;
  /** OAuth2 refresh token, in place of a password. */
  readonly identityToken?: string;
}

/**
 * What a file of containers-auth.json(5) has for a repository: the most specific entry counts, from
 * `HOST/PATH/NAME` up to `HOST`. Undefined when there is no entry; then one asks without credentials.
 */
export async function findCredentials(file: string, { registry, name }: Repository): Promise<Credentials | undefined> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new NetkilnError("invalid_input", `the file of credentials ${file} cannot be read (${error.code})`);
  });
  const { auths, credHelpers } = parseDocument(authFileSchema, bytes, `the file of credentials ${file}`);
  const entries = new Map(Object.entries(auths).map(([key, value]) => [bare(key), value]));
  const parts = name.split("/");
  for (let count = parts.length; count >= 0; count -= 1) {
    const key = [registry, ...parts.slice(0, count)].join("/");
    const entry = entries.get(key);
    if (entry?.identitytoken !== undefined && entry.identitytoken !== "") return { identityToken: entry.identitytoken };
    if (entry?.auth !== undefined && entry.auth !== "") return { basic: checked(entry.auth, file, key) };
  }
  if (credHelpers !== undefined && Object.hasOwn(credHelpers, registry)) {
    throw new NetkilnError("invalid_input", `${file} leaves the credentials of ${registry} to a helper program`, {
      hint: "helpers are not run; log in with a file of its own: skopeo login --authfile FILE",
    });
  }
  return undefined;
}

/** Docker writes some keys as `https://HOST/v1/`. */
function bare(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "");
}

/** The text itself never gets into a message. */
function checked(auth: string, file: string, key: string): string {
  const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  if (!text.includes(":")) {
    throw new NetkilnError("invalid_input", `the entry ${key} of ${file} is not USER:PASSWORD in base64`);
  }
  return Buffer.from(text, "utf8").toString("base64");
}
