/**
 * An initrd of a real Debian tree, and when it is good for another tree; needs root. The tree is made once, and each
 * test lays a layer of its own over it.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { hostAptSources } from "../../src/build/base/apt-sources.ts";
import { stageRelease } from "../../src/build/layer/release.ts";
import { makeInitrd, type InitrdOptions, type MadeInitrd } from "../../src/build/output/initrd.ts";
import { takeKernel } from "../../src/build/output/kernel.ts";
import { firstDifference, type Observed } from "../../src/build/output/observed.ts";
import { newestKernel, survey } from "../../src/build/output/survey.ts";
import { runInSandbox, type Sandbox } from "../../src/build/sandbox/sandbox.ts";
import { listLayer } from "../../src/build/tree/listing.ts";
import { viewLayers, type ListedLayer } from "../../src/build/tree/view.ts";
import { digestFile } from "../../src/lib/files.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

const epoch = 1_750_000_000;
const packages = [
  ...["linux-image-cloud-amd64", "dracut", "dracut-network", "dracut-live", "isc-dhcp-client", "iputils-arping"],
  ...["zstd", "curl", "systemd", "udev", "kmod", "iproute2", "procps"],
];
let folder: string;
let made: MadeInitrd;
let observed: Observed;
let base: ListedLayer;

async function listed(layer: string): Promise<ListedLayer> {
  return { folder: layer, entries: await listLayer(layer) };
}

const tree = () => sandboxOf("tree");

function sandboxOf(...layers: string[]): Sandbox {
  const nothing = { changes: { kind: "none" }, devices: false, network: false } as const;
  return { layers: folder, lower: [...layers, "empty"], work: join(folder, "work"), ...nothing };
}

const kernel = async () => newestKernel(await survey(viewLayers([base]), []));

/** Lays one layer over the tree, says what changed, and takes it away. */
async function changeBy(fill: (layer: string) => Promise<unknown>): Promise<string | undefined> {
  const layer = join(folder, "change");
  await mkdir(layer);
  try {
    await fill(layer);
    return firstDifference(viewLayers([await listed(layer), base]), observed);
  } finally {
    await rm(layer, { recursive: true });
  }
}

const put =
  (path: string, content: string | Buffer, time = epoch) =>
  async (layer: string) => {
    const file = join(layer, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await utimes(file, time, time);
  };

const make = (drivers: string[], options: InitrdOptions, modules: string[] = []) =>
  makeInitrd(viewLayers([base]), tree(), { initrd: { modules, omit: [], drivers }, epoch }, options, {
    onLine: () => undefined,
  });

before(async () => {
  folder = await makeFolder();
  for (const name of ["empty", "work"]) await mkdir(join(folder, name));
  const sources = join(folder, "build.list");
  await writeFile(sources, (await hostAptSources("bookworm", ["main"])).map((line) => `${line}\n`).join(""));
  await tool(
    "env",
    ...["INITRD=No", `SOURCE_DATE_EPOCH=${epoch}`, "mmdebstrap", "--mode=root", "--format=directory"],
    ...["--variant=minbase", "--quiet", `--include=${packages.join(",")}`, "--dpkgopt=force-unsafe-io"],
    ...["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"].map((path) => `--dpkgopt=path-exclude=${path}`),
    ...["bookworm", join(folder, "tree"), sources],
  );
  await stageRelease({ name: "test", buildId: "0", commits: [], epoch }, join(folder, "tree"));
  base = await listed(join(folder, "tree"));
  made = await make(["virtio_net", "virtio-pci", "overlay"], { roots: ["live"], traced: true });
  if (made.observed === undefined) assert.fail("the trace leaves no doubt");
  observed = made.observed;
});
after(() => rm(folder, { recursive: true, force: true }));

test("the kernel comes out of the tree", async () => {
  const file = await takeKernel(viewLayers([base]), join(folder, "work"));
  assert.deepEqual(readFileSync(file), readFileSync(join(folder, "tree", (await kernel()).image)));
});

test("the tree's own lsinitrd finds in the initrd what the check has found", async () => {
  await mkdir(join(folder, "work/exchange"), { recursive: true });
  const { stdout } = await runInSandbox(
    { ...tree(), devices: true, changes: { kind: "scratch" } },
    { at: "tree", argv: ["lsinitrd", "/run/netkiln/initrd"] },
    {},
  );
  const { version } = await kernel();
  for (const name of [`usr/lib/modules/${version}/kernel/drivers/net/virtio_net.ko`, "usr/lib/netkiln-lib.sh"]) {
    assert.ok(stdout.includes(name), name);
  }
});

test("the same tree is the same wherever dracut looked, and it looked at much", async () => {
  assert.equal(firstDifference(viewLayers([base]), observed), undefined);
  assert.ok(Object.keys(observed.places).length > 1000);
  assert.ok("/etc/modprobe.d" in observed.folders);
});

test("what dracut did not look at makes no difference", async () => {
  assert.equal(await changeBy(put("etc/slurm/slurm.conf", "changed")), undefined);
});

const read = "usr/lib/dracut/modules.d/99base/init.sh";

test("the time alone of a file that dracut read makes a difference", async () => {
  const content = () => readFileSync(join(folder, "tree", read));
  const same = async (layer: string) => {
    await put(read, content())(layer);
    await tool("chmod", `--reference=${join(folder, "tree", read)}`, join(layer, read));
    await tool("touch", `--reference=${join(folder, "tree", read)}`, join(layer, read));
  };
  assert.equal(await changeBy(same), undefined);
  const touched = async (layer: string) => {
    await same(layer);
    await tool("touch", "-d", "2001-01-01", join(layer, read));
  };
  assert.equal(await changeBy(touched), `/${read} changed (its time)`);
});

test("a new file in a folder that dracut listed makes a difference", async () => {
  const told = await changeBy(put("etc/modprobe.d/site.conf", "options loop max_loop=8\n"));
  assert.equal(told, "/etc/modprobe.d/site.conf is new");
});

test("a file that dracut looked for in vain makes a difference", async () => {
  const absent = Object.entries(observed.places).find(
    ([path, place]) => place.kind === "absent" && /^\/etc\/[^/]+$/.test(path) && !(dirname(path) in observed.folders),
  )?.[0];
  if (absent === undefined) return assert.fail("it looked for nothing in vain in /etc");
  assert.equal(await changeBy(put(absent, "here")), `${absent} is new`);
});

test("a whiteout makes a difference, and so does an opaque folder", async () => {
  const removed = async (layer: string) => {
    await mkdir(join(layer, dirname(read)), { recursive: true });
    await tool("mknod", join(layer, read), "c", "0", "0");
  };
  assert.equal(await changeBy(removed), `/${read} is gone`);
  const opaque = async (layer: string) => {
    await mkdir(join(layer, "usr/lib/modprobe.d"), { recursive: true });
    await tool("setfattr", "-n", "trusted.overlay.opaque", "-v", "y", join(layer, "usr/lib/modprobe.d"));
  };
  assert.match((await changeBy(opaque)) ?? "", /^\/usr\/lib\/modprobe\.d\/\S+ is gone$/);
});

test("tracing does not change the initrd, and without it there is nothing to compare", async () => {
  const before = await digestFile(made.file);
  const untraced = await make(["virtio_net", "virtio-pci", "overlay"], { roots: ["live"], traced: false });
  assert.equal((await digestFile(untraced.file)).sha256, before.sha256);
  assert.equal(untraced.observed, undefined);
});

test("a driver that the kernel does not have is refused, one that is built in is not", async () => {
  const { version } = await kernel();
  const builtIn = readFileSync(join(folder, "tree/usr/lib/modules", version, "modules.builtin"), "utf8");
  const name = /([^/]+)\.ko$/m.exec(builtIn)?.[1] ?? "";
  await assert.rejects(
    make([name, "virtio_nett"], { roots: ["live"], traced: false }),
    new RegExp(`the kernel ${version} does not have what initrd.drivers names: virtio_nett \\(there is virtio_net`),
  );
});

test("roots and modules whose tools are not in the tree are refused with the package to add", async () => {
  const refused = async (making: Promise<unknown>) => {
    const error = await making.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof NetkilnError);
    return `${error.message}: ${error.hint}`;
  };
  assert.equal(
    await refused(make([], { roots: ["live", "iscsi"], traced: false })),
    "a root of the kind iscsi needs iscsiadm, which the tree has not: add open-iscsi to the packages of the recipe",
  );
  assert.equal(
    await refused(make([], { roots: ["live"], traced: false }, ["nbd"])),
    "dracut refused its module nbd: the tree has no nbd-client: add nbd-client to the packages of the recipe",
  );
});
