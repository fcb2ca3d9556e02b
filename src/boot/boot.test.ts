import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openRevision } from "../lib/revision.ts";
import { migrations as nodeMigrations, openNodeFinder, openNodeStore, parseNode } from "../node/index.ts";
import { resolveBoot } from "./resolve.ts";
import { bootScript, chainScript, openScriptForms, waitScript } from "./script.ts";
import { openBootEntries } from "./store.ts";
import { migrations } from "./tables.ts";

const xname = "x1000c0s0b0n0";
const mac = "52:54:00:00:00:01";

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const nodes = openNodeStore(db);
  await nodes.put(parseNode({ xname, nid: 1, interfaces: [{ mac }] }));
  return { inventory: nodes, nodes: openNodeFinder(db), entries: openBootEntries(db), revision: openRevision(db) };
}

const names = (part: { hosts?: readonly string[]; macs?: readonly string[]; nids?: readonly number[] }) => ({
  hosts: [],
  macs: [],
  nids: [],
  ...part,
});
const parameters = (kernel: string, part: { params?: string; initrd?: string } = {}) => ({
  kernel,
  params: "",
  initrd: "",
  cloudInit: undefined,
  ...part,
});
const isCode = (code: string) => (error: unknown) => error instanceof NetkilnError && error.code === code;

test("a node gets its own entry before those of its MAC address, nid, role and Default", async () => {
  const stores = await open();
  const steps = [
    [{ hosts: ["Default"] }, /those of Default/],
    [{ hosts: ["Compute"] }, /those of the role Compute/],
    [{ nids: [1] }, /those of its nid 1/],
    [{ macs: [mac] }, /those of its MAC address 52:54/],
    [{ hosts: ["nid000001"] }, /its alias nid000001/],
    [{ hosts: [xname] }, /x1000c0s0b0n0 gets its own boot parameters/],
  ] as const;
  for (const [index, [where, because]] of steps.entries()) {
    await stores.entries.put(names(where), parameters(`http://k/${index}`));
    for (const query of [{ mac: "52-54-00-00-00-01" }, { name: xname }, { nid: 1 }]) {
      const resolution = resolveBoot(stores, query);
      assert.equal(resolution.entry?.kernel, `http://k/${index}`);
      assert.match(resolution.because, because);
    }
  }
});

test("an entry without a kernel is passed over, and said so", async () => {
  const stores = await open();
  assert.match(resolveBoot(stores, { nid: 1 }).because, /there are no boot parameters for x1000c0s0b0n0/);
  await stores.entries.put(names({ hosts: [xname] }), parameters(""));
  await stores.entries.put(names({ hosts: ["Default"] }), parameters("http://k"));
  const resolution = resolveBoot(stores, { nid: 1 });
  assert.equal(resolution.entry?.name, "Default");
  assert.match(resolution.because, /its own boot parameters name no kernel/);
  const unknown = resolveBoot(stores, { mac: "52:54:00:00:00:99" });
  assert.deepEqual([unknown.node, unknown.entry], [undefined, undefined]);
  assert.match(unknown.because, /52:54:00:00:00:99 is no node/);
});

test("entries are created once, replaced with a new token, changed with the old one, and removed", async () => {
  const { entries } = await open();
  const token = await entries.create(names({ hosts: [xname] }), parameters("http://k", { params: "quiet" }));
  await assert.rejects(entries.create(names({ hosts: [xname] }), parameters("http://k")), isCode("conflict"));
  await entries.patch(names({ hosts: [xname] }), { params: "debug" });
  const changed = await entries.get("host", xname);
  assert.deepEqual([changed?.kernel, changed?.params, changed?.referralToken], ["http://k", "debug", token]);
  assert.notEqual(await entries.put(names({ hosts: [xname] }), parameters("http://k2")), token);
  await assert.rejects(entries.remove(names({ hosts: [xname, "other"] })), isCode("not_found"));
  assert.equal((await entries.list()).length, 1);
  await entries.remove(names({ hosts: [xname] }));
  assert.deepEqual(await entries.list(), []);
  await assert.rejects(entries.patch(names({ hosts: [xname] }), {}), isCode("not_found"));
  await assert.rejects(entries.put(names({}), parameters("http://k")), isCode("invalid_input"));
});

test("a value that would break out of its line of the script is refused", async () => {
  const { entries } = await open();
  const bad = [
    parameters("http://k", { params: "quiet\nshell" }),
    parameters("http://k", { params: "quiet\r" }),
    parameters("http://k", { params: "quiet || shell" }),
    parameters("http://k", { params: "quiet ; shell" }),
    parameters("http://k", { params: "quiet #" }),
    parameters("http://k evil"),
    parameters("http://k", { initrd: "http://i\u0000" }),
  ];
  for (const value of bad) {
    await assert.rejects(entries.put(names({ hosts: [xname] }), value), isCode("invalid_input"), JSON.stringify(value));
  }
  assert.deepEqual(await entries.list(), []);
});

const door = "10.0.2.2:8080";

test("the script is that of the Boot Script Service, with links that the node can fetch", async () => {
  const { nodes } = await open();
  const node = nodes.find(xname);
  assert.ok(node);
  const entry = {
    kind: "host" as const,
    name: xname,
    params: "console=ttyS0  root=live:s3://boot-images/img/rootfs nmd_data=url=s3://boot-images/img/rootfs",
    kernel: "s3://boot-images/img/kernel",
    initrd: "s3://boot-images/img/initrd",
    cloudInit: undefined,
    referralToken: "token-1",
  };
  assert.equal(
    bootScript({ door, asked: { mac }, retry: 0, node, entry, bootId: "b00t" }),
    `#!ipxe
kernel --name kernel http://10.0.2.2:8080/boot-images/img/kernel?boot=b00t initrd=initrd console=ttyS0 root=live:http://10.0.2.2:8080/boot-images/img/rootfs?boot=b00t nmd_data=url=s3://boot-images/img/rootfs xname=x1000c0s0b0n0 nid=1 bss_referral_token=token-1 BOOTIF=01-52-54-00-00-00-01 ds=nocloud-net;s=http://10.0.2.2:8080/ netkiln.report=http://10.0.2.2:8080/netkiln/v1/boots/b00t || goto boot_retry
initrd --name initrd http://10.0.2.2:8080/boot-images/img/initrd?boot=b00t || goto boot_retry
imgstat || echo Could not show image information.
boot || goto boot_retry
:boot_retry
sleep 30
chain http://10.0.2.2:8080/boot/v1/bootscript?mac=52:54:00:00:00:01&retry=1
`,
  );
  const own = {
    ...entry,
    params: "xname=a nid=b bss_referral_token=c BOOTIF=e ds=d",
    initrd: "",
    kernel: "http://k/vmlinuz",
  };
  assert.equal(
    bootScript({ door, asked: { nid: 1 }, retry: 4, node, entry: own, bootId: undefined }),
    `#!ipxe
kernel --name kernel http://k/vmlinuz xname=a nid=b bss_referral_token=c BOOTIF=e ds=d || goto boot_retry
imgstat || echo Could not show image information.
boot || goto boot_retry
:boot_retry
sleep 30
chain http://10.0.2.2:8080/boot/v1/bootscript?nid=1&retry=5
`,
  );
});

test("scripts whose text is made once for many nodes and fetches are the same as those made for each", async () => {
  const { nodes } = await open();
  const node = nodes.find(xname);
  assert.ok(node);
  const entry = {
    ...{ kind: "host" as const, name: xname, cloudInit: undefined, referralToken: "t" },
    ...{ kernel: "s3://boot-images/img/kernel", initrd: "s3://boot-images/img/initrd" },
    params: "root=live:s3://boot-images/img/rootfs ds=nocloud-net;s=http://gw/${NETKILN_SEED} a=$& b=$1",
  };
  const second = { ...node, xname: "x1000c0s1b0n0", nid: 2, interfaces: [{ mac: "52:54:00:00:00:02" }] };
  const forms = openScriptForms({ entry });
  for (const content of [
    { asked: { mac }, node, entry },
    { asked: { name: second.xname }, node: second, entry: { ...entry, name: second.xname, referralToken: "other" } },
    { asked: { nid: 2 }, node: { ...second, interfaces: [] }, entry },
    { asked: { nid: 2 }, node: { ...second, kernelParameters: "own=1 nid=no" }, entry },
    { asked: { mac }, node, entry, path: "/apis/bss/boot/v1/bootscript" as const },
    { asked: { mac }, node: undefined, entry },
  ]) {
    const form = forms(content, content);
    for (const retry of [0, 41]) {
      for (const [bootId, token] of [
        [undefined, undefined] as const,
        ["b00t", undefined] as const,
        ["b", "t-1"] as const,
      ]) {
        const fetched = { door, retry, bootId, token };
        assert.equal(form(fetched), bootScript({ ...content, ...fetched }));
      }
    }
    assert.throws(() => form({ door: "a b", retry: 0, bootId: "b" }), isCode("invalid_input"));
  }
});

test("what is written last under any name of a node is what it boots, and stands as it was written", async () => {
  const stores = await open();
  const { entries } = stores;
  await entries.put(names({ hosts: [xname] }), parameters("http://k/session"));
  await assert.rejects(entries.create(names({ macs: [mac] }), parameters("http://k")), isCode("conflict"));
  await entries.put(names({ macs: ["52-54-00-00-00-01".toUpperCase()] }), parameters("http://k/mac"));
  assert.equal(resolveBoot(stores, { name: xname }).entry?.kernel, "http://k/mac");
  assert.deepEqual(
    (await entries.list()).map(({ kind, name }) => [kind, name]),
    [["mac", mac]],
  );
  await entries.patch(names({ nids: [1] }), { params: "quiet" });
  assert.deepEqual(
    [(await entries.get("host", xname))?.params, (await entries.get("nid", "1"))?.kind],
    ["quiet", "mac"],
  );
  assert.equal((await entries.find(names({ hosts: [xname], macs: [mac], nids: [1] }))).length, 1);
  await entries.remove(names({ hosts: ["nid000001"] }));
  assert.deepEqual(await entries.list(), []);
});

test("names that no node and no role can have are refused together, and nothing is written", async () => {
  const { entries } = await open();
  const bad = names({ hosts: ["x1000c0s0b0", "a b", "Compute"], macs: ["52:54"], nids: [-1] });
  await assert.rejects(
    entries.put(bad, parameters("http://k")),
    (error: unknown) => error instanceof NetkilnError && error.problems.length === 4 && error.code === "invalid_input",
  );
  assert.deepEqual(await entries.list(), []);
  await entries.put(names({ hosts: ["X1000C0S0B0N0", "Unknown-x86_64", "Global"] }), parameters("http://k"));
  assert.deepEqual(
    (await entries.list()).map(({ name }) => name),
    ["Global", "Unknown-x86_64", xname],
  );
});

test("cloud-init's data are kept whole, and a patch merges them", async () => {
  const { entries } = await open();
  const cloudInit = { "meta-data": { a: { b: 1, c: 2 } }, "phone-home": { fqdn: "old", hostname: "h" } };
  await entries.put(names({ hosts: [xname] }), { ...parameters("http://k"), cloudInit });
  const change = { "meta-data": { a: { b: null, d: 3 } }, "user-data": { x: 1 }, "phone-home": { fqdn: "" } };
  await entries.patch(names({ hosts: [xname] }), { cloudInit: change });
  const merged = { "meta-data": { a: { c: 2, d: 3 } }, "user-data": { x: 1 }, "phone-home": cloudInit["phone-home"] };
  assert.deepEqual((await entries.get("host", xname))?.cloudInit, merged);
  await entries.patch(names({ hosts: [xname] }), { cloudInit: { "phone-home": { fqdn: "new" } } });
  assert.deepEqual((await entries.get("host", xname))?.cloudInit, { ...merged, "phone-home": { fqdn: "new" } });
});

test("what is in no script changes no script: cloud-init's data, and the same once more", async () => {
  const { entries, revision } = await open();
  const own = names({ hosts: [xname] });
  await entries.put(own, parameters("http://k", { params: "quiet" }));
  let last = revision();
  const grew = () => last < (last = revision());
  await entries.patch(own, { cloudInit: { "phone-home": { fqdn: "n" } } });
  await entries.patch(own, { params: "quiet" });
  assert.ok(!grew());
  for (const change of [{ params: "debug" }, { kernel: "http://l" }, { initrd: "http://i" }]) {
    await entries.patch(own, change);
    assert.ok(grew(), JSON.stringify(change));
  }
});

test("nodes that are not known, disabled or without parameters get those for unknown ones, by architecture", async () => {
  const stores = await open();
  const { entries, inventory } = stores;
  const stranger = { mac: "52:54:00:00:00:99" };
  assert.equal(resolveBoot(stores, stranger).asksArch, false);
  await entries.put(names({ hosts: ["Unknown-x86_64"] }), parameters("http://k/discover"));
  assert.deepEqual([resolveBoot(stores, stranger).asksArch, resolveBoot(stores, stranger).entry], [true, undefined]);
  const known = resolveBoot(stores, { ...stranger, arch: "x86_64" });
  assert.deepEqual([known.entry?.kernel, known.unknown], ["http://k/discover", true]);
  assert.match(known.because, /is no node of the inventory; it gets those of Unknown-x86_64/);
  assert.match(resolveBoot(stores, { ...stranger, arch: "arm64" }).because, /, and none for Unknown-arm64/);
  assert.equal(resolveBoot(stores, { name: xname }).asksArch, true);
  await entries.put(names({ hosts: ["Default"] }), parameters("http://k/default"));
  assert.equal(resolveBoot(stores, { name: xname }).entry?.kernel, "http://k/default");
  await inventory.put(parseNode({ xname, nid: 1, enabled: false, interfaces: [{ mac }] }));
  assert.equal(resolveBoot(stores, { name: xname, arch: "x86_64" }).entry?.kernel, "http://k/discover");
  assert.equal(resolveBoot(stores, { name: xname, arch: "arm64" }).entry?.kernel, "http://k/default");
  await entries.remove(names({ hosts: ["Unknown-x86_64"] }));
  assert.equal(resolveBoot(stores, { name: xname, arch: "x86_64" }).entry?.kernel, "http://k/default");
});

test("a role that is blocked gets what was said for the node or the role, and nothing else", async () => {
  const stores = await open();
  await stores.entries.put(names({ hosts: ["Default"] }), parameters("http://k/default"));
  const blocked = () => resolveBoot(stores, { name: xname }, ["compute"]);
  assert.match(blocked().because, /the role Compute is blocked/);
  await stores.entries.put(names({ hosts: ["Compute"] }), parameters("http://k/role"));
  assert.equal(blocked().entry?.kernel, "http://k/role");
});

test("a script for CSM chains to CSM's path, drops a join token, and takes along what goes with the kernel", async () => {
  const { nodes } = await open();
  const node = nodes.find(xname);
  assert.ok(node);
  const entry = {
    ...{ kind: "host" as const, name: xname, cloudInit: undefined, referralToken: "t" },
    ...{ kernel: "http://k", initrd: "http://i" },
    params: "initrd=old spire_join_token=${SPIRE_JOIN_TOKEN} metal.server=s3:///boot-images/img/rootfs quiet",
  };
  const path = "/apis/bss/boot/v1/bootscript" as const;
  const parts = { door, asked: { mac }, path, retry: 0, retryDelay: 5, node, entry, fileParams: ["from=kernel"] };
  const text = bootScript({ ...parts, bootId: undefined });
  const line = `initrd=initrd metal.server=http://${door}/boot-images/img/rootfs quiet from=kernel xname=${xname} nid=1`;
  assert.ok(
    text.includes(`kernel --name kernel http://k ${line} bss_referral_token=t ds=nocloud-net;s=http://${door}/ ||`),
  );
  assert.ok(text.endsWith(`sleep 5\nchain http://${door}${path}?mac=${mac}&retry=1\n`));
  const stranger = bootScript({ ...parts, node: undefined, bootId: undefined });
  assert.doesNotMatch(stranger, /xname=|nid=|token/);
  assert.ok(stranger.endsWith("&arch=${buildarch}&retry=1\n"));
});

test("a node that is not known is told so, and nothing that it says becomes a command", () => {
  const asked = { name: "x\n|| shell ${net0/ip}" };
  const script = waitScript({ door, asked, retry: 2, because: `${asked.name} is no node` });
  assert.deepEqual(script.split("\n"), [
    "#!ipxe",
    "echo netkiln: x??? shell ?{net0/ip} is no node",
    "echo netkiln: asking again in 30 seconds, try 3",
    "sleep 30",
    "chain http://10.0.2.2:8080/boot/v1/bootscript?name=x%0A%7C%7C%20shell%20%24%7Bnet0%2Fip%7D&retry=3",
    "",
  ]);
});

test("the first script names the node by its MAC address, and a false host gets none", () => {
  assert.match(
    chainScript(door),
    /^chain http:\/\/10\.0\.2\.2:8080\/boot\/v1\/bootscript\?mac=\$\{mac\}&arch=\$\{buildarch\} \|\|/m,
  );
  assert.match(chainScript("[fd00::1]:80"), /http:\/\/\[fd00::1\]:80\//);
  for (const host of ["", "a b", "a\nshell", "a/b", "user@host"]) {
    assert.throws(() => chainScript(host), isCode("invalid_input"), host);
  }
});
