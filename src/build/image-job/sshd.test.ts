import assert from "node:assert/strict";
import { test } from "node:test";
import { authorizedKey, sshdConfig } from "./sshd.ts";

test("a public key is one line that names its kind, and carries no options", () => {
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example.org";
  assert.equal(authorizedKey(`${key}\n`), `restrict,pty ${key}\n`);
  assert.equal(authorizedKey("ssh-rsa AAAA=="), "restrict,pty ssh-rsa AAAA==\n");
  for (const bad of ["", "AAAA", `command="id" ${key}`, `${key}\n${key}`, "ssh-dss AAAA", "ssh-rsa A\nB"]) {
    assert.throws(() => authorizedKey(bad), { code: "invalid_input" }, bad);
  }
});

test("only who is jailed sees the tree alone", () => {
  const options = { address: "127.0.0.1", port: 2022, environment: { A: "1", B: "2" } };
  assert.match(sshdConfig({ ...options, jail: true }), /^ChrootDirectory \/mnt\/image\/image-root$/m);
  assert.doesNotMatch(sshdConfig({ ...options, jail: false }), /ChrootDirectory/);
  assert.match(sshdConfig({ ...options, jail: false }), /^SetEnv A=1 B=2$/m);
});
