/** OCI images in both directions, with the real docker-registry, buildah, podman, skopeo and GNU tar. Needs root. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import fastify from "fastify";
import { registerOciRegistry, type OciCatalog } from "../../src/api/oci/routes.ts";
import {
  openFileBlobs,
  openRegistry,
  parseManifest,
  pushAll,
  rawManifest,
  writeLayout,
  writeLayoutArchive,
  type BlobStore,
  type Exported,
  type RawManifest,
} from "../../src/artifact/index.ts";
import { ociBase } from "../../src/build/base/oci.ts";
import type { BaseWorld, Lock } from "../../src/build/base/types.ts";
import { emptyBlob, ociArtifact, ociImage, ociReferrer } from "../../src/build/output/oci.ts";
import { tarEntry as entry, tarOf, type PlantedEntry } from "../../src/build/tree/plant-tar.ts";
import { recipeSchemaFor, type FromSpec } from "../../src/image/schema.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { failureOf } from "../../src/lib/failure-of.ts";
import { openBaseWorld } from "../support/base-world.ts";
import { containerTools, startRegistry, type ContainerTool, type TestRegistry } from "../support/containers.ts";
import { makeFolder, mountsBelow } from "../support/server.ts";
import { tool } from "../support/site.ts";

let folder: string;
let registry: TestRegistry;
let containers: ContainerTool;
let blobs: BlobStore;

before(async () => {
  folder = await makeFolder();
  containers = await containerTools(join(folder, "containers"));
  registry = await startRegistry(join(folder, "registry"));
  await mkdir(join(folder, "data/blobs"), { recursive: true });
  blobs = openFileBlobs(join(folder, "data/blobs"));
});

after(async () => {
  await registry.stop();
  await containers("buildah", "umount", "--all");
  await containers("buildah", "rm", "--all");
  assert.deepEqual(await mountsBelow(join(folder, "data")), []);
  // The storage itself is a mount of its own.
  await tool("umount", join(folder, "containers/graph/overlay")).catch(() => undefined);
  await rm(folder, { recursive: true });
});

const specOf = (oci: string, arch = "x86_64") =>
  recipeSchemaFor({ from: {} }).parse({ name: "test", arch, from: { oci } }) as FromSpec;

let worlds = 0;
async function worldOf(store: BlobStore = blobs): Promise<BaseWorld> {
  worlds += 1;
  return openBaseWorld(store, join(folder, `data/work-${worlds}`));
}

const maker = ociBase({});

async function makeTree(oci: string): Promise<{ tree: string; lock: Lock }> {
  const world = await worldOf();
  const lock = await maker.resolve(specOf(oci), world);
  const tree = join(world.folder, "tree");
  await mkdir(tree);
  await maker.make(specOf(oci), lock, tree, world);
  assert.deepEqual(await readdir(world.folder), ["tree"], "nothing but the tree is left");
  return { tree, lock };
}

async function fails(oci: string, store: BlobStore = blobs): Promise<NetkilnError> {
  const world = await worldOf(store);
  const tree = join(world.folder, "tree");
  await mkdir(tree);
  const spec = specOf(oci);
  const error = await failureOf(maker.resolve(spec, world).then((lock) => maker.make(spec, lock, tree, world)));
  const left = await readdir(world.folder);
  assert.deepEqual(left, ["tree"], "no part of a blob or layer is left");
  assert.deepEqual(await readdir(tree), [], "nothing was unpacked");
  return error;
}

/** What a tree is: names, types, modes, owners, times, links, extended attributes and contents. */
async function describeTree(tree: string): Promise<string[]> {
  const shell = async (command: string) =>
    (await promisify(execFile)("sh", ["-c", `cd "$1" && ${command}`, "sh", tree])).stdout.split("\n");
  return [
    ...(await shell("find . -mindepth 1 -printf '%p %y %m %U:%G %l %Ts\\n' | sed 's/\\.[0-9]*$//' | LC_ALL=C sort")),
    ...(await shell("find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum")),
    ...(await shell("getfattr -R -h -d -m '^(user|security)\\.' -e hex . 2>/dev/null | LC_ALL=C sort")),
  ].filter((line) => line !== "");
}

/** An image with two layers, the upper of which takes away and replaces most of what the lower has. */
async function buildImage(): Promise<void> {
  const change = async (from: string, script: string, image: string) => {
    const container = await containers("buildah", "from", "--pull-never", from);
    const mounted = await containers("buildah", "mount", container);
    await tool("sh", "-euc", `cd "$1"; ${script}`, "sh", mounted);
    await containers("buildah", "umount", container);
    await containers("buildah", "commit", "-q", "--format", "oci", container, image);
    await containers("buildah", "rm", container);
  };
  await change(
    "scratch",
    `mkdir -p etc usr/bin opt/whole/deep opt/becomes-file opt/partly var/tmp; ln -s usr/bin bin
     echo one > etc/stays; echo two > etc/goes; echo three > etc/changes; echo f > opt/becomes-folder
     ln -s /nowhere opt/link-becomes-folder; echo x > opt/whole/old; echo x > opt/whole/deep/old; echo x > opt/becomes-file/in
     echo y > opt/partly/goes; echo y > opt/partly/stays; chmod 1777 var/tmp
     cp /bin/true usr/bin/raw; setcap cap_net_raw,cap_setfcap+ep usr/bin/raw; cp /bin/true usr/bin/suid; chmod 4755 usr/bin/suid
     echo linked > etc/a; ln etc/a etc/b; touch -d 2020-02-02 etc/stays`,
    "localhost/base:1",
  );
  await change(
    "localhost/base:1",
    `rm etc/goes opt/partly/goes; echo changed > etc/changes
     rm -r opt/whole; mkdir opt/whole; echo new > opt/whole/new; chown -R 1234:4321 opt/whole; chmod 2750 opt/whole
     rm -r opt/becomes-file; echo file > opt/becomes-file; rm opt/becomes-folder; mkdir opt/becomes-folder; echo in > opt/becomes-folder/in
     rm opt/link-becomes-folder; mkdir opt/link-becomes-folder; echo in > opt/link-becomes-folder/in
     mkdir new; echo h > new/one; ln new/one new/two; ln -s ../etc/stays new/link; ln -s /etc/shadow new/absolute
     echo attr > new/attr; setfattr -n user.origin -v kiln new/attr; cp /bin/true new/cap; setcap cap_net_admin+ep new/cap
     mkfifo new/fifo; echo u > 'new/üñí cödé'; long=$(printf 'x%.0s' $(seq 120)); mkdir -p new/$long/$long; echo l > new/$long/$long/$long`,
    "localhost/site:1",
  );
}

const digestOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const openBlob = (digest: string, range?: { start: number; end: number }) =>
  blobs.read(digest.slice("sha256:".length), range);
const put = (bytes: Buffer | string) => blobs.putBytes(bytes);

/** An image of hand-made layers, in a layout of its own; returns how a recipe names it. */
async function layoutOf(name: string, ...layers: PlantedEntry[][]): Promise<string> {
  const made = [];
  for (const entries of layers) made.push(await put(await tarOf(...entries)));
  const image = await imageOf(name, made);
  await writeLayout(join(folder, name), [{ manifest: image, tag: "1" }], openBlob);
  return `oci:${join(folder, name)}:1`;
}

async function imageOf(name: string, layers: readonly { sha256: string; size: number }[]): Promise<RawManifest> {
  const { manifest, config } = ociImage({ layers, arch: "x86_64", created: 1_750_000_000, name, buildId: "0123abcd" });
  await put(config);
  return manifest;
}

test("what buildah pushes comes out as the same tree, from a registry and from every local form", async () => {
  await buildImage();
  const target = `${registry.host}/site/base:1`;
  await containers("buildah", "push", "-q", "--tls-verify=false", "localhost/site:1", `docker://${target}`);
  const container = await containers("buildah", "from", "--pull-never", "localhost/site:1");
  const expected = await describeTree(await containers("buildah", "mount", container));
  await containers("buildah", "umount", container);
  assert.ok(expected.some((line) => line.startsWith("security.capability=")));

  const { tree, lock } = await makeTree(`docker://${target}`);
  assert.deepEqual(await describeTree(tree), expected);
  assert.deepEqual(Object.keys(lock.files), ["manifest", "config", "layer 0", "layer 1"]);
  for (const digest of Object.values(lock.files)) assert.ok(await blobs.has(digest));
  const one = await tool("stat", "-c", "%i", join(tree, "new/one"), join(tree, "new/two"));
  assert.equal(new Set(one.trim().split("\n")).size, 1, "hard links are one file");

  const digest = await containers(
    "skopeo",
    "inspect",
    "--tls-verify=false",
    "--format",
    "{{.Digest}}",
    `docker://${target}`,
  );
  assert.equal(digest, `sha256:${lock.files["manifest"]}`);
  const byDigest = await makeTree(`docker://${registry.host}/site/base@${digest}`);
  assert.deepEqual(byDigest.lock, lock);

  const local = ["oci", "oci-archive", "docker-archive"].map((form) => `${form}:${join(folder, form)}`);
  for (const form of local) {
    const named = `${form}:site/base:1`;
    await containers("skopeo", "copy", "-q", "--src-tls-verify=false", `docker://${target}`, named);
    assert.deepEqual(await describeTree((await makeTree(form)).tree), expected, form);
    assert.deepEqual(await describeTree((await makeTree(named)).tree), expected, named);
    assert.match((await failsToOpen(`${form}:other/name:2`)).message, /has no image named "other\/name:2"$/);
  }
  const zstd = `${registry.host}/site/zstd:1`;
  const compress = ["--dest-compress-format", "zstd", "--dest-tls-verify=false", "--src-tls-verify=false"];
  await containers("skopeo", "copy", "-q", ...compress, `docker://${target}`, `docker://${zstd}`);
  assert.deepEqual(await describeTree((await makeTree(`docker://${zstd}`)).tree), expected, "zstd");
});

async function failsToOpen(oci: string): Promise<NetkilnError> {
  const world = await worldOf();
  return failureOf(maker.resolve(specOf(oci), world));
}

test("zstd in several frames, gzip in several members, and layers of hand-made names are read whole", async () => {
  const tar = await tarOf(entry("./"), entry("./a", "file", "", "x".repeat(300_000)), entry("./b"));
  const halves = [tar.subarray(0, 100_000), tar.subarray(100_000)];
  const zst = [];
  for (const [index, half] of halves.entries()) {
    const file = join(folder, `half-${index}`);
    await writeFile(file, half);
    await tool("zstd", "-q", file);
    zst.push(await readFile(`${file}.zst`));
  }
  for (const [form, packed] of [
    ["gzip", Buffer.concat(halves.map((half) => gzipSync(half)))],
    ["zstd", Buffer.concat(zst)],
  ] as const) {
    const layer = await put(packed);
    const image = ociImage({ layers: [await put(tar)], arch: "x86_64", created: 0, name: form, buildId: "1" });
    await put(image.config);
    const manifest = JSON.parse(image.manifest.bytes.toString()) as { layers: object[] };
    const layers = [
      {
        mediaType: `application/vnd.oci.image.layer.v1.tar+${form}`,
        digest: `sha256:${layer.sha256}`,
        size: layer.size,
      },
    ];
    const raw = rawManifest(Buffer.from(JSON.stringify({ ...manifest, layers })), image.manifest.mediaType);
    await writeLayout(join(folder, form), [{ manifest: raw }], openBlob);
    const { tree } = await makeTree(`oci:${join(folder, form)}`);
    assert.deepEqual((await readdir(tree)).sort(), ["a", "b"]);
    assert.equal((await readFile(join(tree, "a"))).length, 300_000);
  }
});

test("hostile layers are refused before anything is unpacked", async () => {
  const outside = join(folder, "outside");
  await mkdir(outside);
  const refused: readonly (readonly [string, PlantedEntry[][], RegExp])[] = [
    ["dots", [[entry("../../outside/x")]], /^entry "..\/..\/outside\/x": its path has "\.\."$/],
    ["absolute", [[entry(`${outside}/x`)]], /its path is absolute$/],
    ["through-link", [[entry("l", "symlink", outside), entry("l/x")]], /goes through the symbolic link "l"$/],
    ["hard-link", [[entry("h", "link", "../../outside")]], /hard link to "..\/..\/outside"/],
    ["device", [[entry("dev/sda", "block-device")]], /^entry "dev\/sda": it is a block device$/],
  ];
  for (const [name, layers, message] of refused) {
    const oci = await layoutOf(`hostile-${name}`, ...layers);
    const error = await fails(oci);
    assert.equal(error.message, `layer 0 of ${oci} is refused: 1 unsafe entry`);
    assert.match(error.problems[0]?.message ?? "", message);
    assert.ok(error.hint);
  }
  assert.deepEqual(await readdir(outside), []);
});

test("a link of one layer leads no later layer out of the tree", async () => {
  const outside = join(folder, "outside-2");
  await mkdir(outside);
  await writeFile(join(outside, "victim"), "here");
  const below = [entry("l", "symlink", outside), entry("d", "symlink", "..")];
  for (const [name, upper] of [
    ["write", [entry("l/x")]],
    ["whiteout", [entry("l/.wh.victim")]],
    ["opaque", [entry("l/.wh..wh..opq")]],
    ["hard-link", [entry("h", "link", "l/victim")]],
    ["late-folder", [entry("l/.wh.victim"), entry("l", "directory")]],
  ] as const) {
    const oci = await layoutOf(`second-${name}`, below, [...upper]);
    const world = await worldOf();
    const tree = join(world.folder, "tree");
    await mkdir(tree);
    const lock = await maker.resolve(specOf(oci), world);
    await assert.rejects(maker.make(specOf(oci), lock, tree, world), (error: NetkilnError) =>
      (error.problems[0]?.message ?? "").endsWith('the symbolic link "l"'),
    );
  }
  // A folder in the place of the link is another thing: the link goes, and what it led to stays.
  const { tree } = await makeTree(
    await layoutOf("second-folder", below, [entry("l", "directory"), entry("l/.wh.victim"), entry("l/in")]),
  );
  assert.deepEqual(await readdir(join(tree, "l")), ["in"]);
  assert.deepEqual(await readdir(outside), ["victim"]);
});

test("what overlayfs notes for itself is not taken over", async () => {
  const odd = entry("d", "directory");
  const layer = [
    {
      ...odd,
      header: { ...odd.header, pax: { "SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.kept": "y" } },
    },
  ];
  const { tree } = await makeTree(await layoutOf("overlay-attributes", layer));
  const attributes = await tool("getfattr", "-d", "-m", "-", "--absolute-names", join(tree, "d"));
  assert.match(attributes, /user\.kept="y"/);
  assert.doesNotMatch(attributes, /trusted/);
});

test("wrong digests, wrong sizes and damage are refused, with what was expected and found", async () => {
  const name = `${registry.host}/site/damaged`;
  const tar = await tarOf(entry("a", "file", "", "text".repeat(20_000)));
  const layer = await put(tar);
  const manifest = await imageOf("damaged", [layer]);
  const repository = openRegistry({ registry: registry.host, name: "site/damaged" });
  await pushAll(repository, [{ manifest, tag: "1" }], openBlob);
  const store = async () => {
    const root = join(folder, "data", `blobs-${worlds}`);
    await mkdir(root);
    return openFileBlobs(root);
  };
  const file = registry.file(`sha256:${layer.sha256}`);

  const handle = await open(file, "r+");
  await handle.write("X", 600);
  await handle.close();
  const changed = Buffer.from(tar);
  changed.write("X", 600);
  const exchanged = await fails(`docker://${name}:1`, await store());
  assert.equal(
    exchanged.message,
    `blob sha256:${layer.sha256} of ${name} is not what it should be: expected sha256:${layer.sha256}, found sha256:${digestOf(changed)}`,
  );

  await truncate(file, 40_000);
  const short = await fails(`docker://${name}:1`, await store());
  assert.match(
    short.message,
    new RegExp(`expected sha256:${layer.sha256} with ${layer.size} bytes, found sha256:[0-9a-f]{64} with 40000 bytes$`),
  );

  await rm(file);
  assert.match(
    (await fails(`docker://${name}:1`, await store())).message,
    new RegExp(`^there is no blob sha256:${layer.sha256} of ${name}$`),
  );

  await writeFile(registry.file(manifest.digest), manifest.bytes.toString().replace("0123abcd", "0123abce"));
  assert.match(
    (await fails(`docker://${name}@${manifest.digest}`, await store())).message,
    new RegExp(
      `^manifest ${manifest.digest} of ${name} is not what it should be: expected ${manifest.digest}, found sha256:`,
    ),
  );

  // The blob is right, and is not the content that the config promises.
  const other = await put(await tarOf(entry("b")));
  const lying = JSON.parse(manifest.bytes.toString()) as { layers: object[] };
  const layers = [{ ...lying.layers[0], digest: `sha256:${other.sha256}`, size: other.size }];
  const raw = rawManifest(Buffer.from(JSON.stringify({ ...lying, layers })), manifest.mediaType);
  await writeLayout(join(folder, "lying"), [{ manifest: raw }], openBlob);
  const lie = await fails(`oci:${join(folder, "lying")}`);
  assert.match(lie.message, /is not what the image's config says/);
  assert.deepEqual(lie.output, [`expected sha256:${layer.sha256}`, `found    sha256:${other.sha256}`]);

  const cut = await put(gzipSync(tar).subarray(0, -20));
  const gzip = {
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    digest: `sha256:${cut.sha256}`,
    size: cut.size,
  };
  const damaged = rawManifest(Buffer.from(JSON.stringify({ ...lying, layers: [gzip] })), manifest.mediaType);
  await writeLayout(join(folder, "cut"), [{ manifest: damaged }], openBlob);
  assert.match((await fails(`oci:${join(folder, "cut")}`)).message, /^layer 0 of .* cannot be decompressed \(gzip\)$/);
});

test("a registry that vanishes midway, or is not there, or has no such image, is told as such", async () => {
  const name = "site/large";
  const layer = await put(await tarOf(entry("a", "file", "", "x".repeat(8 << 20))));
  const manifest = await imageOf("large", [layer]);
  await pushAll(openRegistry({ registry: registry.host, name }), [{ manifest, tag: "1" }], openBlob);
  let left = 3 << 20;
  const [host, port] = registry.host.split(":");
  const proxy = createServer((client) => {
    const upstream = connect(Number(port), host);
    client.pipe(upstream).on("error", () => undefined);
    client.on("error", () => undefined);
    upstream.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left > 0) client.write(chunk);
      else client.destroy();
    });
    upstream.on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const through = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const empty = openFileBlobs(join(folder, "data/empty"));
  const vanished = await fails(`docker://${through}/${name}:1`, empty);
  proxy.close();
  await once(proxy, "close");
  assert.equal(vanished.code, "unreachable");
  assert.match(
    vanished.message,
    new RegExp(`^blob sha256:${layer.sha256} of ${through}/${name}: the connection ended after [1-9]\\d+ bytes \\(`),
  );
  assert.equal(await empty.has(layer.sha256), false);

  const gone = await fails(`docker://${through}/${name}:1`);
  assert.match(gone.message, new RegExp(`^the registry ${through} does not answer \\(ECONNREFUSED\\)$`));
  assert.match(
    (await fails(`docker://${registry.host}/${name}:2`)).message,
    new RegExp(`^there is no manifest 2 of ${registry.host}/${name}$`),
  );
  const stopped = new AbortController();
  stopped.abort(new Error("stopped"));
  const world = await worldOf();
  const run = { ...world.run, signal: stopped.signal };
  await assert.rejects(maker.resolve(specOf(`docker://${registry.host}/${name}:1`), { ...world, run }), /stopped/);
});

test("an image for another architecture is refused, and an index leads to the one that is wanted", async () => {
  const layers = [await put(await tarOf(entry("a")))];
  const made = { created: 0, name: "x", buildId: "1", layers };
  const images = [ociImage({ ...made, arch: "x86_64" }), ociImage({ ...made, arch: "aarch64" })];
  for (const { config } of images) await put(config);
  const name = `${registry.host}/site/many`;
  for (const [index, { manifest }] of images.entries()) {
    await pushAll(
      openRegistry({ registry: registry.host, name: "site/many" }),
      [{ manifest, tag: `${index}` }],
      openBlob,
    );
  }
  await containers("buildah", "manifest", "create", "many");
  for (const index of [0, 1])
    await containers("buildah", "manifest", "add", "--tls-verify=false", "many", `docker://${name}:${index}`);
  await containers("buildah", "manifest", "push", "-q", "--all", "--tls-verify=false", "many", `docker://${name}:all`);
  for (const [index, arch] of ["x86_64", "aarch64"].entries()) {
    const lock = await maker.resolve(specOf(`docker://${name}:all`, arch), await worldOf());
    assert.equal(`sha256:${lock.files["manifest"]}`, images[index]?.manifest.digest);
  }
  const error = await fails(`docker://${name}:1`);
  assert.equal(error.message, `${name}:1 is an image for linux/arm64, not for linux/amd64`);
});

test("a registry with passwords is entered with the file that skopeo login writes", async () => {
  // User kiln, password secret.
  const closed = await startRegistry(
    join(folder, "closed"),
    "kiln:$2b$04$LQSnMWNk.rf0HPWAKXGA..JEtRZcjVwdKpFogClsK.RUMeTWTu7oS",
  );
  try {
    const layers = [await put(await tarOf(entry("a")))];
    const manifest = await imageOf("closed", layers);
    const authFile = join(folder, "auth.json");
    const repository = { registry: closed.host, name: "site/closed" };
    const login = ["--authfile", authFile, "--tls-verify=false", "-u", "kiln", "-p", "secret", closed.host];
    await containers("skopeo", "login", ...login);
    await pushAll(openRegistry(repository, { authFile }), [{ manifest, tag: "1" }], openBlob);
    const oci = `docker://${closed.host}/site/closed:1`;
    const lock = await ociBase({ authFile }).resolve(specOf(oci), await worldOf());
    assert.equal(`sha256:${lock.files["manifest"]}`, manifest.digest);
    const without = await fails(oci);
    assert.equal(without.code, "unauthorized");
    await writeFile(
      authFile,
      JSON.stringify({ auths: { [closed.host]: { auth: Buffer.from("kiln:wrong").toString("base64") } } }),
    );
    await assert.rejects(
      pushAll(openRegistry(repository, { authFile }), [{ manifest }], openBlob),
      (error: NetkilnError) => {
        assert.equal(error.code, "unauthorized");
        assert.doesNotMatch(JSON.stringify(error), /wrong/);
        return true;
      },
    );
  } finally {
    await closed.stop();
  }
});

/** One of our images, with an artifact and what refers to it. */
async function publish(): Promise<{ exported: Exported[]; tree: string[] }> {
  const lower = await put(
    await tarOf(
      entry("etc", "directory"),
      entry("etc/a", "file", "", "a"),
      entry("etc/goes"),
      entry("etc/b", "link", "etc/a"),
    ),
  );
  const upper = await put(await tarOf(entry("etc/.wh.goes"), entry("etc/new", "file", "", "n")));
  const image = await imageOf("compute", [lower, upper]);
  await put(emptyBlob);
  const files = [];
  for (const title of ["kernel", "initrd", "rootfs", "manifest.json"])
    files.push({ title, ...(await put(`{"${title}": 1}\n`)) });
  const artifact = ociArtifact({ files, created: 1_750_000_000, buildId: "0123abcd" });
  const sbom = {
    title: "sbom.spdx.json",
    mediaType: "application/spdx+json",
    ...(await put('{"spdxVersion":"SPDX-2.3"}')),
  };
  const referrer = ociReferrer({ subject: image, blob: sbom, created: 1_750_000_000 });
  const exported = [{ manifest: image, tag: "1" }, { manifest: artifact, tag: "1-boot" }, { manifest: referrer }];
  return { exported, tree: ["a", "b", "new"] };
}

async function assertPulled(host: string, { exported, tree }: Awaited<ReturnType<typeof publish>>): Promise<void> {
  const [image, artifact] = exported;
  const name = `docker://${host}/netkiln/compute`;
  const insecure = "--tls-verify=false";
  const inspected = JSON.parse(await containers("skopeo", "inspect", insecure, `${name}:1`)) as Record<string, unknown>;
  assert.equal(inspected["Digest"], image?.manifest.digest);
  const tags = (inspected["RepoTags"] as string[]).filter((tag) => !tag.startsWith("sha256-"));
  assert.deepEqual(tags.sort(), ["1", "1-boot"]);
  assert.equal((inspected["Labels"] as Record<string, string>)["io.netkiln.build-id"], "0123abcd");
  const container = await containers("buildah", "from", "-q", insecure, `${name}:1`);
  const mounted = await containers("buildah", "mount", container);
  assert.deepEqual((await readdir(join(mounted, "etc"))).sort(), tree);
  await containers("buildah", "umount", container);
  await containers("buildah", "rm", container);
  // Podman shares the storage, so the image goes before it is pulled once more.
  await containers("buildah", "rmi", `${host}/netkiln/compute:1`);
  const pulled = (await containers("podman", "pull", "-q", insecure, `${name}:1`)).trim();
  const merged = (await containers("podman", "image", "mount", pulled)).trim();
  assert.deepEqual((await readdir(join(merged, "etc"))).sort(), tree);
  await containers("podman", "image", "umount", pulled);

  const raw = await containers("skopeo", "inspect", "--raw", insecure, `${name}:1-boot`);
  assert.equal(`sha256:${digestOf(Buffer.from(raw))}`, artifact?.manifest.digest);
  const parsed = JSON.parse(raw) as {
    artifactType: string;
    layers: { digest: string; annotations: Record<string, string> }[];
  };
  assert.equal(parsed.artifactType, "application/vnd.netkiln.boot.v1");
  const copied = join(folder, `copied-${host}`.replace(":", "-"));
  await containers("skopeo", "copy", "-q", "--src-tls-verify=false", `${name}:1-boot`, `dir:${copied}`);
  for (const { digest, annotations } of parsed.layers) {
    const text = await readFile(join(copied, digest.replace("sha256:", "")), "utf8");
    assert.equal(text, `{"${annotations["org.opencontainers.image.title"]}": 1}\n`);
  }
}

test("our image and artifact are what skopeo, buildah and podman take from a registry, after a push of ours", async () => {
  const published = await publish();
  // Small pieces, so that blobs go up in several.
  const repository = { registry: registry.host, name: "netkiln/compute" };
  const target = openRegistry(repository, {}, { pieceSize: 1000 });
  await pushAll(target, published.exported, openBlob);
  await assertPulled(registry.host, { ...published, exported: published.exported });
  assert.deepEqual((await target.tags()).filter((tag) => !tag.startsWith("sha256-")).sort(), ["1", "1-boot"]);
});

test("what refers to an image is listed, by a registry that knows of it and by one that does not", async () => {
  const { exported } = await publish();
  const [image, , referrer] = exported;
  const subject = image?.manifest.digest ?? "";
  const target = openRegistry({ registry: registry.host, name: "netkiln/referred" });
  await pushAll(target, exported, openBlob);
  await pushAll(target, exported, openBlob);
  const [found, ...more] = await target.referrers(subject);
  assert.deepEqual(
    [found?.digest, found?.artifactType, more],
    [referrer?.manifest.digest, "application/spdx+json", []],
  );
  assert.deepEqual(await target.referrers(`sha256:${"0".repeat(64)}`), []);

  const serving = await serve(exported);
  try {
    const ours = openRegistry({ registry: serving.host, name: "netkiln/compute" });
    const [listed] = await ours.referrers(subject);
    assert.deepEqual([listed?.digest, listed?.artifactType], [referrer?.manifest.digest, "application/spdx+json"]);
    await assert.rejects(
      pushAll(ours, [{ manifest: rawManifest(Buffer.from(image?.manifest.bytes ?? ""), "x") }], openBlob),
    );
  } finally {
    await serving.stop();
  }
});

/** Our own endpoint, over what was exported. */
async function serve(exported: readonly Exported[]): Promise<{ host: string; stop: () => Promise<void> }> {
  const find = (reference: string) =>
    exported.find(({ manifest, tag }) => tag === reference || manifest.digest === reference)?.manifest;
  const named = exported.flatMap(({ manifest }) => {
    const { config, layers } = parseManifest(manifest, "it");
    return [config, ...layers];
  });
  const catalog: OciCatalog = {
    tags: async (name) =>
      name === "netkiln/compute" ? exported.flatMap(({ tag }) => (tag === undefined ? [] : [tag])) : undefined,
    manifest: async (_name, reference) => find(reference),
    blob: async (_name, digest) => {
      const found = named.find((descriptor) => descriptor.digest === digest);
      return found && { size: found.size, read: (range) => openBlob(digest, range) };
    },
    referrers: async (_name, digest) =>
      exported.flatMap(({ manifest: { bytes, mediaType, digest: own } }) => {
        const { subject, artifactType = "" } = parseManifest({ bytes }, "it");
        return subject?.digest === digest ? [{ mediaType, digest: own, size: bytes.length, artifactType }] : [];
      }),
  };
  const app = fastify();
  registerOciRegistry(app, catalog);
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return { host: new URL(url).host, stop: () => app.close() };
}

test("our own endpoint serves buildah, podman, skopeo and ourselves", async () => {
  const published = await publish();
  const serving = await serve(published.exported);
  try {
    await assertPulled(serving.host, published);
    const { tree } = await makeTree(`docker://${serving.host}/netkiln/compute:1`);
    assert.deepEqual((await readdir(join(tree, "etc"))).sort(), published.tree);
    const copy = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    const to = `docker://${registry.host}/mirror/compute:1`;
    await containers("skopeo", "copy", "-q", ...copy, `docker://${serving.host}/netkiln/compute:1`, to);
  } finally {
    await serving.stop();
  }
});

test("an export is a layout or an archive that skopeo reads; it is there whole or not at all", async () => {
  const { exported } = await publish();
  const layout = join(folder, "export");
  const [first, second] = [join(folder, "export-1.tar"), join(folder, "export-2.tar")];
  await writeLayout(layout, exported, openBlob);
  await writeLayoutArchive(first, exported, openBlob);
  await writeLayoutArchive(second, exported, openBlob);
  assert.ok((await readFile(first)).equals(await readFile(second)), "the same content is the same archive");
  for (const source of [`oci:${layout}:1`, `oci-archive:${first}:1`]) {
    const { Digest } = JSON.parse(await containers("skopeo", "inspect", source)) as { Digest: string };
    assert.equal(Digest, exported[0]?.manifest.digest);
    await makeTree(source);
  }
  const boot = JSON.parse(await containers("skopeo", "inspect", "--raw", `oci:${layout}:1-boot`)) as {
    layers: object[];
  };
  assert.equal(boot.layers.length, 4);

  const before = (await readdir(folder)).sort();
  await assert.rejects(writeLayout(layout, exported, openBlob), /is there already$/);
  await assert.rejects(writeLayoutArchive(first, exported, openBlob), /is there already$/);
  const damaged = () => Readable.from([Buffer.from("other")]);
  const wrong = /^NetkilnError: blob sha256:[0-9a-f]{64} is not what it should be/;
  await assert.rejects(writeLayout(join(folder, "broken"), exported, damaged), wrong);
  await assert.rejects(writeLayoutArchive(join(folder, "broken.tar"), exported, damaged), wrong);
  const small = join(folder, "small");
  await mkdir(small);
  await tool("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small);
  try {
    const large = await put(Buffer.alloc(200_000, "x"));
    const images = [{ manifest: ociArtifact({ files: [{ title: "rootfs", ...large }], created: 0, buildId: "1" }) }];
    for (const write of [writeLayout, writeLayoutArchive]) {
      await assert.rejects(write(join(small, "full"), images, openBlob), { code: "ENOSPC" });
      assert.deepEqual(await readdir(small), []);
    }
  } finally {
    await tool("umount", small);
    await rm(small, { recursive: true });
  }
  assert.deepEqual((await readdir(folder)).sort(), before, "nothing else is left");
});

test("an upload that breaks off leaves nothing in the registry", async () => {
  const large = await put(Buffer.alloc(300_000, "y"));
  const digest = `sha256:${large.sha256}`;
  const target = openRegistry({ registry: registry.host, name: "site/broken" }, {}, { pieceSize: 100_000 });
  const part = (range?: { start: number; end: number }) => openBlob(digest, range);
  const failing = async function* () {
    yield Buffer.alloc(10);
    throw new NetkilnError("work_failed", "the disk cannot be read");
  };
  const broken: readonly (readonly [RegExp, (range?: { start: number; end: number }) => Readable])[] = [
    [/^the disk cannot be read$/, () => Readable.from(failing())],
    [/: what is to be sent has not the size of 300000 bytes$/, () => Readable.from([Buffer.alloc(10)])],
    [/: what is to be sent has not the size of 300000 bytes$/, () => openBlob(digest)],
    [/^ENOENT: /, () => openBlob(`sha256:${"1".repeat(64)}`)],
  ];
  for (const [message, rest] of broken) {
    const open = (_digest: string, range?: { start: number; end: number }) =>
      (range?.start ?? 0) < 200_000 ? part(range) : rest(range);
    await assert.rejects(target.pushBlob({ digest, size: large.size }, open), { message });
  }
  const wrong = { digest: `sha256:${"0".repeat(64)}`, size: large.size };
  await assert.rejects(
    target.pushBlob(wrong, (_digest, range) => part(range)),
    (error: NetkilnError) => {
      assert.equal(error.code, "work_failed");
      assert.match(
        error.message,
        new RegExp(`^the registry ${registry.host} answers 400 to upload of blob sha256:0+ to`),
      );
      assert.match(error.output.join(), /^DIGEST_INVALID/);
      return true;
    },
  );
  assert.equal(await target.hasBlob(digest), false);
  // What went wrong is in the way of nothing.
  await target.pushBlob({ digest, size: large.size }, (_digest, range) => part(range));
  assert.equal(await target.hasBlob(digest), true);
});
