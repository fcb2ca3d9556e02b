/**
 * "Create a non-SUSE image" as CSM's administrators know it: the base is made outside of netkiln, imported, customised
 * with a configuration and booted. Then imports that cannot become an image.
 */
import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hostAptSources } from "../../src/build/base/apt-sources.ts";
import type { Image, Recipe } from "../../src/image/index.ts";
import type { Node } from "../../src/node/index.ts";
import type { Boot } from "../../src/telemetry/index.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { makeSite, tool, type Site } from "../support/site.ts";

const minutes = 60_000;
const xname = "x1000c0s0b0n0";
const parameters = "console=ttyS0,115200";

/** Of the example's recipe those that the system and its initrd need, and what Ansible needs. */
const packages = [
  ...["linux-image-cloud-amd64", "systemd-sysv", "udev", "kmod", "dbus", "iproute2", "procps"],
  ...["dracut", "dracut-network", "dracut-live", "isc-dhcp-client", "iputils-arping", "zstd", "curl", "python3"],
];

const playbook = `- hosts: Compute
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "customised here\\n", dest: /etc/motd}
`;
const bootprep = `schema_version: 1.0.9
configurations:
  - name: outside
    layers:
      - {name: site, playbook: site.yml, git: {url: ansible, branch: main}}
images:
  - name: outside
    base: {ims: {type: image, name: outside-base}}
    configuration: outside
    configuration_group_names: [Compute]
session_templates:
  - name: outside
    image: {ims: {name: outside}}
    configuration: outside
    bos_parameters: {boot_sets: {compute: {node_roles_groups: [Compute]}}}
`;

let site: Site;
let server: TestServer;
const below = (...path: string[]) => join(site.folder, ...path);
const squashfs = () => below("root.squashfs");

before(async () => {
  site = await makeSite();
  await site.write("bootprep.yaml", bootprep);
  await site.commit({ "site.yml": playbook });
  server = await startServer({ cwd: site.folder });
});
after(async () => {
  await server.cli("nodes", "power", xname, "force-off");
  await server.stop();
  await site.clear();
});

/** What any other tool could have made, in any folder, without a thought of netkiln. */
async function makeRootOutside(): Promise<void> {
  const sources = below("sources.list");
  await writeFile(sources, (await hostAptSources("bookworm", ["main"])).map((line) => `${line}\n`).join(""));
  await tool(
    ...(["env", "INITRD=No", "mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase"] as const),
    ...["--quiet", `--include=${packages.join(",")}`, "--dpkgopt=force-unsafe-io"],
    ...["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"].map((path) => `--dpkgopt=path-exclude=${path}`),
    ...["bookworm", below("root"), sources],
  );
  await pack(below("root"), squashfs());
}

async function pack(root: string, file: string): Promise<void> {
  const fast = ["-comp", "zstd", "-Xcompression-level", "1", "-quiet", "-no-progress"];
  await tool("mksquashfs", root, file, ...fast, "-e", "dev", "proc", "run", "sys");
}

const importImage = (name: string, rootfs: string, ...options: string[]) =>
  server.cli("images", "import", "-f", "--name", name, "--rootfs", rootfs, ...options);
const image = (name: string) => server.json<Image>("images", "describe", name);
const blob = (sha256: string) => join(server.data, "blobs/sha256", sha256.slice(0, 2), sha256);
const inRootfs = ({ artifacts }: Image, path: string) =>
  tool("unsquashfs", "-cat", blob(artifacts.rootfs?.sha256 ?? ""), path);

test("an image that was built outside, from its import to a booted node", { timeout: 15 * minutes }, async (t) => {
  await makeRootOutside();

  await t.test("it is imported, and kernel and initrd are made from its tree", async () => {
    const { exitCode, stdout, stderr } = await importImage(
      "outside-base",
      squashfs(),
      "--kernel-parameters",
      parameters,
    );
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    const base = await image("outside-base");
    assert.ok(stdout.endsWith(`image outside-base: done (${base.id})\n`), stdout);
    const kernel = (await readdir(below("root/boot"))).find((name) => name.startsWith("vmlinuz-")) ?? "";
    assert.deepEqual(
      await readFile(blob(base.artifacts.kernel?.sha256 ?? "")),
      await readFile(below("root/boot", kernel)),
    );
    assert.ok(base.artifacts.initrd !== undefined);
    const recipe = await server.json<Recipe>("recipes", "describe", "import-outside-base");
    assert.deepEqual(base.recipe, { name: recipe.name, digest: recipe.digest });
  });

  await t.test("a bootprep file customises it by its name", async () => {
    const { exitCode, stdout, stderr } = await server.cli("bootprep", "run", "bootprep.yaml");
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    const made = await image("outside");
    assert.match(stdout, /session template outside: done\n$/);
    assert.equal(await inRootfs(made, "etc/motd"), "customised here\n");
    assert.match(await inRootfs(made, "etc/netkiln/image-release"), new RegExp(`^BUILD_ID="${made.buildId}"$`, "m"));
    assert.deepEqual(
      made.commits.map(({ playbook: name }) => name),
      ["site.yml"],
    );
    assert.equal(made.kernelParameters, parameters);
  });

  await t.test("a node boots it and is verified", async () => {
    // QEMU's emulation can stall for a minute when every process has other addresses.
    const calm = ["--power", "virtual", "--kernel-parameters", "norandmaps"];
    await server.cli("nodes", "add", xname, "--nid", "1", "--mac", "52:54:00:00:00:01", ...calm);
    const booted = await server.cli("sessions", "create", "-t", "outside", "--limit", "nid000001", "--wait");
    assert.equal(booted.exitCode, 0, `${booted.stdout}\n${booted.stderr}`);
    assert.equal((await server.json<Node>("nodes", "describe", "nid000001")).state, "Ready");
    const { body } = await server.http("GET", `/apis/netkiln/v1/boots?node=${xname}&limit=1`);
    const [boot] = (JSON.parse(body) as { items: Boot[] }).items;
    const ready = boot?.phases.at(-1);
    assert.equal(ready?.phase, "ready");
    assert.equal(ready?.detail["buildId"], (await image("outside")).buildId);
    assert.equal(ready?.detail["state"], "running", "no unit failed");
    const console = await readFile(join(server.data, "nodes", xname, "console.log"), "utf8");
    assert.match(console, /netkiln: root image verified, sha256 [0-9a-f]{64}/);
    await server.cli("nodes", "power", xname, "force-off");
  });

  await t.test("it comes out the same when it is built again", { timeout: 5 * minutes }, async () => {
    const { exitCode, stdout, stderr } = await server.cli("images", "verify", "outside");
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  });

  await t.test("importing again makes nothing again, and takes what is new", async () => {
    const { id, buildId } = await image("outside-base");
    const again = await importImage("outside-base", squashfs(), "--kernel-parameters", parameters);
    assert.match(
      again.stdout,
      new RegExp(`root\\.squashfs: .* there already .*\nimage outside-base: unchanged \\(${id}\\)`),
    );
    const { exitCode, stdout, stderr } = await importImage("outside-base", squashfs(), "--kernel-parameters", "quiet");
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(stdout, /: running/);
    const changed = await image("outside-base");
    assert.deepEqual([changed.kernelParameters, changed.buildId], ["quiet", buildId]);
  });

  await t.test("boot files that came with it are published as they are", async () => {
    const { artifacts } = await image("outside-base");
    const [kernel, initrd] = [blob(artifacts.kernel?.sha256 ?? ""), below("initrd")];
    // Zeros before an archive mean nothing, but are another file.
    await writeFile(initrd, Buffer.concat([Buffer.alloc(512), await readFile(blob(artifacts.initrd?.sha256 ?? ""))]));
    const { exitCode, stderr } = await importImage("given", squashfs(), "--kernel", kernel, "--initrd", initrd);
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
    const given = await image("given");
    assert.deepEqual(await readFile(blob(given.artifacts.initrd?.sha256 ?? "")), await readFile(initrd));
    assert.equal(given.artifacts.kernel?.sha256, artifacts.kernel?.sha256);
    const onTop = await server.cli("builds", "start", "-f", "on-given", "--image", "given");
    assert.equal(onTop.exitCode, 0, onTop.stderr);
    const own = await image("on-given");
    assert.equal(own.artifacts.initrd?.sha256, artifacts.initrd?.sha256, "it is the one of the tree");
  });

  await t.test("what cannot become an image is refused, and says what to do", { timeout: 5 * minutes }, async (t2) => {
    const fails = async (rootfs: string, code: number, words: RegExp, ...options: string[]) => {
      const { exitCode, stderr } = await importImage("refused", rootfs, ...options);
      assert.match(stderr, words);
      assert.equal(exitCode, code, stderr);
      const left = await server.json<Image[]>("images", "list");
      assert.ok(left.every(({ name }) => name !== "refused"));
    };
    const { artifacts } = await image("outside-base");
    const kernel = blob(artifacts.kernel?.sha256 ?? "");

    await t2.test("a tree without a kernel, or one that was packed without /boot", async () => {
      const root = below("bare");
      for (const path of ["etc", "usr/bin"]) await mkdir(join(root, path), { recursive: true });
      await pack(root, below("bare.squashfs"));
      await fails(
        below("bare.squashfs"),
        1,
        /the tree has no kernel: \/usr\/lib\/modules is empty\nhint: .*install one before the tree is packed/,
      );
      await mkdir(join(root, "usr/lib/modules/6.1.0-9"), { recursive: true });
      await tool("tar", "-C", root, "-czf", below("bare.tar.gz"), ".");
      await fails(below("bare.tar.gz"), 1, /modules of 6\.1\.0-9, but no kernel: .*\nhint: .*pack \/boot too/);
    });

    await t2.test("archives that were cut off", async () => {
      await cp(squashfs(), below("cut.squashfs"));
      await truncate(below("cut.squashfs"), 20 << 20);
      await fails(
        below("cut.squashfs"),
        2,
        /the squashfs is truncated: 20971520 bytes are there of \d+\nhint: copy it/,
      );
      await tool("tar", "-C", below("root/usr"), "-czf", below("cut.tar.gz"), "bin");
      await truncate(below("cut.tar.gz"), 1 << 20);
      await fails(below("cut.tar.gz"), 2, /the archive is truncated: gzip cannot unpack all of it\nhint: copy it/);
    });

    await t2.test("a kernel and an initrd that do not belong together", async () => {
      const other = below("other");
      await mkdir(join(other, "usr/lib/modules/5.14.0-1.el9.x86_64/kernel"), { recursive: true });
      await tool(
        "bash",
        "-ec",
        'cd "$1"; find . | cpio --quiet -o -H newc | gzip -1 >"$2"',
        "test",
        other,
        below("el9"),
      );
      const both = ["--kernel", kernel, "--initrd"];
      await fails(
        squashfs(),
        2,
        /the initrd does not fit: the kernel is 6\.1\.0-\S+-cloud-amd64, and it has modules of 5\.14\.0-1\.el9\.x86_64\nhint: /,
        ...[...both, below("el9")],
      );
      await fails(squashfs(), 2, /the initrd cannot be read: /, ...both, kernel);
      await fails(squashfs(), 2, /the kernel is none for x86_64: /, "--kernel", below("el9"), "--initrd", below("el9"));
      await fails(squashfs(), 2, /a kernel belongs to one initrd, and none is given\nhint: /, "--kernel", kernel);
    });
  });
});
