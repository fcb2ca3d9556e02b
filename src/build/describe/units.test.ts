import assert from "node:assert/strict";
import { test } from "node:test";
import { openTree } from "../../../test/support/tree-reader.ts";
import { plantTree, type Planted } from "../../lib/plant-tree.ts";
import { readUnits } from "./units.ts";

const install = "[Install]\nWantedBy=multi-user.target\n";
const lib = "usr/lib/systemd/system";
const etc = "etc/systemd/system";

const tree: Record<string, Planted> = {
  [`${lib}/on.service`]: install,
  [`${etc}/multi-user.target.wants/on.service`]: { link: `/${lib}/on.service` },
  [`${lib}/off.service`]: install,
  [`${lib}/other.service`]: install,
  [`${lib}/brought.service`]: "[Service]\n",
  [`${lib}/sysinit.target.wants/brought.service`]: { link: "../brought.service" },
  [`${lib}/masked.service`]: install,
  [`${etc}/masked.service`]: { link: "/dev/null" },
  [`${lib}/getty@.service`]: "[Install]\nWantedBy=getty.target\n",
  [`${etc}/getty.target.requires/getty@tty1.service`]: { link: `/${lib}/getty@.service` },
  [`${etc}/multi-user.target.wants/gone.service`]: { link: `/${lib}/gone.service` },
  "etc/init.d/README": "",
  "etc/init.d/legacy": "#!/bin/sh\n",
  "etc/rc5.d/S01legacy": { link: "../init.d/legacy" },
  "etc/machine-id": "",
};
const read = async (root: string) =>
  (await readUnits(await openTree(root))).map(({ name, state, wantedBy, preset }) =>
    [name, state, ...wantedBy, ...(preset === undefined ? [] : ["preset"])].join(" "),
  );

const expected = [
  "brought.service static sysinit.target",
  "getty@.service indirect",
  "getty@tty1.service enabled getty.target",
  "gone.service not-found multi-user.target",
  "legacy.service enabled",
  "masked.service masked",
  "off.service disabled",
  "on.service enabled multi-user.target",
  "other.service disabled",
];

test("units, instances and init scripts, with their states and who wants them", async (t) => {
  assert.deepEqual(await read(plantTree(t, tree)), expected);
});

test("presets count where the first boot applies them, and the first rule that fits decides", async (t) => {
  const presets = {
    "usr/lib/systemd/system-preset/90-default.preset": "# all\nenable *\n",
    "usr/lib/systemd/system-preset/50-site.preset": "enable off.service\n",
    "etc/systemd/system-preset/50-site.preset": "disable off*\n",
  };
  const firstBoot = { ...tree, ...presets, "etc/machine-id": "uninitialized\n" };
  const withPreset = expected.map((line) => (line === "other.service disabled" ? `${line} preset` : line));
  assert.deepEqual(await read(plantTree(t, firstBoot)), withPreset);
  assert.deepEqual(await read(plantTree(t, { ...tree, ...presets })), expected);
});

test("a tree without systemd has no units", async (t) => {
  assert.deepEqual(await read(plantTree(t, { "etc/x": "" })), []);
});
