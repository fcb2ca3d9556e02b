/**
 * An image's life after it was published, through the real command line and server; needs root. The tests of this file
 * go on from one another.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { GcReport, GcRun, StoreStatus } from "../../src/artifact/index.ts";
import type { Channel, ChannelMove } from "../../src/image/index.ts";
import type { Event } from "../../src/telemetry/index.ts";
import { preparedData } from "../support/prepared.ts";
import { send } from "../support/send.ts";
import { startServer, waitUntil, type TestServer } from "../support/server.ts";
import { bootprep, makeSite, recipe, type Site } from "../support/site.ts";
import type { Image } from "../support/answers.ts";

/** So that what a test stores counts as old when the next one begins. */
const graceHours = 0.0003;
const graceMs = graceHours * 3_600_000 + 500;

const withTemplate = `${bootprep}session_templates:
  - name: nodes
    image: {ims: {name: node}}
    configuration: node-config
    bos_parameters: {boot_sets: {compute: {node_roles_groups: [Compute]}}}
`;

let site: Site;
let server: TestServer;
const images: Image[] = [];
let environment: Record<string, string>;

before(async () => {
  site = await makeSite();
  await site.write("config.yaml", `retention: {grace_hours: ${graceHours}}\n`);
  environment = { NETKILN_CONFIG: join(site.folder, "config.yaml") };
  await site.write("plain/recipe.yaml", recipe.replace("name: tiny", "name: plain").replace(/checks: .*\n/, ""));
  await site.write("plain/files/etc/motd", "tiny\n");
  const data = await preparedData();
  server = await startServer({ data, cwd: site.folder, environment, args: ["--listen", "127.0.0.1:0"] });
  assert.equal((await cli("recipes", "import", "plain")).exitCode, 0);
  images.push(await build(), await build("second"));
});

after(async () => {
  await server.stop();
  await rm(server.data, { recursive: true });
  await site.clear();
});

const cli = (...args: string[]) => server.cli(...args);
const find = (name: string) => server.json<Image>("images", "describe", name);
const blobFile = (digest: string) => join(server.data, "blobs/sha256", digest.slice(0, 2), digest);

/** Builds the image `node` anew, with another greeting. */
async function build(greeting?: string, ...options: string[]): Promise<Image> {
  if (greeting !== undefined) {
    const playbook = await readFile(join(site.folder, "ansible/first.yml"), "utf8");
    await site.commit({ "first.yml": playbook.replace(/content: .*/, `content: "${greeting}\\n"`) });
  }
  const { exitCode, stderr } = await cli("bootprep", "run", ...options, "bootprep.yaml");
  assert.equal(exitCode, 0, stderr);
  return find("node");
}

async function fetchStatus(image: Image): Promise<number> {
  const path = `/boot-images/${image.id}/rootfs`;
  const { status, body } = await send({ url: server.nodeDoor }, "HEAD", path);
  assert.equal(body, "");
  return status;
}

/** All files of all images that are not gone are there, and are what their names say. */
async function assertImagesWhole(): Promise<void> {
  const all = [
    ...(await server.json<Image[]>("images", "list")),
    ...(await server.json<Image[]>("images", "list", "--deleted")),
  ];
  assert.ok(all.length > 0);
  for (const { name, artifacts } of all) {
    for (const { sha256 } of Object.values(artifacts)) {
      const content = await readFile(blobFile(sha256));
      assert.equal(createHash("sha256").update(content).digest("hex"), sha256, `a file of ${name}`);
    }
  }
}

test("a channel is moved with a promotion, and back, and all of it is in its history", async () => {
  const [one, two] = images as [Image, Image];
  const first = await cli("images", "promote", one.id.slice(0, 8), "node:stable", "-m", "the first");
  assert.deepEqual([first.exitCode, first.stdout], [0, `node:stable points at node (${one.id})\n`]);
  const again = await cli("images", "promote", one.id, "node:stable");
  assert.equal(again.stdout, `node:stable points at node (${one.id}) already\n`);
  const late = await cli("images", "promote", "node", "node:stable", "--expect", "none");
  assert.match(late.stderr, /error: node:stable points at image .*, and was expected not to be there\n/);
  assert.equal(late.exitCode, 4);
  assert.equal((await cli("images", "promote", "node", "node:stable", "--expect", "node:stable")).exitCode, 0);
  assert.equal((await find("node:stable")).id, two.id);

  const undone = await cli("channels", "undo", "node:stable", "--comment", "does not come up");
  assert.equal(
    undone.stdout,
    `node:stable points at node (${one.id}) again\nnetkiln images promote ${two.id} node:stable takes that back\n`,
  );
  assert.equal((await find("node:stable")).id, one.id);
  const history = await server.json<ChannelMove[]>("channels", "history", "node:stable");
  assert.deepEqual(
    history.map(({ kind, from, to, by, comment }) => [kind, from, to, by, comment]),
    [
      ["undo", two.id, one.id, "local", "does not come up"],
      ["move", one.id, two.id, "local", undefined],
      ["move", null, one.id, "local", "the first"],
    ],
  );
  assert.match((await cli("channels", "history", "node:stable", "--limit", "1")).stdout, /undo .* does not come up\n$/);
  const [channel] = await server.json<Channel[]>("channels", "list");
  assert.deepEqual([channel?.name, channel?.image], ["node:stable", one.id]);
  const events = await server.http("GET", "/apis/netkiln/v1/events?subject=channel:node:stable");
  const { items } = JSON.parse(events.body) as { items: Event[] };
  assert.deepEqual(
    items.map(({ kind }) => kind),
    ["moved", "moved", "undone"],
  );
  assert.match((await cli("complete", "--", "channels", "undo", "no")).stdout, /^node:stable\n$/);
});

test("a channel's history names the token of whoever moved it", async () => {
  const { secret } = await server.json<{ secret: string }>("tokens", "create", "ci");
  const body = JSON.stringify({ channel: "node:candidate" });
  const headers = { "content-type": "application/json", authorization: `Bearer ${secret}` };
  const path = "/apis/netkiln/v1/images/node/promote";
  assert.equal((await send({ url: server.admin ?? "" }, "POST", path, { body, headers })).status, 200);
  assert.equal((await server.json<Channel>("channels", "describe", "node:candidate")).by, "token ci");
  assert.equal((await cli("channels", "delete", "node:candidate")).exitCode, 0);
});

test("an image without a passing verdict is not promoted", async () => {
  const plain = bootprep.replace("name: node\n", "name: plain\n").replace("name: tiny", "name: plain");
  await site.write("plain.yaml", plain.replace(/ {4}configuration.*\n/g, ""));
  const built = await cli("bootprep", "run", "--limit", "images", "plain.yaml");
  assert.equal(built.exitCode, 0, built.stderr);
  const { exitCode, stderr } = await cli("images", "promote", "plain", "node:candidate");
  assert.match(stderr, /error: image plain \(.*\) has no passing verdict: the gate never ran on it, as no checks came/);
  assert.equal(exitCode, 4);
  assert.equal((await cli("channels", "describe", "node:candidate")).exitCode, 3);
});

test("an image is not deleted while it is in use; deleted it is not served, and undeleted it is again", async () => {
  const [one] = images as [Image];
  const refused = await cli("images", "delete", "node:stable");
  assert.match(refused.stderr, /is in use: the channel node:stable points at it\n/);
  assert.equal(refused.exitCode, 4);
  assert.equal((await cli("channels", "delete", "node:stable")).exitCode, 0);
  assert.equal(await fetchStatus(one), 200);

  assert.equal((await cli("images", "delete", one.id)).stdout, `deleted ${one.id}\n`);
  assert.equal(await fetchStatus(one), 404);
  assert.equal((await cli("images", "promote", one.id, "node:stable")).exitCode, 4);
  assert.match((await cli("channels", "undo", "node:stable")).stderr, /error: image .* is deleted, so no channel can/);
  assert.deepEqual(
    (await server.json<Image[]>("images", "list", "--deleted")).map(({ id }) => id),
    [one.id],
  );
  assert.match((await cli("images", "delete", one.id)).stderr, /is deleted\nhint: netkiln images undelete/);
  assert.equal((await cli("images", "destroy", "node")).exitCode, 0, "the deleted one bears this name too");
});

test("what was destroyed is gone for good, and undo says so", async () => {
  const [one, two] = images as [Image, Image];
  assert.match((await cli("images", "undelete", one.id)).stderr, /error: there is no image/);
  const { exitCode, stderr } = await cli("channels", "undo", "node:stable");
  assert.match(stderr, /node:stable pointed at image .* before, and that is gone for good/);
  assert.equal(exitCode, 4);
  await cli("images", "delete", two.id);
  assert.equal(await fetchStatus(two), 404);
  assert.equal((await cli("images", "undelete", two.id)).stdout, `image node (${two.id}) is back\n`);
  assert.equal(await fetchStatus(two), 200);
  assert.deepEqual(await find("node"), two);
});

test("recipes are deleted and undeleted with all their files", async () => {
  const recipeBefore = await server.json("recipes", "describe", "plain");
  assert.equal((await cli("recipes", "delete", "plain")).exitCode, 0);
  assert.equal((await cli("recipes", "describe", "plain")).exitCode, 3);
  const [deleted] = await server.json<{ id: string; deleted: string }[]>("recipes", "list", "--deleted");
  assert.match(deleted?.deleted ?? "", /^\d{4}-/);
  assert.equal((await cli("recipes", "undelete", deleted?.id ?? "")).exitCode, 0);
  assert.deepEqual(await server.json("recipes", "describe", "plain"), recipeBefore);
});

test("overwriting moves the template first and deletes what was replaced, so that it can come back", async () => {
  const [, two] = images as [Image, Image];
  await site.write(
    "bootprep.yaml",
    withTemplate
      .replace("{ims: {name: node}}", "{image_ref: node}")
      .replace("  - name: node\n    base", "  - name: node\n    ref_name: node\n    base"),
  );
  await build(undefined);
  const used = await cli("images", "delete", two.id);
  assert.match(used.stderr, /in use: the session template nodes names it/);
  const three = await build("third", "--overwrite-images", "--overwrite-templates");
  assert.notEqual(three.id, two.id);
  assert.deepEqual(
    (await server.json<Image[]>("images", "list", "--deleted")).map(({ id }) => id),
    [two.id],
  );
  images.push(three);
});

test("a dry run of the garbage collection says what the real one removes", async () => {
  const [one, two, three] = images as [Image, Image, Image];
  await sleep(graceMs);
  const planned = await server.json<GcReport>("store", "gc", "--dry-run");
  assert.ok(planned.items.some(({ name }) => name === one.artifacts.rootfs.sha256));
  assert.ok(planned.removed.layer.count >= 1, "the layers of the image that is gone for good");
  const text = await cli("store", "gc", "--dry-run");
  assert.match(text.stdout, /^remove blob [0-9a-f]{12}, [\d.]+ MiB\n/);
  assert.match(text.stdout, /layer +[0-9a-f]{12} .* MiB +(deleted )?image (node|plain)/);
  assert.match(text.stdout, /MiB would be freed: \d+ blobs, \d+ layers/);
  assert.deepEqual((await server.json<StoreStatus>("store", "status")).garbage.bytes, planned.freed);

  const real = await server.json<GcRun>("store", "gc");
  assert.deepEqual([real.status, real.report], ["succeeded", planned]);
  await assert.rejects(readFile(blobFile(one.artifacts.rootfs.sha256)), /ENOENT/);
  await assertImagesWhole();
  assert.equal((await server.json<GcReport>("store", "gc", "--dry-run")).freed, 0);

  const why = await cli("store", "why", two.artifacts.rootfs.sha256.slice(0, 12));
  assert.match(why.stdout, /^blob [0-9a-f]{64}, .* MiB\n {2}deleted image node \(.*it was deleted less than 14 days/);
  assert.match((await cli("store", "why", three.id)).stdout, /\n {2}the session template nodes names it\n/);
  assert.equal((await cli("images", "undelete", two.id)).exitCode, 0);
  assert.equal(await fetchStatus(two), 200);
  assert.equal((await cli("images", "delete", two.id)).exitCode, 0);
});

test("after a garbage collection nothing has to be built again that is there", async () => {
  const { stdout } = await cli("bootprep", "run", "bootprep.yaml");
  assert.match(stdout, /image node: unchanged \(/);
  // What the image that is gone had alone is made again; what it shared is not.
  assert.match((await cli("bootprep", "run", "--dry-run", "plain.yaml")).stdout, /cached {2}base/);
});

test("a server that is killed in a garbage collection goes on with it, and nothing is lost", async () => {
  const garbage = 5000;
  for (let count = 0; count < garbage; count += 1) {
    const content = randomBytes(64);
    const digest = createHash("sha256").update(content).digest("hex");
    await mkdir(join(blobFile(digest), ".."), { recursive: true });
    await writeFile(blobFile(digest), content);
  }
  const blobCount = async () => {
    const found = await readdir(join(server.data, "blobs/sha256"), { recursive: true, withFileTypes: true });
    return found.filter((entry) => entry.isFile()).length;
  };
  const full = await blobCount();
  await sleep(graceMs);
  const collecting = cli("store", "gc");
  await waitUntil(60, async () => (await blobCount()) < full - 100);
  const second = await server.http("POST", "/apis/netkiln/v1/store/gc-runs");
  await server.kill9();
  assert.match(second.body, /"a garbage collection is under way already/);
  assert.equal(second.status, 409);
  assert.ok((await blobCount()) > full - garbage, "it was killed in the middle");

  server = await startServer({ data: server.data, cwd: site.folder, environment });
  const followed = await collecting;
  assert.equal(followed.exitCode, 0, followed.stderr);
  assert.match(followed.stdout, /KiB freed: \d+ blobs; /);
  await assertImagesWhole();
  // One blob at most was on its way out; it was put back, and counts as new.
  assert.ok((await blobCount()) <= full - garbage + 1);
  await sleep(graceMs);
  assert.equal((await cli("store", "gc")).exitCode, 0);
  assert.equal(await blobCount(), full - garbage);
  assert.match((await cli("bootprep", "run", "bootprep.yaml")).stdout, /image node: unchanged \(/);
});

test("the commands refuse what they do not understand", async () => {
  assert.equal((await cli("store", "why", "nothing")).exitCode, 3);
  assert.equal((await cli("images", "promote", "node", "stable")).exitCode, 2);
  assert.equal((await cli("images", "promote", "nothing", "node:stable")).exitCode, 3);
  assert.equal((await cli("channels", "undo", "node:none")).exitCode, 3);
  for (const command of [
    ["images", "promote"],
    ["channels", "history"],
    ["channels", "undo"],
    ["store", "gc"],
  ]) {
    assert.match((await cli(...command, "--help")).stdout, /\nExample:\n {2}netkiln /, command.join(" "));
  }
});
