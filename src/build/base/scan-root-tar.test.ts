import assert from "node:assert/strict";
import { test } from "node:test";
import { packTar, type TarEntry } from "modern-tar";
import { NetkilnError } from "../../lib/errors.ts";
import { scanTar } from "./scan-root-tar.ts";

async function pack(...headers: TarEntry["header"][]): Promise<Buffer> {
  const entries = headers.map((header) => ({
    header,
    ...(header.size > 0 && { body: Buffer.alloc(header.size, 1) }),
  }));
  return Buffer.from(await packTar(entries));
}

/** In pieces that end nowhere in particular. */
async function* pieces(bytes: Buffer, size = 700): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const scan = (bytes: Buffer, whiteouts = false) => scanTar(pieces(bytes), { whiteouts });

async function refusal(...headers: TarEntry["header"][]): Promise<string> {
  const error = await scan(await pack(...headers)).catch((reason: unknown) => reason);
  assert.ok(error instanceof NetkilnError);
  return error.problems.map(({ message }) => message).join("\n");
}

test("entries are counted, and the first components of their paths are told", async () => {
  const long = `usr/${"long/".repeat(60)}name`;
  const archive = await pack(
    { name: "./", size: 0, type: "directory" },
    { name: "./etc/", size: 0, type: "directory" },
    { name: "./etc/motd", size: 1500 },
    { name: "./etc/linked", size: 0, type: "link", linkname: "./etc/motd" },
    { name: "bin", size: 0, type: "symlink", linkname: "/usr/bin" },
    { name: long, size: 3 },
  );
  assert.deepEqual(await scan(archive), { entries: 6, tops: ["bin", "etc", "usr"] });
});

test("what would be written outside the tree is refused, with its name", async () => {
  const file = { size: 0, type: "file" } as const;
  assert.equal(await refusal({ name: "a/../../b", ...file }), 'entry "a/../../b": its path has ".."');
  assert.equal(await refusal({ name: "/etc/x", ...file }), 'entry "/etc/x": its path is absolute');
  assert.equal(
    await refusal({ name: `/${"x/".repeat(200)}y`, ...file }).then((text) => text.slice(-20)),
    ": its path is absolute".slice(-20),
  );
  for (const linkname of ["/etc/passwd", "../passwd", "a/../../passwd", "."]) {
    assert.equal(
      await refusal({ name: "a", size: 0, type: "link", linkname }),
      `entry "a": it is a hard link that leaves the tree, to "${linkname}"`,
    );
  }
});

test("symbolic links of the archive are not gone through, until something else takes their place", async () => {
  const link = { name: "l", size: 0, type: "symlink", linkname: "/tmp" } as const;
  assert.equal(
    await refusal(link, { name: "./l/x", size: 0 }),
    'entry "./l/x": its path goes through the symbolic link "l" of the archive',
  );
  assert.equal(
    await refusal(link, { name: "hard", size: 0, type: "link", linkname: "l/passwd" }),
    'entry "hard": it is a hard link through the symbolic link "l"',
  );
  const replaced = await pack(link, { name: "l", size: 0, type: "directory" }, { name: "l/x", size: 0 });
  assert.equal((await scan(replaced)).entries, 3);
});

test("whiteouts belong to layers only, and name something", async () => {
  const archive = await pack({ name: "etc/.wh.passwd", size: 0 }, { name: "var/.wh..wh..opq", size: 0 });
  assert.equal((await scan(archive, true)).entries, 2);
  await assert.rejects(scan(archive), /the archive is refused: 2 unsafe entries/);
  await assert.rejects(scan(await pack({ name: "etc/.wh...", size: 0 }), true), NetkilnError);
});

test("a thousand device nodes are told in ten lines and a number", async () => {
  const headers = Array.from({ length: 1000 }, (_, index) => ({ name: `dev/${index}`, size: 0, type: "block-device" }));
  const error = await scan(await pack(...(headers as TarEntry["header"][]))).catch((reason: unknown) => reason);
  assert.ok(error instanceof NetkilnError);
  assert.equal(error.message, "the archive is refused: 1000 unsafe entries (the first 10 are shown)");
  assert.equal(error.problems.length, 10);
  assert.match(error.hint ?? "", /^device nodes are made at boot/);
});

test("an archive is told to be truncated wherever it ends early, and damaged where a header is none", async () => {
  const archive = await pack({ name: "etc/a", size: 700 }, { name: "etc/b", size: 10 });
  for (const end of [100, 512, 1000, 1536, 2048, 2100]) {
    await assert.rejects(scan(archive.subarray(0, end)), /the archive is truncated: .* after \d+ bytes/, String(end));
  }
  const damaged = Buffer.from(archive);
  damaged[1540] = 0xff;
  await assert.rejects(scan(damaged), /the archive is damaged: there is no valid header before byte 2048/);
});
