/**
 * Runs in a sandbox, beside the tree at its mount point: writes the whole tree as a cpio archive in the "newc" form of
 * the kernel (Documentation/driver-api/early-userspace/buffer-format.rst) and prints what it did as JSON.
 *
 *   cpio.ts TREE ARCHIVE EPOCH
 */
import { closeSync, openSync } from "node:fs";
import { writeTree } from "../output/newc-writer.ts";

const [tree = "", archive = "", epoch = ""] = process.argv.slice(2);
const output = openSync(archive, "wx", 0o600);
process.stdout.write(JSON.stringify(await writeTree(tree, output, Number(epoch))));
closeSync(output);
