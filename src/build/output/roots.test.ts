import assert from "node:assert/strict";
import { test } from "node:test";
import { NetkilnError } from "../../lib/errors.ts";
import { chooseModules, type RootKind } from "./roots.ts";

const debian = {
  dracut: true,
  dracutModules: [
    "base",
    "dmsquash-live",
    "iscsi",
    "livenet",
    "nbd",
    "netkiln",
    "network-legacy",
    "network-manager",
    "overlay-root",
    "qemu-net",
  ],
  programs: ["curl", "dhclient", "iscsi-iname", "iscsiadm", "iscsid", "nbd-client"],
  family: "deb",
} as const;
const initrd = { modules: [] as string[], omit: [] as string[], drivers: [] };

const refusal = (tree: Parameters<typeof chooseModules>[0], roots: readonly RootKind[], wanted = initrd) => {
  try {
    chooseModules(tree, wanted, roots);
  } catch (error) {
    assert.ok(error instanceof NetkilnError);
    return `${error.message}: ${error.hint}`;
  }
  return assert.fail("nothing was refused");
};

test("each kind of root brings its modules", () => {
  const always = ["base", "network-legacy", "qemu-net", "livenet", "netkiln"];
  assert.deepEqual(chooseModules(debian, undefined, []), always);
  assert.deepEqual(chooseModules(debian, undefined, ["live"]), [...always, "dmsquash-live"]);
  assert.deepEqual(chooseModules(debian, undefined, ["ram", "live"]), [...always, "dmsquash-live"]);
  assert.deepEqual(chooseModules(debian, undefined, ["iscsi"]), [...always, "iscsi", "dmsquash-live"]);
  assert.deepEqual(chooseModules(debian, undefined, ["nbd"]), [...always, "nbd", "overlay-root"]);
});

test("the network is the one that the tree can do, and the recipe's where it names one", () => {
  const el = { ...debian, dracutModules: debian.dracutModules.filter((name) => name !== "network-legacy") };
  const manager = { ...el, programs: ["curl", "NetworkManager"], family: "rpm" } as const;
  assert.ok(chooseModules(manager, undefined, ["live"]).includes("network-manager"));
  const both = { ...manager, dracutModules: debian.dracutModules };
  assert.ok(chooseModules(both, undefined, ["live"]).includes("network-manager"));
  const asked = chooseModules(debian, { ...initrd, modules: ["network-manager"] }, ["live"]);
  assert.ok(asked.includes("network-manager") && !asked.includes("network-legacy"));
  assert.ok(!chooseModules(debian, { ...initrd, omit: ["qemu-net"] }, []).includes("qemu-net"));
  assert.equal(
    refusal({ ...both, programs: ["curl"] }, ["live"]),
    "the initrd needs a network, and the tree has no dhclient for network-legacy or NetworkManager for network-manager: add dhcp-client to the packages of the recipe",
  );
});

test("what the tree has not is refused with the package that brings it", () => {
  const without = (name: string) => ({ ...debian, programs: debian.programs.filter((other) => other !== name) });
  assert.equal(
    refusal(without("iscsid"), ["iscsi"]),
    "a root of the kind iscsi needs iscsid, which the tree has not: add open-iscsi to the packages of the recipe",
  );
  assert.match(refusal({ ...without("iscsid"), family: "rpm" }, ["iscsi"]), /add iscsi-initiator-utils /);
  assert.match(refusal(without("nbd-client"), ["nbd"]), /needs nbd-client.*add nbd-client /);
  const bare = { ...debian, dracutModules: ["base", "network-legacy"] };
  assert.match(refusal(bare, ["live"]), /no module livenet: a root of the kind live needs it: add dracut-live /);
  assert.match(refusal(debian, [], { ...initrd, modules: ["plymouth"] }), /no module plymouth: the recipe asks for it/);
  assert.match(
    refusal(debian, ["live"], { ...initrd, omit: ["livenet"] }),
    /^initrd\.omit leaves out .* livenet, and /,
  );
  assert.match(refusal({ ...debian, dracut: false }, ["live"]), /^the tree has no dracut.*add dracut /);
});
