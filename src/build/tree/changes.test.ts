import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../../lib/exec.ts";
import { changesIn } from "./changes.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-changes-"));
after(() => rm(root, { recursive: true }));

async function layer(name: string, paths: readonly string[]): Promise<string> {
  const folder = join(root, name);
  for (const path of paths) {
    const place = join(folder, path);
    await mkdir(path.endsWith("/") ? place : dirname(place), { recursive: true });
    if (!path.endsWith("/")) await writeFile(place, name);
  }
  return folder;
}
const gone = (folder: string, path: string) => run(["mknod", join(folder, path), "c", "0", "0"]);

test("what a layer adds, changes and removes, and nothing of the folders on the way", async () => {
  const lowest = await layer("lowest", ["etc/a", "etc/b", "etc/c", "etc/mode/", "opt/old/x", "var/lib/y", "srv/z"]);
  const middle = await layer("middle", ["etc/"]);
  await gone(middle, "etc/c");
  const upper = await layer("upper", ["etc/a", "etc/c", "etc/new/file", "etc/mode/", "opt/old/", "var/lib/y", "srv"]);
  await chmod(join(upper, "etc/mode"), 0o700);
  await gone(upper, "etc/b");
  await run(["setfattr", "-n", "trusted.overlay.opaque", "-v", "y", join(upper, "opt/old")]);
  assert.deepEqual(
    (await changesIn(upper, [middle, lowest])).map(({ kind, path }) => `${kind} ${path}`),
    [
      "changed /etc/a",
      "removed /etc/b",
      "added /etc/c",
      "changed /etc/mode",
      "added /etc/new",
      "added /etc/new/file",
      "changed /opt/old",
      "changed /srv",
      "changed /var/lib/y",
    ],
  );
});

test("a layer with nothing in it changes nothing, and neither does a socket", async () => {
  const lower = await layer("below", ["etc/a"]);
  const upper = await layer("above", ["etc/b"]);
  await rm(join(upper, "etc"), { recursive: true });
  await run(["python3", "-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", join(upper, "s")]);
  assert.deepEqual(await changesIn(upper, [lower]), []);
});
