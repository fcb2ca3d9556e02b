import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../lib/exec.ts";
import { plantTree, type Planted } from "../../lib/plant-tree.ts";
import { openTree } from "../../../test/support/tree-reader.ts";
import { resolveService, unitState, type UnitState } from "./service.ts";
import { parseInstall } from "./unit-file.ts";

const lib = "usr/lib/systemd/system";
const etc = "etc/systemd/system";
const plain = "[Service]\nExecStart=/bin/true\n";
const wanted = `${plain}[Install]\nWantedBy=multi-user.target\n`;

const tree: Readonly<Record<string, Planted>> = {
  lib: { link: "usr/lib" },
  [`${lib}/enabled.service`]: wanted,
  [`${etc}/multi-user.target.wants/enabled.service`]: { link: `/${lib}/enabled.service` },
  [`${lib}/by-lib-path.service`]: wanted,
  [`${etc}/multi-user.target.wants/by-lib-path.service`]: {
    link: "/lib/systemd/system/by-lib-path.service",
  },
  [`${lib}/required.service`]: `${plain}[Install]\nRequiredBy=a.target\n`,
  [`${etc}/a.target.requires/required.service`]: { link: `/${lib}/required.service` },
  [`${lib}/disabled.service`]: wanted,
  [`${lib}/static.service`]: plain,
  [`${lib}/multi-user.target.wants/vendor.service`]: { link: "../vendor.service" },
  [`${lib}/vendor.service`]: plain,
  [`${lib}/vendor-wanted.service`]: wanted,
  [`${lib}/multi-user.target.wants/vendor-wanted.service`]: { link: "../vendor-wanted.service" },
  [`${lib}/runtime.service`]: wanted,
  [`run/systemd/system/multi-user.target.wants/runtime.service`]: {
    link: `/${lib}/runtime.service`,
  },
  [`${lib}/masked.service`]: wanted,
  [`${etc}/masked.service`]: { link: "/dev/null" },
  [`${etc}/multi-user.target.wants/masked.service`]: { link: `/${lib}/masked.service` },
  [`${lib}/masked-empty.service`]: "",
  [`${lib}/masked-runtime.service`]: wanted,
  "run/systemd/system/masked-runtime.service": { link: "/dev/null" },
  [`${lib}/aliased.service`]: `${plain}[Install]\nAlias=other.service\n`,
  [`${etc}/other.service`]: { link: `/${lib}/aliased.service` },
  [`${lib}/vendor-alias.service`]: { link: "static.service" },
  [`${lib}/known-elsewhere.service`]: wanted,
  [`${etc}/strange-name.service`]: { link: `/${lib}/known-elsewhere.service` },
  [`${lib}/also.service`]: `${plain}[Install]\nAlso=enabled.service\n`,
  [`${lib}/by-drop-in.service`]: plain,
  [`${etc}/by-drop-in.service.d/install.conf`]: "[Install]\nWantedBy=multi-user.target\n",
  [`${lib}/cleared.service`]: `${wanted}WantedBy=\n`,
  [`${etc}/own.service`]: wanted,
  [`${etc}/multi-user.target.wants/own.service`]: { link: "../own.service" },
  [`${lib}/own.service`]: wanted,
  [`${etc}/linked.service`]: { link: "/opt/linked.service" },
  "opt/linked.service": wanted,
  [`${etc}/dangling.service`]: { link: "/opt/nowhere.service" },
  [`${lib}/getty@.service`]: `${plain}[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n`,
  [`${etc}/getty.target.wants/getty@tty1.service`]: { link: `/${lib}/getty@.service` },
  [`${lib}/autovt@.service`]: { link: "getty@.service" },
  [`${lib}/serial@.service`]: `${plain}[Install]\nWantedBy=getty.target\n`,
  [`${etc}/getty.target.wants/serial@ttyS0.service`]: { link: `/${lib}/serial@.service` },
  [`${lib}/vendor@.service`]: plain,
  [`${lib}/multi-user.target.wants/vendor@one.service`]: { link: "../vendor@.service" },
  [`${lib}/vendor-install@.service`]: `${plain}[Install]\nWantedBy=multi-user.target\n`,
  [`${lib}/multi-user.target.wants/vendor-install@one.service`]: { link: "../vendor-install@.service" },
  [`${lib}/copied@.service`]: plain,
  [`${etc}/copied@one.service`]: { link: `/${lib}/copied@.service` },
  [`${etc}/above.service`]: plain,
  [`${lib}/below.service`]: plain,
  "run/systemd/system/above.service": { link: `/${lib}/below.service` },
  "run/systemd/generator/generated.service": plain,
  [`${lib}/some.timer`]: "[Timer]\n[Install]\nWantedBy=timers.target\n",
  [`${etc}/timers.target.wants/some.timer`]: { link: `/${lib}/some.timer` },
  [`${lib}/continued.service`]: `${plain}[Install]\n# a comment\nWantedBy=a.target \\\n  b.target\n`,
  "etc/init.d/script": "#!/bin/sh\n",
  "etc/rc5.d/S01script": { link: "../init.d/script" },
  "etc/init.d/script-off": "#!/bin/sh\n",
  "etc/rc5.d/K01script-off": { link: "../init.d/script-off" },
};

const states: Readonly<Record<string, UnitState>> = {
  "enabled.service": "enabled",
  "by-lib-path.service": "enabled",
  "required.service": "enabled",
  "disabled.service": "disabled",
  "static.service": "static",
  "vendor.service": "static",
  "vendor-wanted.service": "disabled",
  "runtime.service": "enabled-runtime",
  "masked.service": "masked",
  "masked-empty.service": "masked",
  "masked-runtime.service": "masked-runtime",
  "aliased.service": "enabled",
  "other.service": "alias",
  "vendor-alias.service": "alias",
  "known-elsewhere.service": "indirect",
  "strange-name.service": "alias",
  "also.service": "indirect",
  "by-drop-in.service": "disabled",
  "cleared.service": "static",
  "own.service": "enabled",
  "linked.service": "linked",
  "dangling.service": "not-found",
  "getty@.service": "enabled",
  "getty@tty1.service": "enabled",
  "getty@tty2.service": "disabled",
  "autovt@.service": "alias",
  "autovt@tty1.service": "enabled",
  "serial@.service": "indirect",
  "serial@ttyS0.service": "enabled",
  "vendor@one.service": "static",
  "vendor-install@one.service": "static",
  "copied@one.service": "enabled",
  "above.service": "static",
  "below.service": "indirect",
  "generated.service": "generated",
  "some.timer": "enabled",
  "continued.service": "disabled",
  "missing.service": "not-found",
};

test("the state of a unit is worked out from links and [Install]", async (context) => {
  const reader = await openTree(plantTree(context, tree));
  const found = await Promise.all(Object.keys(states).map(async (name) => [name, await unitState(reader, name)]));
  assert.deepEqual(Object.fromEntries(found), states);
});

test("systemctl --root says the same about every unit", async (context) => {
  const root = plantTree(context, tree);
  const reader = await openTree(root);
  for (const name of Object.keys(states)) {
    const { stdout, exitCode } = await run(["systemctl", `--root=${root}`, "is-enabled", name], {
      okExitCodes: "any",
    });
    const state = await unitState(reader, name);
    assert.equal(stdout.trim() === "" ? "not-found" : stdout.trim(), state, name);
    const fact = await resolveService(reader, name).enabled();
    assert.deepEqual(fact, { state: "value", value: exitCode === 0, note: `${name} is ${state}` });
  }
});

test("init scripts are enabled by their start links", async (context) => {
  const reader = await openTree(plantTree(context, tree));
  assert.equal(await unitState(reader, "script.service"), "enabled");
  assert.equal(await unitState(reader, "script-off.service"), "disabled");
});

test("a name without a suffix is that of a service, and only enablement can be told from a tree", async (context) => {
  const reader = await openTree(plantTree(context, tree));
  const { enabled, running, runlevels } = resolveService(reader, "enabled");
  assert.deepEqual(await enabled(), {
    state: "value",
    value: true,
    note: "enabled.service is enabled",
  });
  assert.equal((await running()).state, "deferred");
  assert.equal((await runlevels()).state, "deferred");
});

test("a tree without an init system, a path as a name and a circle of links are errors", async (context) => {
  const bare = await openTree(plantTree(context, { "etc/hostname": "n" }));
  await assert.rejects(unitState(bare, "ssh.service"), /neither systemd units nor init scripts/);
  await assert.rejects(unitState(bare, "../ssh.service"), /is not the name of a unit/);
  const circle = await openTree(
    plantTree(context, {
      [`${etc}/a.service`]: { link: "b.service" },
      [`${etc}/b.service`]: { link: "a.service" },
    }),
  );
  await assert.rejects(unitState(circle, "a.service"), /too many/);
});

test("the [Install] section is read over drop-ins, and other sections are left alone", () => {
  assert.deepEqual(
    parseInstall(["[Unit]\nAlias=no\n[Install]\nAlias=a b\nDefaultInstance=x\n", "[Install]\nAlias=c\n;Alias=d\n"]),
    {
      aliases: ["a", "b", "c"],
      wantedBy: [],
      requiredBy: [],
      also: [],
      defaultInstance: "x",
    },
  );
});
