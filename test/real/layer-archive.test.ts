/** Archives of layers as the real skopeo, buildah and GNU tar read them, and as overlayfs makes layers; needs root. */
import assert from "node:assert/strict";
import { createWriteStream } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import { archiveLayer, digestLayer } from "../../src/build/tree/archive.ts";
import { runInSandbox } from "../../src/build/sandbox/sandbox.ts";
import { clock } from "../../src/lib/clock.ts";
import { run, type Argv } from "../../src/lib/exec.ts";
import { sha256 } from "../../src/lib/files.ts";

const ociLayer = "application/vnd.oci.image.layer.v1.tar";

describe("an OCI image of two layers", { timeout: 300_000 }, () => {
  let root: string;
  let lower: string;
  let upper: string;
  let storage: Record<string, string>;

  before(async () => {
    // In lower case, as buildah makes an image's name of the path.
    root = join(tmpdir(), `netkiln-archive-${clock.randomHex(6)}`);
    await mkdir(root);
    [lower, upper] = [join(root, "lower"), join(root, "upper")];
    await mkdir(lower, { mode: 0o755 });
    await mkdir(upper, { mode: 0o755 });
    await onTree([], lower, [
      "mkdir -p etc/skel/sub usr/bin var/cache srv/data",
      "echo old > etc/skel/.old; echo old > etc/skel/sub/file; echo gone > etc/issue; echo stays > etc/motd",
      "cp /bin/true usr/bin/ping; setcap cap_net_raw+ep usr/bin/ping; echo x > srv/data/x",
    ]);
    await onTree([lower], upper, [
      "rm etc/issue; rm -r srv/data",
      "rm -r etc/skel; mkdir etc/skel; echo new > etc/skel/.new",
      "mkdir -p opt/new; echo linked > opt/new/one; ln opt/new/one opt/new/two",
      "cp usr/bin/ping usr/bin/raw; chown 4321:100 usr/bin/raw; setcap cap_net_admin+ep usr/bin/raw",
    ]);
    await writeFile(
      join(root, "storage.conf"),
      `[storage]\ndriver = "overlay"\ngraphroot = "${root}/graph"\nrunroot = "${root}/run"\n`,
    );
    storage = { CONTAINERS_STORAGE_CONF: join(root, "storage.conf"), BUILDAH_ISOLATION: "chroot", HOME: root };
    await writeLayout();
  });
  after(async () => {
    await run(["buildah", "unmount", "--all"], { env: storage, okExitCodes: "any" });
    await run(["umount", join(root, "graph/overlay")], { okExitCodes: "any" });
    await rm(root, { recursive: true, force: true });
  });

  /** Runs shell lines in the top folder of a tree, on a real overlayfs where there are layers below. */
  async function onTree(below: readonly string[], changes: string, lines: readonly string[]): Promise<void> {
    const script: Argv = ["/bin/sh", "-euc", ["cd /mnt 2>/dev/null", ...lines].join("\n")];
    if (below.length === 0) {
      await run(["/bin/sh", "-euc", ['cd "$0"', ...lines].join("\n"), changes]);
      return;
    }
    const work = await mkdtemp(join(root, "work-"));
    const empty = join(root, "empty");
    await mkdir(empty, { recursive: true });
    await runInSandbox(
      {
        layers: root,
        lower: [...below, empty],
        changes: { kind: "keep", upper: changes },
        work,
        devices: false,
        network: false,
      },
      { at: "host", argv: script },
      {},
    );
  }

  async function blob(content: string | AsyncIterable<Buffer>): Promise<{ digest: string; size: number }> {
    const part = join(root, "part");
    await pipeline(
      Readable.from(typeof content === "string" ? [Buffer.from(content)] : content),
      createWriteStream(part),
    );
    const bytes = await readFile(part);
    await mkdir(join(root, "oci/blobs/sha256"), { recursive: true });
    await writeFile(join(root, "oci/blobs/sha256", sha256(bytes)), bytes);
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  }

  async function writeLayout(): Promise<void> {
    const layers = [await blob(archiveLayer(lower, [])), await blob(archiveLayer(upper, [lower]))];
    const config = await blob(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) },
      }),
    );
    const manifest = await blob(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
        layers: layers.map((layer) => ({ mediaType: ociLayer, ...layer })),
      }),
    );
    const index = { mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest };
    const named = { ...index, annotations: { "org.opencontainers.image.ref.name": "tree" } };
    await writeFile(join(root, "oci/index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
    await writeFile(join(root, "oci/oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  }

  test("skopeo reads and copies it, with the digests that digestLayer tells", async () => {
    const { stdout } = await run(["skopeo", "inspect", `oci:${root}/oci:tree`], { env: storage });
    const told = [await digestLayer(lower, []), await digestLayer(upper, [lower])];
    assert.deepEqual(
      (JSON.parse(stdout) as { Layers: string[] }).Layers,
      told.map(({ diffId }) => `sha256:${diffId}`),
    );
    await run(["skopeo", "copy", `oci:${root}/oci:tree`, `docker-archive:${root}/copy.tar:tree:1`], { env: storage });
    assert.ok((await lstat(join(root, "copy.tar"))).size > 0);
  });

  test("buildah mounts the tree that overlayfs had: deletions, capabilities, links, owners", async () => {
    const { stdout: container } = await run(["buildah", "from", `oci:${root}/oci:tree`], { env: storage });
    const { stdout } = await run(["buildah", "mount", container.trim()], { env: storage });
    const tree = stdout.trim();
    assert.deepEqual((await readdir(join(tree, "etc"))).sort(), ["motd", "skel"]);
    assert.deepEqual(await readdir(join(tree, "etc/skel")), [".new"], "what was in the folder before is gone");
    assert.deepEqual(await readdir(join(tree, "srv")), []);
    const { stdout: capabilities } = await run(["getcap", join(tree, "usr/bin/ping"), join(tree, "usr/bin/raw")]);
    assert.deepEqual(
      capabilities
        .trim()
        .split("\n")
        .map((line) => line.replace(/^.*\//, "")),
      ["ping cap_net_raw=ep", "raw cap_net_admin=ep"],
    );
    const [one, two, raw] = await Promise.all(
      ["opt/new/one", "opt/new/two", "usr/bin/raw"].map((path) => lstat(join(tree, path))),
    );
    assert.equal(one?.ino, two?.ino, "one file with two names");
    assert.deepEqual([raw?.uid, raw?.gid], [4321, 100]);
  });

  test("GNU tar lists each layer without complaint, and marks only what is gone", async () => {
    const list = async (layer: string, below: readonly string[]) => {
      const file = join(root, "layer.tar");
      await pipeline(Readable.from(archiveLayer(layer, below)), createWriteStream(file));
      const { stdout, stderr } = await run(["tar", "-tvf", file]);
      assert.equal(stderr, "");
      return stdout
        .trim()
        .split("\n")
        .map((line) => line.replace(/^.*\d\d:\d\d /, ""));
    };
    assert.ok((await list(lower, [])).includes("etc/skel/sub/file"));
    assert.deepEqual(await list(upper, [lower]), [
      ...["./", "etc/", "etc/.wh.issue", "etc/skel/", "etc/skel/.wh..wh..opq", "etc/skel/.new"],
      ...["opt/", "opt/new/", "opt/new/one", "opt/new/two link to opt/new/one"],
      ...["srv/", "srv/.wh.data", "usr/", "usr/bin/", "usr/bin/raw"],
    ]);
  });
});
