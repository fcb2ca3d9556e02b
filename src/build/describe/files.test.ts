import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../lib/exec.ts";
import { plantTree } from "../../lib/plant-tree.ts";
import { viewFolders } from "../tree/view.ts";
import { listFiles } from "./files.ts";

const sha256 = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");

test("every kind of thing is listed, by path, and links are not followed", async (t) => {
  const root = plantTree(t, {
    "etc/motd": "hello\n",
    "etc/z": { link: "/nowhere" },
    "bin/tool": { text: "x", mode: 0o4755 },
    empty: "directory/",
    "etc-more": "",
  });
  await run(["mkfifo", "-m", "0600", join(root, "pipe")]);
  const { files, size } = listFiles(await viewFolders(root));
  assert.deepEqual(
    files.map(({ path, kind }) => `${path} ${kind}`),
    [
      "/ directory",
      "/bin directory",
      "/bin/tool file",
      "/empty directory",
      "/etc directory",
      "/etc-more file",
      "/etc/motd file",
      "/etc/z symlink",
      "/pipe pipe",
    ],
  );
  const byPath = new Map(files.map((file) => [file.path, file]));
  assert.equal(byPath.get("/bin/tool")?.mode, "4755");
  assert.equal(byPath.get("/etc/motd")?.sha256, sha256("hello\n"));
  assert.equal(byPath.get("/etc-more")?.sha256, sha256(""));
  assert.equal(byPath.get("/etc/z")?.target, "/nowhere");
  assert.equal(byPath.get("/pipe")?.mode, "0600");
  assert.deepEqual(Object.keys(byPath.get("/empty") ?? {}).sort(), ["gid", "kind", "mode", "path", "uid"]);
  assert.equal(size, 7);
});

test("a file larger than one read has the digest of all of it; hard links count once", async (t) => {
  const content = Buffer.alloc((1 << 20) + 17, "netkiln");
  const root = plantTree(t, { a: "directory/" });
  writeFileSync(join(root, "a/large"), content);
  linkSync(join(root, "a/large"), join(root, "b"));
  const { files, size } = listFiles(await viewFolders(root));
  const digests = files.filter(({ kind }) => kind === "file").map((file) => file.sha256);
  assert.deepEqual(digests, [sha256(content), sha256(content)]);
  assert.equal(size, content.length);
});

test("names that are no UTF-8, or break lines, are told without loss", async (t) => {
  const root = plantTree(t, {});
  mkdirSync(Buffer.concat([Buffer.from(`${root}/f`), Buffer.from([0xff])]));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/f`), Buffer.from([0xff]), Buffer.from("/é")]), "x");
  writeFileSync(join(root, "line\nbreak é"), "x");
  const { files } = listFiles(await viewFolders(root));
  assert.deepEqual(
    files.map(({ path }) => path),
    ["/", "/f\\xff", "/f\\xff/\\xc3\\xa9", "/line\nbreak é"],
  );
});
