import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { writeFileAtomic } from "../lib/files.ts";
import { parseYamlAs } from "../lib/yaml.ts";

/** User and password by which git may read the repositories that are served here; they are good for nothing else. */
export interface GitLogin {
  readonly username: string;
  readonly password: string;
}

const schema = z.strictObject({ username: z.string().min(1), password: z.string().min(32) });

const file = "git-login.json";
const passwordBytes = 32;

/**
 * Reads the login from `folder`; makes it there on first use. It has to be kept as it is, since clients are told it. To
 * change it, remove the file and start the server again.
 */
export async function openGitLogin(folder: string): Promise<GitLogin> {
  const path = join(folder, file);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    const login = { username: "git-reader", password: clock.randomHex(passwordBytes) };
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await writeFileAtomic(path, JSON.stringify(login), 0o600);
    return login;
  }
  if ((found.mode & 0o077) !== 0) {
    throw new NetkilnError("refused", `others than its owner may read ${path}, which holds a password`, {
      hint: "remove it and start the server again: it makes a new one",
    });
  }
  return parseYamlAs(schema, await readFile(path, "utf8"), path);
}
