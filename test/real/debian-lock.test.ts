/**
 * Trees made by the real mmdebstrap from package locks: without a mirror, the same each time, and the same as
 * mmdebstrap makes from the mirror. Needs root, and this host's own apt sources for the first lock.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, open, readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFileBlobs, type BlobStore } from "../../src/artifact/index.ts";
import { hostAptOptions, hostAptSources } from "../../src/build/base/apt-sources.ts";
import { debian } from "../../src/build/base/debian.ts";
import { lockText } from "../../src/build/base/lock.ts";
import type { BaseWorld, Lock } from "../../src/build/base/types.ts";
import { normalise } from "../../src/build/normalise.ts";
import type { DebianSpec } from "../../src/image/index.ts";
import { makeArchive, makeDeb, startMirror } from "../support/apt-archive.ts";
import { openBaseWorld } from "../support/base-world.ts";
import { makeFolder, mountsBelow } from "../support/server.ts";
import { tool } from "../support/site.ts";

const spec: DebianSpec = {
  ...{ name: "x", distribution: "debian", suite: "bookworm", arch: "x86_64", variant: "essential" },
  ...{ components: ["main"], packages: ["attr"], layers: [], checks: [], outputs: ["squashfs"] },
  ...{ exclude: ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"], epoch: 1_750_000_000 },
};
/** Nobody answers there. */
const noMirror = ["deb http://127.0.0.1:1 bookworm main"];

let folder: string;
let blobs: BlobStore;
let lock: Lock;

before(async () => {
  folder = await makeFolder();
  blobs = openFileBlobs(join(folder, "blobs"));
});
after(() => rm(folder, { recursive: true }));

async function worldAt(name: string, aptSources: BaseWorld["aptSources"], onLine = (_line: string): void => {}) {
  const given = { aptSources, onLine, signal: AbortSignal.timeout(600_000) };
  const world = await openBaseWorld(blobs, join(folder, name), given);
  const tree = join(world.folder, "tree");
  await mkdir(tree, { mode: 0o755 });
  return { world, tree };
}

/** Every path with its type, mode, owner, size, time, target and attributes, and every file's digest. */
async function fingerprint(tree: string): Promise<string> {
  const shell = `cd "$1" && find . \\( -type d -printf '%p %m %U:%G %T@\\n' -o -printf '%p %y %m %U:%G %s %T@ %n %l\\n' \\) | sort
    find . \\( -type c -o -type b \\) -exec stat -c '%n %t:%T' {} + | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum; getfattr -R -h -d -m - . | grep -v '^$' | sort`;
  return tool("sh", "-c", shell, "sh", tree);
}

/** The lines of two trees that differ; a whole tree in a message would be unreadable. */
async function differences(a: string, b: string): Promise<string[]> {
  const [one, two] = (await Promise.all([a, b].map(fingerprint))).map((text) => text.split("\n"));
  const [left, right] = [new Set(one), new Set(two)];
  return [
    ...(one ?? []).filter((line) => !right.has(line)).map((line) => `- ${line}`),
    ...(two ?? []).filter((line) => !left.has(line)).map((line) => `+ ${line}`),
  ].slice(0, 20);
}

const dropped = (name: string) => rm(join(folder, name), { recursive: true });

test("a lock is resolved from this host's mirror once; again, nothing is fetched", async () => {
  const lines: string[] = [];
  const first = await worldAt("first", undefined, (line) => void lines.push(line));
  lock = await debian.resolve(spec, first.world);
  const names = lock.packages.map(({ name }) => name);
  assert.deepEqual(names, names.toSorted());
  for (const name of ["attr", "dpkg", "libc6"]) assert.ok(names.includes(name), name);
  assert.ok(!names.includes("apt"), "this variant has no apt");
  assert.ok(lines.some((line) => line.startsWith(`${names.length} packages: 0 are here, ${names.length} to fetch`)));
  const again = await worldAt("again", undefined, (line) => void lines.push(line));
  assert.equal(lockText(await debian.resolve(spec, again.world)), lockText(lock));
  assert.ok(lines.some((line) => line.startsWith(`${names.length} packages: ${names.length} are here, 0 to fetch`)));
  await dropped("first");
  await dropped("again");
});

test("two trees are made from it without a mirror and without a network, and nothing tells them apart", async () => {
  const host = await readlink("/proc/self/ns/net");
  const networks = new Set<string>();
  const look = async (): Promise<void> => {
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (!command.includes("/usr/bin/mmdebstrap") || !command.includes(`${folder}/`)) continue;
      networks.add(await readlink(`/proc/${pid}/ns/net`).catch(() => "gone"));
    }
  };
  let looked: Promise<void> | undefined;
  const one = await worldAt("one", noMirror, (line) => {
    if (line.startsWith("I: installing essential")) looked = look();
  });
  await debian.make(spec, lock, one.tree, one.world);
  await looked;
  networks.delete("gone");
  assert.ok(networks.size > 0 && !networks.has(host), "its network is not the host's");

  const two = await worldAt("longer-name-two", noMirror);
  await debian.make(spec, lock, two.tree, two.world);
  for (const tree of [one.tree, two.tree]) await normalise(tree, spec.epoch, true);
  assert.deepEqual(await differences(one.tree, two.tree), []);
  // To diff, two devices are never the same.
  await tool("diff", "--recursive", "--no-dereference", "--exclude=dev", one.tree, two.tree);
  await dropped("longer-name-two");
  assert.deepEqual(await mountsBelow(folder), []);
});

test("nothing of how it was made is in the tree", async () => {
  const tree = join(folder, "one/tree");
  const found = await tool("sh", "-c", 'grep -rlE "file:/mnt|mmdebstrap|$2" "$1" || true', "sh", tree, folder);
  assert.equal(found, "");
  for (const path of ["etc/apt/sources.list.d", "var/cache/apt", "var/lib/apt/lists", "mnt", "run", "tmp"]) {
    assert.deepEqual(await readdir(join(tree, path)), [], path);
  }
  const gone = ["etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"];
  for (const path of gone) await assert.rejects(readFile(join(tree, path)), { code: "ENOENT" }, path);
  assert.match(
    await readFile(join(tree, "etc/dpkg/dpkg.cfg.d/netkiln"), "utf8"),
    /^path-exclude=\/usr\/share\/doc\/\*\n/,
  );
  assert.deepEqual(await readdir(join(tree, "usr/share/man")).catch(() => []), []);
});

test("it is the tree that mmdebstrap makes from the mirror itself", async () => {
  const tree = join(folder, "mirror");
  const options = (await hostAptOptions()).map((line) => `--aptopt=${line}`);
  const shell = `export SOURCE_DATE_EPOCH=${spec.epoch} DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin exec mmdebstrap --mode=root --format=directory --quiet "$@"`;
  const excludes = spec.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`);
  const sources = await hostAptSources(spec.suite, spec.components);
  const argv = ["--variant=essential", "--include=attr", "--dpkgopt=force-unsafe-io", ...options, ...excludes];
  await tool("sh", "-c", shell, "sh", ...argv, "bookworm", tree, ...sources);
  const traces = ["etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap"];
  for (const path of [...traces, "etc/dpkg/dpkg.cfg.d/99mmdebstrap"]) await rm(join(tree, path), { force: true });
  const fromLock = join(folder, "one/tree");
  await rm(join(fromLock, "etc/dpkg/dpkg.cfg.d/netkiln"));
  for (const each of [tree, fromLock]) await normalise(each, spec.epoch, true);
  // These lose files in another order: what is excluded, and the list of sources. Only their times tell.
  const emptied = /^[-+] \.\/(usr\/share\/(doc|man|locale)|etc\/apt) /;
  assert.deepEqual(
    (await differences(fromLock, tree)).filter((line) => !emptied.test(line)),
    [],
  );
  await dropped("mirror");
  await dropped("one");
});

test("a blob that is not what the lock says is refused, and fetched anew when the packages are locked again", async () => {
  const victim = lock.packages.find(({ name }) => name === "attr");
  const path = blobs.path(victim?.sha256 ?? "");
  await chmod(path, 0o644);
  const file = await open(path, "r+");
  await file.write(Buffer.from("!"), 0, 1, 100);
  await file.close();
  const { world, tree } = await worldAt("damaged", noMirror);
  await assert.rejects(debian.make(spec, lock, tree, world), {
    code: "work_failed",
    message: `1 file of the package lock is missing or damaged: attr ${victim?.version} (sha256 ${victim?.sha256})`,
    hint: "lock the recipe's packages again: what is not as it was is fetched anew",
  });
  assert.deepEqual(await readdir(tree), [], "nothing was begun");
  const lines: string[] = [];
  const repair = await worldAt("repair", undefined, (line) => void lines.push(line));
  assert.equal(lockText(await debian.resolve(spec, repair.world)), lockText(lock));
  assert.ok(lines.some((line) => /packages: \d+ are here, 1 to fetch/.test(line)));
});

test("Ubuntu's form of an archive becomes a tree: suite noble, main and universe, a key of its own", async () => {
  const root = join(folder, "archive");
  await mkdir(root);
  const archive = await makeArchive(root, "amd64");
  const mine = lock.packages.map(({ sha256 }) => blobs.path(sha256));
  await archive.add("noble", "main", mine);
  await archive.add("noble", "universe", [await makeDeb(folder, "hello-universe", "1.0-0ubuntu1", ["Depends: attr"])]);
  await archive.publish("noble");
  const mirror = await startMirror(root);
  const sources = [`deb [signed-by=${archive.key}] ${mirror.url} noble main universe`];
  const { world, tree } = await worldAt("ubuntu", sources);
  const ubuntu: DebianSpec = {
    ...{ ...spec, distribution: "ubuntu", suite: "noble" },
    ...{ components: ["main", "universe"], packages: ["hello-universe"] },
  };
  assert.equal(debian.title(ubuntu), "base (ubuntu noble)");
  const locked = await debian.resolve(ubuntu, world);
  assert.equal(mirror.fetched.length, 1, "packages that are here under another suite are not fetched");
  await mirror.stop();
  await debian.make(ubuntu, locked, tree, world);
  assert.equal(await readFile(join(tree, "usr/share/hello-universe/version"), "utf8"), "1.0-0ubuntu1\n");
  assert.equal(locked.packages.length, lock.packages.length + 1);
});
