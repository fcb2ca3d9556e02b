/**
 * Runs in a sandbox, beside the tree at its mount point: reads the digests that are known as JSON from standard input
 * and prints what the tree holds. Scratch is the folder that it is started in.
 */
import { json } from "node:stream/consumers";
import type { FileDigests } from "../describe/files.ts";
import { readInventory } from "../describe/read.ts";
import { treeMountPoint } from "../sandbox/sandbox.ts";

const known = (await json(process.stdin)) as FileDigests;
process.stdout.write(JSON.stringify(await readInventory(treeMountPoint, process.cwd(), known)));
