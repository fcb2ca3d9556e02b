import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openGitLogin } from "./index.ts";

test("the login for git is made once, and only its owner reads it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "login-"));
  try {
    const login = await openGitLogin(folder);
    assert.match(login.password, /^[0-9a-f]{64}$/);
    assert.deepEqual(await openGitLogin(folder), login);
    const file = join(folder, "git-login.json");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await chmod(file, 0o640);
    await assert.rejects(openGitLogin(folder), /others than its owner may read/);
    await chmod(file, 0o600);
    await writeFile(file, '{"username":"a","password":"short"}');
    await assert.rejects(openGitLogin(folder), /git-login\.json has 1 mistake/);
    await writeFile(file, "{");
    await assert.rejects(openGitLogin(folder), /git-login\.json has \d+ mistake/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
