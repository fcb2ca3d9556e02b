/** Root trees that were made elsewhere: real tar, cpio and squashfs archives, good ones and hostile ones; needs root. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fastify from "fastify";
import { registerBlobs } from "../../src/api/native/blobs.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { openFileBlobs, type BlobStore } from "../../src/artifact/index.ts";
import { archiveBase } from "../../src/build/base/archive.ts";
import type { BaseWorld } from "../../src/build/base/types.ts";
import { openLayerStore } from "../../src/build/index.ts";
import { openClient } from "../../src/cli/client.ts";
import type { FromSpec } from "../../src/image/index.ts";
import type { NetkilnError } from "../../src/lib/errors.ts";
import { failureOf } from "../../src/lib/failure-of.ts";
import { openBaseWorld } from "../support/base-world.ts";
import { listing, makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

let folder: string;
let root: string;
let blobs: BlobStore;
let number = 0;

before(async () => {
  folder = await makeFolder();
  root = join(folder, "root");
  blobs = openFileBlobs(join(folder, "data/blobs"));
  await mkdir(join(folder, "data"));
  for (const path of ["etc", "usr/bin", "var/lib", "dev"]) await mkdir(join(root, path), { recursive: true });
  await writeFile(join(root, "etc/motd"), "made elsewhere\n");
  await writeFile(join(root, "usr/bin/raw"), "not really a program\n", { mode: 0o755 });
  await writeFile(join(root, "usr/bin/große Datei"), Buffer.alloc(300_000, 7));
  await tool("ln", join(root, "etc/motd"), join(root, "etc/linked"));
  await tool("ln", "-s", "usr/bin", join(root, "bin"));
  await tool("mkfifo", join(root, "var/lib/fifo"));
  await tool("truncate", "-s", "8M", join(root, "var/lib/sparse"));
  await tool("chown", "1234:2345", join(root, "etc/motd"));
  await chmod(join(root, "usr/bin/raw"), 0o4751);
  await tool("setfattr", "-n", "user.origin", "-v", "elsewhere", join(root, "etc/motd"));
  await tool("setcap", "cap_net_raw+ep", join(root, "usr/bin/raw"));
  await tool("setfattr", "-n", "security.selinux", "-v", "system_u:object_r:etc_t:s0", join(root, "etc/motd"));
  await tool("find", root, "-exec", "touch", "-h", "-d", "@1700000000", "{}", "+");
});

after(() => rm(folder, { recursive: true }));

const shell = (command: string, ...args: string[]) => tool("bash", "-o", "pipefail", "-ec", command, "test", ...args);
const fresh = (name: string) => join(folder, `${(number += 1)}-${name}`);

/** Packs a folder with a shell command that gets its path as $1 and where the archive goes as $2. */
async function packed(name: string, command: string, from = root): Promise<string> {
  const file = fresh(name);
  await shell(command, from, file);
  return file;
}

/** A root tree that holds what the command does in it. */
async function hostile(name: string, prepare: string, pack: string): Promise<string> {
  const from = fresh(name);
  await mkdir(join(from, "etc"), { recursive: true });
  await mkdir(join(from, "usr"));
  await shell(`cd "$1"; ${prepare}`, from);
  return packed(name, pack, from);
}

async function world(files: Readonly<Record<string, string>> = {}): Promise<BaseWorld> {
  const recipeFile = (path: string) => files[path] ?? assert.fail(`the recipe has no ${path}`);
  return openBaseWorld(blobs, fresh("work"), { recipeFile });
}

const spec = (archive: string, more: Partial<FromSpec["from"]> = {}, arch: FromSpec["arch"] = "x86_64"): FromSpec => ({
  name: "elsewhere",
  arch,
  layers: [],
  outputs: ["squashfs"],
  checks: [],
  epoch: 0,
  from: { archive, ...more },
});

/** Brings an archive in as an uploaded one, and unpacks it. */
async function make(file: string, arch: FromSpec["arch"] = "x86_64"): Promise<string> {
  const copy = fresh("upload");
  await tool("cp", file, copy);
  const { sha256 } = await blobs.putFile(copy);
  const from = spec(`blob:${sha256}`, {}, arch);
  const place = await world();
  const lock = await archiveBase.resolve(from, place);
  assert.deepEqual(lock, { family: "files", packages: [], files: { archive: sha256 } });
  const tree = fresh("tree");
  await mkdir(tree);
  await archiveBase.make(from, lock, tree, place);
  return tree;
}

/** What a file is refused with, however it is brought in. */
async function refusal(file: string): Promise<NetkilnError> {
  const error = await failureOf(make(file));
  assert.equal(error.code, "invalid_input");
  return error;
}

/** Everything of a tree that can differ: kinds, modes, owners, times, sizes, links, contents, attributes. */
async function everything(tree: string, { attributes = true } = {}): Promise<string[]> {
  const files = await shell('cd "$1"; find . -mindepth 1 -printf "%P %y %m %U:%G %Ts %n %l\\n" | sort', tree);
  const sums = await shell('cd "$1"; find . -type f -print0 | sort -z | xargs -0 sha256sum', tree);
  const found = attributes ? await shell('cd "$1"; getfattr -R -h -d -m - . | sed "/^$/d" | sort', tree) : "";
  // Folders that every tree has are added where they are not, so their number of links is another.
  return [files, sums, found]
    .flatMap((text) => text.split("\n"))
    .filter((line) => !/^(proc|run|sys|tmp) d /.test(line));
}

const tar = 'tar -C "$1" --xattrs --xattrs-include="*" -c';
const cpio = 'cd "$1"; find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc';

describe("good archives keep everything", () => {
  for (const [name, command] of [
    ["plain tar", `${tar} -f "$2" .`],
    ["GNU tar with sparse files, gzip", `tar -C "$1" -c --format=gnu -S . | gzip -1 >"$2"`],
    ["pax tar with sparse files, zstd", `${tar} --format=pax -S . | zstd -q -1 >"$2"`],
    ["tar, xz", `${tar} . | xz -0 >"$2"`],
    ["tar, bzip2", `${tar} . | bzip2 -1 >"$2"`],
    ["squashfs", 'mksquashfs "$1" "$2" -quiet -no-progress -comp zstd -Xcompression-level 1 >/dev/null'],
  ] as const) {
    test(name, async () => {
      const file = await packed("good", command);
      const withAttributes = !name.startsWith("GNU tar");
      assert.deepEqual(
        await everything(await make(file), { attributes: withAttributes }),
        await everything(root, { attributes: withAttributes }),
      );
    });
  }

  test("cpio, which has no attributes, plain and packed", async () => {
    const expected = await everything(root, { attributes: false });
    for (const filter of ["cat", "gzip -1", "xz -0 --check=crc32", "zstd -q -1"]) {
      const file = await packed("good", `${cpio} | ${filter} >"$2"`);
      assert.deepEqual(await everything(await make(file), { attributes: false }), expected, filter);
    }
  });

  test("cpio with microcode before it and more behind it, as the kernel takes them", async () => {
    const early = fresh("early");
    const more = fresh("more");
    await mkdir(join(early, "kernel/x86/microcode"), { recursive: true });
    await writeFile(join(early, "kernel/x86/microcode/AuthenticAMD.bin"), "code");
    await mkdir(join(more, "etc"), { recursive: true });
    await writeFile(join(more, "etc/more"), "more\n");
    const file = await packed(
      "initrd",
      `(${cpio}) >"$2"; (set -- ${early}; ${cpio}) >"$2.early"; (set -- ${more}; ${cpio}) >"$2.more"
       (cat "$2.early"; cat "$2" "$2.more" | gzip -1) >"$2.all"; mv "$2.all" "$2"`,
    );
    const tree = await make(file);
    assert.equal(await readFile(join(tree, "etc/more"), "utf8"), "more\n");
    assert.equal(await readFile(join(tree, "etc/motd"), "utf8"), "made elsewhere\n");
    assert.equal(await stat(join(tree, "kernel")).catch(() => undefined), undefined, "microcode is no part of a root");
    assert.equal((await stat(join(tree, "etc/linked"))).nlink, 2);
  });

  test("a tree without mount points gets them", async () => {
    const tree = await make(await packed("good", `${tar} --exclude=./dev . >"$2"`));
    assert.equal((await stat(join(tree, "tmp"))).mode & 0o7777, 0o1777);
    assert.ok((await stat(join(tree, "dev"))).isDirectory());
  });
});

describe("archives that are refused", () => {
  const devices = "mkdir dev; mknod dev/null c 1 3; mknod dev/sda b 8 0";
  for (const [name, pack] of [
    ["tar", 'tar -C "$1" -cf "$2" .'],
    ["squashfs", 'mksquashfs "$1" "$2" -quiet -no-progress >/dev/null'],
    ["cpio", `${cpio} >"$2"`],
  ] as const) {
    test(`device nodes in a ${name}`, async () => {
      const { message, problems, hint } = await refusal(await hostile("devices", devices, pack));
      assert.match(message, /^[0-9a-f]{12}: the archive is refused: 2 unsafe entries$/);
      assert.match(
        problems.map((problem) => problem.message).sort()[0] ?? "",
        /^entry "(\.\/)?dev\/null": it is a device node$/,
      );
      assert.match(hint ?? "", /make it without them/);
    });
  }

  for (const [name, command, problem] of [
    ["a path with ..", 'tar -P -cf "$2" -C "$1" etc usr ../outside', /entry "\.\.\/outside": its path has "\.\."/],
    ["an absolute path", 'tar -P -cf "$2" -C "$1" etc usr "$1/outside"', /its path is absolute$/],
    [
      "a path through a symbolic link",
      'tar -cf "$2" -C "$1" etc usr; mkdir "$1/d"; echo x >"$1/d/x"; ln -s /tmp "$1/l"; tar -rf "$2" -C "$1" l; tar -rf "$2" -C "$1" --transform "s,^d,l," d/x',
      /entry "l\/x": its path goes through the symbolic link "l"/,
    ],
    ["a whiteout", 'touch "$1/etc/.wh.passwd"; tar -cf "$2" -C "$1" .', /it is a whiteout: this is one layer/],
  ] as const) {
    test(name, async () => {
      await writeFile(join(folder, "outside"), "outside\n");
      const prepare = "echo a >etc/a; ln etc/a etc/b; echo o >outside; cp outside ../outside";
      const file = await hostile("hostile", prepare, command);
      const { problems } = await refusal(file);
      assert.match(problems[0]?.message ?? "", problem);
    });
  }

  test("archives that are cut off", async () => {
    for (const [command, words] of [
      [`${tar} . >"$2"`, /the archive is truncated: the content of an entry is cut off/],
      [`${tar} . | gzip -1 >"$2"`, /the archive is truncated: gzip cannot unpack all of it/],
      [`${tar} . | xz -0 >"$2"`, /the archive is truncated: xz cannot unpack all of it/],
      [`${tar} . | zstd -q -1 >"$2"`, /the archive is truncated: zstd cannot unpack all of it/],
      [`${tar} . | bzip2 -1 >"$2"`, /the archive is truncated: bzip2 cannot unpack all of it/],
      [`${cpio} >"$2"`, /the archive is truncated: the content of "var\/lib\/sparse" is cut off/],
      ['mksquashfs "$1" "$2" -quiet -no-progress >/dev/null', /the squashfs is truncated: \d+ bytes are there of \d+/],
    ] as const) {
      const file = await packed("cut", command);
      const { size } = await stat(file);
      // The end of a squashfs is padding.
      await truncate(file, Math.floor(size * 0.2));
      assert.match((await refusal(file)).message, words);
    }
  });

  test("what is no root tree, no archive, or of an old form", async () => {
    const other = fresh("other");
    await mkdir(join(other, "rootfs/etc"), { recursive: true });
    const below = await refusal(await packed("other", 'tar -C "$1" -cf "$2" rootfs', other));
    assert.match(below.message, /it holds no root tree: \/etc and \/usr are not there$/);
    assert.equal(below.hint, 'all is below "rootfs": make it from inside that folder (tar -C rootfs -c .)');
    const text = fresh("text");
    await writeFile(text, "#!/bin/sh\n");
    assert.match((await refusal(text)).message, /: it is not an archive$/);
    const packedText = await packed("text", 'echo hello | gzip >"$2"');
    assert.match((await refusal(packedText)).message, /: it holds neither a tar nor a cpio archive$/);
    const old = await refusal(await packed("old", 'cd "$1"; echo etc | cpio --quiet -o -H odc >"$2"'));
    assert.equal(old.hint, "make it with: cpio -o -H newc");
  });

  test("a tree for another architecture", async () => {
    const file = await hostile("arch", "mkdir usr/bin; cp /usr/bin/env usr/bin/env", 'tar -C "$1" -cf "$2" .');
    await make(file);
    await assert.rejects(
      make(file, "aarch64"),
      /\/usr\/bin\/env in it is for x86_64, and the image is to be for aarch64/,
    );
  });

  test("attributes of overlayfs in a squashfs", async () => {
    const file = await hostile(
      "overlay",
      "setfattr -n trusted.overlay.opaque -v y etc",
      'mksquashfs "$1" "$2" -quiet -no-progress >/dev/null',
    );
    await assert.rejects(make(file), ({ output }: NetkilnError) =>
      /it was made from an upper directory/.test(output.join()),
    );
  });
});

describe("archives that are fetched", () => {
  let file: string;
  let content: Buffer;
  let server: Server;
  let url: string;

  before(async () => {
    file = await packed("root.tar.gz", `${tar} . | gzip -1 >"$2"`);
    content = await readFile(file);
    server = createServer((request, response) => {
      if (request.url === "/none") response.writeHead(404).end("no");
      else if (request.url === "/moved") response.writeHead(302, { location: "/root.tar.gz" }).end();
      else {
        response.writeHead(200, { "content-length": content.length });
        if (request.url === "/dies")
          response.write(content.subarray(0, 2000), () => setTimeout(() => response.destroy(), 50));
        else response.end(content);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const digest = () => createHash("sha256").update(content).digest("hex");

  /** Fails, and leaves neither a blob nor a file behind. */
  async function fails(path: string, sha256: string): Promise<NetkilnError> {
    const kept = await listing(join(folder, "data"));
    const place = await world();
    const error = await failureOf(archiveBase.resolve(spec(`${url}${path}`, { sha256 }), place));
    assert.deepEqual(await listing(join(folder, "data")), kept);
    assert.deepEqual(await readdir(place.folder), []);
    return error;
  }

  test("are kept under their sha256, also through a redirection", async () => {
    for (const path of ["/root.tar.gz", "/moved"]) {
      const lock = await archiveBase.resolve(spec(`${url}${path}`, { sha256: digest() }), await world());
      assert.deepEqual(lock.files, { archive: digest() });
      assert.ok(await blobs.has(digest()));
    }
  });

  test("are refused with another sha256", async () => {
    content = Buffer.concat([content, Buffer.alloc(1)]);
    const { message } = await fails("/root.tar.gz", "0".repeat(64));
    assert.equal(message, `root.tar.gz: its sha256 is ${digest()}, and recipe.yaml wants ${"0".repeat(64)}`);
  });

  test("fail when they are not there, when the server dies midway, and when there is none", async () => {
    assert.equal((await fails("/none", digest())).message, `${url}/none cannot be fetched: the server answered 404`);
    const { message } = await fails("/dies", digest());
    assert.match(
      message,
      new RegExp(`/dies cannot be fetched: the connection ended after 2000 bytes of ${content.length} `),
    );
    server.close();
    server.closeAllConnections();
    assert.match(
      (await fails("/root.tar.gz", digest())).message,
      /cannot be fetched: the connection ended \(ECONNREFUSED\)/,
    );
  });
});

test("files of the recipe are taken by their blobs, and compared with a sha256 that is given", async () => {
  const file = await packed("root.tar", `${tar} . >"$2"`);
  const { sha256 } = await blobs.putFile(file);
  const place = await world({ "trees/root.tar": blobs.path(sha256) });
  assert.deepEqual((await archiveBase.resolve(spec("trees/root.tar"), place)).files, { archive: sha256 });
  await assert.rejects(archiveBase.resolve(spec("trees/root.tar", { sha256: "1".repeat(64) }), place), /its sha256 is/);
  await assert.rejects(
    archiveBase.resolve(spec(`blob:${"2".repeat(64)}`), place),
    /222222222222: no such file has been uploaded/,
  );
});

test("an upload for which the disk has no room is refused with what to do, and leaves nothing", async () => {
  const data = join(folder, "small");
  await mkdir(data);
  await tool("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", data);
  const app = fastify({ forceCloseConnections: true });
  try {
    answerProblems(app);
    registerBlobs(app, { blobs: openFileBlobs(join(data, "blobs")), layers: await openLayerStore(data) });
    const socket = join(folder, "socket");
    await app.listen({ path: socket });
    const file = fresh("large");
    await writeFile(file, Buffer.alloc(64 << 20, 1));
    let sent = 0;
    const client = openClient(`unix:${socket}`, undefined);
    const onProgress = (bytes: number) => void (sent = bytes);
    const error = await failureOf(
      client.uploadFile("/blobs", file, { sha256: "0".repeat(64), size: 64 << 20, onProgress }),
    );
    assert.equal(error.message, "the disk is full");
    assert.match(error.hint ?? "", /^make room on the file system of /);
    assert.ok(sent < 64 << 20, "what is refused is not sent to its end");
    assert.deepEqual(
      (await readdir(data, { recursive: true })).filter((path) => /upload|tmp/.test(path)),
      [],
    );
  } finally {
    await app.close();
    await tool("umount", data);
  }
});
