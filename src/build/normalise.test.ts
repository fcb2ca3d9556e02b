import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../lib/exec.ts";
import { normalise } from "./normalise.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-normalise-"));
after(() => rm(root, { recursive: true }));
const epoch = 1_700_000_000;

async function put(path: string, content = "x", mtime = epoch + 1000) {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
  await utimes(join(root, path), mtime, mtime);
}

test("identities, caches and logs go; what stays bears no time after the epoch", async () => {
  await put("etc/ssh/ssh_host_rsa_key");
  await put("etc/ssh/sshd_config", "x", epoch - 5);
  await put("etc/machine-id", "abc");
  await put("var/cache/apt/pkgcache.bin");
  await put("var/log/dpkg.log");
  await put("usr/lib/python3/a.py");
  await symlink("/nowhere", join(root, "etc/link"));
  await normalise(root, epoch, false);

  assert.deepEqual(await readdir(join(root, "etc/ssh")), ["sshd_config"]);
  assert.equal((await stat(join(root, "etc/ssh/sshd_config"))).mtimeMs, (epoch - 5) * 1000, "older times stay");
  assert.equal((await stat(join(root, "etc/machine-id"))).size, 0);
  assert.deepEqual(await readdir(join(root, "var/cache/apt")), []);
  assert.deepEqual(await readdir(join(root, "var/log")), []);
  for (const path of ["", "etc", "usr/lib/python3/a.py", "var"]) {
    assert.equal((await stat(join(root, path))).mtimeMs, epoch * 1000, path);
  }
});

test("of an rpm database the parts go that only matter while it is open", async () => {
  await put("var/lib/rpm/rpmdb.sqlite");
  await put("var/lib/rpm/rpmdb.sqlite-shm");
  await put("var/lib/rpm/rpmdb.sqlite-wal", "");
  await put("usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "not in the database yet");
  await put("var/log/dnf.rpm.log");
  await put("var/lib/dnf/history.sqlite-wal");
  await normalise(root, epoch, false);
  assert.deepEqual(await readdir(join(root, "var/lib/rpm")), ["rpmdb.sqlite"]);
  assert.deepEqual(await readdir(join(root, "usr/lib/sysimage/rpm")), ["rpmdb.sqlite-wal"]);
  assert.deepEqual(await readdir(join(root, "var/log")), []);
  assert.deepEqual(await readdir(join(root, "var/lib/dnf")), []);
});

test("only the base loses the secrets that packages made; a layer's are the site's", async () => {
  await put("etc/munge/munge.key");
  await normalise(root, epoch, false);
  assert.deepEqual(await readdir(join(root, "etc/munge")), ["munge.key"]);
  await normalise(root, epoch, true);
  assert.deepEqual(await readdir(join(root, "etc/munge")), []);
});

test("compiled Python files stay valid when the time of their source is brought back", async () => {
  const source = join(root, "usr/lib/python3/module.py");
  await put("usr/lib/python3/module.py", "value = 1\n");
  await run(["python3", "-m", "py_compile", source]);
  await normalise(root, epoch, false);
  const program = "import sys; sys.dont_write_bytecode = True; import module";
  const { stderr } = await run(["python3", "-v", "-c", program], { cwd: dirname(source) });
  assert.match(stderr, /__pycache__\/module\.\S+ matches /);
});

test("compiled Python files bear the epoch too, in whatever order a folder is listed", async () => {
  const names = Array.from({ length: 40 }, (_, index) => `module${index}`);
  for (const name of names) await put(`usr/lib/many/${name}.py`);
  await run(["python3", "-m", "compileall", "-q", join(root, "usr/lib/many")]);
  await normalise(root, epoch, false);
  const cache = join(root, "usr/lib/many/__pycache__");
  const times = await Promise.all((await readdir(cache)).map(async (name) => (await stat(join(cache, name))).mtimeMs));
  assert.deepEqual(times, Array(names.length).fill(epoch * 1000));
});

test("links of a tree lead nowhere outside it: what they name on this machine stays as it is", async () => {
  const outside = await mkdtemp(join(tmpdir(), "netkiln-outside-"));
  after(() => rm(outside, { recursive: true }));
  const compiled = Buffer.concat([Buffer.from("head"), Buffer.alloc(4), Buffer.from("time and code")]);
  for (const name of ["precious", "machine-id", "dpkg.log", "module.cpython-311.pyc"]) {
    await writeFile(join(outside, name), compiled);
  }
  const tree = join(root, "links");
  await mkdir(join(tree, "code"), { recursive: true });
  await mkdir(join(tree, "other/__pycache__"), { recursive: true });
  await mkdir(join(tree, "var"));
  for (const place of ["tmp", "etc", "var/log", "var/tmp", "code/__pycache__"]) {
    await symlink(outside, join(tree, place));
  }
  await symlink(join(outside, "module.cpython-311.pyc"), join(tree, "other/__pycache__/module.cpython-311.pyc"));
  for (const folder of ["code", "other"]) await writeFile(join(tree, folder, "module.py"), "");
  await normalise(tree, epoch, true);
  assert.deepEqual((await readdir(outside)).sort(), ["dpkg.log", "machine-id", "module.cpython-311.pyc", "precious"]);
  for (const name of await readdir(outside)) assert.deepEqual(await readFile(join(outside, name)), compiled, name);
});

test("links inside a tree are followed, and names that are no text are names", async () => {
  const tree = join(root, "inside");
  await put("inside/scratch/left over");
  await symlink("/scratch", join(tree, "tmp"));
  const odd = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff])]);
  await writeFile(odd, "x");
  await normalise(tree, epoch, false);
  assert.deepEqual(await readdir(join(tree, "scratch")), []);
  assert.equal((await stat(odd)).mtimeMs, epoch * 1000);
});
