import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { nearest, problemsOf, requireDrivers } from "./initrd-check.ts";
import { readInitrd } from "./newc-reader.ts";

const wants = { version: "6.1.0-9", modules: ["base", "livenet"], drivers: ["virtio-net", "loop"], builtIn: ["loop"] };
const names = ["usr/lib/modules/6.1.0-9/kernel/drivers/net/virtio_net.ko.xz", "usr/lib/netkiln-lib.sh"];
const dracutModules = ["bash", "base", "livenet"];

test("an initrd that has everything passes; a driver may be built in, and be named with - or _", () => {
  assert.deepEqual(problemsOf({ names, dracutModules }, wants), []);
});

test("everything that is missing is told at once", () => {
  const other = ["usr/lib/modules/6.1.0-8/kernel/drivers/net/virtio_net.ko.xz"];
  assert.deepEqual(problemsOf({ names: other, dracutModules: ["base"] }, wants), [
    "it has no modules of the kernel 6.1.0-9, only of 6.1.0-8",
    "it lacks the drivers virtio-net",
    "it lacks the dracut modules livenet",
    "it lacks netkiln's own part, lib/netkiln-lib.sh",
  ]);
});

const drivers = { loadable: ["virtio_net", "mlx5_core", "md5", "e1000e", "ixgbe"], builtIn: ["squashfs"] };

test("a driver that the kernel does not have is refused with what is near it", () => {
  requireDrivers(["virtio-net", "squashfs"], "6.1.0-9", drivers);
  assert.throws(() => requireDrivers(["virtio_nte", "mlx5", "e1000e", "hfi1"], "6.1.0-9", drivers), {
    message:
      "the kernel 6.1.0-9 does not have what initrd.drivers names: virtio_nte (there is virtio_net); mlx5 (there is mlx5_core); hfi1",
  });
  assert.throws(() => requireDrivers([], "6.1.0-9", undefined), /have no modules\.dep/);
  assert.deepEqual(nearest("e1000", drivers.loadable), ["e1000e"]);
});

function newc(files: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries({ ...files, "TRAILER!!!": "" }).map(([name, content]) => {
    const fields = [1, 0o100644, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`;
    return [head, content].map((part) => part.padEnd(Math.ceil(part.length / 4) * 4, "\0")).join("");
  });
  return Buffer.from(parts.join(""));
}

test("archives are read one after the other, plain and compressed, with zeros between them", () => {
  const files = { "lib/dracut/modules.txt": "base\nlivenet\n", "usr/x": "yz" };
  const early = Buffer.concat([newc({ "kernel/x86": "microcode" }), Buffer.alloc(512)]);
  for (const main of [newc(files), gzipSync(newc(files)), zstdCompressSync(newc(files))]) {
    assert.deepEqual(readInitrd(Buffer.concat([early, main])), {
      names: ["kernel/x86", "lib/dracut/modules.txt", "usr/x"],
      dracutModules: ["base", "livenet"],
    });
  }
});

test("an initrd that is cut off or is something else is not read as a whole one", () => {
  const whole = zstdCompressSync(newc({ a: "content" }));
  for (const bad of [whole.subarray(0, -3), newc({ a: "content" }).subarray(0, 118), Buffer.from("not an archive")]) {
    assert.ok("problem" in readInitrd(bad));
  }
});
