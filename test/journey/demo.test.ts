/** The main job on real input, as a newcomer does it: the demo twice, and then boots that go wrong. */
import assert from "node:assert/strict";
import { chmod, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Image } from "../../src/image/index.ts";
import type { Node } from "../../src/node/index.ts";
import type { Boot } from "../../src/telemetry/index.ts";
import { assertNothingLeft, makeFolder, runCli, startServer, waitUntil, type TestServer } from "../support/server.ts";

const minutes = 60_000;
const data = await makeFolder();
const template = "compute-1.0.0";
const xname = "x1000c0s0b0n0";
after(() => rm(data, { recursive: true }));

const demo = () => runCli(["demo", "--data", data]);

test("the demo builds an image and boots a node with it", { timeout: 15 * minutes }, async () => {
  const { exitCode, stdout, stderr } = await demo();
  assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /layer slurm\.yml: done in/);
  assert.match(stdout, /verdict {2}passed: \d+ checks passed, 0 failed/);
  assert.match(stdout, /digest {3}sha256:[0-9a-f]{64}/);
  assert.match(stdout, /nid000001 Ready\n$/);
  await assertNothingLeft(data);
});

test("a second demo reuses everything and boots again", { timeout: 10 * minutes }, async () => {
  const { exitCode, stdout, stderr } = await demo();
  assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /recipe compute-debian12: unchanged/);
  assert.match(stdout, /image compute-1\.0\.0: unchanged/);
  assert.doesNotMatch(stdout, /: running|: done/);
  assert.match(stdout, /nid000001 Ready\n$/);
});

test("boots that go wrong", { timeout: 15 * minutes }, async (t) => {
  let server: TestServer;
  let image: Image;
  before(async () => {
    server = await startServer({ data });
    image = await server.json<Image>("images", "describe", template);
  });
  after(async () => {
    await server.cli("nodes", "power", xname, "force-off");
    await server.stop();
  });
  const boot = (...options: string[]) =>
    server.cli("sessions", "create", "-t", template, "--limit", "nid000001", "--wait", ...options);
  const latest = async () => {
    const { body } = await server.http("GET", `/apis/netkiln/v1/boots?node=${xname}&limit=1`);
    const [found] = (JSON.parse(body) as { items: Boot[] }).items;
    assert.ok(found);
    return found;
  };

  await t.test("the timeline of the demo's boot is kept, in order, with the image that was given", async () => {
    const { phases, imageId, expectedBuildId } = await latest();
    assert.deepEqual(
      phases.map(({ phase }) => phase),
      ["power", "script", "kernel", "initrd", "root", "userspace", "ready"],
    );
    const times = phases.map(({ time }) => time);
    assert.deepEqual(times, times.toSorted());
    assert.equal(imageId, image.id);
    assert.equal(phases.at(-1)?.detail["buildId"], expectedBuildId);
    assert.equal(phases.at(-1)?.detail["state"], "running", "no unit failed");
    const { stdout } = await server.cli("nodes", "boots", "nid000001");
    assert.match(stdout, /^AFTER +PHASE +SEEN BY +DETAIL$/m);
    assert.match(stdout, /s +ready +node/);
  });

  await t.test("a node that never reports fails the session after the wait that the options name", async () => {
    const { exitCode, stderr } = await boot("--max-boot-wait", "3");
    assert.equal(exitCode, 1);
    assert.match(stderr, /x1000c0s0b0n0 did not report within 3 s; the last thing seen was: /);
    await server.cli("nodes", "power", xname, "force-off");
  });

  await t.test("a session of BOS, as CSM's handbook has cray make it", async () => {
    const ask = async <T>(method: string, path: string, status: number, body?: unknown) => {
      const content = body === undefined ? undefined : { type: "application/json", body: JSON.stringify(body) };
      const answer = await server.http(method, path, content);
      assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
      return (answer.body === "" ? undefined : JSON.parse(answer.body)) as T;
    };
    const node = "x3000c0s19b4n0";
    const added = await server.cli(
      "nodes",
      "add",
      node,
      "--nid",
      "2",
      "--mac",
      "52:54:00:00:00:02",
      "--power",
      "simulated",
    );
    assert.equal(added.exitCode, 0, added.stderr);
    const root = `s3://boot-images/${image.id}/rootfs`;
    const etag = image.artifacts.manifest.md5;
    const kernelParameters = `ip=dhcp quiet spire_join_token=\${SPIRE_JOIN_TOKEN} root=live:${root} nmd_data=url=${root},etag=${etag}`;
    const compute = {
      ...{ kernel_parameters: kernelParameters, node_roles_groups: ["Compute"], etag, arch: "X86", type: "s3" },
      path: `s3://boot-images/${image.id}/manifest.json`,
    };
    await ask("PUT", "/apis/bos/v2/sessiontemplates/bos_ims_remote_node", 200, { boot_sets: { compute } });
    const wanted = { template_name: "bos_ims_remote_node", operation: "boot", limit: node };
    const { name } = await ask<{ name: string }>("POST", "/apis/bos/v2/sessions", 201, wanted);
    const session = () =>
      ask<{ status: { status: string }; components: string }>("GET", `/apis/bos/v2/sessions/${name}`, 200);
    await waitUntil(30, async () => (await session()).status.status === "running");
    assert.equal((await session()).components, node);
    const parameters = `/apis/bss/boot/v1/bootparameters?name=${node}`;
    await waitUntil(30, async () => (await server.http("GET", parameters)).status === 200);
    const [entry] = await ask<{ kernel: string; params: string }[]>("GET", parameters, 200);
    assert.equal(entry?.kernel, `s3://boot-images/${image.id}/kernel`);
    const power = `/apis/power-control/v1/power-status?xname=${node}`;
    const state = async () =>
      (await ask<{ status: { powerState: string }[] }>("GET", power, 200)).status[0]?.powerState;
    await waitUntil(30, async () => (await state()) === "on");
    await ask("DELETE", `/apis/bos/v2/sessions/${name}`, 204);
  });

  await t.test("a locked node is left alone", async () => {
    await server.cli("nodes", "lock", xname);
    const { exitCode, stderr } = await boot();
    assert.equal(exitCode, 1);
    assert.match(stderr, /No nodes were found to act upon\..*locked/);
    await server.cli("nodes", "unlock", xname);
  });

  await t.test("a root image with a wrong byte is refused by the node", { timeout: 5 * minutes }, async () => {
    const { rootfs } = image.artifacts;
    assert.ok(rootfs !== undefined);
    const { sha256, size } = rootfs;
    const path = join(data, "blobs/sha256", sha256.slice(0, 2), sha256);
    await chmod(path, 0o644);
    const file = await open(path, "r+");
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 4096);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, size - 4096);
    await file.close();
    const { exitCode, stderr } = await boot("--max-boot-wait", "240");
    assert.equal(exitCode, 1);
    assert.match(stderr, new RegExp(`x1000c0s0b0n0.* root image has sha256 [0-9a-f]{64}, expected ${sha256}`));
    const node = await server.json<Node>("nodes", "describe", "nid000001");
    assert.notEqual(node.state, "Ready");
  });
});
