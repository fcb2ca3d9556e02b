import assert from "node:assert/strict";
import { chown, link, lutimes, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { buffer } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { sha256 } from "../../lib/files.ts";
import { archiveLayer, digestLayer } from "./archive.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-archive-"));
after(() => rm(root, { recursive: true }));

let made = 0;
/** A new folder with files of these texts; a path that ends with "/" is a folder. */
async function layer(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(root, `layer${made++}`);
  await mkdir(folder);
  for (const [path, text] of Object.entries(files)) {
    const place = join(folder, path);
    await mkdir(path.endsWith("/") ? place : dirname(place), { recursive: true });
    if (!path.endsWith("/")) await writeFile(place, text);
  }
  return folder;
}

async function archive(upper: string, lower: readonly string[] = []): Promise<Buffer> {
  return buffer(archiveLayer(upper, lower));
}

async function list(upper: string, lower: readonly string[] = [], verbose = false): Promise<string[]> {
  const file = join(root, "list.tar");
  await writeFile(file, await archive(upper, lower));
  const options = verbose ? ["-tvv", "--numeric-owner", "--full-time", "--xattrs", "--xattrs-include=*"] : ["-t"];
  const { stdout, stderr } = await run(["tar", ...options, "--quoting-style=escape", "-f", file]);
  assert.equal(stderr, "", "GNU tar complains of nothing");
  return stdout.trimEnd().split("\n");
}

async function whiteout(place: string): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  await run(["mknod", place, "c", "0", "0"]);
}

const markOpaque = (folder: string) => run(["setfattr", "-n", "trusted.overlay.opaque", "-v", "y", folder]);

test("a folder comes before what is in it, what is gone before what is there, names are sorted bytewise", async () => {
  const upper = await layer({ "b/x": "", "b-c": "", "b.d": "", B: "", "a/": "", ä: "" });
  await whiteout(join(upper, "b/z"));
  assert.deepEqual(await list(upper), ["./", "B", "a/", "b/", "b/.wh.z", "b/x", "b-c", "b.d", "ä"]);
});

test("the same content is the same bytes, whatever the order in which it came to be", async () => {
  const files = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`d${index % 7}/f${index}`, `${index}`]));
  const one = await layer(files);
  const other = await layer(Object.fromEntries(Object.entries(files).reverse()));
  for (const folder of [one, other]) await run(["find", folder, "-exec", "touch", "-h", "-d", "@1000000", "{}", "+"]);
  assert.ok((await archive(one)).equals(await archive(other)));
  await utimes(join(other, "d1/f1"), 1_000_001, 1_000_001);
  assert.ok(!(await archive(one)).equals(await archive(other)));
});

test("the digest is the archive's", async () => {
  const upper = await layer({ large: "x".repeat(3_000_001), small: "y" });
  const bytes = await archive(upper);
  assert.deepEqual(await digestLayer(upper, []), { diffId: sha256(bytes), size: bytes.length });
});

test("an opaque folder is marked only where a lower layer has that folder", async () => {
  const lowest = await layer({ "here/old": "", "removed/old": "", file: "" });
  const above = await layer({});
  await whiteout(join(above, "removed"));
  const upper = await layer({ "here/a": "", "removed/a": "", "file/a": "", "new/a": "" });
  for (const name of ["here", "removed", "file", "new"]) await markOpaque(join(upper, name));
  const entries = await list(upper, [above, lowest]);
  assert.deepEqual(
    entries.filter((name) => name.includes(".wh.")),
    ["here/.wh..wh..opq"],
  );
  assert.equal(entries.indexOf("here/.wh..wh..opq"), entries.indexOf("here/") + 1);
});

test("owners are numbers, times whole seconds, rounded down also before 1970", async () => {
  const upper = await layer({ a: "", b: "" });
  await chown(join(upper, "a"), 3_000_000, 100);
  await utimes(join(upper, "a"), 1_735_689_600.999, 1_735_689_600.999);
  await run(["touch", "-d", "@-1.5", join(upper, "b")]);
  const lines = await list(upper, [], true);
  assert.match(lines[1] ?? "", /^-rw-r--r-- +3000000\/100 +0 2025-01-01 00:00:00 a$/);
  assert.match(lines[2] ?? "", / 1969-12-31 23:59:58 b$/);
  assert.ok(!(await archive(upper)).includes("root"), "no names of owners");
});

test("the first of two linked files has the content, in the order of the archive", async () => {
  const upper = await layer({ "z/first": "content" });
  await link(join(upper, "z/first"), join(upper, "a"));
  await symlink("/nowhere", join(upper, "l"));
  await lutimes(join(upper, "l"), 1, 1);
  const lines = await list(upper, [], true);
  assert.match(lines[1] ?? "", /^-rw.* 7 .* a$/);
  assert.match(lines[2] ?? "", /^l.* 1970-01-01 00:00:01 l -> \/nowhere$/);
  assert.match(lines.at(-1) ?? "", /^h.* z\/first link to a$/);
});

test("names and targets that are long, or no ASCII, or no UTF-8, come through", async () => {
  const long = `${"d".repeat(120)}/${"f".repeat(130)}`;
  const upper = await layer({ [long]: "1" });
  await symlink(`/${"t".repeat(300)}`, join(upper, "l"));
  await symlink("/ä", join(upper, "lä"));
  await writeFile(Buffer.concat([Buffer.from(`${upper}/latin`), Buffer.from([0xe4])]), "2");
  const entries = await list(upper, [], true);
  assert.ok(entries.some((line) => line.endsWith(` ${long}`)));
  assert.ok(entries.some((line) => line.endsWith(` l -> /${"t".repeat(300)}`)));
  assert.ok(entries.some((line) => line.endsWith(" lä -> /ä")));
  const folder = await layer({});
  await writeFile(join(root, "names.tar"), await archive(upper));
  await run(["tar", "-x", "-C", folder, "-f", join(root, "names.tar")]);
  // With equal times, what was unpacked gives the same archive.
  for (const each of [upper, folder]) await run(["find", each, "-exec", "touch", "-h", "-d", "@1", "{}", "+"]);
  assert.ok((await archive(upper)).equals(await archive(folder)));
});

test("extended attributes are kept, but for those of overlayfs and of the trusted namespace", async () => {
  const upper = await layer({ "ping\n\\=": "", plain: "" });
  const file = join(upper, "ping\n\\=");
  await run(["setcap", "cap_net_raw+ep", file]);
  await run(["setfattr", "-n", "user.b=c", "-v", "0x00ff0a", file]);
  await run(["setfattr", "-n", "user.a", file]);
  // acl(5) in its binary form: the owner and user 4711 may read, as may all others.
  const acl = "0x0200000001000600ffffffff020004006712000004000400ffffffff10000400ffffffff20000400ffffffff";
  await run(["setfattr", "-n", "system.posix_acl_access", "-v", acl, file]);
  for (const name of ["trusted.overlay.origin", "trusted.overlay.impure", "trusted.other", "user.overlay.origin"]) {
    await run(["setfattr", "-n", name, "-v", "y", file]);
  }
  const bytes = (await archive(upper)).toString("latin1");
  const records = [...bytes.matchAll(/ SCHILY\.xattr\.([a-z._]+)=/g)].map((match) => match[1]);
  assert.deepEqual(records, ["security.capability", "system.posix_acl_access", "user.a", "user.b"]);
  assert.match(bytes, /\d+ SCHILY\.xattr\.user\.b=c=\0\xff\n\n/);
  assert.doesNotMatch(bytes, /overlay|trusted/);
});

test("devices and pipes are kept, a socket is left out and what it stood on is gone", async () => {
  const lower = await layer({ "covered.sock": "" });
  const upper = await layer({});
  await run(["mknod", join(upper, "console"), "c", "5", "1"]);
  await run(["mknod", join(upper, "disk"), "b", "259", "300000"]);
  await run(["mkfifo", join(upper, "pipe")]);
  for (const name of ["covered.sock", "own.sock"]) {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(join(upper, name), resolve));
    // A closed server removes its socket; one that was killed does not.
    await run(["ln", join(upper, name), join(upper, `${name}.kept`)]);
    await new Promise((resolve) => server.close(resolve));
    await run(["mv", join(upper, `${name}.kept`), join(upper, name)]);
  }
  await run(["setfattr", "-n", "security.x", "-v", "1", join(upper, "own.sock")]);
  const lines = await list(upper, [lower], true);
  assert.deepEqual(
    lines.map((line) => line.replace(/^(.).* (\S*) \d{4}-\S+ \S+ /, "$1 $2 ")),
    ["d 0 ./", "- 0 .wh.covered.sock", "c 5,1 console", "b 259,300000 disk", "p 0 pipe"],
  );
});

test("whiteouts that overlayfs has linked to each other are whiteouts each", async () => {
  const upper = await layer({});
  await whiteout(join(upper, "a"));
  await link(join(upper, "a"), join(upper, "b"));
  assert.deepEqual(await list(upper), ["./", ".wh.a", ".wh.b"]);
});

const refused: readonly (readonly [what: string, spoil: (upper: string) => Promise<unknown>, told: RegExp])[] = [
  ["a name that means a deletion", (upper) => writeFile(join(upper, "etc/.wh.passwd"), ""), /^\/etc\/\.wh\.passwd has/],
  [
    "a folder that overlayfs has renamed",
    (upper) => run(["setfattr", "-n", "trusted.overlay.redirect", "-v", "/usr", join(upper, "etc")]),
    /^\/etc depends on other layers \(trusted\.overlay\.redirect\)/,
  ],
];
for (const [what, spoil, told] of refused) {
  test(`${what} is refused`, async () => {
    const upper = await layer({ "etc/": "" });
    await spoil(upper);
    await assert.rejects(archive(upper), (error) => error instanceof NetkilnError && told.test(error.message));
  });
}
