/**
 * Images changed by hand: `netkiln images shell` through the real command line, server and sandbox, once on a real
 * terminal; needs root. The tests of this file go on from one another.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, lstat, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Image } from "../support/answers.ts";
import { preparedData } from "../support/prepared.ts";
import { assertNoWorkLeft, listing, mountsBelow, processesOf, startServer, waitUntil } from "../support/server.ts";
import type { TestServer } from "../support/server.ts";
import { makeSite, tool, type Site } from "../support/site.ts";

const program = fileURLToPath(new URL("../../bin/netkiln", import.meta.url));

interface Manual {
  readonly layer: string;
  readonly by: string;
  readonly at: string;
  readonly note?: string;
}
interface ManualImage extends Image {
  readonly layers: readonly string[];
  readonly manual?: readonly Manual[];
  readonly base?: { readonly name: string };
  readonly verdict: string;
  readonly documents: Readonly<Record<string, { readonly sha256: string }>>;
}
interface Result {
  readonly exitCode: number;
  readonly changes: readonly { readonly kind: string; readonly path: string }[];
  readonly layer?: string;
  readonly build?: string;
  readonly image?: string;
}

let site: Site;
let server: TestServer;
let base: ManualImage;

before(async () => {
  site = await makeSite();
  server = await startServer({ data: await preparedData(), cwd: site.folder });
  const built = await server.cli("builds", "start", "node", "--recipe", "tiny", "--follow");
  assert.equal(built.exitCode, 0, built.stderr);
  base = await describe("node");
});

after(async () => {
  await server.stop();
  await rm(server.data, { recursive: true });
  await site.clear();
});

const shell = (...args: string[]) => server.cli("images", "shell", ...args);
const describe = (name: string) => server.json<ManualImage>("images", "describe", name);
const blob = (sha256: string) => join(server.data, "blobs/sha256", sha256.slice(0, 2), sha256);
const layers = () => readdir(join(server.data, "layers"));
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function unpacked<T>(image: Image, look: (tree: string) => Promise<T>): Promise<T> {
  const tree = join(site.folder, "tree");
  await tool("unsquashfs", "-no-progress", "-dest", tree, blob(image.artifacts.rootfs.sha256));
  return look(tree).finally(() => rm(tree, { recursive: true }));
}

/** Everything by which a shell could be seen afterwards. */
async function state() {
  return {
    layers: (await layers()).sort(),
    images: (await server.json<Image[]>("images", "list")).map(({ id }) => id),
    builds: (await server.json<{ id: string }[]>("builds", "list")).map(({ id }) => id),
    blobs: await listing(join(server.data, "blobs")),
  };
}

test("what is thrown away leaves nothing", async () => {
  const was = await state();
  const thrown = await shell("node", "--discard", "--", "sh", "-c", "echo by hand >/etc/hand; rm /etc/issue");
  assert.equal(thrown.exitCode, 0, thrown.stderr);
  assert.equal(
    thrown.stdout,
    `the shell ended with exit code 0; paths: 1 added, 0 changed, 1 removed
  added    /etc/hand
  removed  /etc/issue
the layer was thrown away
`,
  );
  const unasked = await shell("node", "--", "sh", "-c", "for i in $(seq 30); do touch /srv/$i; done");
  assert.equal(unasked.exitCode, 0);
  assert.match(unasked.stdout, /paths: 30 added, .*\n( {2}added {4}\/srv\/\d+\n){20} {2}and 10 more\nthe layer was/);
  assert.match(unasked.stderr, /^nobody can be asked, as this is no terminal, and --keep was not given/);
  const failed = await shell("node", "--keep", "--", "sh", "-c", "touch /etc/half; exit 3");
  assert.equal(failed.exitCode, 1);
  assert.match(failed.stderr, /^error: sh ended with exit code 3: the layer was thrown away\n$/);
  const absent = await shell("node", "--keep", "--", "/opt/absent");
  assert.equal(absent.exitCode, 1);
  assert.match(absent.stderr, /error: \/opt\/absent ended with exit code 127/);
  const nothing = await shell("node", "--keep", "--", "sh", "-c", "touch /tmp/a; touch /etc/b; rm /etc/b; id -un");
  assert.equal(nothing.stdout, "root\nthe shell ended with exit code 0; nothing changed\n");
  assert.deepEqual(await state(), was);
  await assertNoWorkLeft(server.data);
});

test("a shell is refused from elsewhere, and for what is not there", async () => {
  const tcp = await server.cli("--server", "http://127.0.0.1:9", "images", "shell", "node");
  assert.equal(tcp.exitCode, 4);
  assert.match(tcp.stderr, /^error: a shell opens on the server's own machine only, and not by way of http:/);
  assert.equal((await shell("absent", "--keep")).exitCode, 3);
  assert.equal((await shell("node", "--keep", "--discard")).exitCode, 2);
  const layer = await shell("node", "--layer", "0".repeat(64));
  assert.match(layer.stderr, /^error: no layer 0{64} is kept here\n$/);
});

const typed = `echo by hand >/etc/hand
rm /etc/issue
echo secret >/root/.bash_history
touch /opt/$(uname -n)
test -x /usr/sbin/policy-rc.d && touch /opt/no-daemons
test -s /etc/apt/sources.list.d/netkiln-build.list || touch /opt/no-packages
`;

test("what is kept is a layer of an image like any other, which says that it was made by hand", async () => {
  const flags = ["--keep", "--name", "patched", "--note", "a trial"];
  const result = await server.json<Result>("images", "shell", "node", ...flags, "--", "sh", "-c", typed);
  assert.deepEqual(
    result.changes.map(({ kind, path }) => `${kind} ${path}`),
    ["added /etc/hand", "removed /etc/issue", "added /opt/netkiln", "added /opt/no-daemons", "added /opt/no-packages"],
  );
  const image = await describe("patched");
  assert.equal(image.id, result.image);
  assert.equal(image.verdict, "passed");
  assert.equal(image.base?.name, "node");
  assert.notEqual(image.buildId, base.buildId);
  assert.equal(image.layers[1], result.layer, "below the release");
  assert.deepEqual(image.layers.slice(2), base.layers);
  const [manual, ...others] = image.manual ?? [];
  assert.deepEqual(others, []);
  assert.deepEqual({ ...manual, at: "" }, { layer: result.layer, by: "root", at: "", note: "a trial" });
  const text = (await server.cli("images", "describe", "patched")).stdout;
  assert.match(text, /^manual: +[0-9a-f]{12} by root at \S+Z \(a trial\)$/m);
  const provenance = JSON.parse(await readFile(blob(image.documents["provenance.json"]?.sha256 ?? ""), "utf8")) as {
    predicate: { buildDefinition: { resolvedDependencies: readonly { name?: string; annotations?: unknown }[] } };
  };
  const { resolvedDependencies } = provenance.predicate.buildDefinition;
  const named = resolvedDependencies.find(({ name }) => name === "manual layer");
  assert.deepEqual(named, {
    name: "manual layer",
    digest: { sha256: result.layer },
    annotations: { by: "root", at: manual?.at, note: "a trial" },
  });
  await unpacked(image, async (tree) => {
    assert.equal(await readFile(join(tree, "etc/hand"), "utf8"), "by hand\n");
    assert.equal((await lstat(join(tree, "etc/hand"))).mtimeMs, 1_750_000_000_000);
    for (const path of ["etc/issue", "root/.bash_history", "usr/sbin/policy-rc.d"]) {
      assert.equal(await exists(join(tree, path)), false, path);
    }
    assert.match(await readFile(join(tree, "etc/netkiln/image-release"), "utf8"), /^NAME="patched"$/m);
  });
  const again = await shell("node", ...flags, "--", "sh", "-c", typed);
  assert.match(again.stdout, new RegExp(`\nimage patched: unchanged \\(${image.id}\\)\n$`));
  await assertNoWorkLeft(server.data);
});

test("a layer that was kept before can be there twice", async () => {
  const files = base.layers[1] ?? "";
  const twice = await shell("node", "--name", "twice", "--layer", files);
  assert.equal(twice.exitCode, 0, twice.stderr);
  const image = await describe("twice");
  assert.deepEqual(image.layers.slice(1), [files, ...base.layers]);
  assert.equal(await unpacked(image, (tree) => readFile(join(tree, "etc/motd"), "utf8")), "tiny\n");
});

test("what the gate refuses is not published", async () => {
  const refused = await shell("node", "--keep", "--", "rm", "/etc/motd");
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /error: gate: the gate refused the image/);
  assert.equal((await describe("node")).id, base.id);
});

test("on a terminal the shell has a prompt and job control, and asks before it keeps anything", async () => {
  const was = await layers();
  const says = (answer: string, name: string) =>
    converse(
      ["images", "shell", "node", "--name", name],
      [
        [/netkiln\(node\):\/# $/, "cat /proc/self/status | grep ^Uid; tty >/dev/null; sleep 100 &\n"],
        [/\[1\] \d+[^]*netkiln\(node\):\/# $/, "kill %1; echo typed >/etc/typed; history | wc -l; exit 5\n"],
        [
          /exit code 5; paths: 1 added, 0 changed, 0 removed\r\n {2}added {4}\/etc\/typed\r\nkeep this layer\? \[y\/N\] /,
          answer,
        ],
      ],
    );
  const no = await says("\n", "typed");
  assert.match(no.said, /the layer was thrown away\r\n$/);
  assert.equal(no.exitCode, 0);
  assert.deepEqual(await layers(), was);
  const yes = await says("y\n", "typed");
  assert.equal(yes.exitCode, 0, yes.said);
  assert.match(yes.said, /\r\nimage typed: done \([0-9a-f-]{36}\)\r\n$/);
  const text = await unpacked(await describe("typed"), (tree) => readFile(join(tree, "etc/typed"), "utf8"));
  assert.equal(text, "typed\n");
});

/** Types each answer when its question was asked since the last one. */
async function converse(args: readonly string[], script: readonly (readonly [RegExp, string])[]) {
  const env = { PATH: process.env["PATH"], TERM: "dumb", NETKILN_DATA: server.data };
  const line = [program, ...args].join(" ");
  const child = spawn("script", ["-qec", line, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(child, "close") as Promise<[number]>;
  for (const [question, answer] of script) {
    const from = said.length;
    await waitUntil(60, () => question.test(said) || child.exitCode !== null).catch(() => assert.fail(said));
    assert.equal(child.exitCode, null, said);
    assert.ok(said.length >= from);
    child.stdin.write(answer);
  }
  const [exitCode] = await ended;
  return { exitCode, said };
}

test("a layer whose build is refused stays, and one can go on from there", async () => {
  const worker = Number((await processesOf(server.data)).find((line) => / worker /.test(line))?.split(" ")[0]);
  process.kill(worker, "SIGSTOP");
  let hint: string | undefined;
  try {
    assert.equal((await server.cli("builds", "start", "busy", "--image", "patched")).exitCode, 0);
    const refused = await shell("node", "--keep", "--name", "busy", "--", "touch", "/opt/busy");
    assert.equal(refused.exitCode, 4, refused.stderr);
    assert.match(
      refused.stderr,
      /^error: the layer [0-9a-f]{64} is kept, but no image is built of it: the image busy is/,
    );
    hint = /then netkiln (images shell .*) goes on from here/.exec(refused.stderr)?.[1];
  } finally {
    process.kill(worker, "SIGCONT");
  }
  await waitUntil(60, async () => (await server.json<Image[]>("images", "list")).some(({ name }) => name === "busy"));
  const resumed = await server.cli(...(hint ?? "").split(" "));
  assert.equal(resumed.exitCode, 0, resumed.stderr);
  assert.equal(await unpacked(await describe("busy"), (tree) => exists(join(tree, "opt/busy"))), true);
});

test("a shell that is killed leaves no process, no mount and no layer, and its folder goes with the next", async () => {
  const was = await state();
  const child = spawn(program, ["images", "shell", "node", "--keep", "--", "sh", "-c", "touch /etc/half; sleep 1234"], {
    env: { PATH: process.env["PATH"], NETKILN_DATA: server.data },
    stdio: "ignore",
  });
  const isAsleep = async () => (await allProcesses()).includes("sleep 1234");
  await waitUntil(30, isAsleep);
  child.kill("SIGKILL");
  await waitUntil(10, async () => !(await isAsleep()));
  assert.deepEqual(await mountsBelow(server.data), []);
  assert.equal((await shell("node", "--discard", "--", "true")).exitCode, 0);
  await assertNoWorkLeft(server.data);
  assert.deepEqual(await state(), was);
});

async function allProcesses(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.map((line) => line.replaceAll("\0", " ").trim());
}

test("an image made again takes the layer that was made by hand as it is, and says so", async () => {
  const { exitCode, stdout, stderr } = await server.cli("images", "verify", "patched");
  assert.equal(exitCode, 0, stderr + stdout);
  assert.match(stdout, /^root tree +identical$/m);
  assert.match(stdout, /^ {2}layer [0-9a-f]{12} was made by hand \(root, \S+Z\): taken as it is, not made again$/m);
  assert.match((await server.cli("images", "describe", "patched")).stdout, /^rebuilt: +INCOMPLETE \(\S+Z\)$/m);
  await assertNoWorkLeft(server.data);
});
