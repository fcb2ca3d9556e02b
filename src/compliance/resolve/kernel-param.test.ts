import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../lib/exec.ts";
import { plantTree } from "../../lib/plant-tree.ts";
import { openTree } from "../../../test/support/tree-reader.ts";
import { normaliseKey, readSettings, resolveKernelParam } from "./kernel-param.ts";

type Entries = Parameters<typeof plantTree>[1];

async function valueOf(context: Parameters<typeof plantTree>[0], entries: Entries, name: string): Promise<unknown> {
  const settings = await readSettings(await openTree(plantTree(context, entries)));
  const fact = await resolveKernelParam(settings, name).value();
  assert.equal(fact.state === "deferred" || fact.predicted, true);
  return fact.state === "value" ? fact.value : undefined;
}

test("the file with the last name wins, whatever its folder", async (context) => {
  const entries = { "etc/sysctl.d/10-a.conf": "a.b = 1", "usr/lib/sysctl.d/50-b.conf": "a.b = 2" };
  assert.equal(await valueOf(context, entries, "a.b"), "2");
});

test("of files with one name only the first folder's is read", async (context) => {
  const entries = {
    "etc/sysctl.d/50-a.conf": "other = 1",
    "run/sysctl.d/50-a.conf": "a.b = 2",
    "run/sysctl.d/60-a.conf": "a.b = 3",
    "usr/local/lib/sysctl.d/60-a.conf": "a.b = 4",
    "usr/lib/sysctl.d/40-a.conf": "a.b = 5",
  };
  assert.equal(await valueOf(context, entries, "a.b"), "3");
});

test("a link to /dev/null and an empty file switch a file off", async (context) => {
  const vendor = { "usr/lib/sysctl.d/50-a.conf": "a.b = 1" };
  assert.equal(await valueOf(context, vendor, "a.b"), "1");
  assert.equal(
    await valueOf(context, { ...vendor, "etc/sysctl.d/50-a.conf": { link: "/dev/null" } }, "a.b"),
    undefined,
  );
  assert.equal(await valueOf(context, { ...vendor, "etc/sysctl.d/50-a.conf": "" }, "a.b"), undefined);
});

test("/etc/sysctl.conf counts only where a link brings it in, as on Debian", async (context) => {
  const file = { "etc/sysctl.conf": "a.b = 1", "etc/sysctl.d/50-a.conf": "a.b = 2" };
  assert.equal(await valueOf(context, file, "a.b"), "2");
  assert.equal(
    await valueOf(context, { ...file, "etc/sysctl.d/99-sysctl.conf": { link: "../sysctl.conf" } }, "a.b"),
    "1",
  );
});

test("other files in the folders are not read", async (context) => {
  const entries = {
    "etc/sysctl.d/a.conf.bak": "a.b = 1",
    "etc/sysctl.d/.a.conf": "a.b = 2",
    "etc/sysctl.d/b.conf/x": "a.b=3",
  };
  assert.equal(await valueOf(context, entries, "a.b"), undefined);
});

test("assignments, comments, the leading dash and lines that are none", async (context) => {
  const text = "# a.b = 0\n; a.b = 0\n\n  -a.b=  1 2 \nnonsense\nc.d = x = y\n a/c = z\n";
  const entries = { "etc/sysctl.d/a.conf": text };
  assert.equal(await valueOf(context, entries, "a.b"), "1\t2");
  assert.equal(await valueOf(context, entries, "c.d"), "x = y");
  assert.equal(await valueOf(context, entries, "a.c"), "z");
  assert.equal(await valueOf(context, entries, "nonsense"), undefined);
});

test("dots and slashes are two ways to write a key", async (context) => {
  assert.equal(normaliseKey("net.ipv4.conf.eth0/1.rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
  assert.equal(normaliseKey("net/ipv4/conf/eth0.1/rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
  const entries = { "etc/sysctl.d/a.conf": "net/ipv4/conf/eth0.1/rp_filter = 2" };
  assert.equal(await valueOf(context, entries, "net.ipv4.conf.eth0/1.rp_filter"), "2");
});

test("a glob sets what no other line names exactly", async (context) => {
  const key = "net.ipv4.conf.eth0.rp_filter";
  const glob = "net.ipv4.conf.*.rp_filter";
  const file = (text: string) => ({ "etc/sysctl.d/a.conf": text });
  assert.equal(await valueOf(context, file(`${glob} = 2`), key), "2");
  assert.equal(await valueOf(context, file(`${glob} = 2`), "net.ipv4.conf.a.b.rp_filter"), undefined);
  assert.equal(await valueOf(context, file(`${key} = 1\n${glob} = 2`), key), "1");
  assert.equal(await valueOf(context, file(`${glob} = 2\nnet.ipv4.conf.eth?.rp_filter = 0`), key), "0");
  const inner = "net.ipv4.conf.eth*.rp_filter";
  assert.equal(await valueOf(context, file(`${glob} = 2\n${inner} = 0\n${glob} = 1`), key), "1");
  assert.equal(await valueOf(context, file(`${glob} = 2\n${inner} = 0\n${glob} = 2`), key), "0");
  assert.equal(await valueOf(context, file(`${glob} = 2\n-${key}`), key), undefined);
  assert.equal(await valueOf(context, file(`${glob} = 2\n-${key}\n${key} = 1`), key), "1");
});

test("what nothing sets has no value, and the message says so", async (context) => {
  const settings = await readSettings(await openTree(plantTree(context, { "etc/hostname": "n" })));
  const fact = await resolveKernelParam(settings, "a.b").value();
  assert.ok(fact.state === "absent");
  assert.match(fact.message, /^nothing in the tree sets a\.b \(looked in \/etc\/sysctl\.d, /);
});

test("a row of numbers is shown as the kernel prints it, a text as it is written", async (context) => {
  const entries = {
    "etc/sysctl.d/a.conf": "net.ipv4.tcp_rmem = 4096 87380   6291456\nkernel.core_pattern = |/bin/dump %P  %u",
  };
  assert.equal(await valueOf(context, entries, "net.ipv4.tcp_rmem"), "4096\t87380\t6291456");
  assert.equal(await valueOf(context, entries, "kernel.core_pattern"), "|/bin/dump %P  %u");
});

test("systemd reads the same files in the same order", async (context) => {
  const names = ["etc/sysctl.d/50-a", "run/sysctl.d/50-a", "usr/lib/sysctl.d/60-b", "usr/local/lib/sysctl.d/60-b"];
  const more = ["usr/lib/sysctl.d/10-z", "run/sysctl.d/99-c", "etc/sysctl.d/Upper", "usr/lib/sysctl.d/70-off"];
  const entries: Record<string, Entries[string]> = {};
  for (const name of [...names, ...more]) entries[`${name}.conf`] = `${name.replaceAll(/[/.]/g, "_")} = 1\n`;
  entries["etc/sysctl.d/70-off.conf"] = { link: "/dev/null" };
  entries["etc/sysctl.conf"] = "last = 1";
  entries["etc/sysctl.d/99-sysctl.conf"] = { link: "../sysctl.conf" };
  entries["etc/sysctl.d/ignored.txt"] = "ignored = 1";
  const root = plantTree(context, entries);
  const { stdout } = await run(["systemd-analyze", `--root=${root}`, "cat-config", "sysctl.d"]);
  const theirs = [...stdout.matchAll(/^(\S+) = 1$/gm)].map(([, key]) => key);
  const ours = [...(await readSettings(await openTree(root))).keys()];
  assert.equal(ours.length, 6);
  assert.deepEqual(ours, theirs);
});
