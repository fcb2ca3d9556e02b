import assert from "node:assert/strict";
import { test } from "node:test";
import { imageDiff, type DescribedImage } from "./diff.ts";
import { isUnitEnabled, parseInventory, privilegesOf, type Inventory, type InventoryFile } from "./inventory.ts";

const empty: Inventory = {
  version: 1,
  os: { id: "debian", name: "Debian" },
  databases: ["dpkg"],
  packages: [],
  unread: [],
  files: [],
  units: [],
  sysctl: {},
  size: 0,
};
const image = (
  inventory: Partial<Inventory>,
  artifacts: DescribedImage["artifacts"] = {},
  id = "aaaa",
): DescribedImage => ({ name: "compute", id, inventory: { ...empty, ...inventory }, artifacts });
const diff = (a: Partial<Inventory>, b: Partial<Inventory>) => imageDiff(image(a), image(b));

const file = (path: string, more: Partial<InventoryFile> = {}): InventoryFile => ({
  path,
  kind: "file",
  mode: "0644",
  uid: 0,
  gid: 0,
  size: 1,
  sha256: "a",
  ...more,
});

test("an image does not differ from itself", () => {
  const inventory = { files: [file("/a", { attributes: { "user.x": "0x00" } })], sysctl: { a: "1" }, size: 1 };
  assert.deepEqual(diff(inventory, structuredClone(inventory)), {
    from: { name: "compute", id: "aaaa" },
    to: { name: "compute", id: "aaaa" },
    packages: { added: [], removed: [], changed: [] },
    files: { added: [], removed: [], changed: [] },
    units: [],
    sysctl: [],
    privileges: [],
    sizes: [{ name: "tree", from: 1, to: 1, same: true }],
  });
});

test("packages: one version for another is a change; of several versions each is told", () => {
  const deb = (name: string, version: string, arch = "amd64") => ({ kind: "deb", name, version, arch }) as const;
  const { packages } = diff(
    {
      packages: [deb("bash", "1"), deb("kernel", "1"), deb("kernel", "2"), deb("libc6", "1", "i386"), deb("old", "1")],
    },
    { packages: [deb("bash", "2"), deb("kernel", "2"), deb("kernel", "3"), deb("libc6", "1"), deb("new", "1")] },
  );
  assert.deepEqual(packages.changed, [
    { kind: "deb", name: "bash", arch: "amd64", from: "1", to: "2" },
    { kind: "deb", name: "kernel", arch: "amd64", from: "1", to: "3" },
  ]);
  assert.deepEqual(packages.added, [deb("libc6", "1"), deb("new", "1")]);
  assert.deepEqual(packages.removed, [deb("libc6", "1", "i386"), deb("old", "1")]);
  const more = diff(
    { packages: [deb("kernel", "1")] },
    { packages: [deb("kernel", "2"), deb("kernel", "3")] },
  ).packages;
  assert.deepEqual(more, {
    changed: [],
    removed: [deb("kernel", "1")],
    added: [deb("kernel", "2"), deb("kernel", "3")],
  });
});

const aspects: [what: string, from: Partial<InventoryFile>, to: Partial<InventoryFile>, told: string[]][] = [
  ["content", { sha256: "a" }, { sha256: "b" }, ["content"]],
  ["mode and owner", { mode: "0644" }, { mode: "4755", gid: 5 }, ["mode", "owner"]],
  ["a link's target", { kind: "symlink", target: "a" }, { kind: "symlink", target: "b" }, ["link"]],
  ["a file that becomes a link", {}, { kind: "symlink", sha256: undefined, target: "b" }, ["kind"]],
  ["capabilities", {}, { capabilities: "cap_net_raw=ep" }, ["capabilities"]],
  ["an access control list", { attributes: { "system.posix_acl_access": "0x01" } }, {}, ["attributes"]],
  ["a device", { kind: "block-device", device: "8:0" }, { kind: "block-device", device: "8:1" }, ["device"]],
  ["size alone is content's business", { size: 1 }, { size: 2 }, []],
];
for (const [what, from, to, told] of aspects) {
  test(`files: ${what}`, () => {
    const { files } = diff({ files: [file("/x", from)] }, { files: [file("/x", to)] });
    assert.deepEqual(
      files.changed.flatMap((change) => change.aspects),
      told,
    );
    assert.equal(files.added.length + files.removed.length, 0);
  });
}

test("packages: of two copies in different places one can go", () => {
  const copy = (path: string) => ({ kind: "npm", name: "x", version: "1", path }) as const;
  const { packages } = diff({ packages: [copy("/a"), copy("/b")] }, { packages: [copy("/b")] });
  assert.deepEqual(packages, { added: [], removed: [{ kind: "npm", name: "x", version: "1" }], changed: [] });
});

test("files that came and went are in order, and make the tree another one", () => {
  const { files, sizes } = diff({ files: [file("/b"), file("/c")] }, { files: [file("/c"), file("/d"), file("/a")] });
  assert.deepEqual(
    files.added.map(({ path }) => path),
    ["/a", "/d"],
  );
  assert.deepEqual(
    files.removed.map(({ path }) => path),
    ["/b"],
  );
  assert.equal(sizes[0]?.same, false);
});

test("units: what a node starts, and what else is said about it", () => {
  const unit = (name: string, state: string, ...wantedBy: string[]) => ({ name, state, wantedBy });
  const { units } = diff(
    {
      units: [
        unit("a.service", "disabled"),
        unit("b.service", "enabled", "multi-user.target"),
        unit("c.service", "enabled", "multi-user.target"),
        unit("d.service", "static"),
        unit("e.service", "disabled"),
        unit("f.service", "enabled", "multi-user.target"),
      ],
    },
    {
      units: [
        unit("a.service", "enabled", "multi-user.target"),
        unit("b.service", "masked", "multi-user.target"),
        unit("c.service", "enabled", "graphical.target"),
        unit("d.service", "static"),
        unit("e.service", "masked"),
        unit("g.service", "static", "sysinit.target"),
        unit("h.service", "static"),
      ],
    },
  );
  assert.deepEqual(
    units.map(({ name, change }) => `${name} ${change}`),
    [
      "a.service enabled",
      "b.service disabled",
      "c.service changed",
      "e.service changed",
      "f.service disabled",
      "g.service enabled",
    ],
  );
});

test("a preset enables a unit where the first boot applies it; a mask is above everything", () => {
  const unit = { name: "a.service", state: "disabled", wantedBy: [] };
  assert.equal(isUnitEnabled(unit), false);
  assert.equal(isUnitEnabled({ ...unit, preset: "enable" }), true);
  assert.equal(isUnitEnabled({ ...unit, state: "masked-runtime", wantedBy: ["x.target"], preset: "enable" }), false);
  assert.equal(isUnitEnabled({ ...unit, state: "not-found", wantedBy: ["x.target"] }), false);
});

test("kernel parameters: set, changed, no longer set", () => {
  const { sysctl } = diff({ sysctl: { a: "1", b: "1", c: "1" } }, { sysctl: { b: "1", c: "2", d: "1" } });
  assert.deepEqual(sysctl, [
    { name: "a", from: "1" },
    { name: "c", from: "1", to: "2" },
    { name: "d", to: "1" },
  ]);
});

test("privileges: setuid, setgid and capabilities of programs, not the bits of folders", () => {
  assert.equal(privilegesOf(file("/x", { mode: "6755", gid: 42 })), "setuid 0 setgid 42");
  assert.equal(privilegesOf(file("/x", { mode: "2644" })), undefined);
  assert.equal(privilegesOf(file("/x", { mode: "2755", kind: "directory" })), undefined);
  const { privileges } = diff(
    {
      files: [
        file("/a", { mode: "4755" }),
        file("/b", { capabilities: "cap_net_raw=ep" }),
        file("/same", { mode: "4755" }),
      ],
    },
    {
      files: [
        file("/a", { mode: "4755", uid: 7 }),
        file("/new", { mode: "4755" }),
        file("/same", { mode: "4755", sha256: "b" }),
      ],
    },
  );
  assert.deepEqual(privileges, [
    { name: "/a", from: "setuid 0", to: "setuid 7" },
    { name: "/b", from: "cap_net_raw=ep" },
    { name: "/new", to: "setuid 0" },
  ]);
});

test("sizes: each artifact but the manifest, whose digest always differs", () => {
  const digests = (size: number) => ({ sha256: String(size), md5: "", size });
  const from = image({ size: 5 }, { rootfs: digests(1), kernel: digests(2), manifest: digests(3) });
  const to = image({ size: 6 }, { rootfs: digests(4), kernel: digests(2), manifest: digests(5), verity: digests(7) });
  assert.deepEqual(imageDiff(from, to).sizes, [
    { name: "tree", from: 5, to: 6, same: true },
    { name: "rootfs", from: 1, to: 4, same: false },
    { name: "kernel", from: 2, to: 2, same: true },
    { name: "verity", to: 7, same: false },
  ]);
});

test("an inventory survives its file, and one of another form is refused", () => {
  const whole: Inventory = { ...empty, files: [file("/a")], units: [{ name: "a", state: "static", wantedBy: [] }] };
  assert.deepEqual(parseInventory(JSON.stringify(whole), "inventory.json"), whole);
  assert.throws(() => parseInventory(JSON.stringify(whole).slice(0, -1), "inventory.json"), /only a part of it/);
  assert.throws(
    () => parseInventory(JSON.stringify({ ...whole, version: 2 }), "inventory.json"),
    /inventory\.json is not valid/,
  );
});
