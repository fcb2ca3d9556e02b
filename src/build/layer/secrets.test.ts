import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { maskedError, refuseSecretsIn, resolveSecrets, secretInputs } from "./secrets.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-secrets-"));
after(() => rm(root, { recursive: true }));

const password = 'pa"ss wörd/42';
const key = "-----BEGIN KEY-----\nc2VjcmV0IGtleQ==\n-----END KEY-----";
/** Not text, so kept as base64. */
const munge = Buffer.from(Array.from({ length: 48 }, (_, index) => (index * 37 + 200) % 256));

for (const [name, value] of Object.entries({
  password: `${password}\n`,
  key,
  munge: munge.toString("base64"),
  token: "Y2FsbG1lSXNobWFlbA",
})) {
  await writeFile(join(root, name), value);
}
const references = {
  password: `file:${root}/password`,
  key: `file:${root}/key`,
  munge: `file:${root}/munge`,
  token: `file:${root}/token`,
};
const secrets = await resolveSecrets(references);

test("a secret is its file's text, without the line end of who edited it", () => {
  assert.equal(secrets.values.get("password"), password);
  assert.equal(secrets.values.get("key"), key);
});

const shown: readonly (readonly [what: string, line: string, told: string])[] = [
  ["as it is", `password=${password}!`, "password=***!"],
  ["in JSON", JSON.stringify({ password, other: 1 }), '{"password":"***","other":1}'],
  ["a line of a longer one", "  c2VjcmV0IGtleQ==", "  ***"],
  ["many lines in JSON", JSON.stringify([key]), '["***"]'],
  ["in a URL", `https://me:${encodeURIComponent(password)}@host`, "https://me:***@host"],
  ["twice", `${password}${password}`, "******"],
];
for (const [what, line, told] of shown) {
  test(`a secret is masked ${what}`, () => assert.equal(secrets.mask(line), told));
}

test("base64 of a secret is masked, wherever it stands in what was encoded", () => {
  for (const before of ["", "a", "ab", "abc", "user:"]) {
    const encoded = Buffer.from(`${before}${password}xyz`).toString("base64");
    const masked = secrets.mask(encoded);
    assert.match(masked, /\*\*\*/, before);
    // Of the bytes, at most those at the edges are left, which others share a character with.
    assert.ok(masked.replace("***", "").length <= 16, masked);
  }
});

test("a line without a secret stays as it is", () => {
  assert.equal(secrets.mask("TASK [Copy the password] ***"), "TASK [Copy the password] ***");
});

test("an error is told without the secrets, and without what only the log would hold", () => {
  const error = new NetkilnError("work_failed", `bad ${password}`, {
    hint: `try ${password}`,
    output: [`got ${password}`],
    detail: password,
  });
  const masked = maskedError(error, secrets) as NetkilnError;
  assert.deepEqual(
    [masked.message, masked.hint, masked.output, masked.detail],
    ["bad ***", "try ***", ["got ***"], undefined],
  );
});

test("every mistake of the references is told at once, and no secret with them", async () => {
  await writeFile(join(root, "short"), "1234567\n");
  await writeFile(join(root, "binary"), munge);
  const wrong = {
    env: "env:PASSWORD",
    relative: "file:password",
    missing: `file:${root}/missing`,
    folder: `file:${root}`,
    short: `file:${root}/short`,
    binary: `file:${root}/binary`,
    password: references.password,
  };
  await assert.rejects(resolveSecrets(wrong), (error: NetkilnError) => {
    assert.deepEqual(
      error.problems.map(({ message }) => message.replaceAll(root, "")),
      [
        "env (env:PASSWORD) is not of the form file:/path",
        "relative (file:password) is not of the form file:/path",
        "missing (file:/missing) cannot be read: ENOENT",
        "folder (file:) cannot be read: EISDIR",
        "short (file:/short) is shorter than 8 characters",
        "binary (file:/binary) is not text: keep it as base64",
      ],
    );
    return !JSON.stringify(error).includes("1234567");
  });
});

test("a key holds where secrets are, not what they are", () => {
  assert.deepEqual(secretInputs(references), {
    "secret password": references.password,
    "secret key": references.key,
    "secret munge": references.munge,
    "secret token": references.token,
  });
});

let made = 0;
async function layer(): Promise<string> {
  const folder = join(root, `layer${made++}`);
  await mkdir(join(folder, "etc"), { recursive: true });
  await writeFile(join(folder, "etc/harmless"), password.slice(0, -1));
  return folder;
}

const held: readonly (readonly [what: string, hold: (folder: string) => Promise<unknown>, told: string])[] = [
  ["in a file", (folder) => writeFile(join(folder, "etc/conf"), `x=${password}\n`), "password: /etc/conf"],
  [
    "across the parts in which a file is read",
    (folder) => writeFile(join(folder, "etc/large"), `${"x".repeat((1 << 20) - 5)}${password}${"x".repeat(9)}`),
    "password: /etc/large",
  ],
  [
    "as base64",
    (folder) => writeFile(join(folder, "etc/b64"), Buffer.from(`user:${password}`).toString("base64")),
    "password: /etc/b64",
  ],
  ["that is kept as base64, as what it means", (folder) => writeFile(join(folder, "etc/m"), munge), "munge: /etc/m"],
  ["of many lines", (folder) => writeFile(join(folder, "etc/key"), `${key}\n`), "key: /etc/key"],
  ["in a name", (folder) => writeFile(join(folder, "etc/Y2FsbG1lSXNobWFlbA"), ""), "token: /etc/Y2FsbG1lSXNobWFlbA"],
  ["in a link's target", (folder) => symlink(`/${password}`, join(folder, "etc/link")), "password: /etc/link"],
  [
    "in an extended attribute",
    (folder) => run(["setfattr", "-n", "user.x", "-v", password, join(folder, "etc/harmless")]),
    "password: /etc/harmless",
  ],
];
for (const [what, hold, told] of held) {
  test(`a layer is refused for a secret ${what}`, async () => {
    const folder = await layer();
    await refuseSecretsIn(folder, secrets);
    await hold(folder);
    await assert.rejects(refuseSecretsIn(folder, secrets), {
      code: "refused",
      message: `the layer holds the secret ${told}`,
    });
  });
}
