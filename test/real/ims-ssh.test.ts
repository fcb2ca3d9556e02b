/**
 * IMS jobs that wait for their user, over the real ssh, scp and sshd: an image that is changed by hand, and a build that
 * is looked into; needs root. The tests of this file go on from one another.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { Image } from "../support/answers.ts";
import {
  assertNoWorkLeft,
  makeFolder,
  mountsBelow,
  startServer,
  waitUntil,
  type TestServer,
} from "../support/server.ts";
import { tool } from "../support/site.ts";
import { answers } from "../support/sshd-node.ts";

const run = promisify(execFile);

/** The shell of this machine, its Python and a few programs with their libraries: enough for Ansible to come to. */
const makeTree = `set -e
lib=usr/lib/x86_64-linux-gnu python=python3.11
mkdir -p usr/bin usr/lib64 $lib usr/lib/$python etc root tmp proc sys dev run var
for link in bin lib lib64; do ln -s usr/$link $link; done
for name in bash cat touch id ls sleep mkdir rm chmod mv cp $python; do cp /usr/bin/$name usr/bin; done
ln -s bash usr/bin/sh
ln -s $python usr/bin/python3
cp -L /lib64/ld-linux-x86-64.so.2 usr/lib64
for name in c m z tinfo selinux pcre2-8 expat acl attr crypto; do cp -L /$lib/lib$name.so.* $lib; done
tar -C /usr/lib/$python -c --exclude='*/__pycache__' --exclude=./test --exclude='./config-*' --exclude=./pydoc_data \
  --exclude=./lib2to3 --exclude=./idlelib --exclude=./ensurepip . | tar -C usr/lib/$python -x
printf 'ID=tiny\\n' >etc/os-release
printf 'root:x:0:0:root:/root:/bin/sh\\n' >etc/passwd
printf 'root:x:0:\\n' >etc/group
`;

interface Job {
  readonly id: string;
  readonly status: string;
  readonly resultant_image_id?: string;
  readonly ssh_containers: readonly {
    readonly jail: boolean;
    readonly status: string;
    readonly connection_info: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  }[];
}

let folder: string;
let server: TestServer;
let base: Image;
let key: string;
const below = (...path: string[]) => join(folder, ...path);

before(async () => {
  folder = await makeFolder();
  await mkdir(below("root"));
  await run("sh", ["-c", makeTree], { cwd: below("root") });
  await tool("tar", "-I", "zstd", "-C", below("root"), "-cf", below("root.tar"), ".");
  for (const name of ["key", "other"]) await tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", below(name));
  const first = await freePorts(10);
  await writeFile(below("config.yaml"), JSON.stringify({ image_ssh: { first_port: first, last_port: first + 9 } }));
  server = await startServer({ cwd: folder, args: ["--config", below("config.yaml")] });
  await importRecipe("tiny", "");
  const built = await server.cli("builds", "start", "tiny", "--recipe", "tiny", "--follow");
  assert.equal(built.exitCode, 0, built.stderr);
  base = await server.json<Image>("images", "describe", "tiny");
  const body = { name: "us", public_key: await readFile(below("key.pub"), "utf8") };
  key = (await ims<{ id: string }>("POST", "public-keys", 201, body)).id;
});

/** The first of so many in a row; below those that the kernel gives to others. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const probes = Array.from({ length: count }, () => createServer());
    const listening = probes.map((probe, index) => {
      probe.listen(first + index, "127.0.0.1");
      return once(probe, "listening");
    });
    const areFree = (await Promise.allSettled(listening)).every(({ status }) => status === "fulfilled");
    for (const probe of probes) probe.close();
    if (areFree) return first;
  }
}

async function importRecipe(name: string, script: string): Promise<void> {
  const recipe = `name: ${name}\nfrom: {archive: root.tar}\n${script === "" ? "" : "layers: [{script: script.sh}]\n"}`;
  await mkdir(below(name));
  await writeFile(below(name, "recipe.yaml"), recipe);
  await writeFile(below(name, "script.sh"), script, { mode: 0o755 });
  await tool("cp", below("root.tar"), below(name, "root.tar"));
  const imported = await server.cli("recipes", "import", name);
  assert.equal(imported.exitCode, 0, imported.stderr);
}

after(async () => {
  await server.stop();
  for (const left of [folder, server.data]) await rm(left, { recursive: true, force: true });
});

async function ims<T>(method: string, path: string, status: number, body?: object): Promise<T> {
  const content = body && { type: "application/json", body: JSON.stringify(body) };
  const answer = await server.http(method, `/apis/ims/v3/${path}`, content);
  assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
  return (answer.body === "" ? undefined : JSON.parse(answer.body)) as T;
}

const jobOf = (id: string) => ims<Job>("GET", `jobs/${id}`, 200);

async function until(id: string, ...statuses: string[]): Promise<Job> {
  await waitUntil(60, async () => [...statuses, "error", "success"].includes((await jobOf(id)).status)).catch(
    async () => assert.fail(`${JSON.stringify(await jobOf(id))}: ${await reason(id)}`),
  );
  const job = await jobOf(id);
  assert.ok(statuses.includes(job.status), `${job.status}: ${await reason(id)}`);
  return job;
}

async function reason(id: string): Promise<string> {
  return (await server.http("GET", `/apis/netkiln/v1/events?subject=image-job:${id}`)).body;
}

async function customise(name: string, jail: boolean): Promise<Job> {
  const { id } = await ims<Job>("POST", "jobs", 201, {
    ...{ job_type: "customize", artifact_id: base.id, public_key_id: key, image_root_archive_name: name },
    ssh_containers: [{ name: "by-hand", jail }],
  });
  return until(id, "waiting_on_user");
}

const options = [
  "-F",
  "none",
  "-o",
  "StrictHostKeyChecking=no",
  "-o",
  "UserKnownHostsFile=/dev/null",
  "-o",
  "LogLevel=ERROR",
];

function place(job: Job) {
  const [container] = job.ssh_containers;
  const info = container?.connection_info["cluster.local"];
  assert.deepEqual(container?.connection_info["customer_access"], info);
  assert.ok(info);
  return info;
}

/** What a command there prints; `with` is the name of a key. */
async function ssh(job: Job, command: string, { more = [] as string[], identity = "key" } = {}) {
  const { host, port } = place(job);
  const who = ["-i", below(identity), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", String(port)];
  return run("ssh", [...options, ...who, ...more, `root@${host}`, command]).then(
    ({ stdout }) => ({ exitCode: 0, stdout }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      exitCode: code,
      stdout: stdout + stderr,
    }),
  );
}

async function copy(job: Job, from: string, to: string): Promise<void> {
  const { host, port } = place(job);
  await tool("scp", ...options, "-i", below("key"), "-P", String(port), from, `root@${host}:${to}`);
}

async function contentOf(id: string, path: string): Promise<string> {
  const { artifacts } = await server.json<Image>("images", "describe", id);
  const { sha256 } = artifacts.rootfs;
  return tool("unsquashfs", "-cat", join(server.data, "blobs/sha256", sha256.slice(0, 2), sha256), path);
}

test("who has the key comes into the tree and nowhere else, and what they do there becomes an image", async () => {
  let job = await customise("patched", true);
  assert.deepEqual([job.ssh_containers[0]?.status, job.ssh_containers[0]?.jail], ["active", true]);
  assert.deepEqual(await ssh(job, "cat /etc/os-release; id -u"), { exitCode: 0, stdout: "ID=tiny\n0\n" });
  assert.equal((await ssh(job, "true", { identity: "other" })).exitCode, 255);
  const password = ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive"];
  assert.match((await ssh(job, "true", { more: password })).stdout, /Permission denied \(publickey\)/);
  assert.equal((await ssh(job, "", { more: ["-W", "127.0.0.1:9"] })).exitCode, 255, "nothing is forwarded");
  assert.match((await ssh(job, "ls /; ls /dev; echo $SOURCE_DATE_EPOCH")).stdout, /^bin\ndev\n[^]*null\n[^]*\n\d+\n$/);
  await ssh(job, "echo by hand >/etc/hand");

  // A server that is killed loses nothing of it.
  const { host, port } = place(job);
  await server.kill9();
  assert.deepEqual(await mountsBelow(server.data), []);
  assert.equal(await answers(host, port), false);
  server = await startServer({ data: server.data, cwd: folder, args: ["--config", below("config.yaml")] });
  await waitUntil(30, async () => answers(place(await jobOf(job.id)).host, place(await jobOf(job.id)).port));
  job = await jobOf(job.id);
  assert.equal((await ssh(job, "cat /etc/hand")).stdout, "by hand\n");

  await writeFile(below("copied"), "copied\n");
  await copy(job, below("copied"), "/etc/copied");
  assert.equal((await ssh(job, "touch /tmp/complete")).exitCode, 0);
  const { resultant_image_id: image = "", ssh_containers: containers } = await until(job.id, "success");
  assert.equal(containers[0]?.status, "complete");
  assert.equal(await contentOf(image, "etc/hand"), "by hand\n");
  assert.equal(await contentOf(image, "etc/copied"), "copied\n");
  assert.equal(await answers(host, port), false);
  assert.match((await server.cli("images", "describe", image)).stdout, /^manual: +[0-9a-f]{12} by ssh .*IMS job/m);
  await assertNoWorkLeft(server.data);
});

test("a client's own Ansible customises an image", async () => {
  const job = await customise("configured", true);
  const { host, port } = place(job);
  const variables = {
    ...{ ansible_host: host, ansible_port: port, ansible_user: "root", ansible_ssh_private_key_file: below("key") },
    ansible_ssh_common_args: options.join(" "),
  };
  const playbook = [
    {
      hosts: "all",
      tasks: [{ "ansible.builtin.copy": { content: "{{ ansible_distribution }}", dest: "/etc/by-ansible" } }],
    },
  ];
  await writeFile(below("hosts.json"), JSON.stringify({ all: { hosts: { image: variables } } }));
  await writeFile(below("playbook.yml"), JSON.stringify(playbook));
  const env = { PATH: process.env["PATH"], LC_ALL: "C.UTF-8", HOME: folder, ANSIBLE_LOCAL_TEMP: below("ansible") };
  await run("ansible-playbook", ["-i", below("hosts.json"), below("playbook.yml")], { env });
  await ssh(job, "touch /tmp/complete");
  const { resultant_image_id: image = "" } = await until(job.id, "success");
  assert.notEqual(await contentOf(image, "etc/by-ansible"), "");
});

test("without a jail the tree is a folder beside this host's programs, and nothing of this host can be seen", async () => {
  const job = await customise("broken", false);
  assert.equal((await ssh(job, "cat /mnt/image/image-root/etc/os-release")).stdout, "ID=tiny\n");
  assert.equal((await ssh(job, "chroot /mnt/image/image-root /bin/sh -c 'id -u'")).stdout, "0\n");
  const seen = (await ssh(job, "ls -A / /etc /root /usr/local; ls /var/tmp 2>&1; ps ax | wc -l")).stdout;
  assert.doesNotMatch(seen, /shadow|hostname|home|srv|nk-/);
  const around = await ssh(job, "ls /proc/1/root/ || nsenter -t 1 -m ls /");
  assert.notEqual(around.exitCode, 0, around.stdout);
  assert.match(around.stdout, /Permission denied/);
  assert.notEqual((await ssh(job, "mknod /tmp/disk b 8 0 || mount -t tmpfs tmpfs /mnt")).exitCode, 0);
  assert.equal((await ssh(job, "touch /usr/bin/own")).exitCode, 1, "programs of this host stay as they are");
  await ssh(job, "touch /mnt/image/failed");
  const { ssh_containers: containers, resultant_image_id: image } = await until(job.id, "error");
  assert.deepEqual([containers[0]?.status, image], ["complete", undefined]);
});

test("a job that is deleted takes its shell along", async () => {
  const job = await customise("deleted", true);
  const { host, port } = place(job);
  await ims("DELETE", `jobs/${job.id}`, 204);
  await waitUntil(10, async () => !(await answers(host, port)));
  await assertNoWorkLeft(server.data);
});

test("a public key that is none ends the job", async () => {
  const body = { name: "bad", public_key: 'command="id" ssh-ed25519 AAAA' };
  const { id: bad } = await ims<{ id: string }>("POST", "public-keys", 201, body);
  const { id } = await ims<Job>("POST", "jobs", 201, {
    ...{ job_type: "customize", artifact_id: base.id, public_key_id: bad, image_root_archive_name: "bad" },
  });
  await until(id, "error");
  assert.match(await reason(id), /the public key of the job is none that sshd takes/);
});

test("a build that fails can be looked into, in as much of its tree as there is", async () => {
  await importRecipe("failing", "#!/bin/sh\necho no way on\nexit 1\n");
  const recipes = await ims<{ id: string; name: string }[]>("GET", "recipes", 200);
  const { id } = await ims<Job>("POST", "jobs", 201, {
    ...{ job_type: "create", artifact_id: recipes.find(({ name }) => name === "failing")?.id, public_key_id: key },
    ...{ image_root_archive_name: "failing", enable_debug: true },
  });
  const job = await until(id, "waiting_on_user");
  assert.match((await ssh(job, "cat /mnt/image/log")).stdout, /no way on/);
  assert.equal((await ssh(job, "cat /mnt/image/image-root/etc/os-release")).stdout, "ID=tiny\n");
  await ssh(job, "touch /mnt/image/complete");
  await until(id, "error");
});
